"""Probes and metrics as a part of somebody else's app: an ASGI app to mount, or routes for aiohttp."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ..app import Runner
from ..health.answers import Answer, Answers

if TYPE_CHECKING:
    from aiohttp import web

NOT_FOUND = Answer(404, "text/plain; charset=utf-8", b"there are /healthz, /readyz, /metrics and /scale\n")


class Probes:
    """Answers /healthz, /readyz, /metrics and /scale below where it is mounted.

        app.mount("/internal", Probes(runner))            # FastAPI, Starlette
        app.add_routes(Probes(runner).routes("/internal"))  # aiohttp

    It asks nobody who they are: mount it where only your platform comes, or behind your own authorization.

    Args:
        runner: its process is looked at.
        needs_worker: not ready without a worker in this process, as when it is embedded to run jobs.
    """

    def __init__(self, runner: Runner, *, needs_worker: bool = False) -> None:
        self._answers = Answers(runner.health, needs_worker=needs_worker)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request, as ASGI says."""
        del receive
        if scope["type"] != "http":
            msg = "these probes answer HTTP requests: mount them below an app that has the lifespan"
            raise RuntimeError(msg)
        call = self._answers.by_name.get(scope["path"].rstrip("/").rpartition("/")[2])
        status, content_type, body = NOT_FOUND if call is None else await call()
        headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def routes(self, prefix: str = "") -> "list[web.RouteDef]":
        """Give the same as routes of an aiohttp app, below a prefix such as ``/internal``."""
        from ..health.endpoint import routes_of

        return routes_of(self._answers.by_name, prefix)
