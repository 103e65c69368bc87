"""What workflows are put together of: calls, chains and groups, as values. No cycle can be built of them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

if TYPE_CHECKING:
    from .tasks import Task

X = TypeVar("X", contravariant=True)
R = TypeVar("R", covariant=True)

OnError = Literal["fail", "collect"]


class Part(Generic[X, R]):
    """A workflow, or a part of one: it takes an X from what comes before it, and gives an R."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Step(Part[X, R]):
    """One call of a task whose first argument is the result of what comes before it in a chain.

    Attributes:
        task: with its placement.
        args: without that first one.
        kwargs: by name.
        is_fixed: it takes no result, wherever it stands.
    """

    task: "Task[..., R]"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    is_fixed: bool = False


class Call(Step[object, R]):
    """One call of a task, not yet enqueued: a value that can be stored in lists and workflows."""

    __slots__ = ()

    def fixed(self) -> Self:
        """Give the same call, to be made with these arguments alone: a result before it is not passed on."""
        return replace(self, is_fixed=True)


@dataclass(frozen=True, slots=True)
class Chain(Part[X, R]):
    """Parts one after the other; each takes the result of the one before."""

    parts: tuple[Part[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Group(Part[X, R]):
    """Parts at the same time; the result is the list of theirs, in this order.

    Attributes:
        parts: its members.
        error: ``fail``: one that dies fails the group; ``collect``: what follows gets a NodeOutcome of each.
    """

    parts: tuple[Part[Any, Any], ...]
    error: OnError = "fail"


@dataclass(frozen=True, slots=True)
class SagaStep(Generic[R]):
    """A step of a saga.

    Attributes:
        call: what is done.
        undo: the task that undoes it; None for what needs no undo.
        undo_failed: it is undone, too, when it was the one that failed.
    """

    call: Step[Any, R]
    undo: "Task[..., Any] | None"
    undo_failed: bool


@dataclass(frozen=True, slots=True)
class Saga(Part[X, R]):
    """Steps one after the other; when one fails, those before it are undone. A workflow of its own."""

    steps: tuple[SagaStep[Any], ...]
