"""Breakers around jobs: what an end says of the other side, who waits, and that waiting spends nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest

from runner import (
    Breaker,
    Context,
    GiveUp,
    InvalidArguments,
    InvalidTask,
    Retry,
    RetryBudget,
    Runner,
    Settings,
    backoff,
    events,
    task,
)
from runner.breaker import Health, health_of
from runner.middleware.breaker import Gatekeeper, heard
from runner.outcome import Cancelled, Failed, Queued, Retrying, Snoozed, Succeeded
from runner.settings.model import RedisGroup, WorkerGroup
from runner.wire.destinations import DestinationScripts
from runner.wire.keys import keys_of

KEYS = keys_of("default")
HEARD: Any = {KEYS.queue: DestinationScripts(None, KEYS)}  # type: ignore[arg-type]
Make = Callable[..., Runner]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any) -> Runner:
        settings = Settings(redis=RedisGroup(url=redis_url), worker=WorkerGroup(grace=0), tasks=())
        return Runner(settings, tasks=tasks)

    return runner


def answered(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "https://a.example/")
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("no", request=request, response=response)


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (ConnectionRefusedError(), Health("failed")),
        (TimeoutError(), Health("failed")),
        (httpx.ConnectError("no"), Health("failed")),
        (httpx.ReadTimeout("late"), Health("failed")),
        (aiohttp.ServerDisconnectedError(), Health("failed")),
        (answered(500), Health("failed")),
        (answered(503), Health("failed")),
        (answered(503, **{"Retry-After": "7"}), Health("throttled", 7.0)),
        (answered(429, **{"Retry-After": "30"}), Health("throttled", 30.0)),
        (answered(429), Health("throttled", 0.0)),
        (answered(404), Health("ok")),
        (answered(422), Health("ok")),
        (ValueError("a fault of ours"), Health("none")),
        (FileNotFoundError(), Health("none")),
    ],
    ids=repr,
)
def test_what_an_error_says_of_the_other_side(error: Exception, health: Health) -> None:
    """Only what it does not answer, or answers with 5xx, makes it ill; a refusal of ours does not."""
    assert health_of(error) == health


def test_what_an_attempt_tells_its_gates() -> None:
    """What the task says goes first; a Retry or GiveUp tells what it was raised from; waits tell nothing."""
    breaker = Breaker("a", judge=lambda error: "failed" if isinstance(error, KeyError) else "none")
    plain = Breaker("b")
    because = Retry()
    because.__cause__ = ConnectionResetError()
    assert heard(plain, Succeeded(1), {}) == Health("ok")
    assert heard(plain, Failed(because), {}) == Health("failed")
    assert heard(plain, Retrying(0, "Retry", because), {}) == Health("failed")
    assert heard(plain, Failed(GiveUp()), {}) == Health("none")
    assert heard(breaker, Failed(KeyError()), {}) == Health("failed")
    assert heard(breaker, Failed(TimeoutError()), {}) == Health("none")
    for wait in (Snoozed(1, ""), Queued(1, "", has_place=False), Cancelled()):
        assert heard(plain, wait, {}) == Health("none")
    assert heard(plain, Succeeded(1), {"": Health("failed")}) == Health("failed")
    assert heard(plain, Succeeded(1), {"a": Health("failed")}) == Health("ok")


async def test_an_ill_host_is_left_alone_and_no_attempt_is_spent(make: Make, wait_until: Any) -> None:
    """Five failures in a row close its gate to all workers: an end is written after its gates are told, so
    that the same job makes no sixth call. Jobs wait unspent in their lane; another host is not held up.
    Opened by hand they come back at once, each on the attempt it stood at."""
    calls: list[tuple[str, int]] = []
    is_down = True
    told: list[Any] = []

    @task(breaker=Breaker("host:{url.host}"), retry=backoff.constant(0), max_tries=9, max_snoozes=0)
    async def fetch(ctx: Context, url: str) -> int:
        calls.append((url, ctx.attempt))
        if is_down and "ill" in url:
            raise ConnectionRefusedError
        return ctx.attempt

    ends = [events.subscribe(f"gate.{word}", told.append) for word in ("opened", "closed")]
    runner = make(fetch)
    async with runner.worker(), runner.worker():
        first = await runner.enqueue(fetch, "https://ill.example/first")
        await wait_until(lambda: told, "the gate opens")
        assert (told[0]["gate"], told[0]["queue"], told[0]["why"]) == (
            "host:ill.example",
            "default",
            "5 failures in a row",
        )
        jobs = [await runner.enqueue(fetch, f"https://ill.example/{n}") for n in range(30)]
        assert await (await runner.enqueue(fetch, "https://well.example/")).result(30) == 1

        infos = [await job.info() for job in jobs]
        assert {(info.attempts, info.state) for info in infos} == {(0, "ready")}
        assert [attempt for url, attempt in calls if "ill" in url] == [1, 2, 3, 4, 5]
        is_down = False
        await runner.limits.reset("host:ill.example")
        assert {await job.result(30) for job in jobs} == {1}
        assert await first.result(30) == 6
    for end in ends:
        end()


async def test_a_wait_that_one_job_is_asked_for_holds_up_all_of_its_key(make: Make, wait_until: Any) -> None:
    """429 with Retry-After at one worker pauses the key for every worker and queue; other keys go on."""
    calls: list[str] = []
    told: list[Any] = []

    @task(breaker=Breaker("tenant:{tenant}"))
    async def send(ctx: Context, tenant: str) -> None:
        calls.append(tenant)
        if tenant == "busy":
            raise answered(429, **{"Retry-After": "1000"})

    end = events.subscribe("gate.paused", told.append)
    runner = make(send)
    async with runner.worker(), runner.worker():
        await runner.enqueue(send, "busy")
        await wait_until(lambda: told, "the key is paused")
        bulk = keys_of("bulk")
        await wait_until(
            lambda: runner.client.execute("EXISTS", bulk.gate("tenant:busy")), "in the other queue too"
        )
        late = [await runner.enqueue(send.using(queue=queue), "busy") for queue in ("default", "bulk") * 5]
        for queue in ("default", "bulk"):
            await (await runner.enqueue(send.using(queue=queue), "free")).result(30)

        async def all_wait() -> bool:
            infos = [await job.info() for job in late]
            return all(info.attempts == 0 and info.state == "ready" for info in infos)

        await wait_until(all_wait, "the others of that key wait, no attempt spent")
    end()
    assert calls.count("busy") == 1


async def test_retries_beyond_the_budget_are_put_off(make: Make, wait_until: Any) -> None:
    """Not lost and not spent: the job comes back by the budget's pace."""
    calls: list[int] = []
    budget = RetryBudget(share=0, per_s=0.01, burst=2)

    @task(breaker=Breaker("a", open_after=99, volume=99, retry_budget=budget), retry=backoff.constant(0))
    async def call(ctx: Context) -> None:
        calls.append(ctx.attempt)
        raise ConnectionRefusedError

    runner = make(call)
    async with runner.worker():
        job = await runner.enqueue(call)

        async def is_put_off() -> bool:
            return (
                await runner.client.execute("HGET", KEYS.record(job.id), "w") == b"gate a: too many retries"
            )

        await wait_until(is_put_off, "the third retry is put off")
        assert (await job.info()).attempts == 3
    assert calls == [1, 2, 3]


