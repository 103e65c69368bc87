"""The tasks one runner knows, by name."""

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from .errors import InvalidTask, SettingsError
from .tasks import Task


class Registry:
    """The tasks one runner knows, by name."""

    def __init__(self, tasks: Iterable[Task[..., Any]] = ()) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        for each in tasks:
            self.add(each)

    def add(self, task: Task[..., Any]) -> None:
        """Make a task known; the same one placed otherwise (``using``) counts as the same.

        Raises:
            InvalidTask: another task has its name, or it is none.
        """
        if not isinstance(task, Task):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"{task!r} is no task: put @task above its 'async def'"
            raise InvalidTask(msg)
        known = self._tasks.setdefault(task.name, task)
        if known.parameters is not task.parameters:
            here, there = _place(task), _place(known)
            msg = f"two tasks are named '{task.name}': {there} and {here}; give one of them name='…'"
            raise InvalidTask(msg)
        if task.on_dead is not None:
            self.add(task.on_dead)

    def add_module(self, module: ModuleType) -> None:
        """Make every task known that a module defines or imports at its top level."""
        for value in list(vars(module).values()):
            if isinstance(value, Task):
                self.add(value)

    def check_ttls(self, keep_s: float) -> None:
        """Refuse tasks whose effects are forgotten before their dead letters are: a replay would repeat them.

        Args:
            keep_s: how long dead letters are kept.

        Raises:
            SettingsError: a line for each task.
        """
        lines = [
            f"task '{each.name}' ({_place(each)}): Idempotency(ttl=…) is {each.idempotency.ttl_s:.0f} s, but "
            f"dead letters stay for dead.keep = {keep_s:.0f} s: a replay in between would make the effect "
            "again; lengthen the one or shorten the other"
            for each in self
            if each.idempotency is not None and each.idempotency.ttl_s < keep_s
        ]
        if lines:
            raise SettingsError("\n".join(lines))

    def get(self, name: str) -> Task[..., Any] | None:
        """Give the task of that name, or None."""
        return self._tasks.get(name)

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)


def _place(task: Task[..., Any]) -> str:
    code = getattr(task.body, "__code__", None)
    return f"{task.fn.__module__}:{code.co_firstlineno}" if code else str(task.fn.__module__)
