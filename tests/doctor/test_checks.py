"""The doctor's checks are pure: facts in, findings out, each with what cures it."""

from dataclasses import replace
from typing import Any

import pytest

from runner import Idempotency, Settings, task
from runner.doctor import Facts, check_masters, check_server, check_settings, check_work, is_wrong
from runner.doctor.certificate import Certificate
from runner.doctor.facts import Acl, ClockReading
from runner.doctor.sample import Sample
from runner.inspector import QueueStanding, WorkerStanding
from runner.registry import Registry
from runner.wire.asking import Refusal

INFO = {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2", "role": "master"}
INFO |= {"used_memory": "10", "maxmemory": "0", "total_system_memory": "100", "connected_slaves": "0"}
CONFIG = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}
WELL = Facts(
    url="redis://127.0.0.1:6379/0",
    info=INFO,
    config=CONFIG,
    clocks=[ClockReading(1000.0 + n, n, 1000.0 + n) for n in range(3)],
    acl=Acl("default", [], ["FLUSHALL"], False),
)
OPEN = {"bind": "* -::*", "port": "6379", "protected-mode": "no"}
FAR = "redis://db.example.com:6379/0"


def verdicts(facts: Facts, **options: Any) -> dict[str, str]:
    """Each check's verdict; only what is not ok."""
    return {f.check: f.verdict for f in check_server(facts, **options) if f.verdict != "ok"}


def test_a_server_that_is_well_has_nothing_but_ok() -> None:
    """And nothing to cure."""
    findings = check_server(WELL)
    assert {finding.verdict for finding in findings} == {"ok"}
    assert not any(finding.cure for finding in findings)
    assert len(findings) >= 10


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"info": {**INFO, "redis_version": "6.2.7"}}, {"version": "wrong"}),
        ({"info": {**INFO, "dragonfly_version": "1"}}, {"version": "warning"}),
        ({"info": {**INFO, "maxmemory": "11"}}, {"memory": "warning"}),
        ({"info": {**INFO, "used_memory": "90"}}, {"memory": "warning"}),
        ({"info": {**INFO, "role": "slave"}}, {"replication": "wrong"}),
        ({"info": {**INFO, "connected_slaves": "1"}}, {"replication": "warning"}),
        ({"info": {**INFO, "aof_last_write_status": "err"}}, {"disk": "wrong"}),
        ({"info": {**INFO, "aof_delayed_fsync": "7"}}, {"disk": "warning"}),
        ({"config": {**CONFIG, "maxmemory-policy": "allkeys-lru"}}, {"eviction": "wrong"}),
        ({"config": {**CONFIG, "appendonly": "no"}}, {"durability": "wrong"}),
        ({"config": {**CONFIG, "appendfsync": "no"}}, {"durability": "warning"}),
        ({"config": {**CONFIG, "no-appendfsync-on-rewrite": "yes"}}, {"rewrites": "warning"}),
        ({"config": {**CONFIG, "busy-reply-threshold": "5000"}}, {}),
        ({"config": {**CONFIG, "busy-reply-threshold": "50"}}, {"busy": "warning"}),
        ({"config": {**CONFIG, "lua-time-limit": "0"}}, {"busy": "warning"}),
        ({"config": {**CONFIG, **OPEN}}, {"exposure": "wrong"}),
        ({"config": {**CONFIG, **OPEN, "bind": ""}}, {"exposure": "wrong"}),
        ({"config": {**CONFIG, **OPEN, "bind": "127.0.0.1 -::1"}}, {}),
        ({"config": {**CONFIG, **OPEN, "port": "0", "tls-port": "0"}}, {}),
        ({"config": {**CONFIG, **OPEN, "protected-mode": "yes"}}, {}),
        ({"config": {**CONFIG, **OPEN}, "acl": Acl("web", [], [], True)}, {}),
        ({"certificate": Certificate("db", "Hostname mismatch")}, {"certificate": "wrong"}),
        ({"certificate": Certificate("db", ends_in_s=86_400.0 * 3)}, {"certificate": "warning"}),
        ({"certificate": Certificate("db", ends_in_s=86_400.0 * 30)}, {}),
        ({"scripts": ["claim: no"]}, {"scripts": "wrong"}),
        ({"probe": "not made: OOM"}, {"a job's life": "wrong"}),
        ({"acl": Acl("web", ["EVALSHA"], [], True)}, {"permissions": "wrong"}),
        ({"url": FAR}, {"permissions": "warning", "password": "wrong", "network": "warning"}),
        ({"url": FAR, "acl": Acl("web", [], [], True)}, {"network": "warning"}),
        ({"url": "rediss://db.example.com", "acl": Acl("web", [], [], True)}, {}),
        ({"url": "rediss+sentinel://a.example,127.0.0.1/mymaster", "acl": Acl("web", [], [], True)}, {}),
        (
            {"url": "redis+sentinel://127.0.0.1,a.example/m/0", "acl": Acl("web", [], [], True)},
            {"network": "warning"},
        ),
        ({"url": "redis+sentinel://127.0.0.1:1,localhost:2/mymaster"}, {}),
        (
            {"info": {**INFO, "cluster_enabled": "1"}, "cluster": {"cluster_state": "fail"}},
            {"cluster": "wrong"},
        ),
        (
            {"info": {**INFO, "cluster_enabled": "1"}, "cluster": {"cluster_state": "ok"}},
            {"cluster": "wrong"},
        ),
        (
            {
                "info": {**INFO, "cluster_enabled": "1"},
                "cluster": {"cluster_state": "ok"},
                "layout": "tagged",
            },
            {},
        ),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_server_is_found(changes: dict[str, Any], expected: dict[str, str]) -> None:
    """Each with the one check that is about it, why it matters and what to do."""
    facts = replace(WELL, **changes)
    assert verdicts(facts) == expected
    for finding in check_server(facts):
        if finding.verdict != "ok":
            assert finding.cure
            assert len(finding.why) > 10


