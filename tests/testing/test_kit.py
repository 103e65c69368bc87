"""The testing kit, used as a user would: with the fixture that the plugin gives."""

import asyncio
from datetime import timedelta

import pytest

from runner import GiveUp, RateLimit, Retry, Runner, Settings, Snooze, backoff, every, task
from runner.errors import ServerError
from runner.outcome import Dead, Queued, Retrying, Snoozed, Succeeded
from runner.standing import depths
from runner.testing import FAULTS
from runner.testing.doorway import verb_of
from runner.wire import lua_loader

LEDGER: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def _empty_ledger():
    LEDGER.clear()


@task(retry=backoff.constant(3600), max_tries=3)
async def charge(ctx, order: str, cents: int = 100) -> int:
    LEDGER.append((order, ctx.attempt))
    if order.startswith("bad"):
        raise ConnectionError(order)
    return cents


@task
async def begins(ctx, order: str) -> None:
    await ctx.enqueue(charge.using(queue="bulk", delay=60), order, cents=5)


@task
async def given(ctx, span: timedelta) -> timedelta:
    return span * 2


@task(rate_limit=RateLimit("api", "1/m", burst=1))
async def limited(ctx) -> None:
    LEDGER.append(("limited", ctx.attempt))


@task
async def says(ctx, how: str) -> None:
    raise {"snooze": Snooze(5), "give up": GiveUp("no"), "retry": Retry(7)}[how]


async def test_what_was_enqueued_is_asserted_by_part_of_it(runner_kit):
    """Some arguments, by position or name, and where `using` places it; what it does not say is free."""
    async with runner_kit(tasks=[charge, begins]) as kit:
        await kit.runner.enqueue(begins, "o-1")
        assert [ended.task for ended in await kit.drain()] == ["begins"]
        [job] = await kit.assert_enqueued(charge, "o-1")
        assert await kit.assert_enqueued(charge, cents=5) == [job]
        assert await kit.assert_enqueued(charge.using(queue="bulk", delay=60), "o-1") == [job]
        assert job.arguments == {"order": "o-1", "cents": 5}
        for asked, arguments in (
            (charge.using(queue="critical"), {}),
            (charge.using(delay=90), {}),
            (charge.using(key="k"), {}),
            (charge, {"cents": 6}),
            (begins, {}),
        ):
            with pytest.raises(AssertionError, match=f"no job of task '{asked.name}'"):
                await kit.assert_enqueued(asked, **arguments)
        with pytest.raises(AssertionError) as missing:
            await kit.assert_enqueued(charge.using(key="k"), "o-2")
    assert str(missing.value).splitlines() == [
        "no job of task 'charge' with order='o-2', key k waits",
        f"  there is {job.id} in bulk, due 60 s after its enqueue: order='o-1', cents=5",
    ]


async def test_perform_gives_the_outcome_as_a_worker_would_have_it(runner_kit):
    """Arguments and results pass through JSON, the task's policy decides, and nothing of it stays behind."""
    async with runner_kit(tasks=[charge, given, says, limited]) as kit:
        await kit.runner.enqueue(charge, "waits")
        assert await kit.perform(given, timedelta(hours=1)) == Succeeded(timedelta(hours=2))
        retried = await kit.perform(charge, "bad")
        assert isinstance(retried, Retrying)
        assert (retried.delay_ms, retried.reason) == (3_600_000, "ConnectionError")
        assert await kit.perform(says, "snooze") == Snoozed(5000, "snoozed")
        dead = await kit.perform(says, "give up")
        assert isinstance(dead, Dead)
        assert dead.reason == "gave_up"
        assert await kit.perform(limited) == Succeeded(None)
        assert isinstance(await kit.perform(limited), Queued)
        assert [job.arguments["order"] for job in await kit.enqueued(charge)] == ["waits"]
    assert LEDGER == [("bad", 1), ("limited", 1)]


