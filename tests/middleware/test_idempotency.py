"""The idempotency cache around jobs: what callers get, and what is refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from runner import (
    Context,
    GiveUp,
    Idempotency,
    IdempotencyConflict,
    InvalidArguments,
    InvalidTask,
    Job,
    JobFailed,
    Runner,
    Settings,
    SettingsError,
    backoff,
    task,
)
from runner.settings.model import DeadGroup, RedisGroup, WorkerGroup
from runner.wire import codec
from runner.wire.keys import keys_of
from runner.wire.scripts import Entry, Scripts, Verdict
from runner.worker_parameters import worker_parameters

Make = Callable[..., Runner]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any, lease: float = 15.0) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=redis_url), worker=WorkerGroup(lease=lease, grace=0), tasks=()
        )
        return Runner(settings, tasks=tasks)

    return runner


async def test_every_caller_gets_the_one_result(make: Make) -> None:
    """Concurrent and later calls, by position or by name, defaults given or not: one execution."""
    runs: list[str] = []

    @task(idempotency=Idempotency())
    async def charge(ctx: Context, order: str, amount: int = 5) -> dict[str, int]:
        runs.append(order)
        await asyncio.sleep(0.05)
        return {"charged": amount}

    runner = make(charge)
    async with runner.worker():
        jobs = [await runner.enqueue(charge, "o-17", 5) for _ in range(20)]
        jobs += [await runner.enqueue(charge, order="o-17"), await runner.enqueue(charge, "o-17")]
        assert [await job.result(30) for job in jobs] == [{"charged": 5}] * 22
        assert await (await runner.enqueue(charge, "o-17", amount=5)).result(30) == {"charged": 5}
    assert runs == ["o-17"]


async def test_other_arguments_under_one_key_are_a_conflict_at_once(make: Make, redis: Redis) -> None:
    """No retry: a dead letter with reason conflict and both fingerprints, and nothing runs."""
    runs: list[int] = []

    @task(idempotency=Idempotency(key=lambda order: order))
    async def charge(ctx: Context, order: str, amount: int) -> int:
        runs.append(amount)
        return amount

    runner = make(charge)
    async with runner.worker():
        assert await (await runner.enqueue(charge, "o-17", 5)).result(30) == 5
        job = await runner.enqueue(charge, "o-17", 6)
        with pytest.raises(JobFailed, match=r"fingerprint \w{64}.*this call's is \w{64}") as caught:
            await job.result(30)
        letter = await redis.hgetall(keys_of("default").dead_letter(job.id))
    assert caught.value.type == "runner.errors.IdempotencyConflict"
    assert (letter[b"reason"], runs) == (b"conflict", [5])


async def test_a_conflict_inside_a_task_is_not_retried(make: Make, redis: Redis) -> None:
    """By hand as by declaration: ``request=`` is what the key stands for."""
    tries: list[int] = []

    @task
    async def charge(ctx: Context, amount: int) -> None:
        tries.append(amount)
        async with ctx.idempotent("charge", "o-17", request=(amount, "EUR")):
            pass

    runner = make(charge)
    async with runner.worker():
        await (await runner.enqueue(charge, 5)).result(30)
        job = await runner.enqueue(charge, 6)
        with pytest.raises(JobFailed):
            await job.result(30)
        letter = await redis.hgetall(keys_of("default").dead_letter(job.id))
    assert (letter[b"reason"], tries) == (b"conflict", [5, 6])


async def test_an_error_leaves_it_unknown_and_the_retry_recovers(make: Make, redis: Redis) -> None:
    """A timeout is no proof that nothing happened: the next attempt is told, with the steps, and ends it."""
    seen: list[Any] = []

    @task(idempotency=Idempotency(), retry=backoff.constant(0))
    async def charge(ctx: Context, order: str) -> str:
        seen.append((ctx.once.is_recovering, dict(ctx.once.steps)))
        await ctx.once.step("intent", {"try": ctx.attempt})
        if ctx.attempt < 3:
            raise TimeoutError("no answer")
        return "found"

    runner = make(charge)
    async with runner.worker():
        assert await (await runner.enqueue(charge, "o-17")).result(30) == "found"
        assert await (await runner.enqueue(charge, "o-17")).result(30) == "found"
    assert seen == [(False, {}), (True, {"intent": {"try": 1}}), (True, {"intent": {"try": 2}})]
    (record,) = await redis.keys("runner:once:*")
    assert await redis.pttl(record) > 29 * 86_400_000


async def test_a_crash_between_effect_and_outcome_repeats_nothing(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effect is known to be done before its job is: the next attempt is given the stored result."""
    runs: list[int] = []
    records: list[bytes] = []
    finish = Scripts.finish

    async def lost(self: Scripts, keys: Any, ends: Any, **kwargs: Any) -> Any:
        """Let the first outcome get lost, as a worker's that dies before it writes it."""
        if runs and not records:
            records.append(await redis.get((await redis.keys("runner:once:*"))[0]))
            return [Verdict.LOST] * len(ends)
        return await finish(self, keys, ends, **kwargs)

    @task(idempotency=Idempotency())
    async def charge(ctx: Context, order: str) -> str:
        runs.append(ctx.attempt)
        return "charged"

    monkeypatch.setattr(Scripts, "finish", lost)
    runner = make(charge, lease=1)
    async with runner.worker():
        job = await runner.enqueue(charge, "o-17")
        assert await job.result(30) == "charged"
        assert (await job.info()).attempts == 2
    assert b'"charged"' in records[0]
    assert runs == [1]


