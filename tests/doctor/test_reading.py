"""What the doctor reads of a real server, and leaves there; an arq project in good order."""

import pytest
from redis.asyncio import Redis as AsyncRedis

from runner.client import Client
from runner.doctor import check_project, check_server, read_facts
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
