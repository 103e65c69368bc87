import time

from aiohttp import web

seen: set[str] = set()
arrived: list[tuple[dict[str, str], bytes, float]] = []


async def take(request: web.Request) -> web.Response:
    arrived.append(({name.lower(): value for name, value in request.headers.items()}, await request.read(), time.time()))
    return web.Response()


receiving = web.AppRunner(app := web.Application())
app.router.add_post("/hooks", take)
await receiving.setup()
leaving.push_async_callback(receiving.cleanup)
await web.TCPSite(receiving, "127.0.0.1", 0).start()
receiver = f"http://127.0.0.1:{receiving.addresses[0][1]}"
