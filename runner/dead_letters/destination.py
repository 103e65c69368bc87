"""Where the call of a dead letter went: the keys of its task's breakers, made of its arguments."""

from collections.abc import Callable, Sequence

from ..errors import InvalidArguments
from ..registry import Registry
from .letter import Filter, Letter


def wanting(wanted: Filter, registry: Registry | None) -> Callable[[Letter], bool]:
    """Give what says whether a letter of the right time is meant.

    Args:
        wanted: by which filter.
        registry: the tasks, for a filter that names a destination.
    """
    if registry is None:
        return wanted.matches
    return lambda letter: wanted.matches(letter) and wanted.destination in destinations_of(letter, registry)


def destinations_of(letter: Letter, registry: Registry) -> Sequence[str]:
    """Give the keys; none where the task is not known here, or the arguments do not fit it."""
    task = registry.get(letter.task)
    if task is None or letter.args is None:
        return ()
    try:
        args, kwargs = task.parameters.rebuild(task.name, list(letter.args), dict(letter.kwargs or {}))
        named = task.parameters.named(task.name, args, kwargs)
        return [each.gate(task.name, named) for each in task.breakers]
    except InvalidArguments:
        return ()
