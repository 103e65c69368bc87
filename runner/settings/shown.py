"""Settings as they may be shown: each with its value for machines and for people; secrets stay masked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .masking import HIDDEN, masked, masked_text
from .model import KEYS, SECRETS, Settings, parser_of
from .schedules import SCHEDULES
from .units import parse_duration, parse_size, spell_duration, spell_size


@dataclass(frozen=True, slots=True)
class Row:
    """A setting that applies: its value for machines and for people, and its source."""

    key: str
    value: Any
    text: str
    source: str


def rows_of(settings: Settings, source: Callable[[str], str] = lambda _: "") -> Iterator[Row]:
    """Give every setting in order.

    Args:
        settings: which ones.
        source: says where a setting comes from.
    """
    plain = settings.model_dump(mode="json")
    for key in KEYS:
        if key == SECRETS and settings.webhooks.secrets:
            names = sorted(settings.webhooks.secrets)
            yield from (Row(f"{key}.{n}", HIDDEN, HIDDEN, source(f"{key}.{n}")) for n in names)
            continue
        if key == SCHEDULES and settings.schedules:
            for name, table in settings.schedules.items():
                for option in sorted(table.model_fields_set):
                    row, value = f"{key}.{name}.{option}", plain[SCHEDULES][name][option]
                    yield Row(row, value, masked(row, value), source(row))
            continue
        value: Any = plain
        for name in key.split("."):
            value = value[name]
        if isinstance(value, str):
            value = masked_text(value)
        yield Row(key, value, _text(key, value), source(key))


def _text(key: str, value: Any) -> str:
    """Write a value with its unit where it has one."""
    if parser_of(key) is parse_duration:
        return spell_duration(value)
    if parser_of(key) is parse_size:
        return spell_size(value)
    return masked(key, value)
