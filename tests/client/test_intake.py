"""Enqueueing under conditions: unique tasks, and queues that hold only so many jobs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from runner import Context, DuplicateJob, JobFailed, QueueFull, Runner, Settings, Unique, task
from runner.errors import InvalidArguments, InvalidJob
from runner.settings.model import RedisGroup, WorkerGroup
from runner.settings.queues import QueueTable

SEEN: list[Any] = []


@task(unique=Unique())
async def sync(ctx: Context, account: int, note: str = "") -> str:
    SEEN.append((account, note))
    return note


@task(unique=Unique(key="account:{account}", on_conflict="replace"))
async def newest(ctx: Context, account: int, note: str) -> str:
    return note


@task(unique=Unique("1h", on_conflict="reject"))
async def remind(ctx: Context, user: str) -> None: ...


@task(unique=Unique.debounce("10s", max_wait="60s", key=lambda doc: doc))
async def save(ctx: Context, doc: str, text: str) -> None: ...


@task
async def plain(ctx: Context, number: int = 0) -> None: ...


@task
async def parent(ctx: Context) -> list[str]:
    both = await asyncio.gather(ctx.enqueue(sync, 1), ctx.enqueue(sync, 1))  # one trip: neither has run
    return [job.disposition for job in both]


TASKS = (sync, newest, remind, save, plain, parent)


@pytest.fixture
def runner_of(redis_url: str) -> Callable[..., Runner]:
    def make(**queue: Any) -> Runner:
        table = QueueTable(**queue)
        queues = {"default": table, "small": table} if queue else {}
        settings = Settings(
            redis=RedisGroup(url=redis_url), tasks=(), worker=WorkerGroup(grace=0.5), queues=queues
        )
        return Runner(settings, tasks=TASKS)

    return make


async def test_a_duplicate_is_a_handle_on_the_job_that_is_there(runner_of: Any, burst: Any) -> None:
    """keep: both handles are of one job, and both get its result; other arguments are another job."""
    async with runner_of() as runner:
        first, second, other = [await runner.enqueue(sync, n, note="x") for n in (1, 1, 2)]
        assert (first.disposition, second.disposition, other.disposition) == (
            "created",
            "duplicate",
            "created",
        )
        assert second.id == first.id != other.id
        assert (await runner.enqueue(sync, account=1, note="x")).id == first.id  # however it is called
        await burst(runner)
        assert await second.result(30) == "x"
        assert (await runner.enqueue(sync, 1, note="x")).disposition == "created"


async def test_the_newest_arguments_run(runner_of: Any, burst: Any) -> None:
    """replace: the job that waits runs once, with the last call's arguments, under its own id."""
    async with runner_of() as runner:
        jobs = [await runner.enqueue(newest, 7, note) for note in "abc"]
        assert [job.disposition for job in jobs] == ["created", "replaced", "replaced"]
        assert len({job.id for job in jobs}) == 1
        await burst(runner)
        assert [await job.result(30) for job in jobs] == ["c", "c", "c"]


async def test_a_rejected_call_names_the_job_that_is_there(runner_of: Any) -> None:
    """reject: the error carries the job's id; in a bulk such a call counts as a duplicate."""
    async with runner_of() as runner:
        job = await runner.enqueue(remind, "ann")
        with pytest.raises(
            DuplicateJob, match=f"task 'remind': job {job.id} stands for this call"
        ) as refused:
            await runner.enqueue(remind, "ann")
        assert refused.value.job_id == job.id
        bulk = await runner.enqueue_many(remind.call(user) for user in ("ann", "ben", "ben"))
        assert (bulk.created, bulk.duplicates, bulk.replaced) == (1, 2, 0)


async def test_a_bulk_and_a_task_enqueue_by_the_same_rules(runner_of: Any, burst: Any) -> None:
    """enqueue_many sees the calls of its own round trip, and ctx.enqueue those of everybody."""
    async with runner_of() as runner:
        bulk = await runner.enqueue_many(newest.call(n % 10, "x") for n in range(700))
        assert (bulk.created, bulk.duplicates, bulk.replaced) == (10, 0, 690)
        job = await runner.enqueue(parent)
        await burst(runner)
        assert await job.result(30) == ["created", "duplicate"]


