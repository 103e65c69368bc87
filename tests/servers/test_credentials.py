"""Who we are to a server, and that it can change while we run."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from runner import Runner, ServerError, Settings, task
from runner.client.making import make_client
from runner.settings import RedisGroup

ROOT = Path(__file__).parents[2]
ACL = ROOT / "deploy/runner.acl"


@task
async def echo(_ctx: Any, word: str) -> str:
    return word


async def test_a_password_changes_without_a_restart(limited_user: dict[str, Any], nodes: Any, admin: Any):
    """The file is read at each connecting: a worker whose connections are cut comes back with the new one."""
    runner = Runner(Settings(redis=RedisGroup(**limited_user, allow_unsafe_server=True)), tasks=[echo])
    async with runner.worker():
        assert await (await runner.enqueue(echo, "old")).result(timeout=30) == "old"
        admin("ACL", "SETUSER", "runner", ">new")
        Path(limited_user["password_file"]).write_text("new")
        admin("ACL", "SETUSER", "runner", "<CHANGE-ME")
        assert admin("CLIENT", "KILL", "USER", "runner") >= 3
        assert await (await runner.enqueue(echo, "new")).result(timeout=30) == "new"


async def test_a_wrong_password_is_said_and_not_tried_again(limited_user: dict[str, Any]):
    """It does not pass by itself: one sentence, at once."""
    Path(limited_user["password_file"]).write_text("wrong")
    client = make_client(limited_user["url"], Settings(redis=RedisGroup(**limited_user)))
    async with asyncio.timeout(30):
        with pytest.raises(ServerError, match="invalid username-password pair"):
            await client.ping()
    await client.close()


async def test_sentinels_have_a_user_of_their_own(secret_sentinel: dict[str, Any]):
    """Another name, another password, behind the same TLS; who is refused by all of them is told at once."""
    runner = Runner(Settings(redis=RedisGroup(**secret_sentinel, allow_unsafe_server=True)), tasks=[echo])
    async with runner.worker():
        assert await (await runner.enqueue(echo, "there")).result(timeout=10) == "there"
    for other in ({"sentinel_password_file": ""}, {"sentinel_user": ""}):
        redis = RedisGroup(**{**secret_sentinel, **other})
        client = make_client(redis.url, Settings(redis=redis))
        client._patience_s = 600
        with pytest.raises(ServerError, match=r"no sentinel says.*; redis\.sentinel_user and"):
            await client.ping()
        await client.close()


async def test_the_user_that_we_ship_may_do_no_harm(limited_user: dict[str, Any], admin: Any):
    """What no job needs is denied: other keys, and what empties, lists or reconfigures a server."""
    for command in (
        "FLUSHALL", "KEYS *", "CONFIG SET maxmemory 1", "GET theirs", "SCAN 0", "DEBUG SLEEP 0",
        "PUBLISH theirs x", "ACL LIST",
    ):  # fmt: skip
        assert b"no permissions" in admin("ACL", "DRYRUN", "runner", *command.split()), command
    assert admin("ACL", "DRYRUN", "runner", "GET", "arq:job:x") == b"OK"


def test_the_user_that_we_ship_may_send_what_we_send():
    """Each command of a script, and each that is sent by itself, is named in the file."""
    named = {word[1:].partition("|")[0] for word in ACL.read_text().split() if word.startswith("+")}
    sent: dict[str, str] = {}
    for file in (ROOT / "runner").rglob("*.*"):
        if file.suffix in (".py", ".lua") and "bench" not in file.parts:
            words = re.findall(r"""(?:redis.call|execute)\(\s*['"]([A-Z]+)""", file.read_text())
            sent |= {word.lower(): file.name for word in words}
    assert len(sent) > 50
    assert {word: file for word, file in sent.items() if word not in named} == {}


async def test_a_server_of_another_authority_is_not_trusted(tls: dict[str, Any]):
    """Neither an unknown authority nor a name that the certificate is not for."""
    other = tls["url"].replace("localhost", "127.0.0.1")
    for redis in (RedisGroup(url=tls["url"]), RedisGroup(**{**tls, "url": other})):
        client = make_client(redis.url, Settings(redis=redis))
        client._patience_s = 0.1
        with pytest.raises(ServerError, match="certificate verify failed"):
            await client.ping()
        await client.close()
