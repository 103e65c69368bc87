"""A child process, seen from the worker. It runs one call at a time, and dies when the worker does."""

import asyncio
import contextvars
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from ..context import Context
from ..errors import SoftTimeout
from ..json_values import encode_rich
from ..tasks import Task
from .died import WorkerChildDied
from .frames import (
    Answer,
    Asked,
    Call,
    Frames,
    Hello,
    Logged,
    Progressed,
    Raised,
    Returned,
    Soften,
    Unfit,
    answers,
    framed,
    plain,
)
from .told import exception_of

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from runner.isolation.child import serve; serve(int(sys.argv[2]))"
)

NICER = 10
"""Steps of priority below the worker, which gets nine tenths of a core that both want."""
_LOWEST = 19

_encoder = msgspec.json.Encoder(enc_hook=encode_rich)


class Unencodable:
    """Stands for a result that JSON cannot carry; where results are encoded, it says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    def model_dump(self, **_: Any) -> Any:
        """Refuse.

        Raises:
            ValueError: always.
        """
        raise ValueError(self._why)


class Child(asyncio.Protocol):
    """One child process; ``await Child.start(…)`` makes it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            # In a group of its own: Ctrl-C reaches the worker alone, which gives the job time to end. But in
            # the worker's session: where Linux groups processes by session (sched_autogroup), a lower
            # priority says nothing to processes of another one.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-c", BOOT, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
            _give_way(self._process.pid)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._pidfd = -1
        self._answer: asyncio.Future[Answer | None] | None = None
        self._listen: Callable[[Logged | Progressed], None] = lambda _: None
        self.calls = 0
        self.is_usable = True

    @classmethod
    async def start(cls, modules: Sequence[str], *, memory: int) -> "Child":
        """Start a process and wait until it has imported these modules.

        Raises:
            WorkerChildDied: it died over that.
            BaseException: what the import raised.
        """
        child = cls()
        try:
            loop = asyncio.get_running_loop()
            await loop.create_unix_connection(lambda: child, sock=child._socket)
            child._watch_exit(loop)
            await child._ask(Hello(list(modules), memory, logging.getLogger().getEffectiveLevel()))
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def pid(self) -> int:
        """Of it."""
        return self._process.pid

    async def run(self, task: Task[..., Any], ctx: Context, args: Any, kwargs: Any) -> Any:
        """Run a call; cancelled, it kills the process.

        Raises:
            WorkerChildDied: the process died over it.
            BaseException: what the task raised.
        """
        running, report = ctx.running, ctx.get("report_progress")
        self.calls += 1
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def hear(message: Logged | Progressed) -> None:
            if isinstance(message, Logged):
                context.run(_log, message)
            elif report is not None:
                loop.create_task(report(running, message.done, message.note), context=context)

        self._listen = hear
        call = Call(
            number=self.calls,
            module=task.body.__module__,
            task=task.name,
            args=msgspec.Raw(_encoder.encode(args)),
            kwargs=msgspec.Raw(_encoder.encode(kwargs)),
            job_id=running.job_id,
            queue=running.queue,
            attempt=running.number,
            fence=running.fence,
            due_at_ms=running.due_at_ms,
            enqueued_at_ms=running.enqueued_at_ms,
            remaining_s=ctx.remaining(),
        )
        return await self._ask(call)

    async def _ask(self, asked: Hello | Call) -> Any:
        """Give what comes back; the value of a call."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        try:
            self._send(asked)
            while not answer.done():
                try:
                    await asyncio.wait((answer,))
                except SoftTimeout:
                    self._send(Soften(self.calls))
        except BaseException:
            self.kill()
            raise
        match answer.result():
            case Returned(value):
                return plain(value)
            case Unfit(why):
                return Unencodable(why)
            case Raised(told):
                error = exception_of(told)
                self.is_usable = self.is_usable and not isinstance(error, MemoryError)
                raise error
            case None:
                raise WorkerChildDied(await self.end())
            case _:
                return None

    def kill(self) -> None:
        """End it now; nothing of it is waited for."""
        self.is_usable = False
        if self._process.poll() is None:
            self._process.kill()
        if self._transport is not None:
            self._transport.abort()
        else:
            self._socket.close()

    async def end(self) -> int:
        """End it now; gives what it exited with, its own if it had ended by itself."""
        self.kill()
        return await asyncio.to_thread(self._process.wait)

    def _watch_exit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of its death also when what it forked holds the pipe open; Linux only."""
        if sys.platform == "linux":
            self._pidfd = os.pidfd_open(self.pid)
            loop.add_reader(self._pidfd, self.connection_lost, None)

    def _send(self, asked: Asked) -> None:
        if self._transport is not None:
            self._transport.write(framed(asked))

    # -- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            try:
                message = answers.decode(body)
            except msgspec.DecodeError:
                self.kill()  # the task wrote into our pipe
                return
            match message:
                case Logged() | Progressed():
                    self._listen(message)
                case _:
                    self._give(message)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_usable = False
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._give(None)

    def _give(self, answer: Answer | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


def _give_way(pid: int) -> None:
    """Let it run when the worker's event loop does not want to: then a loop without end holds up nobody."""
    nice = min(_LOWEST, os.getpriority(os.PRIO_PROCESS, 0) + NICER)
    os.setpriority(os.PRIO_PROCESS, pid, nice)


def _log(message: Logged) -> None:
    logger = logging.getLogger(message.name)
    if logger.isEnabledFor(message.level):
        logger.handle(
            logger.makeRecord(
                message.name, message.level, message.path, message.line, message.message, (), None
            )
        )
