"""All scenarios, in the order in which they are played."""

from . import links, processes
from .judge import LOSSES, REPEATS
from .load import Size
from .scenario import Scenario
from .servers import faketime, may_mount

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
USUAL = Size(hooks=1200, payments=400, works=600, chords=30, seconds=20)
BRIEF = Size(hooks=300, payments=100, works=240, chords=8, seconds=8)
LONG = USUAL.times(2)
STORM = Size(hooks=50_000, payments=10_000, works=6_000, chords=300, seconds=255)
SMALL_STORM = Size(hooks=1500, payments=500, works=400, chords=15, seconds=15)
ASYNCHRONOUS = "what the dead master had acknowledged and not yet sent is lost: replication is asynchronous"


def _no_faketime() -> str:
    cure = "apt-get install faketime, or pip install libfaketime (which wants a C compiler)"
    return "" if faketime() else f"no libfaketime that works here: {cure}"


def _no_mount() -> str:
    return "" if may_mount() else "only root may mount a small disk: run it as root"


SCENARIOS = (
    Scenario(
        "workers-die",
        "T1: 10 SIGKILL of workers and 2 SIGSTOP beyond the lease, with the real lease of 15 s",
        processes.workers_die,
        LONG,
        lease_s=15.0,
        faults=(10, 3),
    ),
    Scenario(
        "workers-die-often",
        "SIGKILL and SIGSTOP with a lease of 3 s",
        processes.workers_die,
        USUAL,
        BRIEF,
        faults=(12, 5),
    ),
    Scenario(
        "server-dies",
        "T1, T2: SIGKILL and clean restarts of the server, appendfsync everysec",
        processes.server_dies,
        LONG,
        BRIEF,
        faults=(10, 2),
    ),
    Scenario(
        "server-dies-always",
        "the same under appendfsync always",
        processes.server_dies,
        USUAL,
        options=ALWAYS,
        faults=(4, 2),
    ),
    Scenario(
        "server-freezes",
        "SIGSTOP of the server for longer than every timeout",
        processes.server_freezes,
        USUAL,
        faults=(3, 1),
    ),
    Scenario(
        "tail-cut-always",
        "appendfsync always: SIGKILL, and the file cut at a random byte behind the last acknowledged enqueue",
        processes.tail_cut_always,
        USUAL,
        BRIEF,
        options=(*ALWAYS, "--auto-aof-rewrite-percentage", "0"),
        faults=(8, 3),
        unpromised=REPEATS,
        why="the cut takes fsynced writes of workers too, which no loss of power does",
    ),
    Scenario(
        "tail-cut-everysec",
        "N3: appendfsync everysec: SIGKILL, and the file cut at a random byte of the last second",
        processes.tail_cut_everysec,
        USUAL,
        options=("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"),
        faults=(6, 2),
        unpromised=(*LOSSES, *REPEATS),
        why="everysec may lose the last second when the machine fails",
    ),
    Scenario(
        "memory-full",
        "P11: maxmemory reached for 4 s: enqueues fail loudly, running jobs still end",
        processes.memory_is_full,
        USUAL,
        BRIEF,
        faults=(2, 1),
    ),
    Scenario(
        "disk-full",
        "P12: the disk (a tmpfs of 48 MB) is full for 4 s, appendfsync everysec",
        processes.disk_is_full,
        USUAL,
        BRIEF,
        server="disk",
        faults=(2, 1),
        needs=_no_mount,
    ),
    Scenario(
        "disk-full-always",
        "the same under appendfsync always: the server ends itself, and is started when there is room",
        processes.disk_is_full,
        USUAL,
        server="disk",
        options=ALWAYS,
        faults=(1, 1),
        needs=_no_mount,
    ),
    Scenario(
        "scripts-vanish",
        "T2: SCRIPT FLUSH",
        processes.scripts_vanish,
        USUAL,
        faults=(20, 5),
    ),
    Scenario(
        "clock-jumps",
        "T2: the server's clock jumps by an hour, forth and back (libfaketime)",
        processes.clock_jumps,
        USUAL,
        BRIEF,
        server="clocked",
        faults=(4, 2),
        resumes=False,
        needs=_no_faketime,
    ),
    Scenario(
        "link-slow",
        "20 to 80 ms on each piece between us and the server, and bytes that drip",
        links.link_is_slow,
        USUAL,
        faults=(3, 2),
    ),
    Scenario(
        "link-cut",
        "T2: connections to the server are reset, and refused for spells",
        links.link_is_cut,
        LONG,
        BRIEF,
        faults=(70, 15),
    ),
    Scenario(
        "link-half-open",
        "connections stay and nothing goes through for 2.5 to 5 s; then it arrives late, or never",
        links.link_is_half_open,
        LONG,
        faults=(4, 1),
    ),
    Scenario(
        "replies-swallowed",
        "T2: a script is executed, and its reply lost",
        links.replies_are_swallowed,
        LONG,
        BRIEF,
        faults=(200, 30),
    ),
    Scenario(
        "far-side-errs",
        "receiver and gateway act, and their answers are lost, cut or held",
        links.far_side_errs,
        USUAL,
        BRIEF,
        faults=(9, 3),
    ),
    Scenario(
        "sentinel-failover",
        "T4, N2: the master dies behind three sentinels",
        links.sentinels_fail_over,
        LONG,
        server="guarded",
        faults=(2, 1),
        unpromised=(*LOSSES, *REPEATS),
        why=ASYNCHRONOUS,
    ),
    Scenario(
        "cluster-master-dies",
        "T4, N2: masters of a cluster die, their replicas take over",
        links.masters_die,
        LONG,
        server="cluster",
        faults=(3, 1),
        unpromised=(*LOSSES, *REPEATS),
        why=ASYNCHRONOUS,
    ),
    Scenario(
        "storm",
        "T2: 10,000 payments and 50,000 webhooks; workers killed, laid to die and held, the server killed and"
        " restarted, connections reset, replies lost, scripts flushed, all at once",
        processes.storm,
        STORM,
        SMALL_STORM,
        faults=(50, 10),
        resumes=False,
    ),
)
