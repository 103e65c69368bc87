"""A gateway over HTTP: PaymentIntents, refunds, ``Idempotency-Key``, metadata ``op_id``, as Stripe has them.

``stripe_shape`` says what each answer means; here is what is sent, and how an operation is looked for.
"""

from typing import Any, Literal
from urllib.parse import quote, urlencode

import httpx

from runner.clock import SYSTEM_CLOCK
from runner.http import Answer, exchange
from runner.http import NotSent as NothingSent

from .gateway import Declined, Executed, Found, Misconfigured, NotSent, Order, Outcome, Throttled, Unknown
from .stripe_shape import Answered, Reply, metadata_of, read_answer, read_charge, read_object, request_of

READ_CAP = 2 * 1024 * 1024
PAGE = 100
MAX_PAGES = 1000

Lookup = Literal["search", "list"]
Problem = Misconfigured | Throttled | NotSent | Unknown


class HttpGateway:
    """The Stripe API's shape over one shared client.

    Args:
        client: the worker's.
        url: where ``/v1`` lies.
        api_key: sent as bearer token.
        timeout_s: for one request, from name lookup to the end of the answer.
        lookup: ``search`` asks by metadata; ``list`` pages through all, for gateways that cannot search.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        api_key: str,
        timeout_s: float,
        lookup: Lookup = "search",
    ) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {
            "authorization": f"Bearer {api_key}",
            "content-type": "application/x-www-form-urlencoded",
        }
        self._timeout_s = timeout_s
        self._lookup: Lookup = lookup

    async def execute(self, order: Order) -> Outcome:
        """Ask for the operation, under its key."""
        path, fields = request_of(order)
        answer = await self._send("POST", path, fields, key=order.key)
        return read_object(order, answer.body, answer.evidence) if isinstance(answer, Answered) else answer

    async def find(self, order: Order) -> Found | Problem:
        """Look for the operation; by its reference when there is one, else by metadata."""
        if order.kind in ("capture", "void"):
            return await self._find_change(order)
        if order.kind == "charge" and order.ref:
            return await self._find_charge(order)
        found = await self._pages(self._place_to_look(order))
        if not isinstance(found, list):
            return found
        seen = [read_object(order, each, "found") for each in found if _is_of(order, each)]
        legible = tuple(each for each in seen if isinstance(each, Executed | Declined))
        if len(legible) < len(seen):
            return Unknown("found it, in a form that cannot be read")
        return Found(legible)

    async def ledger(self, since_ms: int) -> tuple[Executed | Declined, ...] | Problem:
        """List the charges made since then that carry an ``op_id``."""
        since = f"created[gte]={since_ms // 1000}&" if self._lookup == "search" else ""
        found = await self._pages(f"/v1/payment_intents?{since}")
        if not isinstance(found, list):
            return found
        seen = [read_charge(each, "listed") for each in found if "op_id" in metadata_of(each)]
        return tuple(each for each in seen if isinstance(each, Executed | Declined))

    def _place_to_look(self, order: Order) -> str:
        if order.kind == "refund":
            return f"/v1/refunds?payment_intent={quote(order.payment_ref)}&"
        if self._lookup == "search":
            query = f"metadata['op_id']:'{order.op_id}'"
            return f"/v1/payment_intents/search?query={quote(query)}&"
        return "/v1/payment_intents?"

    async def _find_charge(self, order: Order) -> Found | Problem:
        answer = await self._send("GET", f"/v1/payment_intents/{quote(order.ref)}")
        if not isinstance(answer, Answered):
            return _as_problem(answer)
        seen = read_object(order, answer.body, answer.evidence)
        return Found((seen,)) if isinstance(seen, Executed | Declined) else Unknown("cannot be read")

    async def _find_change(self, order: Order) -> Found | Problem:
        """Look for a capture or void: it leaves its mark on the payment itself."""
        answer = await self._send("GET", f"/v1/payment_intents/{quote(order.payment_ref)}")
        if not isinstance(answer, Answered):
            return _as_problem(answer)
        done = "succeeded" if order.kind == "capture" else "canceled"
        if answer.body.get("status") != done:
            return Found()
        seen = read_object(order, answer.body, answer.evidence)
        return Found((seen,)) if isinstance(seen, Executed) else Unknown("cannot be read")

    async def _pages(self, path: str) -> list[dict[str, Any]] | Problem:
        """Read every page of a list, in either of the API's two ways to page."""
        found: list[dict[str, Any]] = []
        more = ""
        for _ in range(MAX_PAGES):
            answer = await self._send("GET", f"{path}limit={PAGE}{more}")
            if not isinstance(answer, Answered):
                return _as_problem(answer)
            data = answer.body.get("data")
            if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
                return Unknown("the list cannot be read")
            found += data
            if not answer.body.get("has_more") or not data:
                return found
            page = answer.body.get("next_page")
            more = (
                f"&page={quote(str(page))}" if page else f"&starting_after={quote(str(data[-1].get('id')))}"
            )
        return Unknown(f"the list has more than {MAX_PAGES} pages")

    async def _send(
        self, method: str, path: str, fields: dict[str, str] | None = None, *, key: str = ""
    ) -> Reply | NotSent:
        ended = await exchange(
            self._client,
            method,
            self._url + path,
            content=urlencode(fields or {}).encode(),
            headers=self._headers | ({"idempotency-key": key} if key else {}),
            timeout_s=self._timeout_s,
            read_cap=READ_CAP,
        )
        if isinstance(ended, Answer):
            return read_answer(ended, SYSTEM_CLOCK.now_ms())
        if isinstance(ended, NothingSent):
            return NotSent(f"not sent: {ended.reason[:200]}")
        return Unknown(f"no answer: {ended.reason[:200]}")


def _is_of(order: Order, body: dict[str, Any]) -> bool:
    return metadata_of(body).get("op_id") == order.op_id


def _as_problem(answer: Any) -> Problem:
    """Give the answer to a question: a refusal of a question proves nothing about what was asked for."""
    if isinstance(answer, Misconfigured | Throttled | NotSent | Unknown):
        return answer
    return Unknown(getattr(answer, "reason", "") or "the question was refused")
