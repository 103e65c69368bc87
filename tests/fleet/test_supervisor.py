"""``runner worker --processes``: real processes, killed and restarted, on a real server."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runner import Runner, Settings
from runner.fleet.notify import notify, watchdog_s
from runner.fleet.process import resident_bytes

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FLEET_KILLS", "2"))
"""`FLEET_KILLS=20 make test` for the figure that docs/workers.md gives, in a fleet of four."""
SIZE = 2 if KILLS == 2 else 4
JOBS = 300 * SIZE
ISOLATED = 0 if KILLS == 2 else 80
TASKS = """
import asyncio, os
from runner import backoff, task

@task
async def count(ctx, number: int) -> int:
    await asyncio.sleep(0.02)
    await ctx["redis"].sadd("runs", number)
    return os.getpid()

@task(isolation="process", max_tries=50, retry=backoff.constant(0.05))
def apart(ctx, number: int) -> int:
    return number
"""


class Fleet:
    """A parent process and what it has written."""

    port = 0

    def __init__(self, folder: Path, url: str, *arguments: str, **settings: str) -> None:
        self.log = folder / "log"
        environment = {
            "RUNNER_REDIS__URL": url,
            "RUNNER_TASKS": "shop",
            "RUNNER_WORKER__LEASE": "1s",
            **settings,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner", "worker", *arguments],
            cwd=folder,
            env={**kept, "PYTHONPATH": f"{ROOT}:{folder}", **environment},
            stderr=self.log.open("w"),
        )

    def children(self) -> list[int]:
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def family(self) -> list[int]:
        """Its workers, and the processes in which they run isolated tasks."""
        found, parents = list[int](), [self.process.pid]
        while parents:
            path = Path(f"/proc/{parents[0]}/task/{parents.pop(0)}/children")
            if path.exists():
                found += (new := [int(pid) for pid in path.read_text().split()])
                parents += new
        return found

    def told(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return text in self.log.read_text()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "shop.py").write_text(TASKS)
    return tmp_path


@pytest.fixture
def fleet(folder, redis_url, free_ports) -> Iterator[Fleet]:
    port = free_ports(1 + SIZE)
    started = Fleet(folder, redis_url, "--processes", str(SIZE), "--metrics", str(port))
    started.port = port
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def registry():
    from runner import task

    @task
    async def count(ctx, number: int) -> int: ...

    @task(isolation="process", max_tries=50)
    def apart(ctx, number: int) -> int: ...

    return count, apart


async def test_no_job_is_lost_however_its_processes_are_killed(fleet, redis_url, wait_until) -> None:
    """Under load: kill -9 of any process, a rolling restart and a drain. Every job has run and ended."""
    (count, apart), rng = registry(), random.Random(5)
    await wait_until(lambda: fleet.told(f"{SIZE} workers serve"), "they serve")
    async with Runner(Settings.model_validate({"redis": {"url": redis_url}}), tasks=[count, apart]) as runner:
        jobs = [await runner.enqueue(count, number) for number in range(JOBS)]
        isolated = [await runner.enqueue(apart, number) for number in range(ISOLATED)]
        for _ in range(KILLS):
            started = fleet.log.read_text().count("Starting worker")
            victim = rng.choice(fleet.family())
            is_worker = victim in fleet.children()
            os.kill(victim, signal.SIGKILL)
            restarted = lambda n=started: fleet.log.read_text().count("Starting worker") > n  # noqa: E731
            await wait_until(restarted if is_worker else lambda v=victim: not is_alive(v), "it is gone")
        before = set(fleet.children())
        fleet.process.send_signal(signal.SIGHUP)
        pids = {await job.result(timeout=30) for job in jobs}
        await wait_until(lambda: not before & set(fleet.children()), "the generation has changed")
        assert [await job.result(timeout=60) for job in isolated] == list(range(ISOLATED))
        assert await runner.client.execute("SCARD", "runs") == JOBS
        assert len(pids) >= 2, "one process did all the work"
    assert fleet.end() == 0
    assert "is killed" not in fleet.log.read_text(), "a worker did not drain by itself"


async def test_what_no_worker_can_start_with_ends_the_parent(folder, redis_url) -> None:
    """Wrong settings and a server that is not there are said once, with the exit code of a single worker."""
    wrong = Fleet(folder, redis_url, "--processes", "1", RUNNER_FLEET__RECYCLE_JOBS="5", RUNNER_TASKS="no")
    away = Fleet(folder.parent, "redis://127.0.0.1:1", "--processes", "1", PYTHONPATH=f"{ROOT}:{folder}")
    assert wrong.process.wait(timeout=60) == 2
    assert away.process.wait(timeout=60) == 3


async def test_workers_drain_when_their_parent_is_killed(fleet, wait_until) -> None:
    """kill -9 of the parent leaves no worker behind for ever. Until then it answers for them, by name."""
    await wait_until(lambda: fleet.told(f"{SIZE} workers serve"), "they serve")
    await wait_until(lambda: fleet.log.read_text().count("metrics and health at") > SIZE, "ports are open")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{fleet.port}", trust_env=False) as http:
        assert (await http.get("/readyz")).json() == {"ready": True, "reasons": []}
        metrics = (await http.get("/metrics")).text
    assert 'runner_slots{process="1"} 100.0' in metrics
    assert 'runner_slots{process="2"} 100.0' in metrics
    lines = fleet.log.read_text().splitlines()
    assert {line.split("[")[1].split("]")[0] for line in lines} == {
        "parent",
        *(f"worker {n + 1}" for n in range(SIZE)),
    }
    children = fleet.children()
    fleet.process.kill()
    fleet.process.wait()
    await wait_until(lambda: not any(is_alive(pid) for pid in children), "they have ended")
    assert "the parent of this worker is gone" in fleet.log.read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_systemd_hears_of_us(tmp_path) -> None:
    """A state is one datagram to NOTIFY_SOCKET; without one, or with one that is gone, nothing happens."""
    path = tmp_path / "n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(5)
        assert notify("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert manager.recv(64) == b"READY=1"
        while notify("WATCHDOG=1", {"NOTIFY_SOCKET": str(path)}):
            pass  # until the manager, which does not read, has no room: nobody waits for it
        assert manager.recv(64) == b"WATCHDOG=1"
        assert notify("READY=1", {"NOTIFY_SOCKET": str(path)})
    assert notify("READY=1", {"NOTIFY_SOCKET": str(path)})
    assert notify("READY=1", {})
    assert watchdog_s({"WATCHDOG_USEC": "4000000"}) == 2
    assert watchdog_s({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_s({}) is None


def test_the_memory_of_a_process_is_what_the_system_says() -> None:
    """Some megabytes for this one, 0 for one that is not there."""
    assert resident_bytes(os.getpid()) > 10 * 2**20
    assert resident_bytes(2**22 + 1) == 0
