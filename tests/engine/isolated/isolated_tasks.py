"""Tasks that run in threads and processes; a child imports this module by its name."""

import asyncio
import ctypes
import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from runner import GiveUp, RunnerError, SoftTimeout, backoff, task

AGAIN = backoff.constant(0)
logger = logging.getLogger("shop")


class Declined(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.reason = f"declined {code}"


@task(isolation="process")
def add(ctx: Any, a: int, b: int) -> tuple[int, int, str, int]:
    return a + b, os.getpid(), ctx.job_id, ctx.attempt


@task(isolation="process")
async def add_async(ctx: Any, a: int, b: int) -> tuple[int, int]:
    await asyncio.sleep(0)
    await ctx.progress(0.5, "half")
    logger.warning("adding")
    return a + b, os.getpid()


@task(isolation="fresh")
def whoami(ctx: Any) -> int:
    return os.getpid()


@task(isolation="process")
def stands(ctx: Any) -> tuple[int, int, bool]:
    return os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0), os.getpgrp() == os.getpid()


@task(isolation="process", max_tries=1)
def refuses(ctx: Any) -> None:
    raise Declined(17)


@task(isolation="process", give_up_on=Declined)
def gives_up(ctx: Any) -> None:
    raise Declined(17)


@task(isolation="process")
def says_no(ctx: Any) -> None:
    raise GiveUp("no such customer")


@task(isolation="process", max_tries=1)
def returns_odd(ctx: Any) -> Any:
    return object()


@task(isolation="process", max_tries=1)
def asks_for_http(ctx: Any) -> str:
    try:
        return str(ctx.http)
    except RunnerError as error:
        return str(error)


@task(isolation="process", max_tries=2, retry=AGAIN)
def dies_first(ctx: Any, how: str) -> int:
    if ctx.attempt == 1:
        die(how)
    return ctx.attempt


def die(how: str) -> None:
    how, _, path = how.partition(" ")
    match how:
        case "exit":
            os._exit(7)
        case "segfault":
            ctypes.string_at(0)
        case "forked":
            if orphan := os.fork():
                Path(path).write_text(str(orphan))
                os._exit(7)
            time.sleep(60)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leak":
            hoard = [bytearray(1 << 26) for _ in range(64)]
            raise AssertionError(len(hoard))


@task(isolation="process", timeout=0.3, max_tries=1)
def loops(ctx: Any, path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    while True:
        pass


@task(isolation="process", timeout=30, soft_timeout=0.05, max_tries=1)
def tidies_up(ctx: Any) -> str:
    try:
        time.sleep(20)
    except SoftTimeout:
        return f"tidied, {ctx.remaining():.0f} s left"
    return "slept"


@task(isolation="process", timeout=30, soft_timeout=0.05, max_tries=1)
async def tidies_up_async(ctx: Any) -> str:
    try:
        await asyncio.sleep(20)
    except SoftTimeout:
        return "tidied"
    return "slept"


@task(isolation="process", max_tries=5)
def waits(ctx: Any, path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(30)


def turns(_ctx: Any) -> None: ...
