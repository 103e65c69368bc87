"""Signed deliveries to a fast local receiver, everything on: guard, deadline, cap on the body, results."""

import contextlib
import json
import urllib.request
from collections.abc import Generator

from ..errors import RunnerError
from .bare import WAYS
from .drain import Drained, crew
from .options import Options
from .peers import PEERS, WEBHOOK, Ours, Peer
from .process import Process, python
from .report import Kind, Sample
from .stage import Stage

BODY_BYTES = 1024
PEER_JOBS = 600
"""What stock arq is given at most: with 200 requests in flight its client does 10 to 100 a second."""
SLOW_S = 1.0
SLOW_IN_FLIGHT = 5
SLOW_ROUNDS = 4
"""The slow receiver is sent four rounds of five times as many at once as the fast one."""

SEVERAL = {
    "one process rate": Kind("deliveries/s"),
    "rate / one process": Kind("x", ">= 1.5 for two"),
    "workers' share": Kind("cores"),
    "server's share": Kind("cores"),
    "receiver's share": Kind("cores"),
}
"""With more than one process only."""

FIGURES = {
    **SEVERAL,
    "runner jobs": Kind("deliveries", "all"),
    "runner rate": Kind("deliveries/s"),
    "runner worker CPU": Kind("µs/delivery"),
    "runner server CPU": Kind("µs/delivery"),
    "bare post rate": Kind("requests/s"),
    "bare post CPU": Kind("µs/request"),
    "runner / bare post": Kind("x", ">= 0.6"),
    "runner / bare post, by CPU": Kind("x", ">= 0.6"),
    "bare exchange rate": Kind("requests/s"),
    "bare exchange CPU": Kind("µs/request"),
    "runner / bare exchange": Kind("x"),
    "runner / bare exchange, by CPU": Kind("x"),
    "arq rate": Kind("deliveries/s"),
    "arq worker CPU": Kind("µs/delivery"),
    "arq server CPU": Kind("µs/delivery"),
    "runner / arq": Kind("x", ">= 50"),
    "slow receiver / ideal": Kind("x", "<= 1.7"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Deliver through our queue, without one, through stock arq's, and to a receiver that takes a second."""
    with _receiver(stage, 0.0) as receiver:
        ours = _drain(stage, Ours(), receiver, options.jobs, options.concurrency, options.processes)
        sample = ours.sample(Ours.name)
        if options.processes > 1:
            sample |= _beside_one(stage, receiver, options, ours)
        for way in WAYS:
            sample |= _bare(stage, receiver, way, options, ours)
        for name in options.versus:
            jobs = min(options.jobs, PEER_JOBS)
            theirs = _drain(stage, PEERS[name], receiver, jobs, options.concurrency, options.processes)
            sample |= theirs.sample(name) | {f"{Ours.name} / {name}": ours.rate / theirs.rate}
    with _receiver(stage, SLOW_S) as receiver:
        slots = options.concurrency * SLOW_IN_FLIGHT
        slow = _drain(stage, Ours(), receiver, slots * SLOW_ROUNDS, slots, 1)
        return sample | {"slow receiver / ideal": slow.seconds / (SLOW_S * SLOW_ROUNDS)}


class _Receiver:
    """The receiver's address, what it has seen, and what that cost it."""

    def __init__(self, port: int, process: Process) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self._process = process

    def cpu_s(self) -> float:
        return self._process.cpu_s() or 0.0

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(self.url) as answer:  # noqa: S310 - our own receiver
            return json.loads(answer.read())


@contextlib.contextmanager
def _receiver(stage: Stage, delay_s: float) -> Generator[_Receiver]:
    arguments = ["runner.bench.receiver", str(delay_s)]
    with python(arguments, folder=stage.folder, name="receiver", environment={}, is_heard=True) as process:
        yield _Receiver(int(_line(process)), process)


def _drain(stage: Stage, peer: Peer, receiver: _Receiver, jobs: int, slots: int, processes: int) -> Drained:
    before = receiver.counts()
    with crew(stage, peer, max_jobs=slots, processes=processes) as workers:
        workers.enqueue(WEBHOOK, (receiver.url, "x" * BODY_BYTES), jobs)
        drained = workers.drain(count=jobs)
        workers.check_results(jobs)
    after = receiver.counts()
    arrived, signed = after["received"] - before["received"], after["signed"] - before["signed"]
    if arrived != jobs or (signed != jobs and peer.name == Ours.name):
        msg = (
            f"{peer.name}: {jobs} webhooks were enqueued, the receiver got {arrived}, {signed} of them signed"
        )
        raise RunnerError(msg)
    return drained


def _beside_one(stage: Stage, receiver: _Receiver, options: Options, ours: Drained) -> Sample:
    """Do the same with one process, and say who used the cores with several: the receiver is here, too."""
    used = receiver.cpu_s()
    again = _drain(stage, Ours(), receiver, options.jobs, options.concurrency, options.processes)
    used, alone = (
        receiver.cpu_s() - used,
        _drain(stage, Ours(), receiver, options.jobs, options.concurrency, 1),
    )
    return {
        "one process rate": alone.rate,
        "rate / one process": (ours.rate + again.rate) / 2 / alone.rate,
        "workers' share": (again.worker_cpu_s or 0) / again.seconds,
        "server's share": again.server_cpu_s / again.seconds,
        "receiver's share": used / again.seconds,
    }


def _bare(stage: Stage, receiver: _Receiver, way: str, options: Options, ours: Drained) -> Sample:
    numbers = map(str, (options.jobs, options.concurrency, BODY_BYTES))
    arguments = ["runner.bench.bare", way, receiver.url, *numbers]
    with python(arguments, folder=stage.folder, name="bare", environment={}, is_heard=True) as process:
        took = json.loads(_line(process))
    if took["answered"] != options.jobs:
        msg = (
            f"bare {way}: {options.jobs} requests were to be sent, {took['answered']} were answered with 200"
        )
        raise RunnerError(msg)
    rate, cpu_s = options.jobs / took["seconds"], took["cpu_s"]
    cpu_us, ratio = cpu_s / options.jobs * 1e6, ours.rate / rate
    sample = {f"bare {way} rate": rate, f"bare {way} CPU": cpu_us, f"runner / bare {way}": ratio}
    if ours.worker_cpu_s:
        sample[f"runner / bare {way}, by CPU"] = cpu_s / ours.worker_cpu_s
    return sample


def _line(process: Process) -> str:
    """Wait for what a child says.

    Raises:
        RunnerError: it ended without a word.
    """
    line = process.child.stdout.readline().decode() if process.child.stdout is not None else ""
    if not line:
        process.child.wait()
        process.check()
    return line
