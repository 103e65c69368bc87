"""Nothing secret reaches an error line, a log or ``runner config show``."""

import re
from collections.abc import Callable

from .model import SECRETS

HIDDEN = "********"

_SECRET_NAME = re.compile(r"secret|passw|pwd|token|credential|private|api_?key|signing|whsec", re.IGNORECASE)
_INNOCENT = {"secrets_dir", "webhooks.default_secret"}
_USERINFO = re.compile(r"(\w+://)?[^\s\"']*@")
_QUERY = re.compile(r"([?&](?:username|password|token)=)[^&\s\"']*", re.IGNORECASE)
_SIGNING_KEY = re.compile(r"whsec_[^\s\"',\]}]*")
_ASSIGNMENT = re.compile(r"([^=#\[]*=\s*)(.+)", re.DOTALL)
_HEADER = re.compile(r"\s*\[+([^\[\]]*)\]+")


def is_secret(key: str) -> bool:
    """Say whether a setting, known or misspelt, is to be masked by its name."""
    return key not in _INNOCENT and (key.startswith(f"{SECRETS}.") or bool(_SECRET_NAME.search(key)))


def masked(key: str, value: object) -> str:
    """Give a value as a person would write it, without what is secret in it."""
    if isinstance(value, dict) and not value:
        return "{}"
    if is_secret(key):
        return HIDDEN
    return _clean(shown(value), lambda _: "***")


def shown(value: object) -> str:
    """Write a value the way settings.toml does, within 80 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{name} = {shown(item)}" for name, item in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    text = str(value) if isinstance(value, int | float) else '"' + str(value).replace("\n", "\\n") + '"'
    return text if len(text) <= 80 else text[:79] + "…"


def masked_line(lines: list[str], index: int) -> str:
    """Give a line of a broken settings file with every secret starred out, at its full width."""
    line = lines[index]
    table = next((m[1].strip() for m in map(_HEADER.match, reversed(lines[:index])) if m), "")
    match = _ASSIGNMENT.fullmatch(line)
    if match and (_SECRET_NAME.search(match[1]) or is_secret(f"{table}.")):
        return match[1] + "*" * len(match[2])
    return _clean(line, lambda hidden: "*" * len(hidden))


def _clean(text: str, stars: Callable[[str], str]) -> str:
    text = _USERINFO.sub(lambda m: (m[1] or "") + stars(m[0].removeprefix(m[1] or "")[:-1]) + "@", text)
    text = _QUERY.sub(lambda m: m[1] + stars(m[0].removeprefix(m[1])), text)
    return _SIGNING_KEY.sub(lambda m: stars(m[0]), text)
