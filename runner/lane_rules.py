"""Rules of lanes and gates, for web apps and the command line: concurrency limits and weights of tenants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .gates import Gates
from .key_names import checked_limit
from .lanes import checked_count, checked_tenant, part_of
from .settings import Settings
from .tasks import Task
from .wire.keys import Keys
from .wire.scripts import Execute, Scripts

STRICT_STEP_MS = 10**13
"""Longer than any job waits."""

MOST_WEIGHT = 1000
NONE_KNOWN: Mapping[str, tuple[int | None, bool]] = {}


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """How many jobs at once, and where that comes from.

    Attributes:
        name: of the limit, or of one gate that has a number of its own.
        limit: None: a task names it, and nobody has given it a number.
        source: who says so; run time goes before settings, and settings before the task.
        running: jobs that hold a slot now, over all queues; 0 for a name with braces: they have a gate each.
    """

    name: str
    limit: int | None
    source: Literal["run time", "settings", "task"]
    running: int


def known_limits(settings: Settings, tasks: Iterable[Task[..., Any]]) -> dict[str, tuple[int | None, bool]]:
    """Give the concurrency limits of settings and tasks: the number, and whether settings say it."""
    found: dict[str, tuple[int | None, bool]] = {}
    for task in tasks:
        for each in task.laning.concurrency:
            found[each.name] = (each.limit, False)
    return found | {name: (table.limit, True) for name, table in settings.concurrency.items()}


def rules_of(
    settings: Settings, tasks: Iterable[Task[..., Any]], queues: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Give the rules that a worker writes down when it starts, by queue name; run time goes before them."""
    limits = {
        f"limit:{name}": "" if limit is None else str(limit)
        for name, (limit, _) in known_limits(settings, tasks).items()
    }
    worker = settings.worker
    step_ms = round(worker.priority_step * 1000)
    return {
        name: {**limits, "step": str(STRICT_STEP_MS if name in worker.strict_priorities else step_ms)}
        for name in queues
    }


class LaneRules(Gates):
    """Reads and changes rules; what is set counts from the next claim of any worker on.

    Args:
        execute: sends one command.
        queues: whose rules these are; each has its own copy, and counts by itself.
        known: concurrency limits of settings and tasks, as ``known_limits`` gives them.
    """

    def __init__(
        self, execute: Execute, queues: Iterable[Keys], known: Mapping[str, tuple[int | None, bool]]
    ) -> None:
        self._send = execute
        self._queues = list(queues)
        super().__init__(execute, self._queues)
        self._known_counts = known

    async def set_concurrency(self, name: str, limit: int) -> None:
        """Set how many jobs run at once, for all workers; running ones go on, 0 lets nobody start.

        Args:
            name: of a limit as its task names it, braces and all; or what comes out of it, as
                ``host:example.com``, for that alone.
            limit: in each queue.

        Raises:
            ValueError: it is no number of jobs, or no name.
        """
        await self._set(f"set:{_gate(name)}", str(checked_count(limit)))

    async def remove_concurrency(self, name: str) -> bool:
        """Take back what was set: settings, or the task, say it again. False when nothing was set."""
        return await self._remove(f"set:{_gate(name)}")

    async def concurrency(self) -> list[ConcurrencyLimit]:
        """Give all concurrency limits by name: of tasks, of settings, and those set at run time."""
        found: dict[str, tuple[int | None, Literal["run time", "settings", "task"]]] = {
            name: (limit, "settings" if in_settings else "task")
            for name, (limit, in_settings) in self._known_counts.items()
        }
        for rule, value in (await self._rules()).items():
            kind, _, name = rule.partition(":")
            if kind == "set":
                found[name] = (int(value), "run time")
        return [
            ConcurrencyLimit(name, limit, source, await self._running(name))
            for name, (limit, source) in sorted(found.items())
        ]

    async def set_weight(self, tenant: str, weight: float) -> None:
        """Set a tenant's share of turns: of weight 2 it gets two where one of weight 1 gets one.

        Args:
            tenant: empty: the jobs without a tenant.
            weight: 1 for everybody of whom nothing is set.

        Raises:
            ValueError: it is no weight, or no tenant.
        """
        if not isinstance(weight, int | float) or not 1 / MOST_WEIGHT <= weight <= MOST_WEIGHT:  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"a weight is a number from {1 / MOST_WEIGHT:g} to {MOST_WEIGHT}, not {weight!r}"
            raise ValueError(msg)
        await self._set(f"weight:{checked_tenant(tenant)}", f"{weight:g}")

    async def remove_weight(self, tenant: str) -> bool:
        """Let a tenant have the weight of everybody else. False when none was set."""
        return await self._remove(f"weight:{checked_tenant(tenant)}")

    async def weights(self) -> dict[str, float]:
        """Give the weights that are set, by tenant."""
        found = {rule.partition(":"): value for rule, value in (await self._rules()).items()}
        return {tenant: float(value) for (kind, _, tenant), value in found.items() if kind == "weight"}

    async def _set(self, rule: str, value: str) -> None:
        for keys in self._queues:
            await Scripts(self._send).set_rules(keys, {rule: value})

    async def _remove(self, rule: str) -> bool:
        was_set = rule in await self._rules()
        await self._set(rule, "")
        return was_set

    async def _rules(self) -> dict[str, str]:
        rules: dict[str, str] = {}
        for keys in self._queues:
            flat = iter(await self._send("HGETALL", keys.rules))
            rules |= {name.decode(): value.decode() for name, value in zip(flat, flat, strict=True)}
        return rules

    async def _running(self, name: str) -> int:
        held = [int(await self._send("ZCARD", keys.holders(part_of(name)))) for keys in self._queues]
        return sum(held)


def _gate(name: str) -> str:
    return part_of(checked_limit(name))