async def test_numbers_set_at_run_time_count_for_all_workers_from_the_next_report(
    make: Make, wait_until: Any
) -> None:
    """Those of one gate go before those of its breaker, and both before the task's; a retry budget comes so
    too. Taken back, the task says all of them again."""
    calls: list[str] = []

    @task(breaker=Breaker("host:{url.host}"), retry=backoff.constant(0), max_tries=99)
    async def fetch(ctx: Context, url: str) -> None:
        calls.append(url)
        raise ConnectionRefusedError

    async def gate(host: str) -> tuple[str, bool]:
        found = await runner.limits.states(f"host:{host}")
        return next(
            ((each.state, each.closed_for_s > 90) for each in found if each.queue == "default"), ("", 0)
        )

    runner = make(fetch)
    async with runner.worker(), runner.worker():
        await runner.limits.set_breaker("host:{url.host}", open_after=3, open_for="100s")
        await runner.limits.set_breaker("host:two.example", open_after=2)
        one = await runner.enqueue(fetch, "https://one.example/")
        two = await runner.enqueue(fetch, "https://two.example/")

        async def are_open() -> bool:
            return [await gate(f"{n}.example") for n in ("one", "two")] == [("open", True)] * 2

        await wait_until(are_open, "both gates open")
        assert (calls.count("https://one.example/"), calls.count("https://two.example/")) == (3, 2)
        found = {each.name: each for each in await runner.limits.breakers()}
        assert found["host:two.example"].set_now == {"open_after"}
        assert found["host:{url.host}"].numbers["open_for"] == 100

        await runner.limits.remove_breaker("host:{url.host}")
        await runner.limits.set_breaker(
            "host:three.example", open_after=99, retry_budget=RetryBudget(0, 0.001, 1)
        )
        three = await runner.enqueue(fetch, "https://three.example/")

        async def is_put_off() -> bool:
            return "too many retries" in str(await runner.client.execute("HGET", KEYS.record(three.id), "w"))

        await wait_until(is_put_off, "the second retry is put off")
        assert calls.count("https://three.example/") == 2
        [known] = [each for each in await runner.limits.breakers() if each.name == "host:{url.host}"]
        assert (known.numbers["open_after"], known.source) == (5, "task")
        for job in (one, two, three):
            await job.cancel()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({}, "nothing to set; it has open_after, volume"),
        ({"open_after": 0}, "whole number of 1 to"),
        ({"open_for": 1000}, "open_cap= is no shorter"),
        ({"window": "soon"}, "a span of time is seconds"),
    ],
)
async def test_numbers_that_no_breaker_can_have_are_refused(make: Make, numbers: Any, words: str) -> None:
    """By the rules of a declaration, before anything is written."""
    async with make() as runner:
        with pytest.raises(ValueError, match=words):
            await runner.limits.set_breaker("a", **numbers)
        assert await runner.limits.breakers() == []


