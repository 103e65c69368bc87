"""Starlette, a lifespan of its own, the client only: `uvicorn starlette_app:app`; a worker runs beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from runner import Context, Runner, task


@task
async def confirm(ctx: Context, order: str) -> str:
    return f"{order} is confirmed"


runner = Runner.from_settings(tasks=[confirm])


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Runner]]:
    async with runner:  # beside the database and whatever else your app opens here
        yield {"runner": runner}


async def place(request: Request) -> JSONResponse:
    job = await request.state.runner.enqueue(confirm, request.path_params["order"])  # or runner itself
    return JSONResponse({"job": job.id}, status_code=202)


app = Starlette(routes=[Route("/orders/{order}", place, methods=["POST"])], lifespan=lifespan)
