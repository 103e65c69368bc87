"""The ``ctx`` of code that runs outside of the worker's event loop."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn

from ..context import Context
from ..errors import RunnerError
from ..job import Attempt


class _Sent(Awaitable[None]):
    """What has been done already: ``await`` it or not."""

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield


_SENT = _Sent()


class IsolatedContext(Context):
    """Ids, ``remaining()``, ``snooze()`` and ``progress()``; the rest lives in the event loop, and says so.

    Args:
        given: arq's keys that are plain values.
        running: a copy of the attempt.
        isolation: of the task, for people.
        report: hands progress to the worker, from any thread.
    """

    __slots__ = ("_isolation", "_report")

    def __init__(
        self, given: dict[str, Any], running: Attempt, isolation: str, report: Callable[[float, str], None]
    ) -> None:
        super().__init__(given, running)
        self._isolation = isolation
        self._report = report

    def progress(self, done: float, note: str = "") -> Awaitable[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Tell how far the job is, with or without ``await``: it is on its way when this returns.

        Raises:
            ValueError: ``done`` is no share.
        """
        if not 0 <= done <= 1:
            msg = f"progress is a share from 0 to 1, not {done!r}"
            raise ValueError(msg)
        self._report(float(done), note)
        return _SENT

    def __missing__(self, name: str) -> NoReturn:
        msg = (
            f"ctx has no '{name}' in a task with isolation='{self._isolation}': it belongs to the worker's "
            "event loop; open your own, or leave that part to a task in the loop"
        )
        raise RunnerError(msg)

    def _given(self, name: str) -> Any:
        return self[name]

    async def enqueue(self, task: Any, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Not here.

        Raises:
            RunnerError: always.
        """
        del task, args, kwargs
        self.__missing__("enqueue")


def plain_keys(attempt: Attempt, enqueue_time: Any) -> dict[str, Any]:
    """Give arq's keys that are plain values."""
    return {
        "job_id": attempt.job_id,
        "job_try": attempt.number,
        "enqueue_time": enqueue_time,
        "score": attempt.due_at_ms,
    }
