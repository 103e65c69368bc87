"""The outboxes of one connected runner: by session, with one relay for each database."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ..client import Client
from ..errors import Delay, seconds
from .outbox import Outbox
from .relay import Relay


class Outboxes:
    """Outboxes and relays that share a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._relays: dict[Engine, Relay] = {}

    def outbox(self, session: AsyncSession) -> Outbox:
        """Give the outbox of a session, always the same."""
        made = session.sync_session.info.get(self)
        if made is None:
            made = Outbox(self._client, session, lambda engine: self._relay(engine).wake())
            session.sync_session.info[self] = made
        return made

    @contextlib.asynccontextmanager
    async def relay(self, engine: AsyncEngine, *, every: Delay) -> AsyncGenerator[Relay]:
        """Look for rows that were left behind, while inside.

        Raises:
            ValueError: the span is negative or no number.
        """
        relay = self._relay(engine.sync_engine)
        keeping = asyncio.create_task(relay.keep_moving(every_s=seconds(every)), name="runner outbox relay")
        try:
            yield relay
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def stop(self) -> None:
        """Let batches on their way end."""
        await asyncio.gather(*(relay.stop() for relay in self._relays.values()))

    def _relay(self, engine: Engine) -> Relay:
        if engine not in self._relays:
            self._relays[engine] = Relay(AsyncEngine(engine), self._client)
        return self._relays[engine]
