"""Rate limits around jobs: waits spend nothing, keep their order, and hold up nobody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import ConnectionPool

from runner import (
    Adaptive,
    Context,
    InvalidArguments,
    InvalidTask,
    JobFailed,
    RateLimit,
    Runner,
    Settings,
    task,
)
from runner.middleware.rate_limit import Limiter, TokenBucket
from runner.rates import Claim, Rate, rate_of
from runner.settings import RedisGroup, WorkerGroup
from runner.settings.rate_limits import RateLimitTable
from runner.wire.keys import keys_of
from runner.wire.limits import LimitScripts, Take, Want
from runner.wire.link import Link

KEYS = keys_of("default")
Make = Callable[..., Runner]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any, **tables: str) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=redis_url),
            worker=WorkerGroup(grace=0),
            rate_limits={name: RateLimitTable(rate=rate) for name, rate in tables.items()},
            tasks=(),
        )
        return Runner(settings, tasks=tasks)

    return runner


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    pool = ConnectionPool.from_url(redis_url)
    made = Link(pool)
    yield made
    await made.close()
    await pool.aclose()


async def test_a_denied_job_comes_back_in_its_turn_and_has_spent_nothing(make: Make) -> None:
    """In the order of asking, one place each; no attempt and none of max_snoozes is spent."""
    ran: list[tuple[int, int]] = []

    @task(rate_limit=RateLimit("api", "10/s", burst=1), max_snoozes=0, max_tries=1)
    async def call(ctx: Context, number: int) -> None:
        ran.append((number, ctx.attempt))

    runner = make(call)
    async with runner.worker():
        jobs = []
        for number in range(12):
            jobs.append(await runner.enqueue(call.using(key=f"{number:02}"), number))
        for job in jobs:
            await job.result(30)
    assert ran == [(number, 1) for number in range(12)]


async def test_a_blocked_key_blocks_no_other(make: Make) -> None:
    """Jobs of a full bucket leave their slots: those of another host go at once."""

    @task(rate_limit=RateLimit("host:{url.host}", "1/h"))
    async def fetch(ctx: Context, url: str) -> str:
        return url

    runner = make(fetch)
    async with runner.worker():
        blocked = [await runner.enqueue(fetch, f"https://a.example/{n}") for n in range(150)]
        free = await runner.enqueue(fetch, "https://b.example/")
        assert await free.result(30) == "https://b.example/"
        assert sum([await job.status() == "succeeded" for job in blocked]) == 1


async def test_a_rate_set_at_run_time_is_seen_by_the_next_take(make: Make, wait_until: Any) -> None:
    """It goes before the settings, these before the task; removed, what was before counts again."""

    @task(rate_limit=RateLimit("stripe", "1/h"))
    async def charge(ctx: Context) -> None: ...

    runner = make(charge, stripe="2/h")
    async with runner:
        limits = runner.limits
        assert [bool(await limits.take("stripe")) for _ in range(3)] == [True, True, False]
        await limits.set("stripe", "1000000/s", burst=5)
        await limits.take("stripe")
        await wait_until(lambda: limits.take("stripe", cost=5), "the bucket is full again")
        assert [str(limit.rate) for limit in await limits.list()] == ["1000000/s"]
        assert await limits.remove("stripe")
        again = await limits.get("stripe")
        assert again is not None
        assert (str(again.rate), again.source) == ("2/h", "settings")


async def test_a_429_or_a_slow_answer_cuts_an_adaptive_rate(make: Make, wait_until: Any) -> None:
    """For all workers, of that bucket alone; what succeeds in time, or fails otherwise, cuts nothing."""

    @task(
        rate_limit=RateLimit("host:{host}", "100/s", adaptive=Adaptive("5/s", latency=1.5, recover=3600)),
        max_tries=1,
    )
    async def call(ctx: Context, host: str) -> None:
        if host == "busy":
            ctx.report_health("throttled")
        elif host == "slow":
            await asyncio.sleep(1.6)
        elif host == "ill":
            raise ConnectionError

    runner = make(call)

    async def count(host: str) -> int:
        standing = await runner.limits.standing("host:{host}", bucket=f"host:{host}")
        assert standing is not None
        return standing.rate.count

    async with runner.worker():
        for host in ("fine", "ill", "busy", "slow"):
            job = await runner.enqueue(call, host)
            with contextlib.suppress(JobFailed):
                await job.result(timeout=30)
        for host in ("busy", "slow"):

            async def is_cut(host: str = host) -> bool:
                return await count(host) == 50

            await wait_until(is_cut, f"the rate of {host} is cut")
        assert [await count(host) for host in ("fine", "ill")] == [100, 100]


async def test_by_hand_a_limit_is_told_how_its_block_went_and_gives_way(make: Make, wait_until: Any) -> None:
    """Around a block ``ctx.limit`` cuts an adaptive rate as a declaration does, of that bucket alone."""
    search = RateLimit("host:{host}", "100/h", adaptive=Adaptive("1/h", cut=0.01, recover=36_000))

    @task(max_snoozes=0, max_tries=1)
    async def call(ctx: Context, host: str) -> None:
        async with ctx.limit(search, bucket=f"host:{host}"):
            if host == "busy":
                ctx.report_health("throttled")
            elif host == "ill":
                raise ConnectionError

    @task(max_tries=1)
    async def forgetful(ctx: Context) -> None:
        await ctx.limit(search)

    runner = make(call, forgetful)
    async with runner.worker():
        for host in ("fine", "ill", "busy"):
            with contextlib.suppress(JobFailed):
                await (await runner.enqueue(call, host)).result(30)
        scripts = LimitScripts(runner.client.execute)

        async def is_cut() -> bool:
            return (await scripts.look("host:busy"))[1] is not None

        await wait_until(is_cut, "the rate of busy is cut")
        assert [(await scripts.look(f"host:{host}"))[1] for host in ("fine", "ill")] == [None, None]
        with pytest.raises(JobFailed, match="say which, such as bucket="):
            await (await runner.enqueue(forgetful)).result(30)


async def test_by_hand_inside_a_task_a_limit_snoozes_the_job(make: Make) -> None:
    """``ctx.limit`` gives the job back with its reason, and its place is kept."""

    @task(max_snoozes=0)
    async def call(ctx: Context) -> int:
        await ctx.limit("slow", rate="5/s", burst=1)
        return ctx.attempt

    runner = make(call)
    async with runner.worker():
        jobs = [await runner.enqueue(call) for _ in range(4)]
        assert [await job.result(30) for job in jobs] == [1, 1, 1, 1]


async def test_a_limit_without_a_rate_waits_until_it_has_one(make: Make, wait_until: Any) -> None:
    """Removed while jobs wait on it, or never set: jobs stay, and say why."""

    @task(rate_limit=RateLimit("unset"))
    async def call(ctx: Context) -> None: ...

    runner = make(call)
    async with runner.worker():
        job = await runner.enqueue(call)

        async def why() -> bool:
            return b"has no rate" in (await runner.client.execute("HGET", KEYS.record(job.id), "w") or b"")

        await wait_until(why, "the job says that its limit has no rate")
        with pytest.raises(InvalidArguments, match="limit 'unset' has no rate: runner limits set unset"):
            await runner.limits.take("unset")


async def test_takes_of_one_moment_are_one_call(link: Link) -> None:
    """Five hundred decisions, one round trip."""
    calls: list[Any] = []

    async def execute(*command: Any) -> Any:
        calls.append(command[0])
        return await link.execute(*command)

    scripts = LimitScripts(execute)
    await scripts.take.put(Take("try", [Want("warm", "warm", 1, rate_of("1/s"))]))
    calls.clear()
    takes = [scripts.take.put(Take("try", [Want(f"b:{n}", "b", 1, rate_of("1/s"))])) for n in range(500)]
    assert {answer.verdict for answer in await asyncio.gather(*takes)} == {0}
    assert calls == ["EVALSHA"]


async def test_while_the_server_is_away_a_fallback_lets_some_through() -> None:
    """At the local rate and no faster; without a fallback a take waits."""

    async def execute(*_: Any) -> Any:
        raise ConnectionRefusedError

    limiter = Limiter(LimitScripts(execute), for_s=0.05)
    attempt: Any = type("Attempt", (), {"has_turn": False})()
    loose = [Claim(RateLimit("loose", "100/s", fallback="3/h"), "loose", 1)]
    came = [await limiter.pass_(attempt, loose) for _ in range(4)]
    assert came[:3] == [None, None, None]
    assert came[3] is not None
    with pytest.raises(Exception, match="no answer from the server"):
        await limiter.pass_(attempt, [Claim(RateLimit("strict", "100/s"), "strict", 1)])


@given(
    rate=st.builds(Rate, st.integers(1, 10**6), st.integers(10**6, 36 * 10**8), st.integers(1, 10**5)),
    steps=st.lists(st.integers(0, 10**7), max_size=30),
)
def test_the_local_bucket_keeps_the_bound_and_its_word(rate: Rate, steps: list[int]) -> None:
    """Never more than burst + rate × t since the start; the tokens are there when it says, no sooner."""
    now_us, granted = 0, 0
    bucket = TokenBucket(rate, 0)
    for us in steps:
        now_us += us
        if (wait_us := bucket.take(now_us)) == 0:
            granted += 1
        else:
            assert wait_us == 1 or bucket.take(now_us + wait_us - 1) == 1
            now_us += wait_us
            assert bucket.take(now_us) == 0
            granted += 1
        assert granted * rate.period_us <= rate.burst * rate.period_us + now_us * rate.count


BAD = [
    (("a", "0/s"), {}, "above zero"),
    (("a", "abc"), {}, "not 'abc'"),
    (("a", "-1/s"), {}, "not '-1/s'"),
    (("a", "1.5/s"), {}, "not '1.5/s'"),
    (("a", "10/0s"), {}, "above zero"),
    (("a", "10/s"), {"burst": 0}, "burst= is 1 or more, not 0"),
    (("a", "10/s"), {"burst": 2.5}, "whole number"),
    (("a", "10/d"), {"burst": 10**6}, "the largest is 104249"),
    (("a", "10/s"), {"cost": 11}, "a cost of 11 is more than its burst of 10"),
    (("a", "10/s"), {"cost": 0}, "1 or more, not 0"),
    (("", "10/s"), {}, "1 to 200 printable"),
    (("a", 100), {}, "a whole count and a period, .*; not 100"),
    (("a{}", "10/s"), {}, "name the parameter"),
    (("a:{tenant}", "10/s"), {}, "'tenant' is not one of the task's parameters"),
    (("a", "10/s"), {"adaptive": Adaptive("11/s")}, "more than the rate of 10/s"),
    (("a", "1/s"), {"adaptive": Adaptive("1/m")}, "write a longer period"),
    (("a", "10/s"), {"key": lambda tenant: tenant}, "'tenant' is not one of the task's parameters"),
]


@pytest.mark.parametrize(("args", "options", "words"), BAD)
def test_what_cannot_work_is_refused_where_it_is_declared(args: Any, options: Any, words: str) -> None:
    """With the numbers and the cure, before any job exists."""

    async def fn(ctx: Context, url: str) -> None: ...

    with pytest.raises((ValueError, InvalidTask), match=words):
        task(rate_limit=RateLimit(*args, **options))(fn)


@pytest.mark.parametrize("option", ["rate_limit", "concurrency", "breaker"])
def test_text_in_place_of_a_limit_is_refused_whole(option: str) -> None:
    """Not letter by letter."""

    async def fn(ctx: Context) -> None: ...

    with pytest.raises(InvalidTask, match=f"{option}= is a .* or a list of them, not '10/s'"):
        task(**{option: "10/s"})(fn)  # type: ignore[call-overload]


@pytest.mark.parametrize("options", [{"cut": 1}, {"cut": 0}, {"recover": 0}, {"latency": 0}, {"min": "0/s"}])
def test_numbers_by_which_no_rate_can_adapt_are_refused(options: Any) -> None:
    """A cut that cuts nothing or all, no time, no least rate."""
    with pytest.raises(ValueError, match=r"Adaptive\("):
        Adaptive(**{"min": "5/s", **options})


async def test_what_a_call_cannot_give_is_refused_at_enqueue(make: Make) -> None:
    """A field that is missing, a cost above the burst, what is no number; keys of 10 kB are digests."""

    @task(rate_limit=RateLimit("host:{url.host}", "10/s", cost=lambda size: size))
    async def fetch(ctx: Context, url: str, size: int = 1) -> None: ...

    runner = make(fetch)
    async with runner:
        for args, words in (
            (("no url",), "no URL with a host"),
            (("https://a.example", 11), "a cost of 11 is more than its burst of 10"),
            (("https://a.example", 0), "1 or more, not 0"),
        ):
            with pytest.raises(InvalidArguments, match=words):
                await runner.enqueue(fetch, *args)
        await runner.enqueue(fetch, f"https://{'ü' * 10_000}.example")
    named = {"url": f"https://{'ü' * 10_000}.example", "size": 1}
    assert len(RateLimit("host:{url.host}", "1/s").claim("fetch", named).bucket) == 71


@pytest.mark.parametrize(
    ("limit", "is_standing"),
    [
        (RateLimit("provider", "1/s", burst=3, cost=2), True),
        (RateLimit("ü" * 200, "1/s"), True),
        (RateLimit("host:{url.host}", "1/s"), False),
        (RateLimit("tenant", "1/s", key=lambda url: url), False),
        (RateLimit("size", "1/s", cost=lambda url: len(url)), False),
    ],
)
def test_what_no_argument_changes_is_claimed_once_for_all_calls(limit: RateLimit, is_standing: bool) -> None:
    """A limit's standing claim is that of each of its calls; there is none where calls differ."""
    standing = limit.standing_claim()
    assert (standing is not None) is is_standing
    if standing is not None:
        assert standing == limit.claim("fetch", {"url": "http://example.com"})
