"""What jobs ask before their calls begin: once for all, and given back where no call comes to it."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from runner import Context, Idempotency, Lock, RateLimit, Runner, Settings, task
from runner.engine.function import function_of, resolve
from runner.job import Attempt
from runner.middleware import ahead
from runner.middleware.chain import CallNext
from runner.middleware.effects import Effects
from runner.outcome import Outcome
from runner.settings import RedisGroup, WorkerGroup
from runner.wire.bell import Bell
from runner.wire.lua_loader import load


@task(lock=Lock("door {number}"), idempotency=Idempotency())
async def both(ctx: Context, number: int) -> None: ...


class Around:
    """A middleware of the user's."""

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        return await call_next(attempt)


def asks_of(declared: Any, *around: Any) -> Sequence[Any]:
    return resolve(
        function_of(declared),
        around=around,
        default_timeout_s=None,
        default_max_tries=5,
        keep_result_ms=0,
        stuck_after_s=1,
        on_stuck=lambda _: None,
    ).asks


def attempt_of(job_id: str, number: int) -> Attempt:
    return Attempt(
        job_id=job_id,
        queue="q",
        number=1,
        token=f"t-{job_id}",
        fence=1,
        due_at_ms=0,
        payload=b"",
        task="both",
        args=[number],
    )


class Counting:
    """Sends commands, counts the scripts, or is cut off."""

    def __init__(self, redis: Redis) -> None:
        self.redis, self.sent, self.is_cut = redis, list[str](), False
        self.names = {load(name).sha: name for name in ("lock_acquire", "idempotency_begin")}

    async def execute(self, *command: Any) -> Any:
        if self.is_cut:
            raise RedisConnectionError("cut")
        if command[0] == "EVALSHA" and command[1] in self.names:
            self.sent.append(self.names[command[1]])
        return await self.redis.execute_command(*command)


@pytest.fixture
async def counting(redis: Redis) -> Counting:
    return Counting(redis)


@pytest.fixture
async def holds(redis: Redis, counting: Counting) -> Any:
    effects = Effects(counting.execute, Bell(redis.connection_pool))
    yield effects.holds
    await effects.close()


async def test_jobs_of_a_claim_ask_together_and_within_a_lock_only_its_holders(
    holds: Any, counting: Counting, redis: Redis
) -> None:
    """Two scripts for three jobs: the one whose lock is busy has begun nothing."""
    await holds.scripts.lock.put(("door 2", "t 1 somebody", 0))
    counting.sent.clear()
    attempts = [attempt_of(f"job-{number}", number) for number in range(3)]
    await ahead.ask_ahead(holds, [(attempt, asks_of(both)) for attempt in attempts])
    assert counting.sent == ["lock_acquire", "idempotency_begin"]
    assert [len(attempt.ahead) for attempt in attempts] == [2, 2, 1]
    assert [bool(attempt.ahead[0].fence) for attempt in attempts] == [True, True, False]
    assert [attempt.ahead[1].answer for attempt in attempts[:2]] == [(b"new", b"")] * 2
    assert len(await redis.keys("runner:once:*")) == 2


async def test_what_no_call_came_to_is_given_back(holds: Any, redis: Redis, wait_until: Any) -> None:
    """The lock is free, what was new is new again, what was unknown stays so."""
    first = attempt_of("job-1", 1)
    unknown = next(each for each in asks_of(both)[1:]).question(first, holds)
    await holds.scripts.begin.put(unknown.entry)
    await holds.scripts.finish.put((unknown.digest, unknown.owner, "U", 0, b""))
    attempts = [attempt_of(f"job-{number}", number) for number in (1, 2)]
    await ahead.ask_ahead(holds, [(attempt, asks_of(both)) for attempt in attempts])
    assert [attempt.ahead[1].answer[0] for attempt in attempts] == [b"recover", b"new"]
    for attempt in attempts:
        ahead.undo_all(attempt)
    assert [attempt.ahead for attempt in attempts] == [[], []]
    await holds.scripts.release.settled()
    await holds.scripts.leave.settled()
    again = [attempt_of(f"later-{number}", number) for number in (1, 2)]
    await ahead.ask_ahead(holds, [(attempt, asks_of(both)) for attempt in again])
    assert [attempt.ahead[1].answer for attempt in again] == [(b"recover", b""), (b"new", b"")]


