"""``runner worker --processes``: the parent of several worker processes."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..app import Runner
from ..errors import SettingsError
from ..fleet.beat import pipe_of, place_of
from ..fleet.endpoint import FleetEndpoint
from ..fleet.plan import Policy
from ..fleet.process import command_of
from ..fleet.supervisor import Supervisor
from ..logs import configure_logging
from ..settings import FleetGroup, Settings

MOST_PROCESSES = 512
PARENT = "parent"


def is_wanted(settings: FleetGroup, processes: str) -> bool:
    """Whether a parent is called for: more than one process, or one that is to be replaced.

    Or a service manager that is to be told when it serves: ``auto`` is one process on a machine of one core.
    """
    if pipe_of(os.environ) is not None:
        return False
    if "NOTIFY_SOCKET" in os.environ:
        return True
    limits = settings.recycle_jobs or settings.recycle_memory or settings.recycle_age
    return count_of(processes, settings.processes) != 1 or bool(limits)


def speaker() -> str:
    """Say which process of a fleet this is, for its log lines; empty for one that stands alone."""
    place = place_of(os.environ)
    return f"worker {place}" if place else ""


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
    runner: Runner | None, arguments: Sequence[str], processes: str, burst: bool | None, port: int = 0
) -> NoReturn:
    """Serve with several processes and exit as they did; an embedded server is this one's, and they join."""
    settings = runner.settings if runner is not None else Settings()
    fleet, worker, host = settings.fleet, settings.worker, settings.health.host
    configure_logging(settings.logs, speaker=PARENT)
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
        supervisor = Supervisor(command_of(arguments), policy, environment=os.environ, is_burst=bool(burst))
        endpoint = FleetEndpoint(supervisor, host=host, port=port) if port else None
        sys.exit(asyncio.run(_run(supervisor, endpoint)))
    finally:
        if runner is not None:
            runner.detach()


async def _run(supervisor: Supervisor, endpoint: FleetEndpoint | None) -> int:
    answering = None if endpoint is None else asyncio.create_task(endpoint.run())
    try:
        return await supervisor.run()
    finally:
        if answering is not None:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
