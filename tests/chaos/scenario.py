"""What a scenario is, and how one is played."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from .judge import RESUME_S, STARTS_AGAIN_S, Outcome, judge
from .load import Size
from .opening import opened
from .stage import Stage

SETTLE_S = 150.0


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble.

    Attributes:
        name: for people and for the file of counts.
        tells: what is done, in a sentence; names the row of the test plan it covers.
        play: does it while the load runs; returns when it is over.
        size: the load in a full run.
        short: the load in a short run; None leaves the scenario out of short runs.
        server, options, lease_s: see `stage.opened`.
        faults: how many blows in a full and in a short run.
        unpromised: names of PROMISES that are not made here, and `why`.
        resumes: whether work must go on within 5 s of each return of the server.
        needs: says why it cannot be played on this machine, with the cure; empty when it can.
    """

    name: str
    tells: str
    play: Callable[[Stage, int], Awaitable[None]]
    size: Size
    short: Size | None = None
    server: str = "alone"
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "everysec")
    lease_s: float = 3.0
    faults: tuple[int, int] = (4, 2)
    unpromised: tuple[str, ...] = ()
    why: str = ""
    resumes: bool = True
    needs: Callable[[], str] = field(default=lambda: "")


async def perform(scenario: Scenario, seed: int, *, short: bool) -> Outcome:
    """Play a scenario on servers and processes of its own, and judge what became of everything.

    Its folder is kept when a promise is broken.
    """
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    rng = Random(f"{seed} {scenario.name}")
    size = scenario.short if short and scenario.short is not None else scenario.size
    begun = time.monotonic()
    async with opened(
        folder, size, rng, server=scenario.server, options=scenario.options, lease_s=scenario.lease_s
    ) as stage:
        loading = asyncio.create_task(stage.load.run())
        await scenario.play(stage, scenario.faults[short])
        for proxy in (stage.proxy, stage.to_receiver, stage.to_gateway):
            if proxy is not None:
                await proxy.calm()
        await loading
        await stage.settle(SETTLE_S)
        outcome = judge(stage, scenario.unpromised)
    if not short:  # a short run is played on whatever machine there is: it tells times, and asks for none
        _judge_times(scenario, outcome)
    outcome.seconds = time.monotonic() - begun
    if outcome.broken:
        outcome.told.append(f"ledgers and logs are kept in {folder}")
    else:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return outcome


def _judge_times(scenario: Scenario, outcome: Outcome) -> None:
    recovery, resume = outcome.samples["recovery"], outcome.samples["resume"]
    bound = scenario.lease_s + STARTS_AGAIN_S
    if recovery and (p99 := quantile(recovery, 0.99)) > bound and not resume:
        outcome.broken.append(f"jobs of killed workers start again, p99: {p99:.1f} s, bound {bound:.0f} s")
    if scenario.resumes and resume and resume[-1] > RESUME_S:
        outcome.broken.append(f"work goes on after the server's return: {resume[-1]:.1f} s, bound 5 s")


def quantile(ordered: list[float], share: float) -> float:
    """Give the value below which that share of them lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
