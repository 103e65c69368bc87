"""Sagas: steps one after the other; when one fails, what has happened is undone, the last step first.

    reserve ──► charge ──► ship ──► succeeded
       │ ▲         │ ▲        │
       ▼ │ failed  ▼ │ failed ▼ failed
    release ◄── refund ◄──────┘           an undo that dies, or a step that is undecided: needs_attention
       │
       ▼
    undone

A saga is laid flat into nodes like any workflow: the steps first, then the undos. All it decides is where the
end of each node leads: when it is done; when it has failed; when nobody knows (``Undecided``); and when it is
done, but the saga was cancelled meanwhile. The edges are fixed before it begins: no process decides anything.
"""

from typing import Any, Concatenate, TypeVar, cast

from ..errors import InvalidArguments, InvalidJob
from ..parts import Part, Saga, SagaStep, Step
from ..registry import Registry
from ..tasks import Task
from .check import Given, check_parts
from .flat import Flat, Node

R = TypeVar("R")
S = TypeVar("S")

UNDONE = "=undone"
PARKED = "=needs_attention"


def step(
    call: Step[object, S],
    undo: "Task[Concatenate[S | None, ...], Any] | None" = None,
    *,
    undo_failed: bool = True,
) -> SagaStep[S]:
    """Make a step of a saga.

    Args:
        call: what is done, with all its arguments; results of other steps are not passed on.
        undo: called with the step's result, None when it has none, and then with the step's own arguments. It
            may run more than once, and when the step has not happened; then it has nothing to do.
        undo_failed: undo this step, too, when it fails: it may have happened all the same, as when a worker
            died or an answer did not come. False for a step that fails only when nothing has happened.

    Raises:
        InvalidJob: ``call`` is no call, or ``undo`` no task.
    """
    if not isinstance(call, Step):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"a step of a saga is a call, as step(task.call(…), undo=task), not {call!r}"
        raise InvalidJob(msg)
    if undo is not None and not isinstance(undo, Task):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"step(undo=…) takes a task, which is called with the step's result and arguments, not {undo!r}"
        raise InvalidJob(msg)
    return SagaStep(call, undo, undo_failed)


def saga(*steps: *tuple[*tuple[SagaStep[Any], ...], SagaStep[R]]) -> Part[object, R]:
    """Run steps one after the other, each with its task's retries; give what the last one returned.

    When a step fails, the undos of those that are done run, the last one first, each with its task's
    retries; then the saga is ``undone``. While a step retries, snoozes, sleeps or waits for a signal, the
    saga waits. An undo that dies, and a step that raises ``Undecided``, leave it in ``needs_attention``;
    ``retry`` tries that one again and goes on from there. Cancelling lets the step under way end, and then
    undoes.

    Raises:
        InvalidJob: there is no step, or something is none.
    """
    for number, each in enumerate(steps, 1):
        if not isinstance(each, SagaStep):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"part {number} of the saga is {each!r}; a part is made by step(task.call(…), undo=task)"
            raise InvalidJob(msg)
    if not steps:
        msg = "a saga needs at least one step"
        raise InvalidJob(msg)
    return Saga(steps)


def check_saga(saga: Saga[Any, Any], registry: Registry) -> Given:
    """Check every call of a saga, and that each undo takes what it will get; gives what the saga gives.

    Raises:
        InvalidTask: a task is not registered.
        InvalidArguments: arguments do not fit; names the task and what it gets.
        InvalidJob: a placement that a node cannot have.
    """
    given = [check_parts(each.call, registry) for each in saga.steps]
    for each, before in zip(saga.steps, given, strict=True):
        if each.undo is not None:
            _check_undo(each, each.undo, before, registry)
    return given[-1]


def _check_undo(done: SagaStep[Any], undo: Task[..., Any], before: Given, registry: Registry) -> None:
    call, name = done.call, done.call.task.name
    try:
        check_parts(Step(undo, call.args, call.kwargs), registry, Given(before.kind, f"step '{name}'"))
    except InvalidArguments as error:
        gets = "an undo gets its step's result, or None, and then the step's own arguments"
        raise InvalidArguments(f"{error} ({gets})") from error
    first = undo.parameters.names[0]
    try:
        if done.undo_failed:
            undo.parameters.converters[first].check(None)
    except TypeError:
        cure = f"annotate '{first}' with '| None', or say step(…, undo_failed=False)"
        msg = f"task '{undo.name}' gets None as '{first}' when step '{name}' has failed: {cure}"
        raise InvalidArguments(msg) from None


def lay_saga(saga: Saga[Any, Any]) -> Flat:
    """Number a saga's steps and undos, and say where their ends lead."""
    steps = saga.steps
    undo_of: dict[int, int] = {}
    for number, each in enumerate(steps):
        if each.undo is not None:
            undo_of[number] = len(steps) + len(undo_of)

    def back_from(number: int) -> str:
        """Give where undoing begins when this step is the first to be undone."""
        return next((f">{undo_of[n]}" for n in range(number, -1, -1) if n in undo_of), UNDONE)

    nodes: list[Node] = []
    for number, each in enumerate(steps):
        after = "=succeeded" if number == len(steps) - 1 else f">{number + 1}"
        failed = back_from(number if each.undo_failed else number - 1)
        nodes.append(Node(number, each.call, None, f"{after}|{failed}|{PARKED}|{back_from(number)}"))
    for number, unit in undo_of.items():
        call = steps[number].call
        undo: Step[Any, Any] = Step(cast("Task[..., Any]", steps[number].undo), call.args, call.kwargs)
        nodes.append(Node(unit, undo, [number], f"{back_from(number - 1)}|{PARKED}"))
    return Flat(nodes, {}, ">0", len(steps) - 1, f"s({len(steps)}.{len(undo_of)}.)")