async def test_a_task_says_itself_how_the_other_side_is(make: Make, wait_until: Any) -> None:
    """``ctx.report_health`` replaces what the end says, for one breaker; ``ctx.breaker`` is by hand."""
    host = Breaker("host", open_after=1)
    path = Breaker("path", open_after=1)

    @task(breaker=[host, path])
    async def declared(ctx: Context) -> str:
        ctx.report_health("failed", of=path)
        return "done"

    @task
    async def by_hand(ctx: Context) -> None:
        async with ctx.breaker("named {late}", like=host):
            raise GiveUp from ConnectionRefusedError()

    async def is_there(key: str) -> bool:
        return await runner.client.execute("HGET", KEYS.gate(key), "s") == b"open"

    runner = make(declared, by_hand)
    async with runner.worker():
        assert await (await runner.enqueue(declared)).result(30) == "done"
        await runner.enqueue(by_hand)
        await wait_until(lambda: is_there("path"), "the gate it named is open")
        await wait_until(lambda: is_there("named {late}"), "that by hand too")
        assert not await is_there("host")
        job = await runner.enqueue(by_hand)

        async def waits() -> bool:
            word = await runner.client.execute("HGET", KEYS.record(job.id), "w")
            return word is not None and word.startswith(b"gate named {late} is closed")

        await wait_until(waits, "the next one waits there")
        assert (await job.info()).attempts == 0


async def test_calls_of_one_moment_are_told_in_one_script_call(redis: Any) -> None:
    """Five hundred jobs enter and report in two round trips."""
    from runner.wire.gates import GateScripts

    sent: list[str] = []

    async def execute(*command: Any) -> Any:
        sent.append(command[0])
        return await redis.execute_command(*command)

    scripts = GateScripts(execute, KEYS)
    keeper = Gatekeeper({KEYS.queue: scripts}, {KEYS.queue: "default"}, HEARD)
    attempts = [_attempt(str(n)) for n in range(500)]
    gates = [("k", Breaker("k"))]
    await keeper.enter(attempts[0], gates)
    keeper.report(attempts[0], gates, [Health("ok")], 0)
    await keeper.settled()
    sent.clear()
    assert set(await asyncio.gather(*(keeper.enter(each, gates) for each in attempts))) == {None}
    for each in attempts:
        keeper.report(each, gates, [Health("ok")], 0)
    await keeper.settled()
    assert sent == ["EVALSHA", "EVALSHA"]


