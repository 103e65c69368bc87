"""What can be changed from a page, and that it is on record."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runner import JobState, Runner, chain

Browse = Callable[..., httpx.AsyncClient]
Work = Callable[[], Any]


async def post(client: httpx.AsyncClient, path: str, **given: str) -> str:
    """Do it, and give the page that it leads to."""
    answer = await client.post(path, data=given)
    assert answer.status_code == 303, answer.text[-400:]
    follow = httpx.URL(f"http://localhost{path}").join(answer.headers["location"])
    page = await client.get(follow)
    assert page.status_code == 200, page.text[-400:]
    return page.text


async def test_a_queue_is_paused_and_resumed(browse: Browse, runner: Runner) -> None:
    """The page says so, and who did it."""
    page = await post(browse(), "/queue/pause", name="bulk")
    assert "Paused: nothing of it starts until it is resumed." in page
    assert "by local (dashboard)" in page
    await post(browse(), "/queue/resume", name="bulk")
    assert not any(queue.is_paused for queue in await runner.inspector.queues())


async def test_jobs_are_cancelled_and_hastened(browse: Browse, runner: Runner, tasks: Any) -> None:
    """One that is due later becomes due now, one that waits is cancelled, then there is nothing to do."""
    await runner.enqueue(tasks.charge.using(key="a", delay=3600), "x")
    assert "It is due now." in await post(browse(), "/job/retry", id="a", queue="default")
    assert await runner.job("a").status() is JobState.READY
    assert "Cancelled" in await post(browse(), "/job/cancel", id="a", queue="default")
    assert "There was nothing to do." in await post(browse(), "/job/cancel", id="a", queue="default")
    answer = await browse().post("/job/retry", data={"id": "a", "queue": "default"})
    assert (answer.status_code, "enqueue it anew" in answer.text) == (409, True)


async def test_a_dead_letter_is_replayed_or_discarded_and_that_is_on_record(
    browse: Browse, runner: Runner, tasks: Any, work: Work
) -> None:
    """The audit has both with the user's name, as the command line's acts."""
    for key in ("a", "b"):
        await runner.enqueue(tasks.deliver.using(key=key), "https://a.example", {})
    await work()
    await post(browse(), "/dead/replay", id="a", queue="default")
    assert await runner.job("a").status() is JobState.READY
    page = await post(browse(), "/dead/discard", id="b", queue="default")
    assert "local (dashboard)" in page
    audit = await runner.dead.audit()
    assert [(entry["verb"], entry["by"], entry["ids"]) for entry in audit] == [
        ("discard", "local (dashboard)", "b"),
        ("replay", "local (dashboard)", "a"),
    ]
    answer = await browse().post("/dead/replay", data={"id": "b", "queue": "default"})
    assert answer.status_code == 404


async def test_all_that_a_filter_wants_are_replayed_with_progress(
    browse: Browse, runner: Runner, tasks: Any, work: Work, wait_until: Callable[..., Any]
) -> None:
    """A count first, then a replay of these alone; the run's page tells how far it is, and how it ended."""
    await runner.enqueue_many(tasks.deliver.call(f"https://a.example/{n}", {}) for n in range(130))
    await runner.enqueue_many(tasks.deliver.call("https://b.example/", {}) for _ in range(5))
    await work()
    client = browse()
    assert "Replay 130 dead letters" in (await client.get("/replay?host=a.example")).text
    answer = await client.post("/dead/replay-many", data={"host": "a.example", "only": "count"})
    location = answer.headers["location"].removeprefix("..")

    async def ended() -> bool:
        return "Counted" in (await client.get(location)).text

    await wait_until(ended, "they are counted")
    assert sum(s.count for s in await runner.dead.standings()) == 135
    answer = await client.post("/dead/replay-many", data={"host": "a.example", "expected": "130", "rate": ""})
    location = answer.headers["location"].removeprefix("..")

    async def replayed() -> bool:
        page = (await client.get(location)).text
        return "All done" in page and "130" in page

    await wait_until(replayed, "they are replayed")
    assert [s.count for s in await runner.dead.standings("default")] == [5]
    assert {entry["by"] for entry in await runner.dead.audit()} == {"local (dashboard)"}


async def test_a_paced_replay_can_be_stopped_and_only_so_many_go_on(
    browse: Browse, runner: Runner, tasks: Any, work: Work, wait_until: Callable[..., Any]
) -> None:
    """What was replayed stays replayed, the rest stays dead; a fifth at once is refused."""
    await runner.enqueue_many(tasks.deliver.call("https://a.example", {}) for _ in range(60))
    await work()
    client = browse()
    answers = [await client.post("/dead/replay-many", data={"rate": "10"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [303, 303, 303, 303, 409]

    async def begun() -> bool:
        return sum(s.count for s in await runner.dead.standings()) < 60

    await wait_until(begun, "some are replayed")
    for answer in answers[:4]:
        run_id = answer.headers["location"].partition("id=")[2]
        await client.post("/run/stop", data={"id": run_id})

    async def stopped() -> bool:
        return (await client.get("/dead")).text.count("stopped half-way") == 4

    await wait_until(stopped, "all are stopped")
    assert 0 < sum(s.count for s in await runner.dead.standings()) < 60
    assert (await client.post("/dead/replay-many", data={"rate": "7"})).status_code == 400


async def test_schedules_run_now_and_pause(browse: Browse, runner: Runner) -> None:
    """As the command line does it."""
    page = await post(browse(), "/schedule/run", name="daily")
    assert "A job was made of it." in page
    assert (await runner.inspector.queue("default")).ready == 1
    await post(browse(), "/schedule/pause", name="daily")
    assert (await runner.schedules.show("daily")).state.is_paused
    await post(browse(), "/schedule/resume", name="daily")
    assert not (await runner.schedules.show("daily")).state.is_paused
    assert (await browse().post("/schedule/run", data={"name": "nope"})).status_code == 404


async def test_a_destination_is_paused_resumed_and_reset(browse: Browse, runner: Runner) -> None:
    """Its gate says who did it; a key or a time that is none is refused."""
    page = await post(browse(), "/gate/pause", key="host:bank", **{"for": "5m"})
    assert "paused by local (dashboard)" in page
    [state, *_] = await runner.limits.states("host:bank")
    assert (state.state, 290 < state.closed_for_s <= 300) == ("paused", True)
    await post(browse(), "/gate/resume", key="host:bank")
    await post(browse(), "/gate/reset", key="host:bank")
    assert not [gate for gate in await runner.limits.states("host:bank") if gate.closed_for_s]
    assert (await browse().post("/gate/pause", data={"key": "host:bank", "for": "soon"})).status_code == 400


async def test_a_workflow_is_cancelled_and_goes_on(browse: Browse, runner: Runner, tasks: Any) -> None:
    """The page of the workflow says how it stands afterwards."""
    await runner.start(chain(tasks.charge.call("a"), tasks.charge.call("b").fixed()), id="wf")
    assert "cancelled" in await post(browse(), "/workflow/cancel", id="wf")
    assert "It goes on" in await post(browse(), "/workflow/retry", id="wf")
    assert "There was nothing to do." in await post(browse(), "/workflow/retry", id="wf")


@pytest.mark.parametrize("said", ["<b>x</b>", "You were hacked", "paused2"])
async def test_a_link_cannot_put_words_into_a_page(browse: Browse, said: str) -> None:
    """What a page says of a change comes out of a table."""
    assert "said" not in (await browse().get("/queues", params={"said": said})).text.partition("<main")[2]
