"""All that ``doctor`` asks of a server. It writes one job into a queue of its own, and takes it out again."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from statistics import median
from typing import Any

from ..inspector import QueueStanding, WorkerStanding
from ..inspector.presence import read_workers
from ..inspector.together import standing_of, together
from ..wire import lua_loader
from ..wire.asking import Refusal, ask, info_of, pairs_of, try_script
from ..wire.keys import Keys, Layout, keys_of
from ..wire.queue_scripts import QueueScripts
from ..wire.scripts import End, Entry, Execute, Scripts
from .certificate import Certificate, Trust, read_certificate
from .sample import Sample, read_sample

PROBE_QUEUE = "doctor-probe"
CLOCK_READS = 9
PROBES = 20

NEEDED = (
    ("EVALSHA", "x", "0"), ("EVAL", "x", "0"), ("GET", "{job}"), ("SET", "{job}", "x"), ("DEL", "{job}"),
    ("ZADD", "{queue}", "1", "x"), ("ZRANGE", "{queue}", "0", "1"), ("HSET", "{record}", "a", "b"),
    ("PERSIST", "{job}"), ("PUBLISH", "runner:x", "x"), ("SUBSCRIBE", "__redis__:invalidate"),
    ("CLIENT", "TRACKING", "ON"), ("TIME",),
)  # fmt: skip
DANGEROUS = (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "SET", "maxmemory", "1"), ("DEBUG", "SLEEP", "0"))

NOT_ASKED = Refusal("not asked")
NO_FILES = Trust()

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The server's time beside ours at one moment, in seconds: a clock that only rises, and the wall's."""

    server_s: float
    monotonic_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Acl:
    """What the user that we are may do.

    Attributes:
        user: its name.
        missing: commands that are needed and denied.
        dangerous: commands that no job needs, and that are allowed.
        has_password: whether it takes one to be that user; None when not told.
    """

    user: str
    missing: Sequence[str]
    dangerous: Sequence[str]
    has_password: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found; a Refusal where the server does not tell.

    Attributes:
        url: the server's address.
        info: lines of INFO.
        config: lines of CONFIG GET.
        cluster: lines of CLUSTER INFO; empty without a cluster.
        clocks: readings, the last one some time after the others.
        scripts: names of scripts that the server did not take.
        probe: how far a job came in a queue of ours: ``ended`` when all is well.
        ping_s: median of a round trip.
        set_s: median of a write.
        acl: what we may do.
        layout: how keys are named.
        queues: how each stands.
        workers: who lives.
        samples: of the jobs of each queue.
        certificate: that it shows; None without TLS.
    """

    url: str
    info: Mapping[str, str] | Refusal
    config: Mapping[str, str] | Refusal
    cluster: Mapping[str, str] = field(default_factory=dict[str, str])
    clocks: Sequence[ClockReading] = ()
    scripts: Sequence[str] = ()
    probe: str = "ended"
    ping_s: float = 0.0
    set_s: float = 0.0
    acl: Acl | Refusal = NOT_ASKED
    layout: Layout = "classic"
    queues: Sequence[QueueStanding] = ()
    workers: Sequence[WorkerStanding] = ()
    samples: Sequence[Sample] = ()
    certificate: Certificate | Refusal | None = None


async def read_facts(
    execute: Execute,
    *,
    url: str,
    queues: Sequence[Keys],
    layout: Layout = "classic",
    trust: Trust = NO_FILES,
    watch_s: float = 2.0,
    sleep: Sleep = asyncio.sleep,
) -> Facts:
    """Ask a server all of it; takes ``watch_s`` and some fifty round trips.

    Raises:
        ServerUnreachable: there is none.
    """
    probe_keys = keys_of(PROBE_QUEUE, layout)
    facts = await _read_server(execute, url, probe_keys, watch_s, sleep)
    scripts = QueueScripts(execute)
    standings = together([standing_of(keys.name, await scripts.standing(keys)) for keys in queues])
    others = {keys.name: [x.queue for x in queues if x is not keys] for keys in queues}
    return replace(
        facts,
        probe=await _probe(Scripts(execute), probe_keys),
        ping_s=await _median(execute, "PING"),
        set_s=await _median(execute, "SET", probe_keys.op("probe"), "x", "PX", 1000),
        layout=layout,
        queues=standings,
        workers=await read_workers(execute),
        samples=[
            await read_sample(execute, keys, others[keys.name] if layout == "classic" else ())
            for keys in queues
        ],
        certificate=await read_certificate(url, trust, now_s=facts.clocks[-1].wall_s),
    )


async def read_masters(masters: Mapping[str, Execute], facts: Facts) -> dict[str, Facts]:
    """Give the facts once for each master of a cluster, with what that one tells of itself."""
    found: dict[str, Facts] = {}
    for name, execute in masters.items():
        keys = keys_of(PROBE_QUEUE, facts.layout)
        told = await _read_server(execute, facts.url, keys, 0.0, asyncio.sleep)
        found[name] = replace(
            facts,
            info=told.info,
            config=told.config,
            cluster=told.cluster,
            clocks=told.clocks,
            scripts=told.scripts,
            acl=told.acl,
        )
    return found


async def _read_server(execute: Execute, url: str, probe_keys: Keys, watch_s: float, sleep: Sleep) -> Facts:
    """Ask what each server has for itself."""
    info, config = await ask(execute, "INFO", "everything"), await ask(execute, "CONFIG", "GET", "*")
    info = info if isinstance(info, Refusal) else info_of(info)
    is_cluster = not isinstance(info, Refusal) and info.get("cluster_enabled") == "1"
    cluster = await ask(execute, "CLUSTER", "INFO") if is_cluster else b""
    return Facts(
        url=url,
        info=info,
        config=config if isinstance(config, Refusal) else pairs_of(config),
        cluster={} if isinstance(cluster, Refusal) else info_of(cluster),
        clocks=await _clocks(execute, watch_s, sleep),
        scripts=await _scripts(execute),
        acl=await _acl(execute, probe_keys),
    )


async def _clocks(execute: Execute, watch_s: float, sleep: Sleep) -> list[ClockReading]:
    readings: list[ClockReading] = []
    for number in range(CLOCK_READS + 1):
        if number == CLOCK_READS:
            await sleep(watch_s)
        begun = time.monotonic()
        seconds, micros = await execute("TIME")
        middle = (begun + time.monotonic()) / 2
        wall = time.time_ns() / 1e9 - (time.monotonic() - middle)
        readings.append(ClockReading(int(seconds) + int(micros) / 1e6, middle, wall))
    return readings


async def _scripts(execute: Execute) -> list[str]:
    """Load every script; give those that the server refuses, or names otherwise than we do."""
    folder = resources.files(lua_loader.__package__ or "") / "lua"
    names = sorted(each.name.removesuffix(".lua") for each in folder.iterdir() if each.name.endswith(".lua"))
    wrong: list[str] = []
    for script in map(lua_loader.load, names):
        answer = await ask(execute, "SCRIPT", "LOAD", script.source)
        if isinstance(answer, Refusal) or answer.decode() != script.sha:
            wrong.append(f"{script.name}: {answer if isinstance(answer, Refusal) else 'another sha'}")
    return wrong


async def _probe(scripts: Scripts, keys: Keys) -> str:
    """Let a job live: made, claimed, ended; how far it came, and what was said instead of the next step.

    It claims what an earlier, interrupted probe left, too.
    """
    token = f"doctor-{secrets.token_hex(8)}"
    made = await try_script(scripts.enqueue(keys, [Entry(token, 0, 0, b"{}")]))
    if made != [True]:
        return f"not made: {made}"
    claim = scripts.claim(keys, token=token, worker="doctor", limit=500, lease_ms=10_000, is_idle=True)
    claimed = await try_script(claim)
    if isinstance(claimed, Refusal) or not claimed.jobs:
        await try_script(scripts.cancel(keys, token, result=b"", keep_ms=0))
        return f"made, not claimed: {claimed}"
    ends = [End(job.job_id, token, job.fence, "done", 0, b"", "", job.attempt) for job in claimed.jobs]
    verdicts = await try_script(scripts.finish(keys, ends))
    return "ended" if verdicts == [1] * len(ends) else f"claimed, not ended: {verdicts}"


async def _median(execute: Execute, *command: Any) -> float:
    """Give the median time of a command, in seconds; 0 when it is refused."""
    times: list[float] = []
    for _ in range(PROBES):
        begun = time.monotonic()
        if isinstance(await ask(execute, *command), Refusal):
            return 0.0
        times.append(time.monotonic() - begun)
    return median(times)


async def _acl(execute: Execute, keys: Keys) -> Acl | Refusal:
    user = await ask(execute, "ACL", "WHOAMI")
    if isinstance(user, Refusal):
        return user
    named = {"{job}": keys.job("x"), "{queue}": keys.queue, "{record}": keys.record("x")}

    async def is_denied(command: tuple[str, ...]) -> bool | Refusal:
        answer = await ask(execute, "ACL", "DRYRUN", user, *(named.get(part, part) for part in command))
        return answer if isinstance(answer, Refusal) else answer != b"OK"

    if isinstance(refusal := await is_denied(("TIME",)), Refusal):
        return refusal
    missing = [command[0] for command in NEEDED if await is_denied(command) is True]
    dangerous = [command[0] for command in DANGEROUS if await is_denied(command) is False]
    described = await ask(execute, "ACL", "GETUSER", user)
    has_password = None if isinstance(described, Refusal) else b"nopass" not in described[1]
    return Acl(user.decode(), missing, dangerous, has_password)
