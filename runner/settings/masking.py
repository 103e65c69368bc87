"""Nothing secret reaches an error line, a log or ``runner config show``."""

import re
from collections.abc import Mapping
from typing import Any, cast

from .model import SECRETS

HIDDEN = "********"

_SECRET_NAME = re.compile(
    r"secret|passw|pwd|token|credential|private|auth|signing|whsec|(?:^|[._])(?:api_?)?key(?:$|\s*=)",
    re.IGNORECASE,
)
_INNOCENT = {
    "secrets_dir", "redis.password_file", "redis.sentinel_password_file", "webhooks.default_secret",
    "payments.webhook_secret",
}  # fmt: skip
_USERINFO = re.compile(r"(\w+://)?.*@", re.DOTALL)
_USERINFO_IN_LINE = re.compile(r"(\w+://).*@|()[^\s\"'=]*@")
_QUERY = re.compile(r"([?&](?:username|password|token)=)[^&\s\"']*", re.IGNORECASE)
_SIGNING_KEY = re.compile(r"()whsec_[^\s\"',\]}]*")
_ASSIGNMENT = re.compile(r"([^=#\[]*=\s*)")
_HEADER = re.compile(r"\s*\[+([^\[\]]*)\]+")


_LOGGED_NAME = (
    r"[\w.-]{0,40}(?:secret|passw(?:or)?d|passwd|pwd|credential|token|api[_-]?key|private[_-]?key|signing[_-]?key"
    r"|authorization|cookie)"
)
_LOGGED = (
    re.compile(r"(\w://)[^\s/@\"']*@"),
    _QUERY,
    _SIGNING_KEY,
    re.compile(r"()\b[sr]k_(?:live|test)_\w+"),
    re.compile(r"(\b(?:Bearer|Basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE),
    re.compile(
        rf"(\b{_LOGGED_NAME}[\"']?\s*[=:]\s*)(?!(?:Bearer|Basic)\b)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&})\]]+)",
        re.IGNORECASE,
    ),
)
_HINTS = (
    "://", "secret", "passw", "pwd", "token", "key", "credential", "whsec_", "sk_", "rk_", "bearer", "basic",
    "auth", "cookie", "username",
)  # fmt: skip
"""A text without any of these has nothing that _LOGGED finds, which is most lines: 1 µs instead of 20."""
_HIDDEN_NAME = re.compile(_LOGGED_NAME, re.IGNORECASE)


def is_secret(key: str) -> bool:
    """Say whether a setting, known or misspelt, is to be masked by its name."""
    return key not in _INNOCENT and (key.startswith(f"{SECRETS}.") or bool(_SECRET_NAME.search(key)))


def masked(key: str, value: object) -> str:
    """Write a value the way settings.toml does, within 80 characters and without what is secret in it."""
    if value and is_secret(key):
        return HIDDEN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        items = [f"{name} = {masked(name, item)}" for name, item in value.items()]
        text = "{ " + ", ".join(items) + " }" if items else "{}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(masked(key, item) for item in value) + "]"
    elif isinstance(value, int | float):
        text = str(value)
    else:
        text = '"' + masked_text(str(value)).replace("\n", "\\n") + '"'
    return text if len(text) <= 80 else text[:79] + "…"


def masked_text(text: str) -> str:
    """Give text without an address's user and password and without signing keys."""
    for secret in (_USERINFO, _QUERY, _SIGNING_KEY):
        text = secret.sub(lambda m: (m[1] or "") + "***" + ("@" if m[0].endswith("@") else ""), text)
    return text


def masked_line(lines: list[str], index: int) -> str:
    """Give a line of a broken settings file with every secret starred out, at its full width."""
    line = lines[index]
    above = lines[index::-1]
    table = next((m[1].strip() for m in map(_HEADER.match, above) if m), "")
    name = next((m[1] for m in map(_ASSIGNMENT.match, above) if m), "")
    if _SECRET_NAME.search(name) or is_secret(f"{table}."):
        match = _ASSIGNMENT.match(line)
        shown = match[1] if match else ""
        return shown + "*" * (len(line) - len(shown))
    for secret in (_USERINFO_IN_LINE, _QUERY, _SIGNING_KEY):
        line = secret.sub(lambda m: (m[1] or "") + "*" * (len(m[0]) - len(m[1] or "")), line)
    return line


def redacted_text(text: str) -> str:
    """Give a line of a log without what looks like a secret in it: passwords in addresses, keys, tokens."""
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            return _starred_out(text)
    return text


def _starred_out(text: str) -> str:
    for secret in _LOGGED:
        text = secret.sub(lambda m: m[1] + "***" + ("@" if m[0].endswith("@") else ""), text)
    return text


def redacted(name: str, value: Any) -> Any:
    """Give a value as it may be logged under a name: hidden by its name, or by the names and texts inside."""
    if _HIDDEN_NAME.fullmatch(name) and value:
        return HIDDEN
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {redacted_text(str(key)): redacted(str(key), item) for key, item in items}
    if isinstance(value, list | tuple):
        return [redacted("", item) for item in cast("list[Any]", value)]
    return value if isinstance(value, bool | int | float | None) else redacted_text(repr(value))