async def test_drain_runs_what_is_due_and_what_that_enqueues(runner_kit):
    """Until nothing is due; what is due later stays where it is."""

    @task
    async def chain(ctx, left: int) -> None:
        if left:
            await ctx.enqueue(chain, left - 1)

    async with runner_kit(tasks=[chain, charge]) as kit:
        await kit.runner.enqueue(chain, 3)
        await kit.runner.enqueue(charge.using(delay=5), "later")
        assert [ended.outcome for ended in await kit.drain()] == [Succeeded(None)] * 4
        assert await kit.drain() == []
        await kit.assert_enqueued(charge, "later")


async def test_a_job_that_never_stops_coming_back_is_told(runner_kit):
    """An endless loop fails the test instead of hanging it."""

    @task(retry=backoff.constant(0), max_tries=10_000)
    async def loops(ctx) -> None:
        raise ConnectionError

    async with runner_kit(tasks=[loops]) as kit:
        await kit.runner.enqueue(loops)
        with pytest.raises(AssertionError, match="more than 20 attempts: loops of job"):
            await kit.drain(limit=20)


async def test_days_pass_at_once(runner_kit):
    """Retries, delays, rate limits and results go by the moved time, on the server and here."""
    async with runner_kit(tasks=[charge, limited]) as kit:
        job = await kit.runner.enqueue(charge.using(delay=timedelta(days=3)), "bad")
        await kit.drain()
        await kit.time.advance("2d23h")
        assert await kit.drain() == []
        assert (await job.info()).state == "scheduled"
        await kit.time.advance(3600)
        assert (await job.info()).state == "ready", "who looks goes by the moved time too"
        for attempt in (1, 2, 3):
            [ended] = await kit.drain()
            assert ended.attempt == attempt
            await kit.time.advance(timedelta(hours=1))
        assert isinstance(ended.outcome, Dead)
        assert (await job.info()).state == "dead"
        kept = await kit.runner.enqueue(limited.using(key="1"))
        waits = await kit.runner.enqueue(limited.using(key="2"))
        assert len(await kit.drain()) == 2
        assert (await kept.info()).state == "succeeded"
        assert (await waits.info()).state == "scheduled"
        await kit.time.advance("1h1m")
        assert [type(each.outcome) for each in await kit.drain()] == [Succeeded]
        assert (await kept.info()).state == "unknown", "its result was kept for an hour"


async def test_the_kit_itself_sees_queues_in_the_moved_time(runner_kit):
    """Else a drain would end before the worker claims what time has made due."""
    async with runner_kit(tasks=[charge]) as kit:
        await kit.runner.enqueue(charge.using(delay=60), "o-1")
        for ready in (0, 1):
            [queue] = await depths(kit._look, ["default"], "classic")
            assert (queue.ready, queue.scheduled) == (ready, 1 - ready)
            await kit.time.advance("2m")


async def test_schedules_tick_when_their_time_is_moved_to(runner_kit):
    """The next tick comes with the advance, once; what happened in between is the misfire policy's."""
    settings = Settings.model_validate({"tasks": ()})
    runner = Runner(settings, tasks=[charge], schedules=[every("1h", charge, args=("nightly",))])
    async with runner_kit(runner) as kit:
        assert await kit.drain() == []
        await kit.time.advance("1h")
        assert [ended.task for ended in await kit.drain()] == ["charge"]
        assert await kit.drain() == []
    assert runner.settings is settings, "the runner has its own server again"


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("verb", ["claim", "finish"])
async def test_each_fault_at_each_boundary_costs_no_job(runner_kit, verb, kind):
    """Whatever goes wrong when jobs are claimed or their ends written: all of them succeed in the end."""
    settings = Settings.model_validate({"tasks": (), "worker": {"queues": {"default": 1}}})
    async with runner_kit(Runner(settings, tasks=[charge])) as kit:
        jobs = [await kit.runner.enqueue(charge, f"o-{n}") for n in range(3)]
        fault = kit.fault(verb, kind)
        await kit.drain()
        assert fault.happened
        await kit.time.advance("20s")
        await kit.drain()
        assert [(await job.info()).state for job in jobs] == ["succeeded"] * 3
    attempts = {
        ("claim", "crash_after"): (2,),
        ("claim", "send_twice"): (2,),
        ("finish", "crash"): (1, 2),
        ("finish", "lose_lease"): (1, 2),
    }.get((verb, kind), (1,))
    assert sorted(LEDGER) == sorted((f"o-{n}", attempt) for n in range(3) for attempt in attempts)


