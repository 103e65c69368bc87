"""Processes of tests that start in milliseconds: forked from one that has everything imported.

A process of its own like any other, to be killed or stopped at will; only starting Python and importing
the runner, most of a second of CPU, is done once. For scripts that tests run by the dozen: what shows that a
command starts from nothing belongs into a `subprocess`.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["runner.app", "jobs.payment", "runner.engine.worker", "aiohttp", "arq"])


def start(
    script: Path | str,
    *arguments: str,
    log: Path | str = os.devnull,
    folder: Path | str = ".",
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Run a script, or a module by its name, as `python SCRIPT ARGUMENTS…` does.

    What it says is appended to a file; its stdin ends when the process that started it does. It may be run in
    a folder, whose modules it then finds, and with an environment of its own.
    """
    words = (str(script), arguments, str(log), str(folder), dict(environment or os.environ))
    process = _CONTEXT.Process(target=_run, args=words, daemon=True)
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """Kill -9, and wait until it is gone."""
    process.kill()
    process.join()


def _run(script: str, arguments: tuple[str, ...], log: str, folder: str, environment: dict[str, str]) -> None:
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if starter := multiprocessing.parent_process():
        os.dup2(starter.sentinel, 0)
        sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, os.getcwd())
    sys.argv = [script, *arguments]
    run = runpy.run_path if script.endswith(".py") else runpy.run_module
    run(script, run_name="__main__")
