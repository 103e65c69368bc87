"""The table of the outbox: offered to your migrations, never created by us."""

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Row, String, Table, Text

from ..unique import Sole
from ..wire.intake import Wish
from ..wire.scripts import Entry

METADATA = MetaData()
"""Holds the one table, for ``create_all`` or as one of Alembic's ``target_metadata``."""

OUTBOX = Table(
    "runner_outbox",
    METADATA,
    # Rows are moved in this order. SQLite would use the number of a deleted row again.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(1024), nullable=False),
    Column("queue", String(200), nullable=False),
    Column("task", Text, nullable=False),
    Column("enqueued_at_ms", BigInteger, nullable=False),  # for people: the oldest tells how far behind it is
    Column("due_at_ms", BigInteger, nullable=False),  # by the server's clock; 0 is at once
    Column("payload", LargeBinary(16 * 1024 * 1024), nullable=False),  # MySQL chooses its type by the length
    Column("lane", Text, nullable=False),
    Column("sole", Text),  # what makes it unique, as JSON
    sqlite_autoincrement=True,
)


def row_of(queue: str, wish: Wish, *, task: str, server_now_ms: int) -> dict[str, Any]:
    """Give a job as a row; a delay counts from now, however late the row is moved."""
    job_id, at_ms, delay_ms, payload, lane = wish.entry
    return {
        "job_id": job_id,
        "queue": queue,
        "task": task,
        "enqueued_at_ms": server_now_ms,
        "due_at_ms": at_ms or (server_now_ms + delay_ms if delay_ms else 0),
        "payload": payload,
        "lane": lane,
        "sole": None if wish.sole is None else msgspec.json.encode(wish.sole).decode(),
    }


def wish_in(row: Row[Any]) -> Wish:
    """Give the job that a row is.

    Raises:
        ValueError: somebody else has written it.
    """
    sole = None if row.sole is None else msgspec.json.decode(row.sole, type=Sole)
    return Wish(Entry(row.job_id, row.due_at_ms, 0, bytes(row.payload), row.lane), sole)
