"""What strangers wrote into a job, as it may stand on a page: harmless, short, and without secrets."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, cast

from ..errors import InvalidArguments
from ..registry import Registry
from ..settings.masking import HIDDEN, is_secret, redacted, redacted_text


class Call(Protocol):
    """What is known of the call that a job or a letter is."""

    @property
    def task(self) -> str: ...
    @property
    def args(self) -> Sequence[Any] | None: ...
    @property
    def kwargs(self) -> Mapping[str, Any] | None: ...


TEXT_LIMIT = 2_000
ITEMS_LIMIT = 100
DEPTH_LIMIT = 8
WHOLE_LIMIT = 20_000
"""Characters of a text, entries of a list, levels, and characters of all of it, that are shown."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that steer: a terminal, the direction of the text, or nothing to be seen."""


def visible(text: str) -> str:
    """Give text with the characters that steer written out, so that it reads as it stands there."""
    return _UNSEEN.sub(lambda found: f"⟨{ord(found[0]):02X}⟩", text)


def escaped_json(text: str) -> str:
    """Give JSON with the characters that steer as its own escapes: it means the same, and can be seen."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def short(text: str, limit: int = TEXT_LIMIT) -> str:
    """Cut text, and say how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def error_text(text: object, limit: int = WHOLE_LIMIT) -> str:
    """Give the text of an error, or a reason, short and without what looks like a secret."""
    return redacted_text(short(str(text), limit))


def value_text(value: Any, name: str = "") -> str:
    """Write a plain JSON value for people."""
    hidden = HIDDEN if name and value and is_secret(name) else redacted(name, _Cut().take(value))
    return short(json.dumps(hidden, indent=2, ensure_ascii=False, default=str), WHOLE_LIMIT)


def line_of(registry: Registry, row: Call) -> str:
    """Give the arguments of a call as one short line; empty where they are not known."""
    if row.args is None:
        return ""
    named = list(_named(registry, row).items())
    told = [_brief(name, value) for name, value in named[: min(10, len(row.args))]]
    told += [f"{short(name, 40)}={_brief(name, value)}" for name, value in named[len(row.args) :][:10]]
    return short(", ".join(told), 120)


def arguments(registry: Registry, row: Call) -> list[tuple[str, str]]:
    """Give the arguments of a call by name, and their values for people."""
    if row.args is None:
        return []
    named = list(_named(registry, row).items())[:ITEMS_LIMIT]
    return [(short(name, 80), value_text(value, name)) for name, value in named]


def _named(registry: Registry, row: Call) -> dict[str, Any]:
    """Give arguments by name, positional ones first; by number where the task is not known here."""
    args, kwargs, known = row.args or (), row.kwargs or {}, registry.get(row.task)
    if known is not None:
        try:
            return known.parameters.named(row.task, args, dict(kwargs))
        except (InvalidArguments, TypeError, KeyError):
            pass
    return {str(number): value for number, value in enumerate(args, 1)} | dict(kwargs)


def _brief(name: str, value: Any) -> str:
    if name and value and is_secret(name):
        return HIDDEN
    if isinstance(value, str):
        return json.dumps(redacted_text(short(value, 60)), ensure_ascii=False)
    return short(json.dumps(redacted(name, _Cut(200).take(value, 5)), ensure_ascii=False, default=str), 60)


@dataclass(slots=True)
class _Cut:
    """Takes no more of a value than is shown, before anything is done with all of it.

    Attributes:
        left: characters that may come yet; entries and names count, too.
    """

    left: int = WHOLE_LIMIT

    def take(self, value: Any, depth: int = 0) -> Any:
        """Give what is shown of a value."""
        if self.left <= 0:
            return "…"
        self.left -= 4
        if isinstance(value, str):
            text = short(value, min(TEXT_LIMIT, self.left + 40))
            self.left -= len(text)
            return text
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            return "{…}" if depth >= DEPTH_LIMIT else self._items(items, depth + 1)
        if isinstance(value, list | tuple):
            entries = cast("Sequence[Any]", value)
            return "[…]" if depth >= DEPTH_LIMIT else self._entries(entries, depth + 1)
        return value

    def _items(self, items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for key, item in islice(items, ITEMS_LIMIT):
            taken[self.take(str(key))[:200]] = self.take(item, depth)
        return taken

    def _entries(self, entries: Sequence[Any], depth: int) -> list[Any]:
        taken = [self.take(item, depth) for item in entries[:ITEMS_LIMIT]]
        more = len(entries) - ITEMS_LIMIT
        return [*taken, f"… ({more:,} more)"] if more > 0 else taken
