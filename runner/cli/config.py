"""``runner config``: what applies, and where it comes from; secrets stay masked."""

import json
import sys
from typing import Annotated

import typer

from ..settings import Settings, load
from ..settings.shown import rows_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One object: key -> value and source.")] = False,
) -> None:
    """Print every setting with its value and its source. Durations are seconds in JSON, sizes bytes."""
    loaded = load()
    rows = list(rows_of(loaded.settings, loaded.source))
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
