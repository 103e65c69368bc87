import os

from redis.asyncio import Redis

server = Redis.from_url(os.environ["RUNNER_REDIS__URL"], decode_responses=True)
leaving.push_async_callback(server.aclose)


@task
async def greet(ctx: Context, name: str) -> str:
    return f"Hello {name}"
