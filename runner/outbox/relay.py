"""Moves rows to the server: a batch is locked, enqueued, deleted and committed, in this order."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, delete, false, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ..client import Client
from ..errors import QueueFull
from ..wire.coalesce import fitting
from ..wire.intake import Wish
from .table import OUTBOX, wish_in

logger = logging.getLogger("runner")

BATCH = 100
"""Rows that are locked at once; each may be as large as ``limits.payload``."""
STOP_S = 5.0
"""How long what was committed gets to be moved when the runner leaves; rows stay if that is not enough."""


class Relay:
    """Moves the rows of one database, one batch at a time.

    Relays of other processes take other rows where the database can skip locked ones (PostgreSQL); on SQLite
    one waits for the other. Within a process it is one task, so it takes one connection of the pool, and none
    while the server is away.

    Args:
        engine: of the database.
        client: connected to the server.
    """

    def __init__(self, engine: AsyncEngine, client: Client) -> None:
        self._engine = engine
        self._client = client
        self._turn = asyncio.Lock()
        self._moving: asyncio.Task[None] | None = None
        self._is_asked = False
        self._is_stopping = False
        self._is_failing = False
        self._unreadable: set[int] = set()

    def wake(self) -> None:
        """Move what there is, beside the caller; a failure is logged, and the rows stay."""
        if self._is_stopping:
            return
        self._is_asked = True
        if self._moving is None:
            self._moving = asyncio.get_running_loop().create_task(self._move_all(), name="runner outbox")

    async def keep_moving(self, *, every_s: float) -> None:
        """Look for rows that were left behind, until cancelled."""
        while True:
            self.wake()
            await asyncio.sleep(every_s)

    async def stop(self) -> None:
        """Move what the last commits have left, within some seconds, and no more."""
        self._is_stopping = True
        if (moving := self._moving) is not None:
            await asyncio.wait([moving], timeout=STOP_S)
            moving.cancel()
            await asyncio.wait([moving])

    async def move(self) -> int:
        """Move what there is now; gives how many rows.

        Raises:
            ServerError: the server is away or refuses; the rows stay.
            sqlalchemy.exc.SQLAlchemyError: the database does; rows stay whose jobs may be enqueued.
        """
        moved, full = 0, set[str]()
        async with self._turn:
            while await self._is_any_left(full):
                await self._client.ping()  # no connection and no lock is held while the server is away
                async with self._engine.begin() as connection:
                    rows = await self._locked(connection, full)
                    done = await self._push(rows, full)
                    if done:
                        await connection.execute(delete(OUTBOX).where(OUTBOX.c.position.in_(done)))
                moved += len(done)
                if not rows:
                    break  # others have them
        return moved

    async def _move_all(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                await self.move()
                if self._is_failing:
                    logger.info("the outbox moves again")
                self._is_failing = False
        except Exception as error:  # noqa: BLE001 - whatever it was: the rows are there, and it is tried again
            if not self._is_failing:
                why = f"{type(error).__name__}: {error}"
                logger.warning("the outbox cannot be moved, its rows stay until it can: %s", why)
            self._is_failing = True
        finally:
            self._moving = None

    async def _is_any_left(self, full: set[str]) -> bool:
        """Look without a lock: most looks find nothing."""
        async with self._engine.connect() as connection:
            found = await connection.execute(self._rows(full).with_only_columns(OUTBOX.c.position).limit(1))
            return found.first() is not None

    async def _locked(self, connection: AsyncConnection, full: set[str]) -> Sequence[Row[Any]]:
        if connection.dialect.name == "sqlite":
            # It has no FOR UPDATE; a write, even of nothing, keeps other relays out until the commit.
            await connection.execute(update(OUTBOX).where(false()).values(queue=""))
        return (await connection.execute(self._batch(full))).all()

    def _batch(self, full: set[str]) -> Select[Any]:
        return self._rows(full).limit(BATCH).with_for_update(skip_locked=True)

    def _rows(self, full: set[str]) -> Select[Any]:
        """Give a query for the rows in their order, but those of full queues, and those nobody can read."""
        rows = select(OUTBOX).order_by(OUTBOX.c.position)
        if full:
            rows = rows.where(OUTBOX.c.queue.not_in(full))
        return rows.where(OUTBOX.c.position.not_in(self._unreadable)) if self._unreadable else rows

    async def _push(self, rows: Sequence[Row[Any]], full: set[str]) -> list[int]:
        """Enqueue rows; gives the positions of those that the server has acknowledged.

        A queue without room keeps its rows waiting, and is noted in ``full``; others pass.
        """
        done: list[int] = []
        for queue, group in groupby(sorted(rows, key=lambda row: row.queue), key=lambda row: row.queue):
            wishes = {row.position: wish for row in group if (wish := self._read(row)) is not None}
            left = list(wishes.values())
            try:
                while left:
                    count = fitting(left, lambda wish: len(wish.entry.payload))
                    await self._client.put(queue, left[:count], wait=False)  # the rows are locked
                    left = left[count:]
            except QueueFull as error:
                logger.warning("the outbox waits: %s", error)
                full.add(queue)
            else:
                done += wishes
        return done

    def _read(self, row: Row[Any]) -> Wish | None:
        try:
            return wish_in(row)
        except ValueError as error:
            self._unreadable.add(row.position)
            logger.error(
                "%s: row %d is passed over, nobody can read it: %s", OUTBOX.name, row.position, error
            )
            return None
