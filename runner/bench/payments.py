"""Payments to a gateway that takes a second, all in flight in one worker; each on disk before it is sent."""

import time
from importlib import import_module
from typing import Any

from ..app import Runner
from ..errors import RunnerError
from ..settings import Settings
from ..wire.keys import keys_of
from .loop import run
from .options import Options
from .process import Process, python
from .report import Kind, Sample
from .stage import Stage

GATEWAY_S = 1.0
QUEUE = "critical"
LOOK_S = 0.004
PATIENCE_S = 60.0
SOURCE = "pm_1Nxyz2eZvKYlo2CabcdEFGH"

FIGURES = {
    "payments": Kind("payments", "all, each charged once"),
    "all done, beyond the ideal": Kind("s", "<= 1.3"),
    "worker CPU": Kind("µs/payment"),
    "memory of one in flight": Kind("bytes", "< 2048"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Enqueue them while the worker is held, let it go, and watch; then compare with the gateway's ledger."""
    sandbox = import_module("jobs.payment.sandbox")
    stage.clear()
    with sandbox.Sandbox.start(stage.folder, "--latency", str(GATEWAY_S)) as gateway:
        gateway.ledger.write_bytes(b"")
        settings = _settings(stage, gateway.url, options.jobs)
        environment = {f"RUNNER_{name.upper().replace('.', '__')}": value for name, value in settings.items()}
        command = ["arq", "runner.WorkerSettings"]
        with python(command, folder=stage.folder, name="payments", environment=environment) as worker:
            _enqueue(stage, "warm", 1)
            _drain(stage, worker)
            worker.hold()
            empty = _memory(stage)
            _enqueue(stage, "order", options.jobs)
            cpu_s, began = worker.cpu_s(), time.perf_counter()
            worker.let_go()
            fullest = _drain(stage, worker)
            seconds, cpu_after_s = time.perf_counter() - began, worker.cpu_s()
        _check(sandbox.balance(gateway.ledger), options.jobs)
    sample = {
        "payments": float(options.jobs),
        "all done, beyond the ideal": seconds - GATEWAY_S,
        "memory of one in flight": (fullest - empty) / options.jobs,
    }
    if cpu_s is not None and cpu_after_s is not None:
        sample["worker CPU"] = (cpu_after_s - cpu_s) / options.jobs * 1e6
    return sample


def _settings(stage: Stage, gateway: str, in_flight: int) -> dict[str, str]:
    return {
        "redis.url": stage.url,
        "tasks": "jobs.payment",
        "worker.max_jobs": str(in_flight),
        "webhooks.allow": "127.0.0.0/8",
        "webhooks.max_connections": str(in_flight),
        "payments.url": gateway,
        "payments.durable": "server",
        "logs.level": "WARNING",
    }


def _enqueue(stage: Stage, name: str, count: int) -> None:
    task: Any = import_module("jobs.payment").process_payment
    calls = (task.call(f"{name}-{number:06d}", 1999, "EUR", SOURCE) for number in range(count))

    async def enqueue() -> None:
        async with Runner(Settings.model_validate({"redis": {"url": stage.url}, "tasks": ()})) as runner:
            await runner.enqueue_many(calls)

    stage.redis.set("runner:{payments}:proven", "1")
    run(enqueue())


def _drain(stage: Stage, worker: Process) -> int:
    """Watch until no payment waits or runs; gives the most memory that the server held meanwhile."""
    queue, fullest, until = keys_of(QUEUE).queue, 0, time.monotonic() + PATIENCE_S
    while stage.redis.zcard(queue):
        fullest = max(fullest, _memory(stage))
        worker.check()
        if time.monotonic() > until:
            msg = f"{stage.redis.zcard(queue)} payments have not ended within {PATIENCE_S:.0f} s"
            raise RunnerError(msg)
        time.sleep(LOOK_S)
    return fullest


def _memory(stage: Stage) -> int:
    """Give the bytes that the server holds for payments.

    Not what it has in hand for its clients and its file just now, nor its scripts: a single payment needs
    as much of these as a thousand.
    """
    told = stage.redis.info("memory")
    besides = ("mem_clients_normal", "mem_aof_buffer", "used_memory_scripts_eval")
    return told["used_memory"] - sum(told.get(each, 0) for each in besides)


def _check(book: Any, count: int) -> None:
    orders = [charge for order, charge in book.charges.items() if order.startswith("order-")]
    if len(orders) != count or book.charged_twice:
        msg = (
            f"{count} payments were enqueued, {len(orders)} charged, {len(book.charged_twice)} of them twice"
        )
        raise RunnerError(msg)
