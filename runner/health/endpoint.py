"""A worker process's own port: /metrics, /healthz, /readyz and /scale."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

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
        app.add_routes(routes_of(Answers(self._health, needs_worker=True).by_name))
        try:
            await serve_port(app, self._host, self._port, on_listening=self._note_address)
        finally:
            self._health.stop()

    def _note_address(self, address: tuple[str, int]) -> None:
        self.address = address


async def serve_port(
    app: web.Application, host: str, port: int, *, on_listening: Callable[[tuple[str, int]], None]
) -> None:
    """Serve until cancelled; a port that is taken is tried again: an old process may still drain."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        on_listening(await _listen(runner, host, port))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> tuple[str, int]:
    while True:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            text = "health.port: %s:%d cannot be listened on (%s); tried again in %g s"
            logger.warning(text, host, port, error.strerror or error, AGAIN_AFTER_S)
            await asyncio.sleep(AGAIN_AFTER_S)
        else:
            at, number = runner.addresses[0][:2]
            logger.info("metrics and health at http://%s:%d", at, number)
            return at, number


def routes_of(answers: Mapping[str, Callable[[], Awaitable[Answer]]], prefix: str = "") -> list[web.RouteDef]:
    """Give aiohttp's routes for all answers by name, below a prefix."""
    return [web.get(f"{prefix}/{name}", _handler(call)) for name, call in answers.items()]


def _handler(call: Callable[[], Awaitable[Answer]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        status, content_type, body = await call()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return answer
