"""Tasks in threads and processes: what they can do, and that whatever happens there costs one attempt."""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runner import Context, GiveUp, RunnerError, SoftTimeout, WorkerChildDied, events, task
from runner.errors import InvalidTask, JobFailed, Retry
from runner.isolation.isolation import IsolationOptions
from runner.isolation.process import Child
from runner.isolation.told import exception_of, tell
from runner.job import Attempt

sys.path.append(str(Path(__file__).parent / "isolated"))
import isolated_tasks as shop

ONE = {"isolation": IsolationOptions(processes=1)}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def result(yard: Any, job: str) -> Any:
    found = await yard.result(job)
    assert found is not None, await yard.letter(job)
    assert found["s"], found
    return found["r"]


async def test_a_warm_process_runs_one_job_after_another(yard: Any) -> None:
    """Plain and async functions, in one process that is not this one; values travel as on the wire."""
    jobs = [await yard.put(shop.add, n, 1) for n in range(3)]
    other = await yard.put(shop.add_async, 1, 2)
    fresh = [await yard.put(shop.whoami) for _ in range(2)]
    await yard.drain(shop.add, shop.add_async, shop.whoami, options=ONE)
    results = [await result(yard, job) for job in jobs]
    warm = results[0][1]
    assert results == [[n + 1, warm, job, 1] for n, job in enumerate(jobs)]
    assert await result(yard, other) == [3, warm]
    pids = {await result(yard, job) for job in fresh}
    assert len(pids | {warm, os.getpid()}) == 4, "each fresh job has a process of its own"
    assert not any(is_alive(pid) for pid in pids | {warm})


async def test_what_a_job_says_in_its_process_is_heard_in_the_worker(yard: Any, caplog: Any) -> None:
    """Log lines come with the job they belong to, progress comes as from the loop."""
    from runner.logs import JobFields

    caplog.handler.addFilter(JobFields())
    told: list[Any] = []

    async def report(attempt: Any, done: float, note: str) -> None:
        told.append((attempt.job_id, done, note))

    job = await yard.put(shop.add_async, 1, 2)
    worker = yard.worker(shop.add_async, burst=True, options=ONE)
    worker.ctx["report_progress"] = report
    await worker.main()
    await worker.close()
    line = next(record for record in caplog.records if record.name == "shop")
    assert (line.getMessage(), line.job_id, line.task) == ("adding", job, "add_async")
    assert told == [(job, 0.5, "half")]


async def test_errors_of_a_process_are_judged_by_their_class(yard: Any) -> None:
    """give_up_on, GiveUp and messages work as in the loop; the traceback of there is kept."""
    refused, no, given_up = [await yard.put(each) for each in (shop.refuses, shop.says_no, shop.gives_up)]
    odd = await yard.put(shop.returns_odd)
    http = await yard.put(shop.asks_for_http)
    await yard.drain(
        shop.refuses, shop.says_no, shop.gives_up, shop.returns_odd, shop.asks_for_http, options=ONE
    )
    letters = {job: await yard.letter(job) for job in (refused, no, given_up, odd)}
    assert [letter["reason"] for letter in letters.values()] == [
        "max_tries",
        "gave_up",
        "gave_up",
        "unencodable_result",
    ]
    error = (await yard.result(refused))["r"]["$error"]
    assert (error["type"], error["message"]) == ("isolated_tasks.Declined", "17")
    assert "in refuses" in error["traceback"]
    assert "ctx has no 'http' in a task with isolation='process'" in await result(yard, http)


