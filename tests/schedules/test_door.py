from datetime import UTC, datetime, timedelta

import pytest

from runner import Runner, Settings, every, task
from runner.errors import InvalidTask, UnknownSchedule
from runner.settings import RedisGroup

ran: list[str] = []


@task
async def note(ctx, text: str) -> None:
    ran.append(text)


@pytest.fixture
def runner(redis_url):
    ran.clear()
    settings = Settings(redis=RedisGroup(url=redis_url, allow_unsafe_server=True), tasks=())
    return Runner(settings, tasks=[note], schedules=[every("1h", note, name="declared", args=("declared",))])


async def test_a_schedule_made_at_run_time_ticks_on_a_worker_that_runs_already(runner, wait_until):
    """It is pushed: no restart, no waiting for the slow look."""
    async with runner.worker():
        assert await runner.schedules.upsert("fast", task=note, every="50ms", args=["fast"]) is True
        await wait_until(lambda: ran.count("fast") >= 3, "three ticks")
        assert await runner.schedules.upsert("fast", task="note", every="40ms", args=["faster"]) is False
        await wait_until(lambda: "faster" in ran, "a tick of the changed one")
        await runner.schedules.remove("fast")
        with pytest.raises(UnknownSchedule, match="no schedule 'fast'"):
            await runner.schedules.show("fast")


async def test_a_removed_schedule_makes_no_more_jobs(runner, redis):
    """Not even on a worker that has not heard of it: the server refuses."""
    from runner.schedules.kept import Kept
    from runner.wire import schedules as wire
    from runner.wire.keys import keys_of

    keys = keys_of("default")
    async with runner:
        await runner.schedules.upsert("s", task=note, every="1s", args=["x"])
        await runner.schedules.remove("s")
        schedule = every("1s", note, name="s", args=("x",))
        [state] = await wire.states(redis.execute_command, keys, ["s"])
        stale = Kept(schedule, keys, is_defined=True, last_ms=state.last_ms)
        [answer] = await wire.tick(
            redis.execute_command,
            keys,
            stale.ticks(state.last_ms + 1000),
            now_ms=state.last_ms + 1000,
        )
        assert answer.word == "ENDED"
        assert await redis.zcard(keys.queue) == 0
        assert await runner.schedules.upsert("s", task=note, every="1s", args=["x"]) is True
        [answer] = await wire.tick(
            redis.execute_command, keys, stale.ticks(state.last_ms + 1000), now_ms=state.last_ms + 1000
        )
        assert answer.word != "ENDED", "made again, it ticks again"


async def test_a_paused_schedule_does_not_tick_and_goes_on_from_now(runner, redis, wait_until):
    """The ticks in between are nobody's."""
    async with runner.worker():
        await runner.schedules.upsert("s", task=note, every="50ms", args=["s"])
        await wait_until(lambda: "s" in ran, "a tick")
        assert await runner.schedules.pause("s") is True
        assert await runner.schedules.pause("s") is False
        made = (await runner.schedules.show("s")).state.made
        standing = await runner.schedules.show("s")
        assert standing.state.is_paused
        assert standing.next_ms is None
        assert standing.state.made == made
        before = (await runner.schedules.show("s")).state.last_ms
        assert await runner.schedules.resume("s") is True
        assert (await runner.schedules.show("s")).state.last_ms >= before
        count = ran.count("s")
        await wait_until(lambda: ran.count("s") > count, "a tick after resuming")


async def test_declared_schedules_can_be_paused_and_run_but_not_changed(runner):
    """Their definition is in code: two truths would be none."""
    async with runner:
        with pytest.raises(InvalidTask, match="declared in code or settings"):
            await runner.schedules.upsert("declared", task=note, every="1s", args=["x"])
        with pytest.raises(InvalidTask, match="declared in code or settings"):
            await runner.schedules.remove("declared")
        assert await runner.schedules.pause("declared") is True
        [standing] = await runner.schedules.list()
        assert standing.is_declared
        assert standing.state.is_paused


async def test_run_now_makes_a_job_out_of_turn(runner, wait_until):
    """Whatever its rule says."""
    async with runner.worker():
        job_id = await runner.schedules.run_now("declared")
        await runner.job(job_id).result(timeout=30)
    assert ran == ["declared"]


async def test_backfill_makes_the_jobs_of_past_ticks_once(runner, redis):
    """dry_run changes nothing; the ids are those of the ticks, so a repeat makes none."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with runner:
        door = runner.schedules
        ticks = await door.backfill("declared", start, start + timedelta(hours=250), dry_run=True)
        assert len(ticks) == 251
        assert await redis.zcard("arq:queue") == 0
        assert await door.backfill("declared", start, start + timedelta(hours=250)) == ticks
        assert await redis.zcard("arq:queue") == 251
        assert await door.backfill("declared", start, start + timedelta(hours=250)) == []
        with pytest.raises(ValueError, match="aware"):
            await door.backfill("declared", datetime(2026, 1, 1), start)
        with pytest.raises(ValueError, match="ends in the past"):
            await door.backfill("declared", start, datetime.now(UTC) + timedelta(days=1))
        with pytest.raises(ValueError, match="more than 10,000 ticks"):
            await door.backfill("declared", datetime(2020, 1, 1, tzinfo=UTC), start)


async def test_a_schedule_that_moves_to_another_queue_is_not_in_two(runner):
    """One name, one schedule."""
    async with runner:
        await runner.schedules.upsert("s", task=note, every="1h", args=["x"])
        await runner.schedules.upsert("s", task=note, every="1h", args=["x"], queue="bulk")
        assert [
            each.schedule.queue for each in await runner.schedules.list() if each.schedule.name == "s"
        ] == ["bulk"]
        assert not (await runner.schedules.show("s")).state.is_gone


async def test_wrong_calls_change_nothing(runner):
    """All that is wrong comes in one error, as at declaration."""
    async with runner:
        with pytest.raises(InvalidTask) as caught:
            await runner.schedules.upsert("s", task="note", cron="61 * * * *", args=[1, 2])
        assert "field 1 (minute)" in str(caught.value)
        assert "argument" in str(caught.value)
        with pytest.raises(InvalidTask, match="no task is named 'note2'; did you mean note"):
            await runner.schedules.upsert("s", task="note2", every="1s")
        with pytest.raises(InvalidTask, match="no worker serves queue 'nowhere'"):
            await runner.schedules.upsert("s", task=note, every="1s", args=["x"], queue="nowhere")
        for call in (runner.schedules.pause, runner.schedules.run_now, runner.schedules.remove):
            with pytest.raises(UnknownSchedule):
                await call("s")
