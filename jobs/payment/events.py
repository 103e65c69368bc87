"""What a gateway reports by itself: signed events, as Stripe sends them, taken in as evidence.

An event may be late, repeated or out of order. So it never moves what is closed; a success it tells of is
adopted as a lookup's would be, also when a new attempt is about to be sent; and anything else only has the
operation looked at soon, since it may have changed meanwhile.
"""

import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec

from runner.clock import SYSTEM_CLOCK
from runner.errors import SettingsError

from .desk import MARGIN_S, doing_of, write
from .gateway import Executed, Found
from .opening import rules_of, store_of
from .operation import Rules, conclude
from .records import Holder, Operation
from .state import State
from .store import Store
from .stripe_shape import metadata_of, read_object

logger = logging.getLogger("jobs.payment")

TOLERANCE_S = 300
KEEP_S = 7 * 86_400
"""How long an event is remembered; gateways repeat theirs for three days."""

Heard = Literal["adopted", "noted", "nothing", "seen", "busy"]
"""``adopted``: it ended what was open. ``noted``: the next sweep looks. ``nothing``: nothing of ours is open.
``seen``: it was taken in before. ``busy``: a worker is at it; answer 503, and it comes again.
"""

_NAME = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_OPEN = (State.SENDING, State.UNKNOWN, State.RESOLVING, State.PENDING, State.REQUIRES_ACTION)
_MOVED = ("succeeded", "authorized")


class InvalidEvent(ValueError):
    """An event that must not be trusted, or cannot be read; answer 400."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event, as far as it matters here.

    Attributes:
        id: the gateway's name of it.
        body: the object it is about, as it was then.
    """

    id: str
    body: dict[str, Any]


async def take_event(runner: Any, signature: str, body: bytes, *, now_s: float | None = None) -> Heard:
    """Take in one event of the gateway; safe to be called twice with the same one.

    Args:
        runner: connected.
        signature: the header ``Stripe-Signature``.
        body: the bytes of the request, before any decoding.
        now_s: the receiver's clock; None reads it.

    Raises:
        InvalidEvent: the signature does not fit, is too old, or the body is no event.
        SettingsError: there is no ``payments.event_secret``.
    """
    settings = runner.settings.payments
    if not (secret := settings.event_secret.get_secret_value()):
        msg = "payments.event_secret: no secret is set, so no event can be trusted"
        raise SettingsError(msg)
    verify(signature, body, secret, now_s=SYSTEM_CLOCK.now_ms() / 1000 if now_s is None else now_s)
    event, store = read_event(body), store_of(runner)
    if await store.heard(event.id):
        return "seen"
    heard, hurry = await take_in(store, event, rules_of(settings), tells=bool(settings.webhook_url))
    if heard != "busy":
        await store.heard(event.id, keep_s=KEEP_S, hurry=hurry)
    return heard


def verify(
    signature: str, body: bytes, secret: str, *, now_s: float, tolerance_s: float = TOLERANCE_S
) -> None:
    """Check ``t=<seconds>,v1=<hex>[,v1=…]``: HMAC-SHA256 over ``t.body``; returning means it is genuine.

    Raises:
        InvalidEvent: says what is missing or wrong.
    """
    parts = [part.strip().partition("=") for part in signature.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        msg = "Stripe-Signature: expected one t=<seconds>"
        raise InvalidEvent(msg)
    if abs(now_s - int(times[0])) > tolerance_s:
        msg = f"Stripe-Signature: t={times[0]} is more than {tolerance_s:g} s from now"
        raise InvalidEvent(msg)
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, sha256).hexdigest().encode()
    offered = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    fits = [hmac.compare_digest(expected, each) for each in offered]  # all of them, whichever fits
    if not any(fits):
        msg = "Stripe-Signature: no v1 fits payments.event_secret"
        raise InvalidEvent(msg)


def read_event(body: bytes) -> Event:
    """Read an event's bytes.

    Raises:
        InvalidEvent: they are none.
    """
    try:
        told = msgspec.json.decode(body)
        name, content = told["id"], told["data"]["object"]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError):
        msg = "the body is no event: expected JSON with id and data.object"
        raise InvalidEvent(msg) from None
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(content, dict):
        msg = "the body is no event: expected a short id, and an object as data.object"
        raise InvalidEvent(msg)
    return Event(name, content)


async def take_in(store: Store, event: Event, rules: Rules, *, tells: bool) -> tuple[Heard, str]:
    """Let a genuine event do its work; gives what came of it, and the operation to look at soon."""
    operation = await _operation_of(store, event)
    if operation is None:
        return "nothing", ""
    seen = read_object(operation.order(), event.body, f"event {event.id}")
    has_moved = isinstance(seen, Executed) and seen.status in _MOVED
    is_open = operation.state in _OPEN or (has_moved and operation.state is State.CREATED)
    if not is_open:
        if has_moved and operation.state in (State.DECLINED_HARD, State.DECLINED_SOFT, State.REJECTED):
            where = f"order {operation['order']} ({operation['op_id']})"
            logger.error("payment alert: %s: we say %s, %s says it moved", where, operation.state, event.id)
        return "nothing", ""
    if not isinstance(seen, Executed) or not has_moved:
        return "noted", operation["op_id"]
    holder = Holder(f"event {event.id}", 0, secrets.token_hex(8))
    return await _adopt(store, operation, seen, holder, rules, tells=tells), ""


async def _operation_of(store: Store, event: Event) -> Operation | None:
    metadata = metadata_of(event.body)
    op_id, order_id = metadata.get("op_id"), metadata.get("order_id")
    payment = await store.read(order_id) if op_id and order_id else None
    return next((each for each in payment.operations if each["op_id"] == op_id), None) if payment else None


async def _adopt(
    store: Store, operation: Operation, seen: Executed, holder: Holder, rules: Rules, *, tells: bool
) -> Heard:
    """Write a success as a lookup's would be, unless somebody has the operation in hand."""
    request, attempt = operation.request(), operation.number("attempt")
    begun = await store.begin(request, holder, lease_s=MARGIN_S, safe_s=0, attempt=attempt, only_looks=True)
    if begun.verb != "look":
        return "busy" if begun.verb in ("wait", "rest", "stale") else "nothing"
    step = conclude(doing_of(begun.operation), Found((seen,)), rules)
    turn = await write(store, begun.operation, holder.token, step, tells=tells)
    return "busy" if turn.verb == "lost" else "adopted"