@pytest.mark.parametrize(
    "error",
    [
        shop.Declined(3),
        KeyError("a"),
        OSError(2, "gone"),
        Retry(5, reason="busy"),
        GiveUp("no"),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_survives_the_pipe(error: BaseException) -> None:
    """Class, arguments, text and plain attributes are the same on the other side."""
    back = exception_of(tell(error))
    assert type(back) is type(error)
    assert (back.args, str(back)) == (error.args, str(error))
    assert {k: v for k, v in vars(back).items() if k != "__notes__"} == vars(error)


def test_an_exception_that_cannot_be_made_here_keeps_its_name() -> None:
    """An error that needs what JSON cannot carry, and one of a class that is not here, come as JobFailed."""
    group = exception_of(tell(ExceptionGroup("both", [ValueError(), KeyError()])))
    assert isinstance(group, JobFailed)
    assert group.type == "ExceptionGroup"
    told = tell(shop.Declined(3))
    told.module = "not.here"
    assert str(exception_of(told)) == "not.here.Declined: 3"


async def test_innocents_are_unharmed_whatever_runs_beside_them(yard: Any, tmp_path: Path) -> None:
    """exit, segfault, kill, a leak, children left behind, an endless loop, a thread that blocks.

    Each costs an attempt of its own job. Innocents run once, in order, and before the trouble is over.
    """
    ran: list[int] = []
    ended: list[str] = []
    gate = threading.Event()

    @task(max_tries=1)
    async def innocent(ctx: Any, n: int) -> None:
        ran.append(n)
        if n == 39:
            gate.set()

    @task(isolation="thread")
    def blocks(ctx: Any) -> bool:
        return gate.wait(20)

    how = ["exit", "segfault", "kill", "leak", f"forked {tmp_path / 'orphan'}"]
    options = {"isolation": IsolationOptions(processes=2, memory=200 * 2**20)}
    guilty = [await yard.put(shop.dies_first, each) for each in how]
    loops = await yard.put(shop.loops, str(tmp_path / "pid"))
    blocked = await yard.put(blocks)
    for n in range(40):
        await yard.put(innocent, n, job_id=f"n{n:02}")
    stop = events.subscribe("job.ended", lambda event: ended.append(event["task"]))
    try:
        worker = await yard.drain(shop.dies_first, shop.loops, blocks, innocent, options=options)
    finally:
        stop()
    orphan = int((tmp_path / "orphan").read_text())
    assert is_alive(orphan), "its parent's death was noticed while it lived"
    os.kill(orphan, signal.SIGKILL)
    assert [await result(yard, job) for job in guilty] == [2] * 5
    assert await yard.state(loops) == "dead"
    assert await result(yard, blocked) is True
    assert ran == list(range(40))
    assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (46, 1, 5)
    trouble_over = len(ended) - ended[::-1].index("dies_first")
    assert ended[:trouble_over].count("innocent") == 40


async def test_a_process_gives_way_to_the_worker(yard: Any) -> None:
    """Ten steps below it, in its session, where that counts, and out of reach of its terminal's Ctrl-C."""
    job = await yard.put(shop.stands)
    await yard.drain(shop.stands, options=ONE)
    lower = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert await result(yard, job) == [lower, os.getsid(0), True]


async def test_the_death_of_a_process_says_how(yard: Any) -> None:
    """The dead letter names the signal or the exit code."""
    assert str(WorkerChildDied(-11)) == "the process that ran this attempt died: signal SIGSEGV"
    assert str(WorkerChildDied(7)) == "the process that ran this attempt died: exit code 7"
    assert "out of memory" in str(WorkerChildDied(-9))
    assert isinstance(WorkerChildDied(-64), RunnerError)


async def test_a_hard_timeout_kills_a_process_that_loops(yard: Any, tmp_path: Path) -> None:
    """It costs that job, which fails as in the loop; the next one gets a new process."""
    path = tmp_path / "pid"
    job = await yard.put(shop.loops, str(path))
    after = await yard.put(shop.add, 1, 2)
    await yard.drain(shop.loops, shop.add, options=ONE)
    letter = await yard.letter(job)
    assert (letter["reason"], (await yard.result(job))["r"]["$error"]["type"]) == (
        "max_tries",
        "TimeoutError",
    )
    assert not is_alive(int(path.read_text()))
    assert (await result(yard, after))[0] == 3


async def test_a_soft_timeout_is_raised_inside_the_process(yard: Any) -> None:
    """Also in a plain function that sleeps; its process is used again."""
    jobs = [await yard.put(each) for each in (shop.tidies_up, shop.tidies_up_async)]
    await yard.drain(shop.tidies_up, shop.tidies_up_async, options=ONE)
    assert [await result(yard, job) for job in jobs] == ["tidied, 30 s left", "tidied"]


async def test_a_worker_that_stops_gives_back_what_runs_in_processes(
    yard: Any, tmp_path: Path, wait_until: Any
) -> None:
    """The process is killed, the job is ready again, and no attempt is spent."""
    path = tmp_path / "pid"
    async with yard.serving(shop.waits, options=ONE):
        job = await yard.put(shop.waits, str(path))
        await wait_until(lambda: path.exists() and path.read_text(), "it runs")
    assert not is_alive(int(path.read_text()))
    assert await yard.state(job) == "waiting"
    assert await yard.redis.get(yard.keys.retry(job)) in (None, b"0")


async def test_a_lost_lease_kills_the_process(yard: Any, tmp_path: Path, wait_until: Any) -> None:
    """Another worker has the job: what still runs here makes no more effects."""
    path = tmp_path / "pid"
    async with yard.serving(shop.waits, options={**ONE, "lease_s": 60}) as worker:
        job = await yard.put(shop.waits, str(path))
        await wait_until(lambda: path.exists() and path.read_text(), "it runs")
        await yard.redis.delete(yard.keys.lease(job))
        after_ms = int(await yard.redis.zscore(yard.keys.queue, job)) + 1
        await yard.scripts.claim(
            yard.keys, token="thief", worker="t", limit=1, lease_ms=60_000, is_idle=True, now_ms=after_ms
        )
        await worker._upkeep.renew()
        await wait_until(lambda: not is_alive(int(path.read_text())), "the process is gone")
        assert (await yard.redis.hget(yard.keys.running, job)).startswith(b"thief ")


@pytest.mark.parametrize("work", [shop.waits, shop.loops], ids=lambda each: each.name)
async def test_a_process_ends_when_nobody_listens_any_more(
    work: Any, tmp_path: Path, wait_until: Any
) -> None:
    """As after kill -9 of the worker: the closed pipe ends it, whatever it is doing."""
    path = tmp_path / "pid"
    child = await Child.start([work.body.__module__], memory=0)
    os.kill(child.pid, signal.SIGTERM)  # as a service manager does to all of a service: it stays
    ctx = Context({}, Attempt(job_id="j", queue="q", number=1, token="t", fence=1, due_at_ms=0, payload=b""))
    running = asyncio.ensure_future(child.run(work, ctx, [str(path)], {}))
    await wait_until(lambda: path.exists() and path.read_text(), "it runs")
    child._give = lambda _: None  # the worker is gone: nobody kills anybody
    child._transport.abort()
    await wait_until(lambda: not is_alive(child.pid), "it is gone")
    assert child._process.wait() == 0, "it ended by itself"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_process_is_replaced_when_it_has_done_its_share(yard: Any) -> None:
    """After so many calls another one is started."""
    jobs = [await yard.put(shop.add, n, 1) for n in range(4)]
    await yard.drain(
        shop.add, max_jobs=1, options={"isolation": IsolationOptions(processes=1, recycle_jobs=2)}
    )
    pids = [(await result(yard, job))[1] for job in jobs]
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_plain_function_runs_in_a_thread(yard: Any, wait_until: Any) -> None:
    """Blocking there blocks nobody: an innocent job runs meanwhile. ctx has ids and the time left."""
    gate = threading.Event()

    @task(isolation="thread", timeout=60)
    def blocks(ctx: Any) -> tuple[str, int, bool]:
        assert gate.wait(10)
        ctx.progress(0.5)
        return ctx.job_id, ctx.attempt, 0 < ctx.remaining() < 60

    @task
    async def innocent(ctx: Any) -> None:
        gate.set()

    @task(isolation="thread")
    async def has_a_loop(ctx: Any) -> bool:
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    job, other, _ = [await yard.put(each) for each in (blocks, has_a_loop, innocent)]
    await yard.drain(blocks, innocent, has_a_loop)
    assert await result(yard, job) == [job, 1, True]
    assert await result(yard, other) is False


async def test_time_limits_are_raised_in_a_thread(yard: Any) -> None:
    """The soft one can be answered; the hard one ends code that comes back to Python."""
    ended: list[str] = []

    @task(isolation="thread", soft_timeout=0.05, timeout=30, max_tries=1)
    def answers(ctx: Any) -> str:
        try:
            while True:
                time.sleep(0.01)
        except SoftTimeout:
            return "answered"

    @task(isolation="thread", timeout=0.05, max_tries=1)
    def ends(ctx: Any) -> None:
        try:
            while True:
                time.sleep(0.01)
        finally:
            ended.append(ctx.job_id)

    @task(isolation="thread", timeout=0.05, max_tries=1)
    async def ends_async(ctx: Any) -> None:
        await asyncio.sleep(30)

    first, second, third = [await yard.put(each) for each in (answers, ends, ends_async)]
    await yard.drain(answers, ends, ends_async)
    assert await result(yard, first) == "answered"
    assert ended == [second]
    for job in (second, third):
        assert (await yard.result(job))["r"]["$error"]["type"] == "TimeoutError"


async def test_a_thread_that_does_not_stop_loses_its_slot(yard: Any, wait_until: Any) -> None:
    """A thread cannot be killed: its job ends all the same, and that its code runs on is told."""
    gate, stuck = threading.Event(), []

    @task(isolation="thread", timeout=0.05, max_tries=1)
    def hangs(ctx: Any) -> None:
        gate.wait(20)

    end = events.subscribe("job.stuck", stuck.append)
    try:
        async with yard.serving(hangs, options={"stuck_after_s": 0.05}) as worker:
            job = await yard.put(hangs)
            await wait_until(lambda: stuck, "it is stuck")
            assert not worker.tasks
            await wait_until(lambda: yard.letter(job), "it is dead")
            assert (stuck[0]["job_id"], stuck[0]["task"], stuck[0]["why"]) == (job, "hangs", "timeout")
            gate.set()
    finally:
        gate.set()
        end()


def test_a_task_for_a_process_can_be_imported_there() -> None:
    """One that is declared inside a function is refused when the worker starts, with the cure."""
    from runner.engine.function import function_of

    @task(isolation="process")
    def hidden(ctx: Any) -> None: ...

    with pytest.raises(InvalidTask, match=r"'hidden': isolation='process' .* at the top level of a module"):
        function_of(hidden)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"isolation": "fork"}, "isolation= is one of loop, thread, process, fresh, not 'fork'"),
        ({}, "put 'async' before its 'def', or give isolation='thread'"),
    ],
)
def test_a_plain_function_needs_a_place(options: dict[str, Any], complaint: str) -> None:
    """In the event loop it would block everybody."""
    with pytest.raises(InvalidTask, match=complaint):
        task(**{"name": "turns", **options})(shop.turns)


async def test_calling_a_plain_task_by_hand_calls_its_function() -> None:
    """As a unit test does; it is awaited like any other."""
    assert await shop.whoami({}) == os.getpid()
