"""What the workers run beside payments, and their own word on it.

The word is a line for each event, appended in one write, so that it survives the death of its process (not of
the machine; receiver and gateway fsync theirs): `what job attempt fence worker monotonic-seconds more`.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.webhook import Delivery, Payload, deliver
from runner import Context, Retry, backoff, task

LEDGER = "ARQ_RUNNER_CHAOS_LEDGER"
SOON = backoff.exponential(base=0.25, cap=2)
LONGEST_WAIT_S = 1.0
FOREVER = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the workers' word.

    Attributes:
        what: start, end or fired.
        worker: its process id.
        at_s: of the machine's monotonic clock.
        more: which chord, for fired.
    """

    what: str
    job: str
    attempt: int
    fence: int
    worker: int
    at_s: float
    more: str = ""


def note(what: str, ctx: Context, more: str = "") -> None:
    """Append a line to the workers' ledger."""
    file = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        line = f"{what} {ctx.job_id} {ctx.attempt} {ctx.fence} {os.getpid()} {time.monotonic():.4f} {more}\n"
        os.write(file, line.encode())
    finally:
        os.close(file)


def read_events(path: Path, after: int = 0) -> tuple[list[Event], int]:
    """Give the events behind an offset, and the offset behind them."""
    with path.open("rb") as file:
        file.seek(after)
        text = file.read()
    text = text[: text.rfind(b"\n") + 1]
    events: list[Event] = []
    for line in text.decode().splitlines():
        what, job, attempt, fence, worker, at_s, more = line.split(" ", 6)
        events.append(Event(what, job, int(attempt), int(fence), int(worker), float(at_s), more))
    return events, after + len(text)


@task(name="chaos_hook", retry=SOON, max_tries=FOREVER)
async def hook(ctx: Context, url: str, payload: Payload, *, secret: str) -> Delivery:
    """Deliver a webhook within seconds where the real task has minutes; it never gives up."""
    try:
        return await deliver(ctx, url, payload, event="chaos", secret=secret, schedule=SOON)
    except Retry as again:
        if again.delay_s is None:
            raise
        raise Retry(min(again.delay_s, LONGEST_WAIT_S), reason=again.reason) from None


@task(name="chaos_work", retry=SOON, max_tries=FOREVER)
async def work(ctx: Context, seconds: float) -> int:
    """Take a while, and give the fence of the attempt that did it."""
    note("start", ctx)
    await asyncio.sleep(seconds)
    note("end", ctx)
    return ctx.fence


@task(name="chaos_part", retry=SOON, max_tries=FOREVER)
async def part(ctx: Context, chord: int) -> int:
    """Be a part of a chord."""
    await asyncio.sleep(0.01)
    return chord


@task(name="chaos_fire", queue="bulk", retry=SOON, max_tries=FOREVER)
async def fire(ctx: Context, chords: list[int]) -> int:
    """Be what a chord calls when its parts have ended."""
    note("fired", ctx, str(chords[0]))
    return chords[0]


@task(name="chaos_tick", retry=SOON, max_tries=FOREVER)
async def tick(ctx: Context) -> None:
    """Be run by a schedule."""
    note("tick", ctx)
