"""The way in: a job as a row of the caller's own transaction."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine, event, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ..client import Client, Job
from ..tasks import Task
from .table import OUTBOX, row_of

P = ParamSpec("P")
R = TypeVar("R")


class Outbox:
    """Enqueues into the transaction of one session; ``runner.outbox(session)``.

    Args:
        client: connected to the server.
        session: whose transaction it is.
        wake: told of the database in which a commit has left rows.
    """

    def __init__(self, client: Client, session: AsyncSession, wake: Callable[[Engine], None]) -> None:
        self._client = client
        self._session = session
        self._wake = wake
        self._written_to: Engine | None = None
        event.listen(session.sync_session, "after_commit", self._note_commit)

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Write the job of a call into the transaction: committed it is enqueued, rolled back it never was.

        All that ``task.using(…)`` sets holds; ``delay`` and ``expires`` count from this call. One statement
        to the database, none to the server. The handle's disposition is ``unknown``: whether there is a job
        of that key, or one that does the same (``Unique``), shows when the row is moved, and it is a
        duplicate then, also where the task says to reject.

        Raises:
            InvalidTask: it is no task.
            InvalidJob: as ``Runner.enqueue``.
            sqlalchemy.exc.SQLAlchemyError: the database refuses; without the table ``runner_outbox``, too.
        """
        queue, wish = self._client.wish(task, args, kwargs)
        row = row_of(queue, wish, task=task.name, server_now_ms=self._client.server_now_ms())
        await self._session.execute(insert(OUTBOX).values(row))
        bind = self._session.get_bind(clause=OUTBOX)
        # A session on a connection commits nothing by itself: whose transaction it is knows only the caller.
        self._written_to = bind if isinstance(bind, Engine) else None
        return Job(self._client, wish.entry.job_id, queue, "unknown", task)

    def _note_commit(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint: nothing is committed yet
            return
        engine, self._written_to = self._written_to, None
        if engine is not None:
            self._wake(engine)
