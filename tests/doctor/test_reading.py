"""What the doctor reads of a real server, and leaves there; an arq project in good order."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from runner.client import Client
from runner.doctor import check_project, check_server, read_facts
from runner.doctor.sample import read_sample
from runner.wire.keys import keys_of


@pytest.mark.parametrize("layout", ["classic", "tagged"])
async def test_the_doctor_leaves_nothing_behind(redis: AsyncRedis, layout: str) -> None:
    """Its job lives in a queue of its own; a database is afterwards as it was."""
    await redis.set("mine", "x")
    keys = [keys_of("default", layout)]  # type: ignore[arg-type]
    client = Client(redis.connection_pool, layout=layout)  # type: ignore[arg-type]
    facts = await read_facts(client.execute, url="unix://x", queues=keys, layout=layout, watch_s=0)  # type: ignore[arg-type]
    await client.close()
    assert (facts.probe, facts.scripts) == ("ended", [])
    left = {key async for key in redis.scan_iter()}
    assert {key for key in left if b"op:probe" not in key} == {b"mine"}
    assert all([await redis.pttl(key) <= 1000 for key in left - {b"mine"}])
    assert [f.check for f in check_server(facts) if f.verdict == "wrong"] == ["durability"]  # as tests run it


async def test_a_server_that_tells_nothing_is_not_checked(redis: AsyncRedis, redis_url: str) -> None:
    """A user without INFO, CONFIG and ACL can work, and the doctor says what it could not see."""
    user = ("ACL", "SETUSER", "doctor-test", "on", ">pw", "~*", "&*", "+@all", "-info", "-config", "-acl")
    await redis.execute_command(*user)
    try:
        other = AsyncRedis.from_url(redis_url.replace("unix://", "unix://doctor-test:pw@"))
        client = Client(other.connection_pool)
        facts = await read_facts(client.execute, url="unix://x", queues=[keys_of("default")], watch_s=0)
        await client.close()
        await other.aclose()
    finally:
        await redis.execute_command("ACL", "DELUSER", "doctor-test")
    assert facts.probe == "ended"
    verdicts = {finding.check: finding.verdict for finding in check_server(facts)}
    assert {c for c, v in verdicts.items() if v == "not checked"} >= {"version", "eviction", "permissions"}
    assert "wrong" not in verdicts.values()


async def test_what_a_server_is_told_to_do_is_seen(redis: AsyncRedis) -> None:
    """Each with a command that sets it: what the doctor says is cured by the command that it names."""
    client = Client(redis.connection_pool)
    set_now = {"busy-reply-threshold": "50", "aof-load-truncated": "yes", "appendonly": "yes"}
    before = {name: (await redis.config_get(name))[name] for name in set_now}
    try:
        for name, value in set_now.items():
            await redis.config_set(name, value)
        facts = await read_facts(client.execute, url="unix://x", queues=[], watch_s=0)
        told = {f.check: f.cure for f in check_server(facts, durable="payments.durable")}
        for cure in (told["busy"], told["truncated"]):
            await redis.execute_command(*cure.split())
        facts = await read_facts(client.execute, url="unix://x", queues=[], watch_s=0)
        told = {f.check: f.cure for f in check_server(facts, durable="payments.durable")}
        assert (told["busy"], "truncated" in told, told["exposure"]) == ("", False, "")
    finally:
        for name, value in before.items():
            await redis.config_set(name, value)
        await client.close()


async def test_a_job_that_stands_in_two_places_is_found(redis: AsyncRedis) -> None:
    """In a queue and among the dead; or in two queues, whose jobs share their keys."""
    default, bulk = keys_of("default"), keys_of("bulk")
    await redis.zadd(default.queue, {"a": 1, "b": 1, "c": 1})
    await redis.zadd(default.dead, {"a": 1})
    await redis.zadd(bulk.queue, {"b": 1})
    client = Client(redis.connection_pool)
    facts = await read_facts(client.execute, url="unix://x", queues=[default, bulk], watch_s=0)
    await client.close()
    assert [sample.doubled for sample in facts.samples] == [
        {"a": default.dead, "b": bulk.queue},
        {"b": default.queue},
    ]


async def test_a_job_that_ends_while_the_doctor_looks_is_not_lost(redis: AsyncRedis) -> None:
    """It was named, and is gone at the second look: nothing is said of it, neither payload nor lease."""
    keys, client = keys_of("default"), Client(redis.connection_pool)
    await redis.zadd(keys.queue, {"ended": 1, "lost": 1})
    await redis.hset(keys.running, mapping={"ended": "t", "lost": "t"})

    async def execute(*command: object) -> object:
        answer = await client.execute(*command)
        if command[0] == "HRANDFIELD":
            await redis.hdel(keys.running, "ended")
        elif keys.queue in command:
            await redis.zrem(keys.queue, "ended")
        return answer

    sample = await read_sample(execute, keys)
    await client.close()
    assert (sample.looked, sample.missing, sample.leaseless) == (1, ("lost",), 1)


async def test_a_job_that_moves_while_the_doctor_looks_stands_in_one_place(redis: AsyncRedis) -> None:
    """It died between the two looks at its places: it is told of only where it still stands in both."""
    keys, client = keys_of("default"), Client(redis.connection_pool)
    await redis.zadd(keys.queue, {"moving": 1, "doubled": 1})
    await redis.zadd(keys.dead, {"doubled": 1})

    async def execute(*command: object) -> object:
        if command[:2] == ("ZSCORE", keys.dead):
            await redis.zrem(keys.queue, "moving")
            await redis.zadd(keys.dead, {"moving": 1})
        return await client.execute(*command)

    sample = await read_sample(execute, keys)
    await client.close()
    assert sample.doubled == {"doubled": keys.dead}


async def test_a_project_in_good_order_has_only_gains() -> None:
    """Serializer and time zone are named, nothing is inherited or misspelt."""
    from zoneinfo import ZoneInfo

    from runner.wire import deserialize, serialize

    async def mail(ctx: object) -> None: ...

    class Good:
        functions = (mail,)
        job_serializer, job_deserializer = serialize, deserialize
        job_completion_wait = 5
        timezone = ZoneInfo("Europe/Berlin")

    findings, worker = check_project(Good, "Good")
    assert {finding.verdict for finding in findings} == {"ok", "gain"}
    assert worker is not None
