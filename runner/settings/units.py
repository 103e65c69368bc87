"""The forms a setting's value may be written in, and what each is held as.

Every parser here raises ValueError with the words that follow "expected" in an error line; none repeats the
value, which may be a secret.
"""

import base64
import binascii
import ipaddress
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from .addresses import parse_address

MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
BYTES = {
    "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3,
}  # fmt: skip

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?b|b)?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+|[^\W\d]\w*")
_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def parse_duration(value: object) -> float:
    """Give seconds for ``"1h30m"``, ``"250ms"``, ``"5"`` or a number of seconds.

    Raises:
        ValueError: it is something else, negative, infinite or NaN.
    """
    wrong = ValueError("a duration: 250ms, 5s, 2m, 1h30m, 7d, or a number of seconds")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and re.fullmatch(rf"(?:{_SPAN.pattern})+", value.strip()):
        seconds = math.fsum(float(n) * MILLISECONDS[unit] for n, unit in _SPAN.findall(value)) / 1000
    else:
        raise wrong
    if not 0 <= seconds < math.inf:
        raise wrong
    return seconds


def parse_moment(text: str, *, now_ms: int) -> int:
    """Give epoch milliseconds for a time ago (``"30m"``) or ``"2026-11-05T10:00Z"``; UTC without a zone.

    Raises:
        ValueError: it is neither.
    """
    try:
        return now_ms - round(parse_duration(text) * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        msg = "a time ago (30m, 2h, 7d) or a moment such as 2026-11-05T10:00Z"
        raise ValueError(msg) from None


def parse_size(value: object) -> int:
    """Give bytes for ``"512KiB"``, ``"1MB"``, ``"4096"`` or a whole number.

    Raises:
        ValueError: it is something else, negative, or not a whole number of bytes.
    """
    wrong = ValueError("a size of at least one byte: 512KiB, 1MB, or a whole number of bytes")
    if isinstance(value, bool):
        raise wrong
    match = _SIZE.fullmatch(str(value).strip()) if isinstance(value, int | str) else None
    if match is None:
        raise wrong
    count = float(match[1]) * BYTES[(match[2] or "b").lower()]
    if count < 1 or not count.is_integer():
        raise wrong
    return int(count)


def parse_size_or_zero(value: object) -> int:
    """As ``parse_size``; 0 is let through, for no limit.

    Raises:
        ValueError: it is something else.
    """
    return 0 if str(value).strip() == "0" else parse_size(value)


def spell_duration(seconds: float) -> str:
    """Write seconds in the largest unit that leaves a whole number: 5400 is 90m."""
    thousandths = round(seconds * 1000)
    for unit, length in MILLISECONDS.items():
        count, rest = divmod(thousandths, length)
        if count and not rest and thousandths / 1000 == seconds:
            return f"{count}{unit}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def spell_size(count: int) -> str:
    """Write bytes in the largest binary unit that leaves a whole number, else as they are."""
    for unit in ("GiB", "MiB", "KiB"):
        if count % BYTES[unit.lower()] == 0:
            return f"{count // BYTES[unit.lower()]}{unit}"
    return str(count)


def parse_list(value: object) -> object:
    """Split text at commas and line ends, or read it as JSON when it starts with a bracket."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            msg = "a list: comma separated text, or JSON"
            raise ValueError(msg) from None
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def parse_weights(value: object) -> object:
    """Read ``"critical=6, default=3"`` or JSON as a table of weights; leave a table as it is."""
    if not isinstance(value, str):
        return value
    wrong = ValueError('a table of queue weights: "critical=6, default=3", or JSON')
    if value.strip().startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            raise wrong from None
    pairs = [part.split("=") for part in parse_list(value)]  # pyright: ignore[reportGeneralTypeIssues]
    if any(len(pair) != 2 for pair in pairs):
        raise wrong
    return {name.strip(): weight.strip() for name, weight in pairs}


def refuse_bool(value: object) -> object:
    """Keep ``true`` from passing for the number 1."""
    if isinstance(value, bool):
        msg = "a whole number"
        raise ValueError(msg)
    return value


def check_name(value: str) -> str:
    """Let through what ``import`` could take: ``jobs.webhook``."""
    if not _DOTTED.fullmatch(value):
        msg = "dotted Python names such as jobs.webhook"
        raise ValueError(msg)
    return value


RESERVED_QUEUES = frozenset(
    {
        "bulk-cursor",
        "dead",
        "job",
        "lock",
        "once",
        "op",
        "schedule",
        "waiters",
        "waiting",
        "worker",
        "workers",
    }
)
"""Words that follow ``runner:`` in keys that are not a queue's; ``wire/keys.py`` has the table."""


def check_queue(value: str) -> str:
    """Let through a queue's name."""
    if not _QUEUE.fullmatch(value):
        msg = "queue names of letters, digits, dots, dashes and underscores"
        raise ValueError(msg)
    if value in RESERVED_QUEUES:
        taken = ", ".join(sorted(RESERVED_QUEUES))
        msg = f"a queue name other than {taken}: these begin keys of ours"
        raise ValueError(msg)
    return value


def check_weights(value: Mapping[str, int]) -> Mapping[str, int]:
    """Ask for at least one queue, and for names that stay one piece inside a key."""
    if not value:
        msg = "at least one queue, such as { default = 1 }"
        raise ValueError(msg)
    for name in value:
        check_queue(name)
    return value


def check_url(value: str) -> str:
    """Let through ``embedded`` and the forms of a server's address."""
    if value != "embedded":
        parse_address(value)
    return value


def check_network(value: str) -> str:
    """Let through a CIDR, or one address as the network of itself; give it in canonical form."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        msg = "networks in CIDR form, no bits set below the mask: 127.0.0.0/8, ::1/128, 10.1.2.3"
        raise ValueError(msg) from None


def check_signing_key(value: SecretStr) -> SecretStr:
    """Let through ``whsec_`` and the base64 of 24 to 64 bytes, the form Standard Webhooks names."""
    wrong = ValueError("whsec_ followed by the base64 of 24 to 64 random bytes")
    text = value.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise wrong
    return value


def _schema(*types: str, pattern: str | None = None) -> WithJsonSchema:
    text: dict[str, Any] = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return WithJsonSchema({"anyOf": [{"type": name} for name in types] + [text]})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    _schema("number", pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d))+$|^\d+(\.\d+)?$"),
]
"""Held as seconds."""

Durations = Annotated[tuple[Duration, ...], BeforeValidator(parse_list), Field(min_length=1)]

Size = Annotated[
    int, BeforeValidator(parse_size), _schema("integer", pattern=r"^\d+(\.\d+)?([kKmMgG]?[iI]?[bB])?$")
]
"""Held as bytes."""

Port = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=65535)]
SizeOrZero = Annotated[
    int,
    BeforeValidator(parse_size_or_zero),
    _schema("integer", pattern=r"^\d+(\.\d+)?([kKmMgG]?[iI]?[bB])?$"),
]
Whole = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0)]
Count = Annotated[int, BeforeValidator(refuse_bool), Field(ge=1)]
Name = Annotated[str, AfterValidator(check_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(parse_list)]
QueueNames = Annotated[tuple[Annotated[str, AfterValidator(check_queue)], ...], BeforeValidator(parse_list)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(check_network)], ...], BeforeValidator(parse_list)]
Weights = Annotated[Mapping[str, Count], BeforeValidator(parse_weights), AfterValidator(check_weights)]
ServerUrl = Annotated[str, AfterValidator(check_url)]
SigningKeys = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(check_signing_key)], ...],
    BeforeValidator(parse_list),
    Field(min_length=1),
]
"""The first signs first; the others stay valid while receivers change over."""
