"""Processes of tests that start in milliseconds: forked from one that has everything imported.

A process of its own like any other, to be killed or stopped at will; only starting Python and importing
the runner, most of a second of CPU, is done once. For scripts that tests run by the dozen: what shows that a
command starts from nothing belongs into a `subprocess`.
"""

import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["runner.app", "jobs.payment", "runner.engine.worker", "aiohttp", "arq"])


def start(script: Path | str, *arguments: str, log: Path | str = os.devnull) -> BaseProcess:
    """Run a script as `python SCRIPT ARGUMENTS…` does, with what it says appended to a file."""
    process = _CONTEXT.Process(target=_run, args=(str(script), arguments, str(log)), daemon=True)
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """Kill -9, and wait until it is gone."""
    process.kill()
    process.join()


def _run(script: str, arguments: tuple[str, ...], log: str) -> None:
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
