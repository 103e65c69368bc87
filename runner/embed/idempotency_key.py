"""ASGI middleware for the ``Idempotency-Key`` header (IETF draft-ietf-httpapi-idempotency-key-header-07).

    no key, or none that can be read        400
    the first request is still in progress  409, with Retry-After
    the key came with another request       422
    the first request has been answered     that answer again, with ``Idempotency-Replayed: true``
    Redis is away                           503: without the record nobody knows whether it is the first

An answer below 500 is stored before its first byte is sent. After one of 500 and above, or a crash, it is
unknown what happened: the next request with the key runs the app again, and ``is_recovering`` of
``scope["runner.once"]`` says so.
"""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ..app import Runner
from ..effects import DEFAULT_TTL_S, digest_of_key, span
from ..errors import Delay, ServerError
from ..job import Attempt
from ..middleware.holds import Holds
from ..middleware.idempotency import Effect
from ..wire.bell import Bell

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MEBIBYTE = 1024 * 1024
RETRY_AFTER_S = 1


def caller_by_authorization(scope: Scope) -> str:
    """Tell callers apart by their Authorization header: one caller's key is not another's."""
    return _header(scope, b"authorization") or ""


class IdempotencyKey:
    """Wraps an ASGI app: ``app.add_middleware(IdempotencyKey, runner=runner)``.

    Args:
        app: what is wrapped.
        runner: entered by the app's lifespan; its server keeps the answers.
        methods: whose requests are guarded; others pass.
        paths: guarded when the path begins with one of these.
        is_required: a request without the header gets 400; False lets it pass unguarded.
        ttl: how long an answer is remembered.
        caller: gives whose key it is; keys of different callers never meet.
        max_body: largest request body, in bytes; above it 413.
        max_answer: largest answer that can be given again; of a larger one only status and headers are.
    """

    def __init__(
        self,
        app: App,
        *,
        runner: Runner,
        methods: Iterable[str] = ("POST", "PATCH"),
        paths: Iterable[str] = ("/",),
        is_required: bool = True,
        ttl: Delay | str = DEFAULT_TTL_S,
        caller: Callable[[Scope], str] = caller_by_authorization,
        max_body: int = MEBIBYTE,
        max_answer: int = MEBIBYTE,
    ) -> None:
        self._app = app
        self._runner = runner
        self._methods = frozenset(methods)
        self._paths = tuple(paths)
        self._is_required = is_required
        self._ttl_ms = round(span(ttl) * 1000)
        self._caller = caller
        self._max_body = max_body
        self._max_answer = max_answer
        self._holds: Holds | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] != "http" or scope["method"] not in self._methods or not self._is_guarded(scope):
            await self._app(scope, receive, send)
            return
        key = _key_of(_header(scope, b"idempotency-key"))
        if key is None:
            await _refuse(send, 400, "Idempotency-Key is not 1 to 255 printable characters of ASCII")
        elif not key:
            if self._is_required:
                await _refuse(send, 400, "this request needs the header Idempotency-Key")
            else:
                await self._app(scope, receive, send)
        elif (body := await _read(receive, self._max_body)) is None:
            await _refuse(send, 413, f"the body is larger than {self._max_body:,} bytes")
        else:
            await self._serve_once(scope, body, receive, send, key)

    def _is_guarded(self, scope: Scope) -> bool:
        return scope["path"].startswith(self._paths)

    async def _serve_once(self, scope: Scope, body: bytes, receive: Receive, send: Send, key: str) -> None:
        effect = self._effect(scope, body, key)
        try:
            answer = await effect.begin(wait_s=0)
        except ServerError as error:
            await _refuse(send, 503, f"cannot look up the Idempotency-Key: {error}", retry=True)
            return
        match answer:
            case b"done", data:
                await _replay(send, data)
            case b"busy", _:
                await _refuse(
                    send, 409, "the first request with this Idempotency-Key is in progress", retry=True
                )
            case b"conflict", _:
                await _refuse(send, 422, "this Idempotency-Key came with another request before")
            case _:
                await self._serve(effect, scope, body, receive, send)

    async def _serve(self, effect: Effect, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        holds = effect.holds
        effect.running = asyncio.current_task()
        holds.add(effect)
        scope["runner.once"] = effect.once
        answer = _Answer(effect, send, self._max_answer)
        try:
            await self._app(scope, _again(body, receive), answer.take)
        finally:
            if holds.drop(effect) and not answer.is_stored:
                await effect.abandon()

    def _effect(self, scope: Scope, body: bytes, key: str) -> Effect:
        request = hashlib.sha256()
        for part in (scope["method"].encode(), scope["path"].encode(), scope.get("query_string", b""), body):
            request.update(b"%d:%s" % (len(part), part))
        word = secrets.token_hex(12)
        attempt = Attempt(
            job_id=f"request {word}", queue="", number=1, token=word, fence=1, due_at_ms=0, payload=None
        )
        digest = digest_of_key("http", [self._caller(scope), key])
        return Effect(self._held_here(), attempt, digest, request.hexdigest(), self._ttl_ms)

    def _held_here(self) -> Holds:
        if self._holds is None:
            settings = self._runner.settings
            layout, lease_s = settings.redis.key_layout, settings.worker.lease
            self._holds = Holds(self._execute, Bell(), layout=layout, lease_s=lease_s)
        return self._holds

    def _execute(self, *command: Any) -> Awaitable[Any]:
        return self._runner.client.execute(*command)


@dataclass(slots=True)
class _Answer:
    """Holds an answer back until it is stored.

    Attributes:
        effect: whose answer it is.
        send: where it goes then.
        limit: most bytes that are held back.
        is_stored: whether it was.
    """

    effect: Effect
    send: Send
    limit: int
    is_stored: bool = False
    _messages: list[Message] = field(default_factory=list[Message])
    _size: int = 0

    async def take(self, message: Message) -> None:
        if self.is_stored:
            await self.send(message)
            return
        self._messages.append(message)
        self._size += len(message.get("body", b""))
        is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not is_end and self._size <= self.limit:
            return
        status = self._messages[0]["status"]
        if status >= 500:
            await self.effect.abandon()
        else:
            self.is_stored = await self.effect.end("D", self._stored(status))
        messages, self._messages = self._messages, []
        for each in messages:
            await self.send(each)

    def _stored(self, status: int) -> bytes:
        headers: Headers = list(self._messages[0].get("headers", []))
        body = b"".join(message.get("body", b"") for message in self._messages[1:])
        kept = base64.b64encode(body).decode() if self._size <= self.limit else None
        named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return json.dumps({"status": status, "headers": named, "body": kept}).encode()


async def _replay(send: Send, data: bytes) -> None:
    stored = json.loads(data)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in stored["headers"]]
    if stored["body"] is None:
        headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    headers.append((b"idempotency-replayed", b"true"))
    body = base64.b64decode(stored["body"] or "")
    await send({"type": "http.response.start", "status": stored["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, status: int, title: str, *, retry: bool = False) -> None:
    body = json.dumps({"status": status, "title": title}).encode()
    headers: Headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if retry:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value for given, value in scope["headers"] if given.lower() == name]
    return b",".join(values).decode("latin-1") if values else None


def _key_of(header: str | None) -> str | None:
    """Give the key, quoted as the draft says or bare; empty for no header, None for an unreadable one."""
    if header is None:
        return ""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return key if 0 < len(key) <= 255 and key.isascii() and key.isprintable() else None


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Give the whole body; None when it is too large, or the client has gone."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read to the app, and after it whatever follows."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
