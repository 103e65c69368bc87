"""Deliver a webhook: signed as Standard Webhooks says, retried for three days, never to an inner address.

    await runner.enqueue(send_webhook, "https://example.org/hooks", {"order": 17},
                         event="order.paid", secret="shop")

| what came back | what follows |
| --- | --- |
| 2xx | delivered, whatever becomes of the body |
| 410 | given up at once: the receiver wants no more |
| 429, and 502, 503, 504 without Retry-After | retried, after 60 s at the earliest |
| any other status, redirects too (they are never followed) | retried |
| any of these with Retry-After | not before that, up to 24 h |
| connection refused or broken, name not found, TLS, not HTTP | retried |
| too slow | retried, after 60 s at the earliest |
| an address the guard refuses | retried; given up at the third attempt |
| no free connection in this process | snoozed: no attempt is spent |
| bad url, header or payload, no such secret | given up before anything is sent |

While an endpoint or a host is ill, or asks for a wait, its webhooks wait, at all workers, and no attempt is
spent: `jobs/webhook_health.py` has the numbers.

At least once: when a connection breaks before the status has come, nobody knows whether the receiver has it,
and it is sent again with the same ``webhook-id``, by which the receiver can tell. Urls may be http or https.
"""

import inspect
import re
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import httpx

from runner.backoff import Backoff, intervals
from runner.context import Context
from runner.errors import GiveUp, InvalidArguments, JobSignal, Retry, Snooze
from runner.http import (
    RESERVED,
    Answer,
    Cause,
    NotSent,
    Unclear,
    body_of,
    check_headers,
    check_url,
    exchange,
    freeze,
    parse_retry_after,
    sign,
)
from runner.tasks import task

from .webhook_health import ENDPOINT, HOST, OVERLOAD_WAIT_S, tell_health

SCHEDULE = intervals(5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, jitter=0.2, max_jitter=900)
"""5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts in 75 h 35 m, as in the specification."""

MAX_TRIES = 10
OVERLOADED = frozenset({429, 502, 503, 504})
BUSY_WAIT_S = 5.0
REFUSED_TRIES = 3

_EVENT = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SECRET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_:/@+=~-]")
_RANDOM = Random()

Payload = dict[str, Any] | list[Any] | str | bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that was delivered.

    Attributes:
        status: the receiver's status, 200 to 299.
        attempt: which attempt it was, from 1.
        duration_ms: of that attempt, from name lookup to the end of the body.
        webhook_id: as sent: the job's id.
        response: the beginning of the body, at most ``webhooks.max_response`` bytes of UTF-8.
        is_truncated: whether the body was longer than ``response``.
    """

    status: int
    attempt: int
    duration_ms: int
    webhook_id: str
    response: str
    is_truncated: bool


def prepare(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Check a call at enqueue and freeze its payload: what is stored is what is sent, byte by byte.

    Raises:
        InvalidArguments: names the argument; never shows a secret.
    """
    try:
        call = _SIGNATURE.bind(*args, **kwargs).arguments
    except TypeError:
        return args, kwargs  # the check against the task's signature, which comes next, says it best
    try:
        _check(call["url"], call.get("event"), call.get("secret"), call.get("headers"))
        call["payload"] = freeze(call["payload"])
    except ValueError as error:
        msg = f"send_webhook: {error}"
        raise InvalidArguments(msg) from None
    return (call.pop("url"), call.pop("payload")), call


@task(name="send_webhook", retry=SCHEDULE, max_tries=MAX_TRIES, breaker=[ENDPOINT, HOST], prepare=prepare)
async def send_webhook(
    ctx: Context,
    url: str,
    payload: Payload,
    *,
    event: str | None = None,
    secret: str | None = None,
    headers: dict[str, str] | None = None,
) -> Delivery:
    """Deliver a payload to a url; the module's table says what follows a failure.

    Args:
        ctx: the job's context.
        url: http or https, without user name and password.
        payload: a dict or list goes out as JSON, encoded once, at enqueue; text and bytes go out as they are.
        event: goes out as ``webhook-event``.
        secret: the name of a secret in the settings, ``[webhooks.secrets]``; None takes
            ``webhooks.default_secret``, and sends unsigned when there is none.
        headers: beside ours, which they cannot replace, save ``content-type`` and ``user-agent``.
    """
    return await deliver(ctx, url, payload, event=event, secret=secret, headers=headers)


async def deliver(
    ctx: Context,
    url: str,
    payload: Payload,
    *,
    event: str | None = None,
    secret: str | None = None,
    headers: dict[str, str] | None = None,
    schedule: Backoff = SCHEDULE,
) -> Delivery:
    """Make one attempt; for a task of one's own, with another schedule.

    Args:
        ctx: see ``send_webhook``, as for all that are not named here.
        url: see there.
        payload: see there.
        event: see there.
        secret: see there.
        headers: see there.
        schedule: the ``retry`` of that task; when the receiver asks for a wait, the later of the two counts.

    Raises:
        Retry: try again; the reason is for people and names the host, not the url.
        Snooze: this process was too busy.
        GiveUp: no further attempt can help.
    """
    settings = ctx.settings.webhooks
    try:
        _check(url, event, secret, headers)
        body = body_of(payload)
        fields = _fields(ctx, body, event, _keys(settings, secret), headers)
    except ValueError as error:
        raise GiveUp(f"not sent: {error}") from None
    post = partial(exchange, ctx.http, "POST", timeout_s=settings.timeout, read_cap=settings.read_cap)
    ended = await post(url, content=body, headers=fields)
    tell_health(ctx, ended)
    if isinstance(ended, Answer) and 200 <= ended.status < 300:
        text, is_truncated = _excerpt(ended, settings.max_response)
        return Delivery(ended.status, ctx.attempt, ended.elapsed_ms, fields["webhook-id"], text, is_truncated)
    raise _rejected(ctx, ended, schedule) if isinstance(ended, Answer) else _unanswered(ctx, ended, schedule)


