"""Payments ask for a server that writes each change to disk."""

import pytest

from runner.app import Runner
from runner.errors import UnsafeServer
from runner.server_check import ServerCheck
from runner.settings import Settings


def settings(**groups) -> Settings:
    return Settings.model_validate(groups)


@pytest.mark.parametrize(
    ("groups", "asked_by"),
    [
        ({}, ""),
        ({"payments": {"url": "https://bank"}}, "payments.durable"),
        ({"payments": {"url": "https://bank", "durable": "server"}}, ""),
        ({"worker": {"durable": ["critical"]}}, "worker.durable"),
        ({"worker": {"durable": ["other"]}}, ""),
    ],
)
def test_who_asks_for_it(groups, asked_by):
    """Payments once they are configured, and queues that are marked; nobody by default."""
    assert settings(**groups).durable_for(["critical", "default"]) == asked_by


async def test_a_server_that_may_forget_is_refused_and_says_what_to_set(redis):
    """`appendfsync everysec` acknowledges before the disk has it, whatever WAITAOF says."""
    with pytest.raises(UnsafeServer, match="appendonly yes and appendfsync always") as caught:
        await ServerCheck(allow_unsafe=False, durable="payments.durable")(redis)
    assert "appendonly is 'no'" in str(caught.value)
    await ServerCheck(allow_unsafe=True, durable="payments.durable")(redis)
    await ServerCheck(allow_unsafe=False)(redis)


async def test_a_server_that_writes_everything_passes(restartable_server):
    """And only then."""
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(restartable_server.url) as client:
        check = ServerCheck(allow_unsafe=False, durable="payments.durable")
        with pytest.raises(UnsafeServer, match="appendfsync is 'everysec'"):
            await check(client)
        await client.config_set("appendfsync", "always")
        await check(client)


async def test_a_worker_does_not_start_on_a_server_that_may_forget(redis_url):
    """The check stands before the first claim."""
    runner = Runner(
        settings(redis={"url": redis_url}, tasks=["jobs.payment"], payments={"url": "https://bank"})
    )
    with pytest.raises(UnsafeServer):
        async with runner.worker():
            pytest.fail("it started")


def test_the_embedded_server_is_started_so_when_payments_are_configured(tmp_path):
    """Nobody has to think of it."""
    import redis

    runner = Runner(
        settings(redis={"url": "embedded", "folder": str(tmp_path / "r")}, payments={"url": "https://bank"})
    )
    try:
        with redis.Redis.from_url(runner.server_url()) as client:
            assert client.config_get("append*")["appendfsync"] == "always"
    finally:
        runner.detach()
