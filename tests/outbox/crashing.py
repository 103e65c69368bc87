"""An app that dies at a step of its outbox: `python crashing.py REDIS_URL FOLDER STEP …`, a fork a step.

Each step has a database of its own, FOLDER/STEP.db, so that no other moves what it leaves.
A job of the step's name is enqueued in a transaction that also writes the order of that name.
"""

import asyncio
import os
import sys
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from runner import Context, Runner, Settings, task
from runner.client import Client
from runner.outbox import Relay
from runner.settings.model import RedisGroup


@task
async def confirm(ctx: Context, order: str) -> str:
    return order


def die(*_: Any, **__: Any) -> None:
    os._exit(9)


async def order(redis_url: str, folder: str, step: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/{step}.db")
    runner = Runner(Settings(redis=RedisGroup(url=redis_url), tasks=()), tasks=[confirm])
    push = Client.put

    async def push_and_die(*args: Any, **options: Any) -> None:
        await push(*args, **options)
        die()

    match step:
        case "after-commit":
            Relay.wake = die
        case "before-push":
            Client.put = die
        case "after-push":
            Client.put = push_and_die
        case "after-delete":
            commits = iter((lambda _: None, die))
            event.listen(engine.sync_engine, "commit", lambda connection: next(commits)(connection))
    async with runner, AsyncSession(engine) as session:
        await session.execute(text("INSERT INTO orders VALUES (:id)"), {"id": step})
        await runner.outbox(session).enqueue(confirm.using(key=step), step)
        if step == "before-commit":
            die()
        await session.commit()
    die()


if __name__ == "__main__":
    for each in sys.argv[3:]:
        child = os.fork()
        if child == 0:
            asyncio.run(order(sys.argv[1], sys.argv[2], each))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 9:
            sys.exit(f"{each}: did not die where it should")