async def test_calls_that_went_well_are_one_report_and_a_failure_keeps_its_place(redis: Any) -> None:
    """200 that go well cost two entries of a script call; what the gate knows is as if each had been told."""
    from runner.wire.gates import GateScripts

    told: list[tuple[Any, Any]] = []

    async def execute(*command: Any) -> Any:
        told.extend(zip(command[9::12], command[10::12], strict=True))
        return await redis.execute_command(*command)

    scripts = GateScripts(execute, KEYS)
    keeper, gates = Gatekeeper({KEYS.queue: scripts}, {KEYS.queue: "default"}, HEARD), [("k", Breaker("k"))]
    await scripts.report_all([])
    well, ill = [Health("ok")], [Health("failed")]
    for n, health in enumerate([*[well] * 100, ill, *[well] * 100, ill, ill]):
        keeper.report(_attempt(str(n)), gates, health, 0, was_asked=False)
    await keeper.settled()
    assert told == [("ok", 100), ("failed", 1), ("ok", 100), ("failed", 1), ("failed", 1)]
    numbers = [int(number) for number in (await redis.hget(KEYS.gate("k"), "m")).split()]
    in_a_row, calls, failed = numbers[1], numbers[6], numbers[7]
    assert (in_a_row, calls, failed) == (2, 203, 3)


async def test_while_the_server_is_away_gates_let_through() -> None:
    """A breaker is a help, no promise: it holds nobody up for its own sake."""
    from runner.wire.gates import GateScripts

    async def execute(*_: Any) -> Any:
        raise ConnectionRefusedError

    keeper = Gatekeeper({KEYS.queue: GateScripts(execute, KEYS)}, {KEYS.queue: "default"}, HEARD)
    assert await keeper.enter(_attempt("j"), [("k", Breaker("k"))]) is None
    keeper.report(_attempt("j"), [("k", Breaker("k"))], [Health("ok")], 0)
    await keeper.settled()


def _attempt(job_id: str) -> Any:
    from runner.job import Attempt

    return Attempt(job_id=job_id, queue=KEYS.queue, number=1, token="t", fence=1, due_at_ms=0, payload=None)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", {}, "1 to 200 printable"),
        ("a:{nobody}", {}, "'nobody' is not one of the task's parameters"),
        ("a", {"share": 0}, "share= is above 0"),
        ("a", {"open_after": 0}, "whole number of 1 to"),
        ("a", {"probes": 1.5}, "whole number of 1 to"),
        ("a", {"open_for": 60, "open_cap": 30}, "no shorter than open_for"),
        ("a", {"window": 0}, "at least 1 ms"),
        ("a", {"retry_budget": 2.0}, "a share of 0 to 1"),
    ],
)
def test_a_breaker_that_cannot_work_is_refused_where_it_is_declared(
    name: str, options: Any, words: str
) -> None:
    """With the numbers, before any job exists."""

    async def fn(ctx: Context, url: str) -> None: ...

    with pytest.raises((ValueError, InvalidTask), match=words):
        task(breaker=Breaker(name, **options))(fn)


async def test_a_call_that_names_no_gate_is_refused_at_enqueue(make: Make) -> None:
    """And five breakers at declaration."""

    @task(breaker=Breaker("host:{url.host}"))
    async def fetch(ctx: Context, url: str) -> None: ...

    async with make(fetch) as runner:
        with pytest.raises(InvalidArguments, match="no URL with a host"):
            await runner.enqueue(fetch, "nowhere")
    with pytest.raises(InvalidTask, match="at most 4 together"):
        task(breaker=[Breaker(str(n)) for n in range(5)])(fetch.fn)
