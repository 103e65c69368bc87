"""FastAPI with a worker inside: `uvicorn fastapi_app:app`, then `curl -X POST localhost:8000/orders/o-17`."""

from typing import Annotated

from fastapi import Depends, FastAPI

from runner import Context, Runner, task
from runner.embed import Probes


@task
async def confirm(ctx: Context, order: str) -> str:
    return f"{order} is confirmed"


runner = Runner.from_settings(tasks=[confirm])
app = FastAPI(lifespan=runner.lifespan_with(worker=True))  # without: the client only
app.mount("/internal", Probes(runner, needs_worker=True))  # /internal/readyz and its kin
Jobs = Annotated[Runner, Depends(runner.depends)]


@app.post("/orders/{order}", status_code=202)
async def place(order: str, jobs: Jobs) -> dict[str, str]:
    job = await jobs.enqueue(confirm.using(key=f"confirm-{order}"), order)
    return {"job": job.id}
