"""What a shell completes: names that settings and their modules give, without asking the server."""

from collections.abc import Callable, Iterable

from ..app import Runner


def task_names(incomplete: str) -> list[str]:
    """Complete the name of a task."""
    return _matching(incomplete, lambda runner: (task.name for task in runner.registry))


def queue_names(incomplete: str) -> list[str]:
    """Complete the name of a queue."""
    return _matching(incomplete, lambda runner: runner.settings.worker.queues)


def _matching(incomplete: str, names: Callable[[Runner], Iterable[str]]) -> list[str]:
    try:
        return [name for name in names(Runner.from_settings()) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - somebody types; wrong settings are told when the command runs
        return []
