"""``runner config``: what applies, and where it comes from; secrets stay masked."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from ..settings import Settings, load
from ..settings.load import Loaded
from ..settings.masking import HIDDEN, masked, masked_text
from ..settings.model import KEYS, SECRETS, parser_of
from ..settings.schedules import SCHEDULES
from ..settings.units import parse_duration, parse_size, spell_duration, spell_size

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


class Row(NamedTuple):
    """A setting that applies: its value for machines and for people, and its source."""

    key: str
    value: Any
    text: str
    source: str


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One object: key -> value and source.")] = False,
) -> None:
    """Print every setting with its value and its source. Durations are seconds in JSON, sizes bytes."""
    loaded = load()
    rows = list(_rows(loaded))
    if as_json:
        table = {row.key: {"value": row.value, "source": row.source} for row in rows}
        print(json.dumps(table, indent=2, ensure_ascii=False))
        return
    if loaded.file is None:
        print("no settings.toml here and no RUNNER_SETTINGS: defaults apply", file=sys.stderr)
    keys, texts = max(len(row.key) for row in rows), max(len(row.text) for row in rows)
    for row in rows:
        print(f"{row.key:<{keys}}  {row.text:<{texts}}  {row.source}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of settings.toml, for editors."""
    print(json.dumps(Settings.model_json_schema(), indent=2, ensure_ascii=False))


def _rows(loaded: Loaded) -> Iterator[Row]:
    plain = loaded.settings.model_dump(mode="json")
    for key in KEYS:
        if key == SECRETS and loaded.settings.webhooks.secrets:
            names = sorted(loaded.settings.webhooks.secrets)
            yield from (Row(f"{key}.{n}", HIDDEN, HIDDEN, loaded.source(f"{key}.{n}")) for n in names)
            continue
        if key == SCHEDULES and loaded.settings.schedules:
            for name, option in (e.split(".")[1:] for e in loaded.entries if e.startswith(f"{SCHEDULES}.")):
                value = plain[SCHEDULES][name][option]
                row = f"{key}.{name}.{option}"
                yield Row(row, value, masked(row, value), loaded.source(row))
            continue
        value: Any = plain
        for name in key.split("."):
            value = value[name]
        if isinstance(value, str):
            value = masked_text(value)
        yield Row(key, value, _text(key, value), loaded.source(key))


def _text(key: str, value: Any) -> str:
    """Write a value with its unit where it has one."""
    if parser_of(key) is parse_duration:
        return spell_duration(value)
    if parser_of(key) is parse_size:
        return spell_size(value)
    return masked(key, value)
