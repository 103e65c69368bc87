"""Arguments are changed on a page: what comes back as it was is no change, and types are checked first."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx

from runner import Context, JobState, Runner, task

Browse = Callable[..., httpx.AsyncClient]
NASTY = "</textarea><script>alert(1)</script>\u202e"


def fields_of(page: str) -> dict[str, str]:
    """What a browser sends of the form, when nothing in it is touched."""
    areas = re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {unescape(name): unescape(text).replace("\n", "\r\n") for name, text in (*hidden, *areas)}


async def args_of(runner: Runner, job_id: str) -> tuple[Any, Any]:
    job = await runner.inspector.job(job_id)
    return job.args, job.kwargs


async def test_a_job_that_waits_runs_with_what_was_changed(
    browse: Browse, runner: Runner, tasks: Any
) -> None:
    """Only what differs is written; secrets are not shown, and stay; what steers is an escape of JSON."""
    given = {"note": NASTY, "lines": [{"n": 1}]}
    await runner.enqueue(tasks.deliver.using(key="a"), "https://a.example", given, api_key="s3cret")
    page = (await browse().get("/edit?id=a&queue=default")).text
    assert "s3cret" not in page
    assert "<script>alert" not in page
    fields = fields_of(page)
    assert fields["value:api_key"] == ""
    assert "\\u202e" in fields["value:payload"]
    answer = await browse().post("/job/edit", data=fields)
    assert (answer.status_code, "nothing was changed" in answer.text) == (400, True)
    answer = await browse().post("/job/edit", data={**fields, "value:url": '"https://b.example"'})
    assert answer.headers["location"] == "../job?id=a&queue=default&said=changed"
    assert await args_of(runner, "a") == (["https://b.example", given, "s3cret"], {})


async def test_what_does_not_fit_comes_back_with_what_is_wrong(
    browse: Browse, runner: Runner, tasks: Any
) -> None:
    """No JSON, another type, another name: nothing is written, and nothing typed is lost."""
    await runner.enqueue(tasks.charge.using(key="a"), "o-1", 100)
    fields = fields_of((await browse().get("/edit?id=a")).text)
    for text, wrong in (
        ("1,5<b>", "cents: expected JSON"),
        ('"much"', "argument &#39;cents&#39;: expected int, got str"),
        ("[" * 20_000, "cents: expected JSON"),
    ):
        answer = await browse().post("/job/edit", data={**fields, "value:cents": text})
        assert (answer.status_code, wrong in answer.text, "<b>" in answer.text) == (400, True, False)
        assert fields_of(answer.text)["value:cents"] == text
    assert await args_of(runner, "a") == (["o-1", 100], {})


async def test_a_dead_letter_is_replayed_with_other_arguments(
    browse: Browse, runner: Runner, tasks: Any, work: Callable[[], Any]
) -> None:
    """In one step, on record with who did it."""
    await runner.enqueue(tasks.deliver.using(key="a"), "https://a.example", {"n": 1})
    await work()
    assert "Change…" in (await browse().get("/job?id=a")).text
    fields = fields_of((await browse().get("/edit?id=a")).text)
    answer = await browse().post("/job/edit", data={**fields, "value:payload": '{"n": 2}'})
    assert answer.status_code == 303
    assert await runner.job("a").status() is JobState.READY
    assert await args_of(runner, "a") == (["https://a.example", {"n": 2}], {})
    [entry] = await runner.dead.audit()
    assert (entry["verb"], entry["by"]) == ("replay", "local (dashboard)")


async def test_arguments_of_any_number_are_changed_whole(browse: Browse, runner: Runner, tasks: Any) -> None:
    """A list and an object; anything else is refused."""
    await runner.enqueue(tasks.loose.using(key="a"), 1, 2, x=3)
    fields = fields_of((await browse().get("/edit?id=a")).text)
    assert {name for name in fields if name.startswith("value:")} == {"value:args", "value:kwargs"}
    answer = await browse().post("/job/edit", data={**fields, "value:args": "{}"})
    assert (answer.status_code, "args is a list" in answer.text) == (400, True)
    assert (await browse().post("/job/edit", data={**fields, "value:args": "[9]"})).status_code == 303
    assert await args_of(runner, "a") == ([9], {"x": 3})


async def test_only_who_may_and_only_what_can_be_is_changed(
    browse: Browse, runner: Runner, tasks: Any, work: Callable[[], Any]
) -> None:
    """Neither by a reader, nor after a good end, nor of a task that nobody here knows."""
    await runner.enqueue(tasks.charge.using(key="a"), "o-1")
    assert (await browse("read").get("/edit?id=a")).status_code == 403
    assert "Change…" not in (await browse("read").get("/job?id=a")).text
    await work()
    answer = await browse().get("/edit?id=a")
    assert (answer.status_code, "is succeeded" in answer.text) == (409, True)

    @task(name="elsewhere")
    async def elsewhere(ctx: Context, n: int) -> None: ...

    await runner.client.enqueue(elsewhere.using(key="b"), 1)
    answer = await browse().get("/edit?id=b")
    assert (answer.status_code, "is not known here" in answer.text) == (409, True)
