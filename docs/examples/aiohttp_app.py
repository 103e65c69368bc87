"""aiohttp with a worker inside: `python aiohttp_app.py`, then `curl -X POST localhost:8080/orders/o-17`."""

from aiohttp import web

from runner import Context, Runner, task
from runner.embed import Probes


@task
async def confirm(ctx: Context, order: str) -> str:
    return f"{order} is confirmed"


runner = Runner.from_settings(tasks=[confirm])


async def place(request: web.Request) -> web.Response:
    jobs, order = request.app[runner.app_key], request.match_info["order"]  # typed: jobs is a Runner
    job = await jobs.enqueue(confirm.using(key=f"confirm-{order}"), order)
    return web.json_response({"job": job.id}, status=202)


app = web.Application()
app.add_routes([web.post("/orders/{order}", place), *Probes(runner, needs_worker=True).routes("/internal")])
app.cleanup_ctx.append(runner.cleanup_ctx_with(worker=True))  # runner.cleanup_ctx: the client only

if __name__ == "__main__":
    web.run_app(app)