def _check(url: Any, event: Any, secret: Any, headers: Any) -> None:
    if not isinstance(url, str):
        msg = f"url: expected text, not {type(url).__name__}"
        raise ValueError(msg)
    check_url(url)
    if event is not None and not (isinstance(event, str) and _EVENT.fullmatch(event)):
        msg = "event: expected up to 128 letters, digits, dots, hyphens and underscores, as in 'order.paid'"
        raise ValueError(msg)
    if secret is not None:
        _check_secret_name(secret)
    if not isinstance(headers, dict | None):
        msg = f"headers: expected a dict of names and values, not {type(headers).__name__}"
        raise ValueError(msg)
    check_headers(headers or {}, reserved=RESERVED, prefix="webhook-")


def _check_secret_name(secret: Any) -> None:
    """Refuse anything but a name, without showing it: it may be the secret itself."""
    if (
        not isinstance(secret, str)
        or not _SECRET_NAME.fullmatch(secret)
        or secret.startswith(("whsec_", "whsk_"))
    ):
        msg = "secret: expected the name of one in the settings, [webhooks.secrets], never the secret itself"
        raise ValueError(msg)


def _keys(settings: Any, secret: str | None) -> list[str]:
    name = secret or settings.default_secret
    if not name:
        return []
    if name not in settings.secrets:
        msg = f"no secret is named {name!r}; [webhooks.secrets] has {', '.join(settings.secrets) or 'none'}"
        raise ValueError(msg)
    return [key.get_secret_value() for key in settings.secrets[name]]


def _fields(
    ctx: Context, body: bytes, event: str | None, keys: list[str], headers: dict[str, str] | None
) -> dict[str, str]:
    message_id = _NOT_IN_ID.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), ctx.job_id
    )
    timestamp_s = ctx.clock.now_ms() // 1000
    fields = {"content-type": "application/json"} | {n.lower(): v for n, v in (headers or {}).items()}
    fields |= {
        "accept-encoding": "identity",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-attempt": str(ctx.attempt),
    }
    if event is not None:
        fields["webhook-event"] = event
    if keys:
        fields["webhook-signature"] = sign(message_id, timestamp_s, body, keys)
    return fields


def _excerpt(answer: Answer, limit: int) -> tuple[str, bool]:
    coding = answer.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        return f"(not shown: content-encoding {coding[:40]!r})", True
    text = answer.body.decode(errors="replace").encode()[:limit].decode(errors="ignore")
    return text, not answer.is_complete or len(answer.body) > limit


def _rejected(ctx: Context, answer: Answer, schedule: Backoff) -> JobSignal:
    if answer.status == 410:
        return GiveUp("answered 410: the receiver wants no more of these")
    reason = f"answered {answer.status}"
    if 300 <= answer.status < 400:
        reason += (
            f": redirects are not followed; this one goes to {_host(answer.headers.get('location', ''))}"
        )
    asked_s = parse_retry_after(answer.headers.get("retry-after"), now_ms=ctx.clock.now_ms())
    waits = answer.status == 429 or (answer.status in OVERLOADED and asked_s is None)
    return _again(ctx, reason, max(OVERLOAD_WAIT_S if waits else 0.0, asked_s or 0.0), schedule)


def _host(location: str) -> str:
    try:
        return repr(httpx.URL(location).host) if "//" in location else "the same host"
    except httpx.InvalidURL:
        return "nowhere"


def _unanswered(ctx: Context, ended: NotSent | Unclear, schedule: Backoff) -> JobSignal:
    match ended:
        case NotSent(cause=Cause.INVALID):
            return GiveUp(f"not sent: {ended.reason}")
        case NotSent(cause=Cause.BUSY):
            return Snooze(BUSY_WAIT_S, reason=ended.reason)
        case NotSent(cause=Cause.REFUSED) if ctx.attempt >= REFUSED_TRIES:
            return GiveUp(ended.reason)
        case NotSent():
            reason = f"not sent: {ended.reason}"
        case Unclear():
            reason = f"unclear whether it arrived: {ended.reason}"
    return _again(ctx, reason, OVERLOAD_WAIT_S if ended.cause is Cause.TIMEOUT else 0.0, schedule)


def _again(ctx: Context, reason: str, least_s: float, schedule: Backoff) -> Retry:
    if not least_s:
        return Retry(reason=reason)
    planned_s = schedule.delay(ctx.attempt, _RANDOM) or 0.0
    return Retry(max(planned_s, least_s), reason=reason)


def _shape(
    url: str, payload: Any, *, event: str | None = None, secret: str | None = None, headers: Any = None
) -> None: ...


_SIGNATURE = inspect.signature(_shape)
