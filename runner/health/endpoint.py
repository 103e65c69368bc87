"""A worker process's own port: /metrics, /healthz, /readyz and /scale."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from ..wire.scripts import Execute
from .answers import Answer, Answers
from .door import Health

logger = logging.getLogger("runner")

AGAIN_AFTER_S = 5.0
STOP_S = 1.0
"""How long open requests get when the worker leaves."""


class Endpoint:
    """Serves the port beside a worker.

    Args:
        health: answers.
        host: address to listen on.
        port: 0 for any that is free; ``address`` says which.
    """

    prefixes: Sequence[str] = ()

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._health = health
        self._host = host
        self._port = port
        self.address: tuple[str, int] | None = None

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Keys are none of its business."""

    async def run(self, execute: Execute) -> None:
        """Serve until cancelled; a port that is taken is tried again: an old process may still drain."""
        del execute
        self._health.meter.start()
        app = web.Application()
        app.add_routes(routes_of(Answers(self._health, needs_worker=True)))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=STOP_S)
        await runner.setup()
        try:
            await self._listen(runner)
            await asyncio.Event().wait()
        finally:
            self._health.stop()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        while True:
            try:
                await web.TCPSite(runner, self._host, self._port).start()
            except OSError as error:
                text = "health.port: %s:%d cannot be listened on (%s); tried again in %g s"
                logger.warning(text, self._host, self._port, error.strerror or error, AGAIN_AFTER_S)
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                host, port = runner.addresses[0][:2]
                self.address = host, port
                logger.info("metrics and health at http://%s:%d", host, port)
                return


def routes_of(answers: Answers, prefix: str = "") -> list[web.RouteDef]:
    """Give aiohttp's routes for all answers, below a prefix."""
    return [web.get(f"{prefix}/{name}", _handler(call)) for name, call in answers.by_name.items()]


def _handler(call: Callable[[], Awaitable[Answer]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        status, content_type, body = await call()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return answer
