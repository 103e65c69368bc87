"""The ASGI app: what is behind which path, and what a wrong request gets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ..clock import SYSTEM_CLOCK
from ..doors import Doors
from ..errors import (
    ChangeRefused,
    InvalidJob,
    NotDead,
    ReplayRefused,
    RunnerError,
    UnknownJob,
    UnknownQueue,
    UnknownSchedule,
)
from ..wire.passing import TROUBLE
from ..workflow.failure import UnknownWorkflow
from . import destinations, edits, failures, pages, rules
from .access import Authorize, Forbidden, admit
from .acts import ACTS, Act
from .asked import Asked, Desk, NotHere, Page, form_of
from .runs import Runs
from .views import HEADERS, HERE, shown_page
from .watch import EVERY_S, Watch

Show = Callable[[Asked], Awaitable[Page]]

LIVE_FOR_S = 4.0
"""A stream ends after so long and the browser asks again: a server that stops waits for its streams."""

PAGES: dict[str, Show] = {
    "": pages.overview,
    "queues": pages.queues,
    "queue": pages.queue,
    "job": pages.job,
    "edit": edits.edit,
    "dead": failures.dead,
    "replay": failures.replay,
    "run": failures.run,
    "destinations": destinations.destinations,
    "destination": destinations.destination,
    "schedules": rules.schedules,
    "limits": rules.limits,
    "workflows": rules.workflows,
    "workflow": rules.workflow,
    "workers": pages.workers,
    "settings": pages.settings,
}

STATUS: dict[type[Exception], int] = {
    UnknownJob: 404,
    UnknownQueue: 404,
    UnknownSchedule: 404,
    UnknownWorkflow: 404,
    NotDead: 404,
    NotHere: 404,
    ChangeRefused: 409,
    ReplayRefused: 409,
    InvalidJob: 400,
    RunnerError: 503,
    ValueError: 400,
    **dict.fromkeys(TROUBLE, 503),
}
"""The first class that fits decides."""


def dashboard(doors: Doors, *, authorize: Authorize | None = None) -> Starlette:
    """Make the dashboard of a runner; see ``Runner.dashboard``."""
    desk = Desk(doors, Watch(lambda: doors.inspector), Runs(), asyncio.Event())

    def guarded(answer: Callable[[Asked], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await _answered(request, desk, authorize, answer)

        return endpoint

    routes = [
        *(Route(f"/{path}", guarded(_showing(show)), methods=["GET"]) for path, show in PAGES.items()),
        *(Route(f"/{path}", guarded(_acting(act)), methods=["POST"]) for path, act in ACTS.items()),
        Route("/history", guarded(_history), methods=["GET"]),
        Route("/live", guarded(_live), methods=["GET"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        Route("/{path:path}", guarded(_missing), methods=["GET", "POST"]),
    ]
    made = Starlette(routes=routes, middleware=[Middleware(_Slash)])
    made.state.closing = desk.closing
    return made


class _Slash:
    """Sends whoever asks for the mount point itself to its first page, where links are relative to it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "").rstrip("/")
        if scope["type"] == "http" and root and scope["path"] == root:
            return await RedirectResponse(root.rpartition("/")[2] + "/")(scope, receive, send)
        return await self._app(scope, receive, send)


async def _answered(
    request: Request,
    desk: Desk,
    authorize: Authorize | None,
    answer: Callable[[Asked], Awaitable[Response]],
) -> Response:
    """Let a request in, answer it, and tell what was wrong with it as a page."""
    asked = None
    try:
        access = await admit(request, authorize)
        given = dict(request.query_params)
        asked = Asked(request, desk, access, given)
        if request.method == "POST":
            asked = Asked(request, desk, access, await form_of(request))
        return await answer(asked)
    except Forbidden as error:
        return _wrong(asked, str(error), 403)
    except (*STATUS,) as error:
        status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
        return _wrong(asked, str(error) or type(error).__name__, status)


def _wrong(asked: Asked | None, text: str, status: int) -> Response:
    titles = {400: "That cannot be", 403: "Closed", 404: "Not here", 409: "Refused", 503: "No answer"}
    page = Page("error", titles[status], {"text": text}, is_live=status == 503, status=status)
    return shown_page(asked, page, SYSTEM_CLOCK.now_ms())


def _showing(show: Show) -> Callable[[Asked], Awaitable[Response]]:
    async def answer(asked: Asked) -> Response:
        return shown_page(asked, await show(asked), SYSTEM_CLOCK.now_ms())

    return answer


def _acting(act: Act) -> Callable[[Asked], Awaitable[Response]]:
    async def answer(asked: Asked) -> Response:
        done = await act(asked)
        if isinstance(done, Page):
            return shown_page(asked, done, SYSTEM_CLOCK.now_ms())
        return Response(status_code=303, headers={**HEADERS, "Location": done.location})

    return answer


async def _history(asked: Asked) -> Response:
    return JSONResponse(await pages.history(asked), headers=HEADERS)


async def _live(asked: Asked) -> Response:
    """Tell every two seconds that there is something to look at; all who look on share one reading."""

    async def ticks() -> AsyncIterator[str]:
        yield "retry: 500\n\n"
        left = int(LIVE_FOR_S / EVERY_S)
        while left:
            seen = await asked.desk.watch.look()
            yield f"event: tick\ndata: {json.dumps({'at_ms': seen.at_ms})}\n\n"
            left -= 1
            if await _is_closing(asked.desk):
                return

    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(ticks(), media_type="text/event-stream", headers=headers)


async def _is_closing(desk: Desk) -> bool:
    """Wait until the next reading, or until it is to end."""
    try:
        async with asyncio.timeout(EVERY_S):
            return await desk.closing.wait()
    except TimeoutError:
        return False


async def _missing(_: Asked) -> Response:
    msg = "there is no such page"
    raise NotHere(msg)
