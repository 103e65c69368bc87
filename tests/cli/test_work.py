"""``runner worker`` in processes of its own, forked, on a real server."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from arq.connections import RedisSettings, create_pool
from arq.jobs import JobStatus

from runner import Runner, Settings
from runner.arq_settings import parameters_of

APP = """
import asyncio
from arq.connections import RedisSettings
from runner.engine.worker import EngineOptions

async def greet(ctx, name):
    return f"{ctx['greeting']} {name}"

async def nap(ctx, seconds):
    ctx["started"].set()
    await ctx["redis"].set("napping", "1")
    await asyncio.sleep(seconds)
    return "slept"

async def count(ctx, seconds):
    await ctx["redis"].incr("runs")
    await asyncio.sleep(seconds)

async def start(ctx):
    ctx["greeting"], ctx["started"] = "hello", asyncio.Event()

class Base:
    on_startup = start
    functions = [greet, nap]
    redis_settings = RedisSettings.from_dsn("URL")
    job_completion_wait = 20

class WorkerSettings(Base):
    max_jobs = 3

class Endless(Base):
    functions = [count]
    job_timeout = None
    engine = EngineOptions(lease_s=1)

class Nowhere(Base):
    redis_settings = RedisSettings(host="127.0.0.1", port=1, conn_retries=0)

class Empty:
    pass

class Wrong(Base):
    max_jobs = "many"

as_dict = {"functions": [greet], "on_startup": start, "redis_settings": Base.redis_settings}
"""
TASKS = """
from runner import task

@task
async def double(ctx, number: int) -> int:
    return 2 * number

@task(queue="bulk")
async def triple(ctx, number: int) -> int:
    return 3 * number
"""


@pytest.fixture
def folder(tmp_path, redis_url) -> Path:
    """A user's project: an arq app, a module of tasks, and modules that do not import."""
    (tmp_path / "app.py").write_text(APP.replace("URL", redis_url))
    (tmp_path / "mytasks.py").write_text(TASKS)
    (tmp_path / "lacking.py").write_text("import not_installed_here\n")
    (tmp_path / "failing.py").write_text("x = 1\ny = x / 0\n")
    (tmp_path / "garbled.py").write_text("def (:\n")
    return tmp_path


class Workers:
    """Starts workers in the folder; all are gone at the end."""

    def __init__(self, folder: Path, url: str, forks: Any) -> None:
        self.folder = folder
        self.forks = forks
        self.log = folder / "log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")},
            "RUNNER_REDIS__URL": url,
            "RUNNER_TASKS": "mytasks",
        }
        self.processes: list[BaseProcess] = []

    def start(self, *arguments: str) -> BaseProcess:
        words = ("runner", "worker", *arguments)
        place = {"log": self.log, "folder": self.folder, "environment": self.environment}
        process = self.forks.start(*words, **place)
        self.processes.append(process)
        return process

    def finish(self, *arguments: str, **environment: str) -> tuple[int | None, str]:
        """Run to the end; give exit code and what it said."""
        self.environment.update(environment)
        return self.end_of(self.start(*arguments))

    def end_of(self, process: BaseProcess) -> tuple[int | None, str]:
        process.join(40)
        return process.exitcode, self.log.read_text()


@pytest.fixture
def workers(folder, redis_url, forks) -> Iterator[Workers]:
    started = Workers(folder, redis_url, forks)
    yield started
    for process in started.processes:
        forks.end(process)


@pytest.fixture
async def runner(redis_url):
    async with Runner(Settings.model_validate({"tasks": [], "redis": {"url": redis_url}})) as connected:
        yield connected


# -- a user's own arq settings ----


@pytest.mark.parametrize("name", ["app.WorkerSettings", "app.as_dict"])
async def test_arq_settings_run_unchanged_with_arqs_own_client(workers, redis_url, name):
    """A class, what it inherits included, or a dict; pickles, hooks and results as arq has them."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    job = await pool.enqueue_job("greet", "Ada")
    assert job is not None
    code, err = await asyncio.to_thread(workers.finish, name, "--burst")
    assert code == 0, err
    assert await job.result(timeout=30) == "hello Ada"
    await pool.aclose()


def test_what_a_base_class_sets_counts_and_the_nearest_wins():
    """arq reads a class's own attributes only; ours reads as Python does, and takes nothing unknown."""

    class Far:
        max_jobs, max_tries, secret = 1, 9, "unknown to the worker"

    class Near(Far):
        max_jobs = 2

    assert parameters_of(Near) == {"max_jobs": 2, "max_tries": 9}
    assert parameters_of({"max_jobs": 3, "other": 1}) == {"max_jobs": 3}