async def test_unknown_never_expires(make: Make, redis: Redis) -> None:
    """The job is dead, the effect may have happened: the record waits for somebody who finds out."""

    @task(idempotency=Idempotency(), max_tries=1)
    async def charge(ctx: Context, order: str) -> None:
        raise TimeoutError("no answer")

    runner = make(charge)
    async with runner.worker():
        with pytest.raises(JobFailed):
            await (await runner.enqueue(charge, "o-17")).result(30)
        (record,) = await redis.keys("runner:once:*")
        _, _, state, *_ = msgspec.msgpack.decode(
            b"\x96" + await redis.get(record)
        )  # six values, one after the other
        assert (state, await redis.pttl(record)) == ("U", -1)


async def test_a_definite_failure_is_every_caller_s_answer(make: Make) -> None:
    """GiveUp says that it has not happened and will not: nobody tries again, all hear why."""
    tries: list[str] = []

    @task(idempotency=Idempotency())
    async def charge(ctx: Context, order: str) -> None:
        tries.append(order)
        raise GiveUp("card is stolen")

    runner = make(charge)
    async with runner.worker():
        for _ in range(2):
            with pytest.raises(JobFailed, match="card is stolen"):
                await (await runner.enqueue(charge, "o-17")).result(30)
    assert tries == ["o-17"]


async def is_in(job: Job[Any], state: str) -> bool:
    return await job.status() == state


async def test_a_busy_effect_is_snoozed_for_after_a_bounded_wait(make: Make, wait_until: Any) -> None:
    """A second caller gives its slot back, spends no attempt, and gets the result in the end."""
    release = asyncio.Event()

    @task(idempotency=Idempotency(wait=0.05), max_tries=1)
    async def charge(ctx: Context, order: str) -> str:
        await release.wait()
        return "charged"

    runner = make(charge)
    async with runner.worker():
        first = await runner.enqueue(charge, "o-17")
        await wait_until(lambda: is_in(first, "running"), "the first caller runs")
        second = await runner.enqueue(charge, "o-17")
        await wait_until(lambda: is_in(second, "scheduled"), "the second caller is snoozed")
        release.set()
        assert (await first.result(30), await second.result(30)) == ("charged", "charged")


async def test_an_effect_longer_than_its_lease_stays_one(make: Make, wait_until: Any, outlast: Any) -> None:
    """The heartbeat renews what is in progress: a second caller waits, however long it takes."""
    runs, may_end = list[str](), asyncio.Event()

    @task(idempotency=Idempotency(wait=30))
    async def charge(ctx: Context, order: str) -> str:
        runs.append(order)
        await may_end.wait()
        return "charged"

    runner = make(charge, lease=1)
    async with runner.worker():
        jobs = [await runner.enqueue(charge, "o-17") for _ in range(2)]
        await wait_until(lambda: runs, "the effect is under way")
        await outlast(1)
        may_end.set()
        assert [await job.result(30) for job in jobs] == ["charged", "charged"]
    assert runs == ["o-17"]


