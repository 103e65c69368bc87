"""The sandbox's HTTP side: the Stripe API's shape, and ``/_sandbox`` to switch faults."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from .bank import Bank, Kept, Reply, error_body
from .faults import FAULTS, Plan

PAGE = "<html><body>Bad gateway</body></html>"


class Server:
    """Serves one bank.

    Args:
        bank: holds the money.
        plan: which faults requests that move money meet.
        latency_s: how long every request that moves money takes.
    """

    def __init__(self, bank: Bank, plan: Plan, *, latency_s: float = 0.0) -> None:
        self._bank = bank
        self._plan = plan
        self._latency_s = latency_s
        self._seen = 0
        self._running: set[asyncio.Task[Any]] = set()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/v1/payment_intents", self._move),
                web.post("/v1/payment_intents/{ref}/{verb:capture|cancel}", self._move),
                web.post("/v1/refunds", self._move),
                web.get("/v1/payment_intents/search", self._search),
                web.get("/v1/payment_intents", self._list),
                web.get("/v1/payment_intents/{ref}", self._show),
                web.get("/v1/refunds", self._refunds),
                web.post("/_sandbox", self._switch),
                web.get("/_sandbox", self._tell),
            ]
        )

    async def _move(self, request: web.Request) -> web.StreamResponse:
        """Let a request meet its fault; what it does, it does to the end, also when the client has gone."""
        fields = {name: str(value) for name, value in (await request.post()).items()}
        fault = self._plan.next()
        self._seen += 1
        refused = self._refusal(fault)
        if refused is not None:
            return refused
        if fault == "drop":
            return _drop(request)
        doing = asyncio.create_task(self._once(request, fields, fault))
        self._running.add(doing)
        doing.add_done_callback(self._running.discard)
        if fault == "conflict":
            return web.json_response(
                error_body("invalid_request_error", "idempotency_key_in_use", ""), status=409
            )
        status, body = await asyncio.shield(doing)
        match fault:
            case "charge_drop":
                return _drop(request)
            case "html":
                return web.Response(text=PAGE, content_type="text/html")
            case "truncated":
                return await _cut(request, body)
            case "other_amount":
                return web.json_response(body | {"amount": body.get("amount", 0) + 1})
            case _:
                return web.json_response(body, status=status)

    def _refusal(self, fault: str) -> web.Response | None:
        match fault:
            case "throttle":
                fields = {"retry-after": str(self._plan.retry_after_s)}
                return web.json_response(error_body("rate_limit", "", ""), status=429, headers=fields)
            case "error_200":
                return web.json_response(error_body("api_error", "", "it did not work"))
            case "redirect":
                return web.Response(status=302, headers={"location": "/elsewhere"})
            case "unauthorized":
                return web.json_response(error_body("invalid_request_error", "", "who are you?"), status=401)
            case _:
                return None

    async def _once(self, request: web.Request, fields: dict[str, str], fault: str) -> Reply:
        """Do it, unless its key says that it was done."""
        key = request.headers.get("idempotency-key", "")
        found = self._bank.kept(key, fields)
        if isinstance(found, Kept):
            if found.reply is None:
                return 409, error_body("invalid_request_error", "idempotency_key_in_use", "")
            return found.reply
        if found is not None:
            return found
        kept = self._bank.keep(key, fields)
        await asyncio.sleep(self._latency_s + (self._plan.slow_s if fault == "slow" else 0))
        reply = await self._do(request, fields)
        kept.reply = (500, error_body("api_error", "", "out of order")) if fault == "charge_500" else reply
        return kept.reply

    async def _do(self, request: web.Request, fields: dict[str, str]) -> Reply:
        ref, verb = request.match_info.get("ref", ""), request.match_info.get("verb", "")
        if verb == "capture":
            return await self._bank.capture(ref, fields)
        if verb == "cancel":
            return await self._bank.cancel(ref)
        if request.path == "/v1/refunds":
            return await self._bank.refund(fields)
        return await self._bank.charge(fields)

    async def _show(self, request: web.Request) -> web.Response:
        intent = self._bank.intents.get(request.match_info["ref"])
        if intent is None:
            return web.json_response(error_body("invalid_request_error", "resource_missing", ""), status=404)
        return web.json_response(intent)

    async def _search(self, request: web.Request) -> web.Response:
        op_id = request.query.get("query", "").rpartition(":")[2].strip("' ")
        return _listed(
            [i for i in self._bank.intents.values() if i["metadata"].get("op_id") == op_id], request
        )

    async def _list(self, request: web.Request) -> web.Response:
        since = int(request.query.get("created[gte]", "0"))
        return _listed([i for i in self._bank.intents.values() if i["created"] >= since][::-1], request)

    async def _refunds(self, request: web.Request) -> web.Response:
        intent = request.query.get("payment_intent")
        return _listed([r for r in self._bank.refunds.values() if r["payment_intent"] == intent], request)

    async def _switch(self, request: web.Request) -> web.Response:
        """Count from 0 again, and take what is to be changed of the plan, by its attributes' names."""
        asked: dict[str, Any] = msgspec.json.decode(await request.read())
        unknown = {*asked.get("queue", ()), *asked.get("mix", ())} - FAULTS.keys()
        if unknown:
            return web.Response(status=400, text=f"no such fault: {', '.join(sorted(unknown))}")
        self._seen = 0
        for name, value in asked.items():
            setattr(self._plan, name, tuple(value) if name == "mix" else value)
        return await self._tell(request)

    async def _tell(self, _request: web.Request) -> web.Response:
        plan = {"queue": self._plan.queue, "share": self._plan.share}
        return web.json_response({"seen": self._seen, **plan})


def _listed(found: list[dict[str, Any]], request: web.Request) -> web.Response:
    after, limit = request.query.get("starting_after"), int(request.query.get("limit", "10"))
    start = next((i + 1 for i, each in enumerate(found) if each["id"] == after), 0)
    page = found[start : start + limit]
    return web.json_response({"object": "list", "data": page, "has_more": start + limit < len(found)})


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    data = msgspec.json.encode(body)
    response = web.StreamResponse(
        headers={"content-length": str(len(data)), "content-type": "application/json"}
    )
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def serve(
    port: int,
    ledger: Path,
    plan: Plan,
    *,
    latency_s: float = 0.0,
    honours_keys: bool = True,
    key_ttl_s: float = 86_400.0,
) -> None:
    """Serve on 127.0.0.1 until cancelled; the first line of stdout is the address."""
    bank = Bank.on(ledger, honours_keys=honours_keys, key_ttl_s=key_ttl_s)
    runner = web.AppRunner(Server(bank, plan, latency_s=latency_s).app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
    await site.start()
    address = runner.addresses[0]
    print(f"http://{address[0]}:{address[1]}", flush=True)  # noqa: T201 - it is what the starter reads
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
