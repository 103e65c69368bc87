"""Every page: what it shows, empty and full, of our queues and of a plain arq queue, at any address."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount

from runner import Runner, chain, group
from runner.dashboard.app import PAGES
from runner.wire.keys import keys_of
from runner.workflow.flat import lay_flat
from runner.workflow.picture import MOST_NODES, Box, box_of

Browse = Callable[..., httpx.AsyncClient]
ALONE = [path for path in PAGES if path not in ("queue", "job", "edit", "run", "destination", "workflow")]


async def shown(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.text[-600:])
    return answer.text


def seen(html: str) -> str:
    """What is to be read of a page."""
    body = html.partition("<main")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


async def test_every_page_has_something_to_say_when_there_is_nothing(browse: Browse) -> None:
    """An empty server: each page is there, names itself, and says what would be here."""
    client = browse()
    for path in (*ALONE, "queue?name=default"):
        html = await shown(client, f"/{path}")
        assert re.search(r"<title>\S.* · runner</title>", html)
        assert html.count("<h1>") == 1
    for path, sentence in {
        "": "All is well",
        "dead": "No dead letters",
        "workers": "No worker is alive",
        "workflows": "No running workflows",
        "limits": "No destination is held up",
        "queue?name=default": "No ready jobs",
    }.items():
        assert sentence in await shown(client, f"/{path}")


async def test_the_first_page_says_what_is_wrong(
    browse: Browse, runner: Runner, redis: Redis, tasks: Any
) -> None:
    """A paused queue, a paused destination, jobs without a worker, and for how long the oldest has waited."""
    await runner.enqueue(tasks.charge, "o-1")
    keys = keys_of("default")
    await redis.zadd(keys.queue, {(await redis.zrange(keys.queue, 0, 0))[0]: 1})
    await runner.queues.pause("bulk")
    await runner.limits.pause("host:bank", "5m")
    text = seen(await shown(browse(), "/"))
    assert "No worker is alive, and 1 jobs are ready." in text
    assert re.search(r"In default the oldest ready job has waited for \d+ d", text)
    assert "Queue bulk is paused by api." in text
    assert "The gate of host:bank is paused for" in text


async def test_jobs_are_listed_page_by_page_and_by_task(browse: Browse, runner: Runner, tasks: Any) -> None:
    """Each job once over the pages, fifty a page; a filter takes its task alone."""
    await runner.enqueue_many(tasks.charge.call(f"o-{n}") for n in range(120))
    await runner.enqueue(tasks.join.using(key="other"), [])
    client, path, ids = browse(), "/queue?name=default&state=ready", list[str]()
    for _ in range(3):
        html = await shown(client, path)
        ids += re.findall(r'class="code" href="./job\?queue=default&amp;id=([^"]+)"', html)
        if onward := re.search(r'href="\.(/queue\?[^"]+)">Next page', html):
            path = onward[1].replace("&amp;", "&")
    assert (len(ids), len(set(ids)), onward) == (121, 121, None)
    html = await shown(client, "/queue?name=default&task=jo*")
    assert re.findall(r"id=([^\"&]+)\"", html.partition("<table")[2]) == ["other"]


async def test_a_job_tells_of_its_attempts_and_why_the_next_is_then(
    browse: Browse, runner: Runner, tasks: Any, work: Callable[[], Any]
) -> None:
    """The timeline has what failed, and the next attempt with its time; a dead one its HTTP status."""
    await runner.enqueue(tasks.charge.using(key="w"), "later")
    await runner.enqueue(
        tasks.deliver.using(key="d"), "https://shop.example/hook", {"n": 1}, api_key="canary-1"
    )
    await work()
    text = seen(await shown(browse(), "/job?id=w"))
    assert "Attempt 1" in text
    assert "TimeoutError : the bank was silent" in text
    assert re.search(r"Attempt 2 is due in (60|59) min", text)
    html = await shown(browse(), "/job?id=d&queue=default")
    assert "HTTP 503" in html
    assert "No further attempt: dead" in seen(html)
    assert "shop.example" in html


async def test_failures_are_grouped_by_error_and_host(
    browse: Browse, runner: Runner, tasks: Any, work: Callable[[], Any]
) -> None:
    """One line for each error and host with its count; the filter of a line takes these alone."""
    for n in range(3):
        await runner.enqueue(tasks.deliver, f"https://a.example/{n}", {})
    await runner.enqueue(tasks.deliver, "https://b.example/", {})
    await work()
    html = await shown(browse(), "/dead")
    lines = [
        seen(f"<main>{row}") for row in html.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")
    ]
    assert ["GiveUp" in line and "a.example 3" in line for line in lines[1:]] == [True, False]
    only_b = re.findall(r'href="\.(/dead\?[^"]*b\.example)"', html)[0].replace("&amp;", "&")
    assert "1 or more" not in (page := seen(await shown(browse(), only_b)))
    assert "https://a.example" not in page
    assert "Replay 1 dead letter" in await shown(browse(), only_b.replace("/dead", "/replay"))


async def test_schedules_limits_workflows_workers_settings(
    browse: Browse, runner: Runner, tasks: Any, work: Callable[[], Any]
) -> None:
    """What recurs in words with five ticks, how full a bucket is, a workflow as it nests, settings masked."""
    client = browse()
    page = seen(await shown(client, "/schedules"))
    assert "At 08:00 on Monday through Friday (Europe/Berlin)" in page
    assert len(re.findall(r"\d\d:\d\d:00Z", page)) == 10
    limits = await shown(client, "/limits")
    assert '<meter min="0" max="50" value="50"' in limits
    assert "ledger" in limits
    flow = chain(
        tasks.charge.call("a"), group(tasks.charge.call("b").fixed(), tasks.charge.call("c").fixed())
    )
    await runner.start(flow, id="wf")
    async with runner.worker():
        await runner.workflow("wf").result(timeout=30)
        workers = await runner.inspector.workers()
        assert workers[0].name in await shown(client, "/workers")
    assert "wf" in seen(await shown(client, "/workflows?state=ended"))
    drawn = await shown(client, "/workflow?id=wf")
    assert drawn.count('class="node succeeded"') == 3
    assert drawn.index('class="chain"') < drawn.index('class="group"')
    settings = await shown(client, "/settings")
    assert "whsec_" not in settings
    assert "webhooks.secrets.shop" in settings


async def test_a_plain_arq_queue_can_be_looked_at(browse: Browse, arq_pool: ArqRedis) -> None:
    """Jobs that arq's own client put there, pickled: their task is named, nothing of them is loaded."""
    job = await arq_pool.enqueue_job("theirs", 17, _queue_name="arq:queue")
    assert job is not None
    client = browse()
    assert "theirs" in await shown(client, "/queue?name=default&state=ready")
    assert "pickle" in await shown(client, f"/job?id={job.job_id}")
    for path in ALONE:
        await shown(client, f"/{path}")


