"""Jobs that somebody put on the server in a wrong form: each becomes a dead letter that says why."""

import json
import pickle  # noqa: TID251 - to be refused
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import InvalidArguments, JobFailed, JobInfo, JobState, Runner

Serve = Callable[[Runner], Awaitable[None]]


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


async def plant(redis: Redis, payload: bytes | None) -> None:
    """Put a job with this payload into the default queue, as any program could."""
    if payload is not None:
        await redis.set("arq:job:bad", payload)
    await redis.zadd("arq:queue", {"bad": 0})


async def buried(runner: Runner, redis: Redis, payload: bytes | None) -> JobInfo:
    """Give what is known of the job after its death; its payload is kept, and its letter is listed."""
    info = await runner.job("bad").info()
    assert info.state == JobState.DEAD
    assert await redis.hget("runner:dead:bad", "payload") == payload
    assert await redis.zscore("runner:default:dead", "bad") is not None
    assert await redis.zcard("arq:queue") == 0
    with pytest.raises(JobFailed) as failed:
        await runner.job("bad").result(30)
    assert failed.value.message == info.error["message"]
    return info


async def reason(redis: Redis) -> str:
    return (await redis.hget("runner:dead:bad", "reason")).decode()


@pytest.mark.parametrize("payload", [b"\xff\xfe\x00 not text", b"", b"{", b'{"f":'])
async def test_garbage_bytes(payload: bytes, runner: Runner, redis: Redis, serve: Serve) -> None:
    """Bytes that are no JSON end as undecodable; the bytes are kept."""
    await plant(redis, payload)
    await serve(runner)
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "undecodable"
    assert info.error["message"].startswith("the payload is not a job: ")


async def test_pickle_bytes(runner: Runner, redis: Redis, serve: Serve, tmp_path: Path) -> None:
    """A pickle is never loaded: what it would have done has not happened, and the letter says what to use."""
    canary = tmp_path / "canary"
    bodies = [pickle.dumps(Canary(canary), protocol) for protocol in (0, pickle.HIGHEST_PROTOCOL)]
    job = pickle.dumps({"t": None, "f": "ship", "a": (Canary(canary),), "k": {}, "et": 0})
    for payload in (*bodies, job):
        await redis.flushdb()
        await plant(redis, payload)
        await serve(runner)
        info = await buried(runner, redis, payload)
        assert await reason(redis) == "undecodable"
    assert info.error["message"] == (
        "the payload is a pickle, which is never loaded here; "
        "enqueue with job_serializer=runner.wire.serialize"
    )
    assert not canary.exists()
    pickle.loads(bodies[0])
    assert canary.exists()


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'{"f": "ship"}', "missing required field"),
        (b'{"t": null, "f": 7, "a": [], "k": {}, "et": 0}', "Expected `str`, got `int` - at `$.f`"),
        (b'{"t": null, "f": "ship", "a": {}, "k": {}, "et": 0}', "Expected `array`, got `object` - at `$.a`"),
        (b'{"t": null, "f": "ship", "a": [], "k": [], "et": 0}', "Expected `object`, got `array` - at `$.k`"),
        (b'{"t": null, "f": "ship", "a": [], "k": {}, "et": "now"}', "Expected `int`, got `str` - at `$.et`"),
        (
            b'{"t": null, "f": "ship", "a": [], "k": {}, "et": 0, "m": 1}',
            "Expected `object | null`, got `int`",
        ),
    ],
)
async def test_json_of_a_wrong_shape(
    payload: bytes, complaint: str, runner: Runner, redis: Redis, serve: Serve
) -> None:
    """The letter names the place and what was expected there."""
    await plant(redis, payload)
    await serve(runner)
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "undecodable"
    assert complaint in info.error["message"]


async def test_json_nested_without_end(runner: Runner, redis: Redis, serve: Serve) -> None:
    """100,000 brackets do not take the worker down."""
    deep = b"[" * 100_000 + b"]" * 100_000
    payload = b'{"t": null, "f": "take", "a": [' + deep + b'], "k": {}, "et": 0}'
    await plant(redis, payload)
    await serve(runner)
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "undecodable"
    assert info.error["message"] == "the payload is JSON nested too deeply to read"


async def test_a_payload_key_that_is_missing(runner: Runner, redis: Redis, serve: Serve) -> None:
    """The queue names a job whose payload is gone: that is said, too."""
    await plant(redis, None)
    await serve(runner)
    await buried(runner, redis, None)
    assert await reason(redis) == "missing_payload"


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "task 'ship' takes (order: str, boxes: int = 1): missing a required argument: 'order'"),
        (["o-1", "two"], "task 'ship', argument 'boxes': expected int, got str"),
        (["o-1", 1, 2], "task 'ship' takes (order: str, boxes: int = 1): too many positional arguments"),
    ],
)
async def test_arguments_that_do_not_fit_at_the_worker(
    args: list[Any], complaint: str, runner: Runner, redis: Redis, serve: Serve
) -> None:
    """Another program, or an older release, enqueued what this signature does not take: no try is made."""
    payload = json.dumps({"t": None, "f": "ship", "a": args, "k": {}, "et": 0}).encode()
    await plant(redis, payload)
    await serve(runner)
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "invalid_arguments"
    assert info.error["type"] == f"{InvalidArguments.__module__}.{InvalidArguments.__qualname__}"
    assert info.error["message"] == complaint


async def test_a_model_that_raises_whatever_it_likes(
    runner: Runner, redis: Redis, serve: Serve, sample: SimpleNamespace
) -> None:
    """It ends its own job, without another try: no slot is held for ever, and the claim's others run."""
    payload = json.dumps({"t": None, "f": "weigh", "a": [{"weight": 3}], "k": {}, "et": 0}).encode()
    await plant(redis, payload)
    neighbour = await runner.enqueue(sample.ship, "o-1")
    await serve(runner)
    assert await neighbour.result(30) == "1 of o-1"
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "invalid_arguments"
    assert info.error["message"] == "task 'weigh', argument 'what': Fragile raised KeyError: 3"


async def test_a_result_that_cannot_be_encoded(
    runner: Runner, redis: Redis, serve: Serve, sample: SimpleNamespace
) -> None:
    """The attempt ends in a dead letter that names the task and the type; the caller hears the same."""
    job = await runner.enqueue(sample.give.using(key="bad"))
    payload = await redis.get("arq:job:bad")
    await serve(runner)
    info = await buried(runner, redis, payload)
    assert await reason(redis) == "unencodable_result"
    assert "object cannot be encoded as JSON" in info.error["message"]
    assert (await job.info()).attempts == 1


async def test_one_bad_job_holds_up_no_good_one(
    runner: Runner, redis: Redis, serve: Serve, sample: SimpleNamespace
) -> None:
    """Twenty bad payloads among good jobs of one claim: every good job runs."""
    for number in range(20):
        await redis.set(f"arq:job:bad{number}", b"\x80" if number % 2 else b"{")
        await redis.zadd("arq:queue", {f"bad{number}": number})
    jobs = [await runner.enqueue(sample.ship, f"o-{number}") for number in range(20)]
    await serve(runner)
    assert [await job.result(30) for job in jobs] == [f"1 of o-{number}" for number in range(20)]
    assert await redis.zcard("runner:default:dead") == 20
