"""What a worker does about deaths: the letter, the job that follows, the event, retention."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis

from runner import events
from runner.dead_letters import DeadLetters, Retention
from runner.engine.function import function_of
from runner.engine.upkeep import IDLE_DEAD_EVERY, RENEW_EVERY
from runner.engine.worker import EngineOptions, Worker
from runner.errors import GiveUp, InvalidTask
from runner.tasks import Task, task
from runner.wire import codec, deserialize, serialize
from runner.wire.keys import Keys, keys_of
from runner.wire.link import Link
from runner.wire.scripts import Entry, Scripts

Layout = Any
told: list[dict[str, Any]] = []


@task
async def mourn(ctx: Any, letter: dict[str, Any]) -> None:
    """What follows a death."""
    told.append(letter)


@task(on_dead=mourn)
async def doomed(ctx: Any, order: str, *, amount: int = 0) -> None:
    raise GiveUp(f"no {order}")


@pytest.fixture(params=["classic", "tagged"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return keys_of("default", request.param)


@pytest.fixture
async def dead(redis_url: str, keys: Keys) -> AsyncIterator[DeadLetters]:
    link = Link(ConnectionPool.from_url(redis_url))
    yield DeadLetters(link.execute, queues=["default"], layout=layout_of(keys))
    await link.close()


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    told.clear()
    heard: list[dict[str, Any]] = []
    end = events.subscribe("job.dead", lambda event: heard.append(dict(event)))
    yield heard
    end()


def layout_of(keys: Keys) -> Layout:
    return "tagged" if "{" in keys.queue else "classic"


def worker_of(pool: ArqRedis, keys: Keys, *tasks: Task[..., Any], **options: Any) -> Worker:
    engine = EngineOptions(
        name="w1", speaks_json=True, queues={"default": 1}, layout=layout_of(keys), **options
    )
    return Worker(
        [function_of(each) for each in tasks],
        redis_pool=pool,
        burst=True,
        max_jobs=10,
        poll_delay=0.01,
        handle_signals=False,
        engine=engine,
        job_serializer=serialize,
        job_deserializer=deserialize,
    )


async def enqueue(redis: Redis, keys: Keys, job_id: str, task: str, *args: Any, **kwargs: Any) -> None:
    payload = codec.encode_job(task, args, kwargs, 1_700_000_000_000, codec.Meta())
    await Scripts(redis.execute_command).enqueue(keys, [Entry(job_id, 0, 0, payload)])


async def test_a_death_enqueues_what_follows_and_is_told(
    arq_pool: ArqRedis, redis: Redis, keys: Keys, dead: DeadLetters, heard: list[dict[str, Any]]
) -> None:
    """The follower gets the facts of the death; the event has the same; the letter stays."""
    await enqueue(redis, keys, "a", "doomed", "o-1", amount=5)
    worker = worker_of(arq_pool, keys, doomed, mourn)
    await worker.main()
    await worker.close()

    error = {"type": "runner.errors.GiveUp", "message": "no o-1"}
    facts = {"id": "a", "queue": "default", "task": "doomed", "reason": "gave_up", "attempts": 1}
    assert told == [{**facts, "error": error, "args": ["o-1"], "kwargs": {"amount": 5}}]
    assert heard == [
        {
            "job_id": "a",
            "queue": "default",
            "task": "doomed",
            "reason": "gave_up",
            "attempts": 1,
            "error": "runner.errors.GiveUp",
            "message": "no o-1",
            "worker": "w1",
        }
    ]
    letter = await dead.show("a")
    assert letter.error["type"] == "runner.errors.GiveUp"
    assert "Traceback" in letter.error["traceback"]
    assert letter.history[0]["worker"] == "w1"


async def test_a_replayed_job_that_dies_again_is_followed_again(
    arq_pool: ArqRedis, redis: Redis, keys: Keys, dead: DeadLetters, heard: list[dict[str, Any]]
) -> None:
    """Each death is followed once; the letter counts its replays and keeps how the former life ended."""
    await enqueue(redis, keys, "a", "doomed", "o-1")
    for _ in range(2):
        worker = worker_of(arq_pool, keys, doomed, mourn)
        await worker.main()
        if not heard[1:]:
            await dead.replay("a")
    await worker.close()

    assert [letter["id"] for letter in told] == ["a", "a"]
    assert len(heard) == 2
    letter = await dead.show("a")
    assert (letter.replays, letter.attempts) == (1, 1)
    assert letter.former["error"]["type"] == "runner.errors.GiveUp"


async def test_a_job_dead_before_it_ran_is_followed_too(
    arq_pool: ArqRedis, redis: Redis, keys: Keys, heard: list[dict[str, Any]]
) -> None:
    """Arguments that do not fit the task; what cannot be read at all has no task, so only the event."""
    await enqueue(redis, keys, "bad", "doomed", 1, 2, 3)
    await redis.set(keys.job("pickle"), b"\x80\x04.")
    await redis.zadd(keys.queue, {"pickle": 1})
    worker = worker_of(arq_pool, keys, doomed, mourn)
    await worker.main()
    await worker.close()

    assert [(letter["id"], letter["reason"], letter["args"]) for letter in told] == [
        ("bad", "invalid_arguments", [1, 2, 3])
    ]
    assert {(e["job_id"], e["reason"]) for e in heard} == {
        ("bad", "invalid_arguments"),
        ("pickle", "undecodable"),
    }


async def test_poison_that_no_worker_saw_die_is_told_by_the_next(
    arq_pool: ArqRedis,
    redis: Redis,
    keys: Keys,
    heard: list[dict[str, Any]],
    wait_until: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its own workers are gone; upkeep of any other emits the event, logs it and enqueues what follows."""
    scripts = Scripts(redis.execute_command)
    await enqueue(redis, keys, "p", "doomed", "o-1")
    at_ms = 1_900_000_000_000
    for n in range(5):  # two deaths, one alone, its lease spared once, and the conviction
        await scripts.claim(
            keys, token=f"t{n}", worker="gone", limit=1, lease_ms=1, is_idle=True, now_ms=at_ms + n * 10
        )
        await redis.delete(keys.lease("p"))
    assert await redis.smembers(keys.dead_untold) == {b"p"}

    worker = worker_of(arq_pool, keys, doomed, mourn, lease_s=0.5)
    worker.burst = False
    serving = worker.loop.create_task(worker.main())
    with caplog.at_level(logging.WARNING, "runner.job"):
        await wait_until(lambda: told, "the follower ran")
    await worker.close()
    await serving

    assert [(letter["id"], letter["reason"]) for letter in told] == [("p", "poison")]
    assert [(e["job_id"], e["reason"], e["worker"]) for e in heard] == [("p", "poison", "w1")]
    assert "p:doomed dead (poison)" in caplog.text
    assert await redis.scard(keys.dead_untold) == 0


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(keep_s=10**10, max_count=2), "43"),
        (Retention(keep_s=1, max_count=2, keep_forever=frozenset({"default"})), "43210"),
    ],
    ids=["two stay", "kept for ever"],
)
async def test_upkeep_deletes_what_is_beyond_retention(
    arq_pool: ArqRedis,
    redis: Redis,
    keys: Keys,
    dead: DeadLetters,
    wait_until: Any,
    retention: Retention,
    left: str,
) -> None:
    """The oldest go, and what went is counted; a queue that is kept for ever loses nothing."""
    for n in range(5):
        await redis.zadd(keys.dead, {str(n): 1000 + n})
        await redis.hset(keys.dead_letter(str(n)), mapping={"reason": "gave_up", "payload": "x"})
    worker = worker_of(arq_pool, keys, mourn, lease_s=0.1, retention=retention)
    worker.burst = False
    ticks = 0
    renew = worker._upkeep.renew

    async def count() -> None:
        nonlocal ticks
        ticks += 1
        await renew()

    worker._upkeep.renew = count
    serving = worker.loop.create_task(worker.main())
    await wait_until(lambda: ticks > IDLE_DEAD_EVERY / RENEW_EVERY + 1, "upkeep went round, idle")
    await worker.close()
    await serving

    [standing] = await dead.standings()
    assert (standing.count, standing.trimmed) == (len(left), 5 - len(left))
    assert [letter.id for letter in (await dead.find()).letters] == list(left)