@pytest.mark.parametrize(("root_path", "prefix"), [("", "/jobs"), ("/proxy", "/proxy/jobs")])
async def test_links_hold_under_a_mount_and_behind_a_proxy(
    runner: Runner, root_path: str, prefix: str
) -> None:
    """Every link and file of a page is found from its address; the mount point leads to the first page."""
    app = Starlette(routes=[Mount("/jobs", runner.dashboard())])
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1), root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for page in ("", "queues", "queue?name=default"):
            address = httpx.URL(f"http://localhost{prefix}/{page}")
            html = (await client.get(address)).text
            links = re.findall(r'(?:href|src)="(\.[^"]*)"', html)
            assert len(links) > 10
            for link in set(links):
                found = await client.get(address.join(link.replace("&amp;", "&")))
                assert found.status_code == 200, (page, link)
        if prefix == "/jobs":
            assert (await client.get(prefix, follow_redirects=True)).url.path.endswith("/jobs/")


async def test_no_page_goes_over_the_keyspace(
    browse: Browse, runner: Runner, redis: Redis, tasks: Any
) -> None:
    """No KEYS, no SCAN, no list read whole; and a page sends as many commands with 2,000 jobs as with 200."""
    client = browse()

    async def commands() -> dict[str, int]:
        await redis.config_resetstat()
        for path in (*ALONE, "queue?name=default", "queue?name=default&state=scheduled"):
            await shown(client, f"/{path}")
        stats = await redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}

    await runner.enqueue_many(tasks.charge.call(f"o-{n}") for n in range(200))
    before = await commands()
    await runner.enqueue_many(tasks.charge.call(f"o-{n}") for n in range(1800))
    after = await commands()
    assert not {"keys", "scan", "smembers", "lrange"} & after.keys()
    assert after["evalsha"] <= before["evalsha"]


def test_a_drawing_numbers_nodes_as_the_workflow_does(tasks: Any) -> None:
    """Units that repeat, groups in chains in groups: each node has the number that its job has."""
    call = tasks.charge.call("x").fixed
    flows = [
        call(),
        chain(call(), call(), call()),
        group(*(chain(call(), group(call(), call())) for _ in range(4))),
        chain(group(*(call() for _ in range(7))), call(), group(group(call()), call())),
    ]
    for flow in flows:
        flat = lay_flat(flow)
        assert [box.number for box in nodes(box_of(flat.shape))] == [node.number for node in flat.nodes]


def test_a_workflow_of_a_million_nodes_is_drawn_in_part() -> None:
    """So many are drawn, the others are counted, without going through them."""
    root = box_of("c(.1000000c(.g(2.)).)")
    assert len(nodes(root)) == MOST_NODES
    assert hidden(root) == 3_000_002 - MOST_NODES


def nodes(box: Box) -> list[Box]:
    return [box] if box.kind == "node" else [node for child in box.children for node in nodes(child)]


def hidden(box: Box) -> int:
    return box.hidden + sum(map(hidden, box.children))