def test_replicas_without_persistence_are_told_of() -> None:
    """A restarted primary empties them."""
    info, config = {**INFO, "connected_slaves": "1"}, {**CONFIG, "appendonly": "no"}
    [finding] = [f for f in check_server(replace(WELL, info=info, config=config)) if f.check == "durability"]
    assert "empties them too" in finding.why


def test_of_several_masters_what_one_alone_has_is_told_with_its_name() -> None:
    """What all have in common is told once; what is well with some of them is left out."""
    ill = replace(WELL, config={**CONFIG, "maxmemory-policy": "allkeys-lru"})
    findings = check_masters({"a:1": WELL, "b:2": ill, "c:3": WELL})
    assert [(f.check, f.verdict) for f in findings if f.verdict != "ok"] == [("eviction", "wrong")]
    assert [f.why.split(":")[0] for f in findings if f.check == "eviction"] == ["b"]
    assert [f.why for f in findings if f.check == "version"] == ["valkey 9.1.2 (3 masters)"]
    assert [f.check for f in check_masters({"a:1": ill, "b:2": ill}) if f.verdict == "wrong"] == ["eviction"]


def test_what_must_be_durable_needs_always() -> None:
    """By the setting that asks for it; a write as quick as a ping raises a doubt."""
    assert verdicts(WELL, durable="payments.durable") == {"durability": "wrong"}
    always = replace(WELL, config={**CONFIG, "appendfsync": "always"}, ping_s=0.0001, set_s=0.002)
    assert verdicts(always, durable="payments.durable") == {}
    cut = replace(always, config={**always.config, "aof-load-truncated": "yes"})  # type: ignore[dict-item]
    assert verdicts(cut, durable="payments.durable") == {"truncated": "warning"}
    assert verdicts(cut) == {}
    assert verdicts(replace(always, set_s=0.0001)) == {"durability": "warning"}


