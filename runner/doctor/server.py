"""Checks of the server: facts in, findings out. What it does not tell is ``not checked``, never ``ok``."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ..wire.asking import Refusal
from .facts import Facts
from .finding import Finding
from .reach import certificate, exposure, network, permissions

OLDEST_MAJOR = 7
SKEW_S = 0.5
DRIFT = 0.001
FULL = 0.8
SHORT_BUSY_MS = 1000


def check_server(facts: Facts, *, durable: str = "") -> list[Finding]:
    """Judge a server; ``durable`` is the setting that asks for each change to be on disk, empty for none."""
    findings = [finding for check in _BY_INFO for finding in _told(facts.info, check)]
    findings += [finding for check in _BY_CONFIG for finding in _told(facts.config, check)]
    findings += list(_durability(facts, durable))
    if not isinstance(facts.config, Refusal):
        findings += list(_truncated(facts.config, durable))
    findings += [_clock(facts), _scripts(facts), _life(facts), *permissions(facts), *exposure(facts)]
    return [*findings, network(facts), *certificate(facts), *_cluster(facts)]


def check_masters(masters: Mapping[str, Facts], *, durable: str = "") -> list[Finding]:
    """Judge every master of a cluster: what all have in common once, the rest with the node that it is of."""
    by_node = {name: check_server(facts, durable=durable) for name, facts in masters.items()}
    alike: dict[tuple[str, str, str], list[tuple[str, Finding]]] = {}
    for name, findings in by_node.items():
        for finding in findings:
            alike.setdefault((finding.check, finding.verdict, finding.cure), []).append((name, finding))
    told: list[Finding] = []
    for (_, verdict, _), found in alike.items():
        if len({name for name, _ in found}) == len(masters):
            told.append(replace(found[0][1], why=f"{found[0][1].why} ({len(masters)} masters)"))
        elif verdict != "ok":
            told += [replace(finding, why=f"{name}: {finding.why}") for name, finding in found]
    return sorted(told, key=lambda each: _ORDER.index(each.check))


Check = Callable[[Mapping[str, str]], Iterator[Finding]]


def _told(lines: Mapping[str, str] | Refusal, check: Check) -> Iterator[Finding]:
    """Check what the server tells; say so when it does not."""
    if isinstance(lines, Refusal):
        yield Finding(check.__name__.strip("_"), "not checked", f"the server does not tell: {lines}")
    else:
        yield from check(lines)


def _version(info: Mapping[str, str]) -> Iterator[Finding]:
    said = info.get("redis_version", "")
    name = info.get("server_name", "redis")
    version = info.get(f"{name}_version", said)
    if "dragonfly_version" in info or "keydb" in info.get("executable", "").lower():
        yield Finding(
            "version", "warning", "not Redis or Valkey: nothing here is tested with it", "use Valkey or Redis"
        )
        return
    major = said.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_MAJOR:
        why = f"{name} {version} cannot be drained once it is full: scripts have no flags"
        yield Finding("version", "wrong", why, f"run Redis {OLDEST_MAJOR}.0 or Valkey, or newer")
        return
    yield Finding("version", "ok", f"{name} {version}")


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    used, most, total = (_int(info, name) for name in ("used_memory", "maxmemory", "total_system_memory"))
    bound = most or total
    share = used / bound if bound else 0.0
    of = "maxmemory" if most else "the machine's memory"
    if share > FULL:
        cure = "drain the queues, or raise maxmemory" if most else "CONFIG SET maxmemory, below what is free"
        yield Finding("memory", "warning", f"{share:.0%} of {of} is used; full, it takes no new jobs", cure)
    else:
        yield Finding("memory", "ok", f"{share:.0%} of {of} is used")


def _replication(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("role") == "slave":
        why = "this is a replica: nothing can be written, and no job starts"
        yield Finding("replication", "wrong", why, "redis.url has to name the primary")
    elif _int(info, "connected_slaves") == 0:
        yield Finding("replication", "ok", "no replica: nothing is lost by a promotion")
    else:
        why = "a replica that is promoted has not received what was acknowledged last: those jobs are lost"
        cure = "CONFIG SET min-replicas-to-write 1 bounds it to min-replicas-max-lag seconds"
        yield Finding("replication", "warning", why, cure)


def _writes(info: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
        if info.get(name, "ok") != "ok":
            yield Finding(
                "disk", "wrong", f"{name} is {info[name]}: the disk does not take what is written", "df -h"
            )
            return
    if delayed := _int(info, "aof_delayed_fsync"):
        why = f"{delayed:,} writes waited for the disk since the server started"
        yield Finding("disk", "warning", why, "a faster disk, or one that is not shared")
    else:
        yield Finding("disk", "ok", "the last writes succeeded")


def _eviction(config: Mapping[str, str]) -> Iterator[Finding]:
    policy = config.get("maxmemory-policy", "")
    if policy == "noeviction":
        yield Finding("eviction", "ok", "noeviction: a full server refuses new jobs, and keeps those it has")
    else:
        why = f"maxmemory-policy is {policy}: waiting jobs may be deleted"
        yield Finding(
            "eviction", "wrong", why, "CONFIG SET maxmemory-policy noeviction, and in its configuration file"
        )


def _rewrites(config: Mapping[str, str]) -> Iterator[Finding]:
    if config.get("appendonly") == "yes" and config.get("no-appendfsync-on-rewrite") == "yes":
        why = "no-appendfsync-on-rewrite: a power cut during a rewrite loses more than a second"
        yield Finding("rewrites", "warning", why, "CONFIG SET no-appendfsync-on-rewrite no")


def _busy(config: Mapping[str, str]) -> Iterator[Finding]:
    text = config.get("busy-reply-threshold", config.get("lua-time-limit", ""))
    if text.lstrip("-").isdigit() and (ms := int(text)) < SHORT_BUSY_MS:
        why = f"busy-reply-threshold is {ms} ms: a script of ours that is slow once makes others hear BUSY"
        if ms <= 0:
            why = f"busy-reply-threshold is {ms}: whoever waits for a script that hangs is never told"
        yield Finding("busy", "warning", why, "CONFIG SET busy-reply-threshold 5000")
    elif text:
        yield Finding("busy", "ok", f"a script may take {int(text):,} ms before others hear BUSY")


def _truncated(config: Mapping[str, str], durable: str) -> Iterator[Finding]:
    if config.get("appendonly") == "yes" and config.get("aof-load-truncated") == "yes" and durable:
        why = (
            f"aof-load-truncated is yes, and {durable} asks for durability: a file that was cut off is loaded"
            " without its end, and nobody is told"
        )
        yield Finding("truncated", "warning", why, "CONFIG SET aof-load-truncated no")


def _durability(facts: Facts, durable: str) -> Iterator[Finding]:
    config = facts.config
    if isinstance(config, Refusal):
        yield Finding("durability", "not checked", f"the server does not tell: {config}")
        return
    has_replica = not isinstance(facts.info, Refusal) and _int(facts.info, "connected_slaves") > 0
    if config.get("appendonly") != "yes":
        why = "appendonly is no: a restart loses the jobs since the last snapshot"
        if has_replica:
            why = "appendonly is no, with replicas: a restart empties them too"
        yield Finding("durability", "wrong", why, "CONFIG SET appendonly yes, and in its configuration file")
        return
    fsync = config.get("appendfsync", "")
    if durable and fsync != "always":
        why = f"{durable} asks for appendfsync always, it is {fsync}: a power cut loses what was acknowledged"
        yield Finding(
            "durability", "wrong", why, "CONFIG SET appendfsync always, and in its configuration file"
        )
    elif fsync == "no":
        why = "appendfsync is no: a power cut loses what the system had not written, up to half a minute"
        yield Finding("durability", "warning", why, "CONFIG SET appendfsync everysec")
    elif fsync == "always" and 0 < facts.set_s < facts.ping_s * 1.2:
        why = f"a write takes {facts.set_s * 1000:.2f} ms, no longer than a ping: is the disk told to flush?"
        yield Finding(
            "durability", "warning", why, "check the disk's write cache, or the volume's mount options"
        )
    else:
        yield Finding("durability", "ok", f"appendonly yes, appendfsync {fsync}")


def _clock(facts: Facts) -> Finding:
    clocks = facts.clocks
    if any(later.server_s < earlier.server_s for earlier, later in pairwise(clocks)):
        return Finding("clock", "wrong", "the server's clock goes back", "let chrony slew it, not step it")
    first, last = clocks[0], clocks[-1]
    passed = last.monotonic_s - first.monotonic_s
    drift = (last.server_s - first.server_s - passed) / passed if passed > 1 else 0.0
    skew = last.server_s - last.wall_s
    if abs(drift) > DRIFT:
        return Finding(
            "clock", "warning", f"the server's clock runs {drift:+.2%} beside ours", "chronyc tracking"
        )
    if abs(skew) > SKEW_S:
        why = f"the server's clock is {skew:+.2f} s from ours: until= and log lines differ by that"
        return Finding("clock", "warning", why, "chronyc tracking, on both machines")
    return Finding("clock", "ok", f"{skew:+.3f} s from ours")


def _scripts(facts: Facts) -> Finding:
    if facts.scripts:
        return Finding(
            "scripts", "wrong", f"the server does not take {facts.scripts[0]}", "use Redis 7.0 or newer"
        )
    return Finding("scripts", "ok", "the server takes them all")


def _life(facts: Facts) -> Finding:
    if facts.probe == "ended":
        return Finding("a job's life", "ok", "one was made, claimed and ended in a queue of its own")
    return Finding("a job's life", "wrong", f"one was {facts.probe}", "the lines above may say why")


def _cluster(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.info, Refusal) or facts.info.get("cluster_enabled") != "1":
        return
    state = facts.cluster.get("cluster_state", "?")
    if state != "ok":
        yield Finding("cluster", "wrong", f"cluster_state is {state}", "valkey-cli --cluster check")
    elif facts.layout != "tagged":
        why = "a cluster, and key_layout is classic: a queue's keys lie in several slots"
        yield Finding("cluster", "wrong", why, 'redis.key_layout = "tagged"')
    else:
        yield Finding("cluster", "ok", "state ok, each queue in one slot")


def _int(lines: Mapping[str, str], name: str) -> int:
    text = lines.get(name, "0")
    return int(text) if text.isdigit() else 0


_BY_INFO = (_version, _memory, _replication, _writes)
_BY_CONFIG = (_eviction, _rewrites, _busy)
_ORDER = (
    "version", "memory", "replication", "disk", "writes", "eviction", "rewrites", "busy", "durability",
    "truncated", "clock", "scripts", "a job's life", "permissions", "password", "exposure", "network",
    "certificate", "cluster",
)  # fmt: skip
