"""Bring the layers together: file < secrets folder < environment."""

import os
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import SettingsError
from .layers import (
    FILE_VARIABLE,
    Entry,
    Layer,
    LayerSource,
    environment_layer,
    file_layer,
    problem,
    secrets_layer,
)
from .model import SECRETS, Settings, setting_of
from .schedules import SCHEDULES

SECRETS_DIR = "secrets_dir"

_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "greater_than_equal": "a whole number of at least {ge}",
    "string_type": "text",
    "path_type": "a path",
    "tuple_type": "a list",
    "mapping_type": "a table",
    "dict_type": "a table",
    "model_type": "a table",
    "extra_forbidden": "no option of that name",
    "string_pattern_mismatch": "an address: https://host or http://host:port",
    "too_short": "at least {min_length} of them",
}
"""What pydantic's own checks ask for, by the type of its finding; the rest comes in pydantic's words."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the entries that were set, by dotted key; what is not among them is a default."""

    settings: Settings
    entries: Mapping[str, Entry]
    file: Path | None
    """The settings file that was read; None when there is none."""

    def source(self, key: str) -> str:
        """Say where the value of a dotted key stands; ``default`` when nothing sets it."""
        return self.entries[key].source if key in self.entries else "default"


def load_settings(
    path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings of this process.

    Args:
        path: a TOML file that must exist. None takes the one ``RUNNER_SETTINGS`` names, else
            ``./settings.toml``, else the defaults.
        environ: variables to read instead of ``os.environ``.

    Raises:
        SettingsError: one line for each thing that is wrong, all at once.
    """
    return load(path, environ).settings


def load(path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings as ``load_settings`` does, and keep where each one came from."""
    environ = os.environ if environ is None else environ
    file, named_by = _file(path, environ)
    layers = [environment_layer(environ), file_layer(file, named_by)]
    folder = _first(layers, SECRETS_DIR)
    if folder is not None and isinstance(folder.value, str):
        layers.insert(1, secrets_layer(folder.value, folder.source))
    entries = ChainMap(*(layer.entries for layer in layers))
    problems = [line for layer in reversed(layers) for line in layer.problems]
    settings = None
    sources: dict[str, Any] = {"_build_sources": (tuple(LayerSource(layer) for layer in layers), {})}
    try:
        settings = Settings(**sources)
    except ValidationError as invalid:
        problems += [_line(error, entries) for error in invalid.errors(include_url=False)]
    if settings is None or problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return Loaded(settings, dict(entries), file if file.exists() else None)


def _file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Give the settings file and who named it; nobody names the one that may be missing."""
    if path is not None:
        return Path(path), "load_settings(path)"
    named = environ.get(FILE_VARIABLE, "")
    return (Path(named), FILE_VARIABLE) if named else (Path("settings.toml"), "")


def _first(layers: list[Layer], key: str) -> Entry | None:
    return next((layer.entries[key] for layer in layers if key in layer.entries), None)


def _line(error: Any, entries: Mapping[str, Entry]) -> str:
    """Turn one of pydantic's findings into a line that says where the value stands."""
    names = tuple(error["loc"])
    is_signing_key = names[:2] == tuple(SECRETS.split("."))
    is_deep = is_signing_key or names[0] == SCHEDULES
    depth = 3 if is_deep else (setting_of(names) or "").count(".") + 1
    key, below = ".".join(names[:depth]), () if is_signing_key else names[depth:]
    entry = entries.get(key) or Entry(key, error["input"], "default")
    value = error["input"] if below else entry.value
    place = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in below)
    return problem(entry.source_of(below), key + place, value, _expected(error))


def _expected(error: Any) -> str:
    """Say what one of pydantic's findings asks for: our validators' words, or ours for its own checks."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] in _EXPECTED:
        return _EXPECTED[error["type"]].format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Input should be ")