@pytest.mark.parametrize(
    ("clocks", "verdict"),
    [
        ([(1000.0, 0.0, 1000.0), (999.0, 1.0, 1001.0)], "wrong"),
        ([(1000.0, 0.0, 1000.0), (1002.1, 2.0, 1002.0)], "warning"),
        ([(1005.0, 0.0, 1000.0), (1007.0, 2.0, 1002.0)], "warning"),
        ([(1000.2, 0.0, 1000.0), (1002.2, 2.0, 1002.0)], None),
    ],
    ids=["back", "fast", "skew", "well"],
)
def test_a_clock_that_cannot_be_trusted_is_found(clocks: list[Any], verdict: str | None) -> None:
    """One that goes back, runs at another speed, or stands elsewhere."""
    facts = replace(WELL, clocks=[ClockReading(*each) for each in clocks])
    assert verdicts(facts).get("clock") == verdict


def test_what_the_server_does_not_tell_is_not_ok() -> None:
    """It is not checked, and that is said of each check."""
    facts = replace(WELL, info=Refusal("NOPERM"), config=Refusal("NOPERM"), acl=Refusal("NOPERM"))
    told = verdicts(facts)
    assert set(told.values()) == {"not checked"}
    assert told.keys() >= {"version", "memory", "eviction", "durability", "permissions"}
    assert not is_wrong(check_server(facts))


def queue(**counts: Any) -> QueueStanding:
    nothing: dict[str, Any] = {"ready": 0, "scheduled": 0, "running": 0, "dead": 0, "suspects": 0, "gates": 0}
    nothing |= {"queue": "default", "at_ms": 5_000_000, "ready_since_ms": None}
    return QueueStanding(**{**nothing, "paused_at_ms": None, "paused_by": "", **counts})


def sample(**found: Any) -> Sample:
    nothing: dict[str, Any] = {"queue": "default", "looked": 9, "missing": (), "expiring": (), "pickled": 0}
    return Sample(**{**nothing, "tasks": {}, "leaseless": 0, **found})


ALIVE = WorkerStanding(name="w", seen_at_ms=1, is_alive=True, queues={"default": 1}, tasks=["pay"])
GONE = WorkerStanding(name="g", seen_at_ms=1, is_alive=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"workers": []}, [("workers", "warning")]),
        ({"workers": [ALIVE, GONE]}, [("workers", "warning")]),
        ({"queues": [queue(ready=1, queue="bulk")]}, [("workers", "wrong")]),
        ({"queues": [queue(paused_at_ms=1, paused_by="ann")]}, [("queues", "warning")]),
        ({"queues": [queue(ready=1, ready_since_ms=1)]}, [("queues", "warning")]),
        ({"queues": [queue(suspects=1)]}, [("queues", "warning")]),
        ({"queues": [queue(dead=3)]}, [("dead letters", "warning")]),
        ({"samples": [sample(missing=("a",))]}, [("jobs", "wrong")]),
        ({"samples": [sample(pickled=2)]}, [("jobs", "warning")]),
        ({"samples": [sample(leaseless=2)]}, [("jobs", "warning")]),
        ({"samples": [sample(doubled={"a": "runner:default:dead"})]}, [("jobs", "wrong")]),
        (
            {"samples": [sample(expiring=("a",))], "workers": []},
            [("workers", "warning"), ("jobs", "warning")],
        ),
        ({"samples": [sample(tasks={"pay": 1, "mail": 1})]}, []),
        ({"samples": [sample(tasks={"refund": 1})]}, [("tasks", "warning")]),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_work_is_found(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Nobody serves, somebody waits, a payload is missing, a task is not known."""
    facts = replace(WELL, **{"queues": [queue()], "workers": [ALIVE], "samples": [sample()], **changes})
    findings = check_work(facts, tasks=["mail"])
    assert [(f.check, f.verdict) for f in findings if f.verdict != "ok"] == expected


def test_settings_that_do_not_fit_each_other_are_found() -> None:
    """What is right by itself and wrong together."""

    @task(idempotency=Idempotency(ttl=60))
    async def pay(ctx: Any, order: str) -> None: ...

    assert not is_wrong(check_settings(Settings(), Registry()))
    assert is_wrong(check_settings(Settings(), Registry([pay])))
    risky = Settings(worker={"lease": 2}, redis={"allow_unsafe_server": True})  # type: ignore[arg-type]
    assert [finding.verdict for finding in check_settings(risky, Registry())] == ["warning", "warning"]