async def test_a_server_that_is_away_leaves_each_call_to_ask_for_itself(
    holds: Any, counting: Counting
) -> None:
    """Nothing is waited for here: a round may hang on it."""
    counting.is_cut = True
    attempt = attempt_of("job", 1)
    await ahead.ask_ahead(holds, [(attempt, asks_of(both))])
    assert attempt.ahead is None


async def test_after_an_outage_what_is_held_is_kept_before_more_is_asked(
    holds: Any, counting: Counting
) -> None:
    """Its lease may have run out: a job here that waits for it would take it from the one that has it.

    Who begins meanwhile asks for itself: it may have to wait, and rounds may not.
    """
    counting.names[load("keep_held").sha] = "keep_held"
    first, second = attempt_of("job-1", 1), attempt_of("job-2", 1)
    await ahead.ask_ahead(holds, [(first, asks_of(both))])
    for held in first.ahead:
        holds.add(held)
    counting.is_cut = True
    await ahead.ask_ahead(holds, [(second, asks_of(both))])
    counting.is_cut = False
    counting.sent.clear()
    await ahead.ask_ahead(holds, [(second, asks_of(both))])
    assert (counting.sent, second.ahead) == ([], None)
    await holds.scripts.lock.put(("door 1", "t 1 job-2", 0))
    assert counting.sent == ["keep_held", "keep_held", "lock_acquire"]
    counting.sent.clear()
    await ahead.ask_ahead(holds, [(second, asks_of(both))])
    assert counting.sent == ["lock_acquire"]


async def test_after_an_outage_what_has_ended_is_written_before_more_is_asked(
    holds: Any, counting: Counting
) -> None:
    """Its record is renewed no longer: a job here that waits for it would make the effect again."""
    first, second = attempt_of("job-1", 1), attempt_of("job-2", 1)
    await ahead.ask_ahead(holds, [(first, asks_of(both))])
    lock, effect = first.ahead
    lock.undo()
    await holds.scripts.release.settled()
    effect.end_with_job("D", b'"done"')
    counting.is_cut = True
    await ahead.ask_ahead(holds, [(second, asks_of(both))])
    counting.is_cut = False
    entry = asks_of(both)[1].question(second, holds).entry
    assert await holds.scripts.begin.put(entry) == (b"done", b'"done"')


def test_nothing_is_asked_before_what_comes_first() -> None:
    """A user's middleware, a rate limit or a gate may wait for long: no lock is held meanwhile."""

    @task(lock=Lock("door"), rate_limit=RateLimit("r", "1/s"))
    async def rated(ctx: Context) -> None: ...

    @task
    async def plain(ctx: Context) -> None: ...

    assert asks_of(rated) == asks_of(plain) == asks_of(both, Around()) == []
    assert len(asks_of(both)) == 2


async def test_a_worker_that_stops_after_the_answer_gives_all_back(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """The call never began: the next worker's is the first attempt, and has nothing to recover."""
    seen: list[Any] = []

    @task(lock=Lock("door", on_busy="skip"), idempotency=Idempotency())
    async def work(ctx: Context) -> str:
        seen.append((ctx.attempt, ctx.once.is_recovering))
        return "done"

    def make() -> Runner:
        settings = Settings(redis=RedisGroup(url=redis_url), worker=WorkerGroup(grace=0), tasks=())
        return Runner(settings, tasks=[work])

    async with make() as client:
        with monkeypatch.context() as patched:
            answered: list[int] = []

            async def then_stop(holds: Any, asking: Any) -> None:
                await ahead.ask_ahead(holds, asking)
                answered.extend(len(attempt.ahead) for attempt, _ in asking)
                stopping.allow_pick_jobs = False

            patched.setattr("runner.engine.running.ask_ahead", then_stop)
            async with make().worker() as stopping:
                job = await client.enqueue(work)
                await wait_until(lambda: answered, "the server has answered")
        assert answered == [2]
        async with make().worker():
            assert await job.result(30) == "done"
    assert seen == [(1, False)]
