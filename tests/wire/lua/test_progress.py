"""progress.lua: a running job says how far it is."""

from typing import Any

from runner.wire.scripts import Verdict


async def test_progress_is_a_field_of_the_history(desk: Any) -> None:
    """The last note stands, and goes with the job."""
    await desk.enqueue("a")
    job = await desk.claim_one("tok")
    before = await desk.picture()
    for note in ("1/3", "2/3"):
        assert await desk.scripts.progress(desk.keys, "a", token="tok", note=note) == Verdict.WRITTEN
    assert await desk.picture() == {**before, "history:a": {"p": "2/3"}}
    await desk.finish(job, "tok", "done")
    assert await desk.picture() == {}


async def test_a_stale_token_notes_nothing(desk: Any) -> None:
    """Who lost the job cannot speak for it, nor can anybody for a job that has ended."""
    await desk.enqueue("a")
    await desk.claim("tok")
    await desk.let_lease_end("a")
    job = await desk.claim_one("thief")
    before = await desk.picture()
    assert await desk.scripts.progress(desk.keys, "a", token="tok", note="x") == Verdict.LOST
    assert await desk.picture() == before
    await desk.finish(job, "thief", "done")
    assert await desk.scripts.progress(desk.keys, "a", token="thief", note="x") == Verdict.REPEATED
    assert await desk.picture() == {}
