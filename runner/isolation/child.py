"""Inside a child process: hear a call, run it, answer. The main thread runs, another one listens.

The listening thread ends the process when the pipe closes, whatever the main thread does: a worker that is
killed leaves no process behind. On Linux the kernel does that too, for code that never lets go of the GIL.
"""

import asyncio
import ctypes
import importlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn

import msgspec

from ..clock import SYSTEM_CLOCK
from ..job import Attempt, current_attempt
from ..registry import Registry
from ..tasks import Task
from ..wire import codec
from .body import Body
from .context import IsolatedContext, plain_keys
from .frames import (
    Answer,
    Asked,
    Call,
    Frames,
    Hello,
    Logged,
    Progressed,
    Raised,
    Ready,
    Returned,
    Soften,
    Unfit,
    asked,
    framed,
    plain,
)
from .told import tell

_PR_SET_PDEATHSIG = 1


def serve(fd: int) -> NoReturn:
    """Serve calls that come over this socket until it closes."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave_it_to_the_worker)
    for signum in (signal.SIGTTIN, signal.SIGTTOU):  # a terminal stops who is in its background
        signal.signal(signum, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.set_inheritable(fd, False)  # what the task starts does not hold our pipe open
    _Child(socket.socket(fileno=fd)).serve()


def _leave_it_to_the_worker(_signum: int, _frame: FrameType | None) -> None:
    """Go on: the worker drains, and gives the job time; a service manager may signal us all."""


class _Child:
    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._turn = threading.Lock()
        self._heard: queue.SimpleQueue[Hello | Call] = queue.SimpleQueue()
        self._tasks: dict[tuple[str, str], Task[..., Any]] = {}
        self._body: tuple[int, Body] | None = None
        self._runner = asyncio.Runner()
        self._main = threading.get_ident()
        self._pending: type[BaseException] | None = None

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGUSR1, self._interrupted)
        threading.Thread(target=self._listen, daemon=True, name="runner pipe").start()
        while True:
            match self._heard.get():
                case Hello() as hello:
                    self._begin(hello)
                case Call() as call:
                    self.send(self._run(call))

    def send(self, message: Answer) -> None:
        """Write a message, from any thread."""
        with self._turn:
            self._pipe.sendall(framed(message))

    def _begin(self, hello: Hello) -> None:
        root = logging.getLogger()
        root.addHandler(_Forward(self))
        root.setLevel(hello.level)
        try:
            for module in hello.modules:
                importlib.import_module(module)
            if hello.memory:
                _limit_memory(hello.memory)
            self.send(Ready())
        except BaseException as error:  # noqa: BLE001 - it is raised in the worker
            self.send(Raised(tell(error)))

    def _run(self, call: Call) -> Answer:
        attempt = _attempt(call)
        current_attempt.set(attempt)
        try:
            task = self._task(call.module, call.task)
            args, kwargs = task.parameters.rebuild(task.name, plain(call.args), plain(call.kwargs))
            when = datetime.fromtimestamp(call.enqueued_at_ms / 1000, UTC)
            ctx = IsolatedContext(plain_keys(attempt, when), attempt, task.isolation, self._report)
            body = Body(task.body, attempt, self._interrupt)
            self._body = call.number, body
            try:
                value = body.run(self._runner, ctx, args, kwargs)
            finally:
                self._body = None
        except BaseException as error:  # noqa: BLE001 - it is raised again in the worker
            return Raised(tell(error))
        try:
            return Returned(msgspec.Raw(codec.encode_value(value)))
        except Exception as error:  # noqa: BLE001 - a user's model may raise anything while it is dumped
            return Unfit(str(error))

    def _task(self, module: str, name: str) -> Task[..., Any]:
        task = self._tasks.get((module, name))
        if task is None:
            registry = Registry()
            registry.add_module(importlib.import_module(module))
            task = registry.get(name)
            if task is None:
                msg = f"module '{module}' has no task '{name}' at its top level: was it changed on disk?"
                raise LookupError(msg)
            self._tasks[module, name] = task
        return task

    def _report(self, done: float, note: str) -> None:
        self.send(Progressed(done, note))

    # -- the other thread -------------------------------------------------------------------------------

    def _listen(self) -> None:
        frames = Frames()
        with suppress(OSError):
            while data := self._pipe.recv(65_536):
                for each in frames.feed(data):
                    self._hear(asked.decode(each))
        os._exit(0)

    def _hear(self, message: Asked) -> None:
        match message:
            case Soften(number):
                running = self._body
                if running is not None and running[0] == number:
                    running[1].soften()
            case Hello() | Call():
                self._heard.put(message)

    def _interrupt(self, kind: type[BaseException]) -> None:
        self._pending = kind
        signal.pthread_kill(self._main, signal.SIGUSR1)

    def _interrupted(self, _signum: int, _frame: FrameType | None) -> None:
        """In the main thread: raise what is pending, unless the call has ended meanwhile."""
        kind, self._pending = self._pending, None
        if kind is not None and self._body is not None:
            raise kind


class _Forward(logging.Handler):
    """Sends log records to the worker, whose handlers write them."""

    def __init__(self, child: _Child) -> None:
        super().__init__()
        self._child = child
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        self._child.send(Logged(record.name, record.levelno, message, record.pathname, record.lineno))


def _attempt(call: Call) -> Attempt:
    now = SYSTEM_CLOCK.monotonic()
    return Attempt(
        job_id=call.job_id,
        queue=call.queue,
        number=call.attempt,
        token="",
        fence=call.fence,
        due_at_ms=call.due_at_ms,
        payload=None,
        task=call.task,
        enqueued_at_ms=call.enqueued_at_ms,
        deadline=None if call.remaining_s is None else now + call.remaining_s,
    )


def _limit_memory(beyond: int) -> None:
    """Let this process have so many bytes more than it has now; malloc fails beyond, Python's MemoryError."""
    if sys.platform == "win32":
        return
    import resource

    limit = beyond
    with suppress(OSError), open("/proc/self/statm", "rb") as file:
        limit += int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