async def test_concurrent_calls_make_one_job(runner_of: Any) -> None:
    """Two hundred calls of one moment, over two clients: one is created, all handles are of it."""
    async with runner_of() as one, runner_of() as two:
        jobs = await asyncio.gather(*((one, two)[n % 2].enqueue(sync, 5) for n in range(200)))
        assert sum(job.disposition == "created" for job in jobs) == 1
        assert len({job.id for job in jobs}) == 1


async def test_a_key_of_ones_own_goes_before_uniqueness(runner_of: Any) -> None:
    """The same id is the same job; another id of the same digest is a duplicate of it."""
    async with runner_of() as runner:
        jobs = [await runner.enqueue(sync.using(key=key), 1) for key in ("k1", "k1", "k2")]
        assert [(job.id, job.disposition) for job in jobs] == [
            ("k1", "created"),
            ("k1", "duplicate"),
            ("k1", "duplicate"),
        ]


async def test_uniqueness_holds_within_a_queue(runner_of: Any) -> None:
    """In another queue it is another job: no step of ours reaches over two queues."""
    async with runner_of() as runner:
        jobs = [await runner.enqueue(sync.using(queue=queue), 1) for queue in ("default", "bulk")]
        assert [job.disposition for job in jobs] == ["created", "created"]


async def test_a_debounced_task_says_itself_when_it_is_due(runner_of: Any) -> None:
    """delay= beside a debounce contradicts it, and is refused with what to do."""
    async with runner_of() as runner:
        with pytest.raises(InvalidJob, match="its debounce says when it is due; leave out delay= and until="):
            await runner.enqueue(save.using(delay=5), "d", "t")
        job = await runner.enqueue(save, "d", "one")
        again = await runner.enqueue(save, "d", "two")
        assert (again.id, again.disposition) == (job.id, "replaced")


@pytest.mark.parametrize(
    ("doc", "complaint"),
    [("", "would make all calls the same"), ("\ud800", "argument 'doc' cannot be encoded")],
)
async def test_a_key_that_is_none_is_refused(runner_of: Any, doc: str, complaint: str) -> None:
    """An empty key, or one that cannot be encoded, is refused at enqueue, and nothing is written."""
    async with runner_of() as runner:
        with pytest.raises(InvalidArguments, match=complaint):
            await runner.enqueue(save, doc, "t")
        assert await runner.client.execute("DBSIZE") == 0


async def test_long_and_foreign_keys_are_digests(runner_of: Any) -> None:
    """10 kB of any script make one small record."""
    async with runner_of() as runner:
        jobs = [await runner.enqueue(save, "ß漢🙂" * 3_000, "t") for _ in range(2)]
        assert [job.disposition for job in jobs] == ["created", "replaced"]
        keys = await runner.client.execute("KEYS", "runner:unique:*")
        assert [len(key) for key in keys] == [len("runner:unique:") + 64]


async def test_a_full_queue_says_how_many_wait(runner_of: Any) -> None:
    """reject: one sentence with the queue, the number, the limit and its setting; nothing was written."""
    async with runner_of(max_waiting=2) as runner:
        await runner.enqueue(plain)
        await runner.enqueue(sync, 1)
        expected = "queue 'default' is full: 2 jobs wait, and queues.default.max_waiting = 2; not enqueued"
        with pytest.raises(QueueFull) as refused:
            await runner.enqueue(plain)
        assert str(refused.value) == expected
        with pytest.raises(QueueFull, match="3 of 5 calls were taken"):
            await runner.enqueue_many([*(sync.call(1),) * 3, plain.call(), plain.call()])
        await runner.enqueue(plain.using(queue="bulk"))  # another queue has room
        with pytest.raises(QueueFull, match=r"2 jobs wait.*2 of 5 calls were taken"):
            await runner.enqueue_many(plain.using(queue="small").call(n) for n in range(5))


