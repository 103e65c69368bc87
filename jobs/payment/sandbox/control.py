"""The sandbox from outside: start its process, switch its faults, end it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

START_S = 20.0


@dataclass
class Sandbox:
    """A running sandbox.

    Attributes:
        url: where its ``/v1`` lies.
        ledger: what it writes; read it with ``balance``.
        process: ends when the process that started it ends.
    """

    url: str
    ledger: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, *options: str, port: int = 0) -> Self:
        """Start one with its ledger in a folder; an existing ledger is gone on with.

        Args:
            folder: made when missing; the one above it must exist.
            *options: of ``python -m jobs.payment.sandbox``.
            port: 0 takes a free one.
        """
        folder.mkdir(exist_ok=True)
        ledger = folder / "ledger.jsonl"
        words = [sys.executable, "-m", "jobs.payment.sandbox", "--ledger", str(ledger), "--port", str(port)]
        process = subprocess.Popen(  # noqa: S603 - our own program and words
            [*words, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the starter's
            env=os.environ | {"PYTHONPATH": _python_path()},
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        url = process.stdout.readline().decode().strip()
        if not url:
            process.wait(START_S)
            msg = f"the sandbox did not start (exit code {process.returncode}); its words are above"
            raise RuntimeError(msg)
        return cls(url, ledger, process)

    def switch(self, **plan: Any) -> None:
        """Change the plan of faults by the names of ``Plan``'s attributes."""
        httpx.post(f"{self.url}/_sandbox", json=plan, trust_env=False).raise_for_status()

    def seen(self) -> int:
        """Give how many requests for money have come in since the last ``switch``."""
        return httpx.get(f"{self.url}/_sandbox", trust_env=False).json()["seen"]

    def faults(self, name: str, *, times: int = 1) -> None:
        """Let the next requests meet a fault."""
        self.switch(queue=[name] * times)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(START_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _python_path() -> str:
    """Put this very package first: the starter may run in another folder."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]))
