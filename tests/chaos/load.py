"""The load: webhooks, payments, jobs and chords, spread over a time; and what of it was acknowledged."""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from jobs.payment import process_payment
from runner import Runner, chord
from runner.errors import RunnerError

from .tasks import fire, hook, part, work

AT_ONCE = 48
AGAIN_S = 0.1
PARTS = 3
LONGEST_JOB_S = 1.2


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each, over how long."""

    hooks: int = 0
    payments: int = 0
    works: int = 0
    chords: int = 0
    seconds: float = 10.0

    def times(self, factor: float) -> "Size":
        """Give the same rates over another time."""
        counts = (round(each * factor) for each in (self.hooks, self.payments, self.works, self.chords))
        return Size(*counts, self.seconds * factor)


@dataclass
class Load:
    """Puts everything in, each again until it is acknowledged, as a client does that wants it done.

    Attributes:
        acked: how much was acknowledged, by kind.
        jobs: what was acknowledged, by kind and number; empty unless it is `kept`: a soak would grow by it.
        refused: how many calls failed, by the class of the error.
        foreign: errors that are none of ours: there must be none.
        allowed: cleared to hold the load back.
        in_flight: calls that have no answer yet.
    """

    runner: Runner
    hook_url: str
    size: Size
    rng: Random
    kept: bool = True
    acked: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, dict[int, Any]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    foreign: list[str] = field(default_factory=list)
    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    begun_at: float = 0.0

    def __post_init__(self) -> None:
        self.allowed.set()
        self.jobs = {kind: {} for kind in ("hooks", "payments", "works", "chords")}

    @property
    def count(self) -> int:
        """How much has been acknowledged."""
        return self.acked.total()

    @property
    def elapsed_share(self) -> float:
        """How much of the load's time has passed."""
        return (time.monotonic() - self.begun_at) / self.size.seconds if self.begun_at else 0.0

    async def run(self) -> None:
        """Put in everything, and come back when all of it is acknowledged."""
        puts = {"hooks": self._hook, "payments": self._payment, "works": self._work, "chords": self._chord}
        items = heapq.merge(*(self._due(kind) for kind in puts))
        self.begun_at = time.monotonic()

        async def work_off() -> None:
            for at_s, kind, number in items:
                await asyncio.sleep(self.begun_at + at_s - time.monotonic())
                await self._surely(kind, number, puts[kind])

        await asyncio.gather(*(work_off() for _ in range(AT_ONCE)))

    def _due(self, kind: str) -> Iterator[tuple[float, str, int]]:
        count = getattr(self.size, kind)
        return ((number / count * self.size.seconds, kind, number) for number in range(count))

    async def quiet(self) -> None:
        """Hold the load back, and come back when no call is without its answer."""
        self.allowed.clear()
        while self.in_flight:
            await asyncio.sleep(0.005)

    async def _surely(self, kind: str, number: int, put: Callable[[int], Awaitable[Any]]) -> None:
        while True:
            while not self.allowed.is_set():  # whoever was woken may find it held back again
                await self.allowed.wait()
            self.in_flight += 1
            try:
                job = await put(number)
                self.acked[kind] += 1
                if self.kept:
                    self.jobs[kind][number] = job
                return
            except RunnerError as error:
                self.refused[type(error).__name__] += 1
            except Exception as error:  # the finding is the class of it
                self.foreign.append(f"{kind}: {type(error).__name__}: {error}")
            finally:
                self.in_flight -= 1
            await asyncio.sleep(AGAIN_S * self.rng.uniform(0.5, 1.5))

    async def _hook(self, number: int) -> Any:
        payload = {"number": number, "note": "x" * 200}
        return await self.runner.enqueue(
            hook.using(key=f"hook-{number}"), self.hook_url, payload, secret="chaos"
        )

    async def _payment(self, number: int) -> Any:
        return await self.runner.enqueue(
            process_payment, order_of(number), cents_of(number), "EUR", f"tok_{number}"
        )

    async def _work(self, number: int) -> Any:
        seconds = LONGEST_JOB_S * Random(number).random() ** 2
        return await self.runner.enqueue(work.using(key=f"work-{number}"), seconds)

    async def _chord(self, number: int) -> Any:
        parts = chord([part.call(number) for _ in range(PARTS)], fire.call())
        return await self.runner.start(parts, id=f"chord-{number}")


def order_of(number: int) -> str:
    """Give the order of a payment."""
    return f"order-{number}"


def cents_of(number: int) -> int:
    """Give its amount."""
    return 100 + number % 9_000
