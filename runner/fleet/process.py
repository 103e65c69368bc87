"""One worker process, seen from its parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from .beat import PLACE, VARIABLE, read_beat
from .plan import Known

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """Started when made.

    Args:
        command: what to run.
        environment: its variables, beside the one that names the pipe.
        generation: under which it is started.
        place: among its siblings, from 1: the lowest that is free.
        now: reads the time.
        on_change: called when it tells something.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        generation: int,
        place: int,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._now = now
        self._on_change = on_change
        self._generation = generation
        self.place = place
        self._started_at = now()
        self._retiring_at: float | None = None
        self._jobs = 0
        self._last_beat_at: float | None = None
        self._unread = b""
        self._pipe, theirs = os.pipe()
        try:
            # In a session of its own: Ctrl-C reaches the parent alone, which then tells each of them once.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                env={**environment, VARIABLE: str(theirs), PLACE: str(place)},
                pass_fds=(theirs,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        os.set_blocking(self._pipe, False)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    @property
    def pid(self) -> int:
        """Of it."""
        return self._process.pid

    @property
    def is_retiring(self) -> bool:
        """Whether it was told to drain."""
        return self._retiring_at is not None

    @property
    def is_ready(self) -> bool:
        """Whether it has told that it serves."""
        return self._last_beat_at is not None

    @property
    def age_s(self) -> float:
        """Since it was started."""
        return self._now() - self._started_at

    def known(self) -> Known:
        """Give what is known of it."""
        retiring = None if self._retiring_at is None else self._now() - self._retiring_at
        return Known(
            pid=self.pid,
            generation=self._generation,
            age_s=self.age_s,
            is_ready=self.is_ready,
            jobs=self._jobs,
            memory=resident_bytes(self.pid),
            retiring_s=retiring,
        )

    def ended(self) -> int | None:
        """Give its exit code once it has ended (negative: the signal), and let go of the pipe; else None."""
        code = self._process.poll()
        if code is not None and self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
        return code

    def retire(self) -> None:
        """Tell it to drain; told twice, it hurries."""
        if self._retiring_at is None:
            self._retiring_at = self._now()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now; its jobs start again elsewhere when their leases end."""
        self._signal(signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signum)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, 65_536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._pipe)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            if (beat := read_beat(line)) is not None:
                self._jobs, self._last_beat_at = beat.jobs, self._now()
        self._on_change()


def command_of(arguments: Sequence[str]) -> list[str]:
    """Give the command line of a worker process: ``runner worker`` by this interpreter."""
    return [sys.executable, "-m", "runner", "worker", *arguments]


def resident_bytes(pid: int) -> int:
    """Give the memory of a process, by Linux's /proc; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
