"""Signing and verifying as the Standard Webhooks specification (1.0.0) says, with HMAC-SHA256 (``v1``).

A message is signed as ``id.timestamp.body``. The id stays over all attempts, the timestamp is that of the
attempt, the body is the very bytes sent. While a secret is being rotated there are several: each signs.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

PREFIX = "whsec_"
TOLERANCE_S = 300
SHORTEST_KEY, LONGEST_KEY = 24, 64


class InvalidSecret(ValueError):
    """Not a webhook secret; the message never shows it."""


class InvalidSignature(ValueError):
    """A webhook that must not be trusted."""


def sign(message_id: str, timestamp_s: int, body: bytes, secrets: Sequence[str]) -> str:
    """Give the ``webhook-signature`` header: one ``v1,…`` per secret, in their order, separated by spaces.

    Args:
        message_id: goes out as ``webhook-id``.
        timestamp_s: seconds since the epoch; goes out as ``webhook-timestamp``.
        body: the bytes that go out.
        secrets: ``whsec_…``, the newest first.

    Raises:
        InvalidSecret: one of them has another form.
    """
    return " ".join("v1," + _digest(key, message_id, timestamp_s, body) for key in map(parse_secret, secrets))


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Check a webhook that was received; returning means it is genuine.

    Signatures of other versions and malformed ones are passed over; one that fits is enough.

    Args:
        headers: of the request; names in any case.
        body: its bytes, before any decoding.
        secrets: those that may have signed it.
        now_s: the receiver's clock.
        tolerance_s: how far the timestamp may be off, into the past and into the future.

    Raises:
        InvalidSignature: says what is missing or wrong.
        InvalidSecret: a secret has another form.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (
        _header(given, f"webhook-{part}") for part in ("id", "timestamp", "signature")
    )
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        msg = f"webhook-timestamp: expected whole seconds, got {timestamp[:40]!r}"
        raise InvalidSignature(msg)
    if abs(now_s - int(timestamp)) > tolerance_s:
        msg = f"webhook-timestamp {timestamp} is more than {tolerance_s:g} s from now"
        raise InvalidSignature(msg)
    expected = [_digest(key, message_id, int(timestamp), body).encode() for key in map(parse_secret, secrets)]
    offered = [item[3:].encode() for item in signatures.split(" ") if item.startswith("v1,")]
    # All pairs are compared, so that the time taken tells nothing about which one fits.
    fits = [hmac.compare_digest(one, other) for one in offered for other in expected]
    if not any(fits):
        msg = "webhook-signature: none of the signatures fits a known secret"
        raise InvalidSignature(msg)


def parse_secret(secret: str) -> bytes:
    """Give the key inside a secret: ``whsec_`` and the base64, padded or not, of 24 to 64 bytes.

    Raises:
        InvalidSecret: it has another form.
    """
    if not secret.startswith(PREFIX):
        msg = f"a webhook secret begins with {PREFIX!r}"
        raise InvalidSecret(msg)
    text = secret.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        msg = f"a webhook secret is {PREFIX!r} and base64; what follows the prefix is not base64"
        raise InvalidSecret(msg) from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        msg = f"a webhook secret holds {SHORTEST_KEY} to {LONGEST_KEY} bytes; this one holds {len(key)}"
        raise InvalidSecret(msg)
    return key


def _digest(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    content = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    return base64.b64encode(hmac.digest(key, content, sha256)).decode()


def _header(headers: Mapping[str, str], name: str) -> str:
    try:
        return headers[name]
    except KeyError:
        msg = f"the header {name} is missing"
        raise InvalidSignature(msg) from None
