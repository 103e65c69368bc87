"""Closed by default: who may look, who may change things, and from where."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

import runner.dashboard
from runner import Runner, Settings
from runner.dashboard import Access
from runner.dashboard.acts import ACTS
from runner.dashboard.app import PAGES

Browse = Callable[..., httpx.AsyncClient]
VENDOR = Path(runner.dashboard.__file__).parent / "static/vendor"


async def status(client: httpx.AsyncClient, path: str = "/", **headers: str) -> int:
    return (await client.get(path, headers=headers)).status_code


async def test_without_authorize_only_this_machine_is_let_in(browse: Browse) -> None:
    """By its own address and name: not from elsewhere, nor through a proxy, nor by a rebound name."""
    assert await status(browse()) == 200
    assert await status(browse(peer="::1")) == 200
    for peer in ("10.0.0.7", "192.168.1.2", "", "2001:db8::1"):
        assert await status(browse(peer=peer)) == 403
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert await status(browse(), **{header: "127.0.0.1"}) == 403
    for name in ("evil.example", "127.0.0.1.evil.example", ""):
        assert await status(browse(), Host=name) == 403
    assert await status(browse(), Host="[::1]:8787") == 200


async def test_nobody_gets_anything_of_any_page_or_act(browse: Browse) -> None:
    """Each path refuses whom authorize knows nothing of, and says nothing of what there is."""
    for wrong in (None, "admin", "", True, Access("root", "x")):  # type: ignore[arg-type]
        assert await status(browse(wrong)) == 403
    client = browse(None)
    for path in (*PAGES, "history", "live", "nothing"):
        answer = await client.get(f"/{path}")
        assert (answer.status_code, "critical" in answer.text) == (403, False), path
    for path in ACTS:
        assert (await client.post(f"/{path}", data={"name": "bulk"})).status_code == 403


async def test_who_only_reads_changes_nothing(browse: Browse, redis: Redis) -> None:
    """Every act is refused to the role read, and its pages have no buttons."""
    client = browse("read")
    for path in ACTS:
        given = dict.fromkeys(("name", "id", "queue", "key"), "default")
        assert (await client.post(f"/{path}", data=given)).status_code == 403, path
    assert await redis.dbsize() == 0
    for path in ("queues", "schedules", "limits", "dead"):
        page = (await client.get(f"/{path}")).text
        assert 'method="post"' not in page
    assert 'method="post"' in (await browse("operate").get("/queues")).text


async def test_a_change_is_a_post(browse: Browse, redis: Redis) -> None:
    """A link, an image or a preload cannot change anything."""
    client = browse()
    for path in ACTS:
        assert (await client.get(f"/{path}?name=bulk&id=x&queue=default&key=k")).status_code == 404
    assert await redis.dbsize() == 0


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": ""}, False),
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://localhost.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
        ({"origin": "https://jobs.example", "x-forwarded-host": "jobs.example"}, True),
    ],
)
async def test_a_change_comes_from_our_own_pages(
    runner: Runner, headers: dict[str, str], is_let_in: bool
) -> None:
    """Sec-Fetch-Site decides; a browser that sends none has to name our origin."""
    transport = httpx.ASGITransport(
        app=runner.dashboard(authorize=lambda _: "operate"), client=("127.0.0.1", 1)
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/queue/pause", data={"name": "bulk"}, headers=headers)
    assert answer.status_code == (303 if is_let_in else 403)
    [bulk] = [queue for queue in await runner.inspector.queues() if queue.queue == "bulk"]
    assert bulk.is_paused == is_let_in


async def test_authorize_may_be_a_coroutine_function_and_name_the_user(
    runner: Runner, browse: Browse
) -> None:
    """It gets the request; the name it gives stands with what that user does."""

    async def authorize(request: Any) -> Access | None:
        return Access("operate", "mia") if request.headers.get("x-user") == "mia" else None

    client = browse(app=runner.dashboard(authorize=authorize), peer="10.0.0.7")
    assert await status(client) == 403
    client.headers["x-user"] = "mia"
    assert (await client.post("/queue/pause", data={"name": "bulk"})).status_code == 303
    assert {queue.paused_by for queue in await runner.inspector.queues()} == {"", "mia (dashboard)"}


async def test_every_answer_carries_the_policy(browse: Browse) -> None:
    """Pages, refusals and redirects forbid inline script and style, frames, sniffing and storing."""
    for answer in (
        await browse().get("/"),
        await browse(None).get("/"),
        await browse().get("/nothing"),
        await browse().post("/queue/pause", data={"name": "bulk"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_a_runner_that_is_not_connected_says_how(browse: Browse) -> None:
    """The host's lifespan is to connect it: a mounted app's own does not run."""
    answer = await browse(app=Runner(Settings()).dashboard()).get("/")
    assert answer.status_code == 503
    assert "the runner is not connected" in answer.text


async def test_wrong_requests_are_told_what_is_wrong(browse: Browse) -> None:
    """Names that are not there, missing fields, strange cursors, forms that are too large."""
    client = browse()
    for path, code, text in (
        ("/job?id=nope", 404, "there is no job"),
        ("/queue?name=nope", 404, "there is no queue"),
        ("/queue?name=default&state=lost", 400, "there is no list of"),
        ("/queue?name=default&cursor=x", 400, "the cursor"),
        ("/dead?cursor=x/y", 400, "the cursor"),
        ("/dead?since=ever", 400, "since: expected a time ago"),
        ("/workflow?id=nope", 404, "there is no workflow"),
        ("/workflows?state=odd", 400, "workflows are listed as"),
        ("/run?id=nope", 404, "there is no such run"),
        ("/destination", 400, "needs"),
        ("/job", 400, "needs"),
    ):
        answer = await client.get(path)
        assert (answer.status_code, text in answer.text) == (code, True), (path, answer.text[-300:])
    assert (await client.post("/queue/pause", content=b"name=" + b"x" * 70_000)).status_code == 400
    assert (await client.post("/job/cancel", data={"id": "x"})).status_code == 400


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    """Each file has the hash that stands there, each library its licence, and nothing lies beside them."""
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    listed = {name: digest for library in manifest for name, digest in library["files"].items()}
    found = {path.name for path in VENDOR.iterdir()} - {"manifest.json"}
    assert found == listed.keys()
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    for library in manifest:
        assert any(name.endswith(".LICENSE") for name in library["files"])
        assert library["version"] in next(iter(library["files"]))


def test_pages_ask_nobody_else_for_anything() -> None:
    """No address of another server, no inline script, style or handler in any template."""
    templates = list((VENDOR.parents[1] / "templates").glob("*.html"))
    assert len(templates) > 10
    for path in templates:
        text = path.read_text()
        assert not re.search(r"https?://|\bstyle=|\son\w+=|<style|<script(?![^>]+src=)|\|\s*safe\b", text), (
            path.name
        )
