"""Child processes of a bench: started, held, let go and stopped by their id; and what they cost."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunnerError

STOP_S = 20.0
LOG_TAIL_LINES = 12
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One child."""

    child: "subprocess.Popen[bytes]"
    log: Path

    def cpu_s(self) -> float | None:
        """Give the processor time used so far; None where the system does not tell (no /proc).

        Each thread by itself, in nanoseconds: ``stat`` has the sum to 10 ms, too coarse for parts of a bench.
        """
        told = [
            _read(path / "schedstat").split() for path in (_PROC / str(self.child.pid) / "task").glob("*")
        ]
        return sum(int(fields[0]) for fields in told if fields) / 1e9 if any(told) else None

    def rss_bytes(self) -> int | None:
        """Give the memory it holds; None where the system does not tell."""
        fields = _read(_PROC / str(self.child.pid) / "statm").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else None

    def hold(self) -> None:
        """Stop it in its tracks; it notices nothing but the time that is gone when it is let go."""
        self.child.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """Let it run on."""
        self.child.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """See that it lives.

        Raises:
            RunnerError: it has ended; says the end of its log.
        """
        if self.child.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            msg = f"a process of the bench ended by itself ({self.child.returncode}); its log ends:\n{tail}"
            raise RunnerError(msg)

    def stop(self) -> None:
        """End it in order; what does not end in time is killed."""
        with contextlib.suppress(ProcessLookupError):
            self.let_go()
            self.child.terminate()
        try:
            self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


@contextlib.contextmanager
def python(
    arguments: Sequence[str],
    *,
    folder: Path,
    name: str,
    environment: Mapping[str, str],
    is_heard: bool = False,
) -> Generator[Process]:
    """Run ``python -m …`` until the block ends.

    Args:
        arguments: what follows ``-m``.
        folder: where it runs and logs.
        name: of its log.
        environment: beside this process's own.
        is_heard: its stdout is ``child.stdout``, not the log.
    """
    path = folder / f"{name}.log"
    with path.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": _python_path(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_heard else log,
            stderr=log,
            start_new_session=True,
        )
    process = Process(child, path)
    try:
        yield process
    finally:
        process.stop()


def _python_path() -> str:
    """Put this very package first on the child's path: it runs in another folder."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