@pytest.mark.parametrize("layout", ["classic", "tagged"])
async def test_nothing_ends_after_a_crash(runner_kit, layout):
    """What a dead worker still ran has not ended: it runs again when its lease is over."""

    @task
    async def waits_once(ctx) -> None:
        if ctx.attempt == 1:
            await asyncio.Event().wait()

    settings = Settings.model_validate({"tasks": (), "redis": {"key_layout": layout}})
    async with runner_kit(Runner(settings, tasks=[charge, waits_once])) as kit:
        long = await kit.runner.enqueue(waits_once.using(queue="critical"))
        await kit.runner.enqueue(charge, "o-1")
        kit.fault("finish", "crash")
        assert [ended.task for ended in await kit.drain()] == ["charge"]
        assert (await long.info()).state == "running"
        await kit.time.advance("20s")
        assert sorted(ended.task for ended in await kit.drain()) == ["charge", "waits_once"]
        assert await kit.perform(charge, "o-2") == Succeeded(100)


async def test_a_call_that_is_lost_on_the_way_to_enqueue_makes_one_job(runner_kit):
    """The client sends it again: the answer that was lost is recognised."""
    async with runner_kit(tasks=[charge]) as kit:
        kit.fault("enqueue", "lose_answer")
        job = await kit.runner.enqueue(charge.using(key="k"), "o-1")
        assert (job.disposition, len(await kit.enqueued())) == ("created", 1)
        kit.fault("enqueue", "crash")
        with pytest.raises(ServerError, match="the process dies here"):
            await kit.runner.enqueue(charge, "o-2")


async def test_a_fault_that_never_happened_fails_the_test(runner_kit):
    """A misspelt verb would otherwise prove nothing."""
    with pytest.raises(AssertionError, match="faults that never happened: crash at finnish"):
        async with runner_kit(tasks=[charge]) as kit:
            kit.fault("finnish", "crash")
    async with runner_kit(tasks=[charge]) as kit:
        with pytest.raises(ValueError, match="there is no fault 'boom'; there is crash, crash_after"):
            kit.fault("finish", "boom")


async def test_a_runner_that_is_connected_is_refused(runner_kit, runner_redis_url):
    """It would go on writing to its own server, past the kit."""
    settings = Settings.model_validate({"tasks": (), "redis": {"url": runner_redis_url}})
    async with Runner(settings, tasks=[charge]) as runner:
        with pytest.raises(AssertionError, match="connected already"):
            async with runner_kit(runner):
                pass


def test_every_script_is_known_by_its_name():
    """A fault finds its script by the header, whatever shared functions stand before it."""
    names = [
        path.name.removesuffix(".lua") for path in lua_loader._LUA.iterdir() if path.name.endswith(".lua")
    ]
    assert len(names) > 20
    assert {name: verb_of(lua_loader.load(name).source) for name in names} == {name: name for name in names}


async def test_nothing_of_the_kit_stays(runner_kit):
    """Clocks and links are the process's own again."""
    from runner.clock import SYSTEM_CLOCK
    from runner.wire.link import Link

    before = Link.execute
    async with runner_kit(tasks=[charge]) as kit:
        await kit.time.advance("365d")
        assert SYSTEM_CLOCK.now_ms() == pytest.approx(kit.time.now_ms(), abs=1000)
        assert Link.execute is not before
    assert Link.execute is before
    assert "now_ms" not in vars(SYSTEM_CLOCK)
    await asyncio.sleep(0)
