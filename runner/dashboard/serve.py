"""The dashboard by itself: ``runner dashboard``."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Generator

import uvicorn
from starlette.applications import Starlette

STOP_S = 5


class _Server(uvicorn.Server):
    """Ends in order at SIGTERM and Ctrl-C, so that what is around it can close, too."""

    closing: asyncio.Event

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _end(self) -> None:
        self.should_exit = True
        self.closing.set()


async def serve(app: Starlette, listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    gc.freeze()  # what is imported stays: walking over it again and again made single pages 50 ms slower
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config)
    server.closing = app.state.closing
    await server.serve(sockets=[listening])