async def test_sigterm_lets_a_running_job_end_and_exits_0(workers, redis_url, wait_until):
    """A deploy costs no job its attempt: what runs may end within job_completion_wait."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    job = await pool.enqueue_job("nap", 0.5)
    worker = workers.start("app.WorkerSettings")
    assert job is not None

    # By the job's own word: one that is leased and has not begun when the signal comes is given back.
    await wait_until(lambda: pool.get("napping"), "the job runs")
    os.kill(worker.pid, signal.SIGTERM)
    code, err = await asyncio.to_thread(workers.end_of, worker)
    assert code == 0, err
    assert await job.result(timeout=30) == "slept"
    await pool.aclose()


async def test_ctrl_c_twice_gives_running_jobs_back_and_exits_130(workers, redis_url, wait_until):
    """The second Ctrl-C hurries: the job is no loss, it waits for the next worker."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    job = await pool.enqueue_job("nap", 600)
    worker = workers.start("app.WorkerSettings")
    assert job is not None

    async def is_running() -> bool:
        return await job.status() is JobStatus.in_progress

    await wait_until(is_running, "the job runs")
    os.kill(worker.pid, signal.SIGINT)
    await wait_until(lambda: "shutdown on SIGINT" in workers.log.read_text(), "it has heard")
    os.kill(worker.pid, signal.SIGINT)
    code, err = await asyncio.to_thread(workers.end_of, worker)
    assert code == 130, err
    assert "Traceback" not in err
    assert await job.status() is JobStatus.queued
    assert int(await pool.get(f"arq:retry:{job.job_id}") or 0) == 0, "it cost an attempt"
    await pool.aclose()


async def test_a_job_longer_than_its_lease_runs_once_without_any_timeout(workers, redis_url, wait_until):
    """job_timeout=None is no promise to end soon: the lease is renewed for as long as the job runs."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    job = await pool.enqueue_job("count", 3)
    first, second = workers.start("app.Endless"), workers.start("app.Endless")
    assert job is not None
    await job.result(timeout=30, poll_delay=0.05)
    assert await pool.get("runs") == b"1"
    assert (first.is_alive(), second.is_alive()) == (True, True)
    await pool.aclose()


# -- settings.toml ----


async def test_without_an_argument_settings_say_what_runs(workers, runner, folder, monkeypatch):
    """The same worker that `arq runner.WorkerSettings` runs, with the tasks that settings name."""
    tasks = _tasks_of(folder, monkeypatch)
    jobs = [await runner.enqueue(tasks["double"], 4), await runner.enqueue(tasks["triple"], 4)]
    code, err = await asyncio.to_thread(workers.finish, "--burst")
    assert code == 0, err
    assert [await job.result(timeout=30) for job in jobs] == [8, 12]


async def test_queues_restricts_a_worker(workers, runner, folder, monkeypatch):
    """`--queues bulk` leaves the others to other workers."""
    tasks = _tasks_of(folder, monkeypatch)
    other, bulk = await runner.enqueue(tasks["double"], 4), await runner.enqueue(tasks["triple"], 4)
    code, err = await asyncio.to_thread(workers.finish, "--queues", "bulk", "--burst")
    assert code == 0, err
    assert await bulk.result(timeout=30) == 12
    assert await other.status() == "ready"


def test_json_logs_are_json_alone(workers):
    """Whoever parses a worker's log meets no other line, the engine's own included."""
    code, err = workers.finish("--burst", RUNNER_LOGS__FORMAT="json")
    assert code == 0
    assert err
    assert [line for line in err.splitlines() if not line.startswith('{"at":')] == []


def _tasks_of(folder: Path, monkeypatch) -> dict:
    namespace: dict = {"__name__": "mytasks"}
    monkeypatch.syspath_prepend(str(folder))
    exec(compile((folder / "mytasks.py").read_text(), "mytasks.py", "exec"), namespace)
    return namespace


# -- mistakes ----


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["app.WorkerSetings"], "has no 'WorkerSetings'; did you mean WorkerSettings?"),
        (["nothere.WorkerSettings"], "there is no module 'nothere' (looked in the current folder too)"),
        (["app"], "expected module and class, such as app.worker.WorkerSettings"),
        (["lacking.W"], "module 'lacking' cannot be imported: ModuleNotFoundError: No module named"),
        (["failing.W"], "failing.py:2"),
        (["garbled.W"], "module 'garbled' cannot be imported: SyntaxError"),
        (["app.WorkerSettings", "--queues", "bulk"], "an arq settings class has its queue_name"),
        (["--queues", "bulk,critcal"], "worker.queues has no 'critcal'; did you mean critical?"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(folder, cli, monkeypatch, arguments, words):
    """Whoever mistypes reads what is wrong and what would be right; nobody reads a traceback."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("RUNNER_TASKS", "mytasks")
    for module in ("app", "mytasks"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    ended, out, err = cli("worker", *arguments)
    told = err.splitlines()
    assert (ended, out) == (2, "")
    assert len(told) == 1, err
    assert words in told[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["app.Empty"], 2, "Empty: the worker does not take these settings: at least one function"),
        (["app.Wrong"], 2, "Wrong: the worker does not take these settings"),
        (["app.Nowhere"], 3, "no server at 127.0.0.1:1"),
    ],
)
def test_so_is_one_that_shows_when_the_worker_is_made(workers, arguments, code, words):
    """Settings that arq's constructor refuses, and a server that is not there, in a process of its own."""
    ended, err = workers.finish(*arguments)
    told = err.splitlines()
    assert ended == code, err
    assert len(told) == 1, err
    assert words in told[0]