async def test_by_hand_the_result_is_given_to_later_blocks(make: Make) -> None:
    """once.done and once.result; a block that only returns has happened, with None."""

    @task
    async def twice(ctx: Context) -> list[Any]:
        async with ctx.idempotent("charge", ("o", 17)) as once:
            await once.complete({"ref": "ch_1"})
        async with ctx.idempotent("mail", "o-17"):
            pass
        async with ctx.idempotent("charge", ("o", 17)) as again, ctx.idempotent("mail", "o-17") as mail:
            return [again.done, again.result, mail.done, mail.result]

    runner = make(twice)
    async with runner.worker():
        assert await (await runner.enqueue(twice)).result(30) == [True, {"ref": "ch_1"}, True, None]


@pytest.mark.parametrize("key", [None, "", b"", ()])
async def test_an_empty_key_is_refused(make: Make, key: Any) -> None:
    """A key names the one effect; None is a mistake, most often a missing return."""

    @task(idempotency=Idempotency(key=lambda order: key))
    async def charge(ctx: Context, order: str) -> None: ...

    async with make(charge) as runner:
        with pytest.raises(InvalidArguments, match="the idempotency key is"):
            await runner.enqueue(charge, "o-17")


def broken_key(order: str) -> str:
    raise KeyError(order)


async def test_a_key_function_that_raises_is_refused_at_enqueue(make: Make) -> None:
    """The caller hears what its key function raised; nothing was written."""

    @task(idempotency=Idempotency(key=broken_key))
    async def charge(ctx: Context, order: str) -> None: ...

    async with make(charge) as runner:
        with pytest.raises(InvalidArguments, match="its idempotency key function raised KeyError: 'o-17'"):
            await runner.enqueue(charge, "o-17")


async def test_a_key_function_that_raises_in_the_worker_makes_a_dead_letter(
    make: Make, redis: Redis, wait_until: Any
) -> None:
    """A plain arq client enqueues unchecked: the job is dead at once, with the reason, and nothing runs."""

    @task(idempotency=Idempotency(key=broken_key))
    async def charge(ctx: Context, order: str) -> None:
        raise AssertionError("it ran")

    payload = codec.encode_job("charge", ("o-17",), {}, 1, codec.Meta())
    await Scripts(redis.execute_command).enqueue(keys_of("default"), [Entry("raw", 0, 0, payload)])
    letter = keys_of("default").dead_letter("raw")
    async with make(charge).worker():
        await wait_until(lambda: redis.exists(letter), "the job is dead")
    assert await redis.hget(letter, "reason") == b"invalid_arguments"


async def test_arguments_without_a_form_are_refused(make: Make) -> None:
    """What cannot be serialised has no key either; NaN is not equal to itself."""

    @task(idempotency=Idempotency())
    async def charge(ctx: Context, what: Any) -> None: ...

    async with make(charge) as runner:
        for value in (object(), float("nan"), {"a": {1, object()}}):
            with pytest.raises(InvalidArguments):
                await runner.enqueue(charge, value)


def test_a_key_function_of_other_parameters_is_refused_at_declaration() -> None:
    """It would raise with every job."""
    with pytest.raises(InvalidTask, match="takes 'order_id', which is not one of the task's parameters"):

        @task(idempotency=Idempotency(key=lambda order_id: order_id))
        async def charge(ctx: Context, order: str) -> None: ...


@pytest.mark.parametrize("ttl", [0, -1, "30", "d", float("nan")])
def test_a_ttl_that_is_none_is_refused(ttl: Any) -> None:
    """Seconds, a timedelta, or text with a unit; above zero."""
    with pytest.raises(ValueError, match=r"span|delay|more than 0"):
        Idempotency(ttl=ttl)


def test_conflict_carries_both_fingerprints() -> None:
    """For whoever catches it."""
    error = IdempotencyConflict("charge", known="aa", given="bb")
    assert (error.known, error.given) == ("aa", "bb")
    assert "aa" in str(error)
    assert "bb" in str(error)


def test_a_ttl_shorter_than_dead_letters_stay_is_refused_at_start(redis_url: str) -> None:
    """Between the two a replay would repeat the effect; the message names task, place and both figures."""

    @task(idempotency=Idempotency(ttl="7d"))
    async def charge(ctx: Context, order: str) -> None: ...

    settings = Settings(redis=RedisGroup(url=redis_url), tasks=())
    with pytest.raises(SettingsError, match=r"task 'charge' \(.*604800 s.*dead.keep = 2592000 s"):
        worker_parameters(Runner(settings, tasks=[charge]), redis_url)
    patient = settings.model_copy(update={"dead": DeadGroup(keep=86_400)})
    assert worker_parameters(Runner(patient, tasks=[charge]), redis_url)["functions"]
