"""The failure of an attempt whose process died."""

import signal

from ..errors import RunnerError


class WorkerChildDied(RunnerError):
    """The process that ran this attempt died; neither the worker nor another job has taken harm.

    Attributes:
        code: as of ``subprocess``: what it exited with, or the signal, negative.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the process that ran this attempt died: {_words(code)}")
        self.code = code


def _words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"signal {name}" + (" (the system may have been out of memory)" if name == "SIGKILL" else "")