async def test_a_tenant_beyond_its_bound_is_refused_whatever_full_means(runner_of: Any) -> None:
    """One sentence with the numbers and the setting, at once; other tenants come in."""
    async with runner_of(max_waiting=9, when_full="wait", wait=60, max_per_tenant=2) as runner:
        calls = [plain.using(tenant="acme").call(n) for n in range(3)]
        with pytest.raises(QueueFull, match="2 of 3 calls were taken"):
            await runner.enqueue_many(calls)
        with pytest.raises(QueueFull) as refused:
            await runner.enqueue(plain.using(tenant="acme"))
        assert str(refused.value) == (
            "queue 'default': the tenant has 2 jobs in it, "
            "and queues.default.max_per_tenant = 2; not enqueued"
        )
        assert (await runner.enqueue(plain.using(tenant="other"))).disposition == "created"


async def test_a_dropped_job_ends_visibly(runner_of: Any) -> None:
    """drop_oldest: the oldest is a dead letter that says why, whoever waits for it hears so; replay it."""
    async with runner_of(max_waiting=2, when_full="drop_oldest") as runner:
        # Keys in order: those of one millisecond go by their ids.
        first, *_ = [await runner.enqueue(plain.using(key=f"job-{n}"), n) for n in range(4)]
        with pytest.raises(JobFailed, match="dropped"):
            await first.result(30)
        page = await runner.dead.find()
        assert (
            sorted((letter.reason, letter.queue) for letter in page.letters) == [("dropped", "default")] * 2
        )
        await runner.dead.replay(first.id)
        assert (await first.info()).state == "ready"


async def test_who_waits_for_room_gets_in_as_jobs_start(runner_of: Any) -> None:
    """wait: callers stand in line, come in as room comes, in their order, and never beyond the limit."""
    async with runner_of(max_waiting=1, when_full="wait", wait=5) as runner:
        first = await runner.enqueue(plain)
        came: list[int] = []

        async def wait(number: int) -> None:
            job = await runner.enqueue(plain, number)
            came.append(number)
            assert await runner.client.execute("ZCARD", "arq:queue") == 1
            await job.cancel()

        waiting = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        await first.cancel()
        await asyncio.gather(*waiting)
        assert came == [0, 1, 2]


async def test_a_wait_for_room_ends(runner_of: Any, wait_until: Any) -> None:
    """After `wait` without room QueueFull says how long it was; closing the runner ends the wait at once."""
    async with runner_of(max_waiting=1, when_full="wait", wait=0.2) as runner:
        await runner.enqueue(plain)
        with pytest.raises(QueueFull, match=r"1 jobs wait, also after 0.2 s, and"):
            await runner.enqueue(plain)
    async with runner_of(max_waiting=1, when_full="wait", wait=60) as runner:
        waiting = asyncio.create_task(runner.enqueue(plain))
        rooms = runner.client._intake._rooms
        await wait_until(lambda: rooms and rooms["default"].is_awaited, "it waits for room")
    with pytest.raises(Exception, match="closed while a job waited for room: not enqueued"):
        await waiting


async def test_a_line_asks_the_server_a_few_times_a_second(runner_of: Any) -> None:
    """However many wait for room, one of the process looks: 200 callers cost a handful of commands."""
    async with runner_of(max_waiting=1, when_full="wait", wait=0.5) as runner:
        await runner.enqueue(plain)
        before = await runner.client.execute("INFO", "commandstats")
        ends = await asyncio.gather(*(runner.enqueue(plain) for _ in range(200)), return_exceptions=True)
        assert {type(end) for end in ends} == {QueueFull}
        after = await runner.client.execute("INFO", "commandstats")
        assert _scripts(after) - _scripts(before) < 20


def _scripts(stats: bytes) -> int:
    return sum(
        int(line.split("calls=")[1].split(",")[0])
        for line in stats.decode().splitlines()
        if line.startswith("cmdstat_eval")
    )