@pytest.mark.parametrize(
    ("on_dead", "complaint"),
    [("mourn", "on_dead= is a task, made by @task, not 'mourn'"), (doomed, None), (0, "is a task")],
)
def test_on_dead_is_a_task_that_takes_a_dict(on_dead: Any, complaint: str | None) -> None:
    """Refused where it is declared."""

    @task
    async def two(ctx: Any, a: int, b: int) -> None: ...

    async def any_task(ctx: Any) -> None: ...

    if complaint is None:
        assert task(on_dead=on_dead)(any_task).on_dead is doomed
    else:
        with pytest.raises(InvalidTask, match=complaint):
            task(on_dead=on_dead)(any_task)
    with pytest.raises(InvalidTask, match="on_dead=two must take one argument after ctx, a dict"):
        task(on_dead=two)(any_task)


def test_an_event_that_is_not_in_the_table_is_refused() -> None:
    """Neither heard nor told: a misspelt alert would never ring."""
    with pytest.raises(ValueError, match=r"no event 'job.died'; there is job.+job.dead"):
        events.subscribe("job.died", print)
    with pytest.raises(TypeError, match=r"job\.dead has the fields job_id"):
        events.emit("job.dead", job_id="a")


def test_a_subscriber_that_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the others are told, until they end their subscription."""
    heard: list[str] = []

    def broken(event: events.Event) -> None:
        raise RuntimeError("broken")

    ends = [
        events.subscribe("job.dead", broken),
        events.subscribe("job.dead", lambda e: heard.append(e["job_id"])),
    ]
    fields = dict.fromkeys(events.EVENTS["job.dead"], "")
    events.emit("job.dead", **{**fields, "job_id": "a"})
    for end in ends:
        end()
        end()
    events.emit("job.dead", **{**fields, "job_id": "b"})
    assert heard == ["a"]
    assert caplog.text.count("a subscriber to job.dead raised") == 1
