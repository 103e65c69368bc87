"""A worker process's own port: /metrics, /healthz, /readyz and /scale."""

import asyncio
import logging
from collections.abc import Sequence

from aiohttp import web

from ..errors import ServerError
from ..wire.passing import TROUBLE
from ..wire.scripts import Execute
from .door import Health

logger = logging.getLogger("runner")

AGAIN_AFTER_S = 5.0
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""By which Prometheus knows its own text format; without the version it may refuse to guess."""
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
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/scale", self._scale)
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

    async def _metrics(self, _: web.Request) -> web.Response:
        text = await self._health.metrics_text()
        return web.Response(body=text.encode(), headers={"Content-Type": TEXT_FORMAT})

    async def _healthz(self, _: web.Request) -> web.Response:
        """A loop that is stuck does not answer; one that answers may have lost its worker."""
        died = self._health.died
        return web.json_response({"alive": not died, "reasons": died}, status=503 if died else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        found = await self._health.readiness()
        reasons = found.reasons if self._health.has_workers else (*found.reasons, "no worker serves here")
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def _scale(self, _: web.Request) -> web.Response:
        try:
            return web.json_response(await self._health.scale())
        except (*TROUBLE, ServerError) as error:
            return web.json_response({"error": f"the server does not answer: {error}"}, status=503)
