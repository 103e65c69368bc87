"""``runner worker --processes``: the parent of several worker processes."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..app import Runner
from ..errors import SettingsError
from ..fleet.beat import pipe_of
from ..fleet.plan import Policy
from ..fleet.process import command_of
from ..fleet.supervisor import Supervisor
from ..logs import configure_logging
from ..settings import FleetGroup, Settings

MOST_PROCESSES = 512


def is_wanted(settings: FleetGroup, processes: str) -> bool:
    """Whether a parent is called for: more than one process, or one that is to be replaced."""
    if pipe_of(os.environ) is not None:
        return False
    limits = settings.recycle_jobs or settings.recycle_memory or settings.recycle_age
    return count_of(processes, settings.processes) != 1 or bool(limits)


def count_of(asked: str, by_settings: int) -> int:
    """Give the number of processes: of the command line, else of settings; "auto" and 0 mean the cores.

    Raises:
        SettingsError: it is no count.
    """
    word = asked or str(by_settings)
    if word in ("auto", "0"):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not word.isdecimal() or int(word) > MOST_PROCESSES:
        msg = f"--processes: expected a count of at most {MOST_PROCESSES} or 'auto', not '{asked}'"
        raise SettingsError(msg)
    return int(word)


def arguments(settings_class: str, queues: str, burst: bool | None, metrics: int | None) -> list[str]:
    """Give the command line of each process."""
    ours = [settings_class] if settings_class else []
    if queues:
        ours += ["--queues", queues]
    if burst is not None:
        ours.append("--burst" if burst else "--no-burst")
    if metrics is not None:
        ours += ["--metrics", str(metrics)]
    return ours


def supervise(
    runner: Runner | None, arguments: Sequence[str], processes: str, *, burst: bool | None
) -> NoReturn:
    """Serve with several processes and exit as they did; an embedded server is this one's, and they join."""
    settings = runner.settings if runner is not None else Settings()
    fleet, worker = settings.fleet, settings.worker
    configure_logging(settings.logs)
    policy = Policy(
        processes=count_of(processes, fleet.processes),
        grace_s=worker.grace,
        max_jobs=fleet.recycle_jobs,
        max_memory=fleet.recycle_memory,
        max_age_s=fleet.recycle_age,
    )
    try:
        if runner is not None:
            runner.server_url()
        sys.exit(asyncio.run(_run(arguments, policy, is_burst=bool(burst))))
    finally:
        if runner is not None:
            runner.detach()


async def _run(arguments: Sequence[str], policy: Policy, *, is_burst: bool) -> int:
    supervisor = Supervisor(command_of(arguments), policy, environment=os.environ, is_burst=is_burst)
    return await supervisor.run()
