"""Where settings come from: a file, a folder of secrets, the environment; each a source of pydantic-settings.

A layer knows of every value where it stands, so that an error, and ``runner config show``, can say so.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from .masking import masked, masked_line
from .model import GROUPS, KEYS, SECRETS, Settings, setting_of
from .schedules import SCHEDULES, is_schedule_setting
from .toml_lines import broken_at, key_lines

PREFIX = "RUNNER_"
FILE_VARIABLE = "RUNNER_SETTINGS"


@dataclass(frozen=True, slots=True)
class Entry:
    """One value: its dotted key, what was written, and where it, and what lies below it, stands."""

    key: str
    value: Any
    source: str
    below: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])

    def source_of(self, names: Sequence[str | int]) -> str:
        """Say where that part of the value stands, as nearly as is known."""
        parts = (tuple(map(str, names[:length])) for length in range(len(names), 0, -1))
        return next((self.below[part] for part in parts if part in self.below), self.source)


@dataclass
class Layer:
    """What one place sets, and what is wrong with it as far as can be said without looking at the values."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    problems: list[str] = field(default_factory=list[str])

    def add(
        self,
        path: tuple[str, ...],
        value: Any,
        source: str,
        below: Mapping[tuple[str, ...], str] | None = None,
    ) -> None:
        """Take a value in, or note that nothing is called that."""
        key = ".".join(path)
        is_one = key not in (SECRETS, SCHEDULES) and setting_of(path) == key
        if is_one or is_schedule_setting(path) or (len(path) == 3 and key.startswith(f"{SECRETS}.")):
            self.entries[key] = Entry(key, value, source, below or {})
        else:
            self.problems.append(problem(source, key, value, _what_else(path, source)))


class LayerSource(PydanticBaseSettingsSource):
    """Hands a layer to pydantic-settings."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(Settings)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Give one top-level value; part of pydantic-settings' interface."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give the tree of this layer's values."""
        tree: dict[str, Any] = {}
        for entry in self._layer.entries.values():
            *tables, name = entry.key.split(".", 2)
            place = tree
            for table in tables:
                place = place.setdefault(table, {})
            place[name] = entry.value
        return tree


def problem(source: str, key: str, value: object, expected: str) -> str:
    """Write the one line of a wrong setting; ``key`` decides whether the value is masked."""
    return f"{source} -> {key} -> {masked(key, value)} -> expected {expected}"


def variable(key: str) -> str:
    """Give the environment variable of a dotted key."""
    return PREFIX + key.replace(".", "__").upper()


def file_layer(path: Path, named_by: str) -> Layer:
    """Read a TOML file; no file is an empty layer unless ``named_by`` says who asked for it."""
    layer = Layer()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if named_by:
            layer.problems.append(problem(named_by, "settings file", str(path), "a file that exists"))
        return layer
    except (OSError, UnicodeDecodeError) as error:
        layer.problems.append(
            problem(named_by or str(path), "settings file", str(path), f"readable UTF-8 text: {error}")
        )
        return layer
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        layer.problems.append(_broken(path, text, error))
        return layer
    lines = key_lines(text)
    for keys, value in _leaves((), tree):
        line = next(lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines)
        below = {
            names[len(keys) :]: f"{path}:{at}"
            for names, at in lines.items()
            if len(names) > len(keys) and names[: len(keys)] == keys
        }
        layer.add(keys, value, f"{path}:{line}", below)
    return layer


def secrets_layer(folder: str, named_by: str) -> Layer:
    """Read a folder of files called like a variable, or ``webhooks.secrets.NAME``; others are not ours."""
    layer = Layer()
    if not folder:
        return layer
    try:
        files = sorted(file for file in Path(folder).iterdir() if file.is_file())
    except OSError:
        layer.problems.append(problem(named_by, "secrets_dir", folder, "a folder that can be read"))
        return layer
    for file in files:
        if not file.name.startswith((PREFIX, f"{SECRETS}.")):
            continue
        path = _path(file.name) if file.name.startswith(PREFIX) else tuple(file.name.split(".", 2))
        try:
            layer.add(path, file.read_text(encoding="utf-8").strip(), str(file))
        except (OSError, UnicodeDecodeError):
            layer.problems.append(problem(str(file), ".".join(path), "", "readable UTF-8 text"))
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read ``RUNNER_…``; two underscores go one table down, case does not matter behind the prefix.

    GitHub Actions (``RUNNER_OS``) and Kubernetes (``RUNNER_SERVICE_HOST`` for a service called runner) put
    variables of their own under this prefix: there, unknown names without two underscores are let be.
    """
    layer = Layer()
    foreign = "GITHUB_ACTIONS" in environ or "KUBERNETES_SERVICE_HOST" in environ
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if foreign and "__" not in name and setting_of(_path(name)) is None:
            continue
        layer.add(_path(name), environ[name], name)
    return layer


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def _leaves(above: tuple[str, ...], tree: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk down to the settings; what is unknown is given once, at its highest name."""
    for name, value in tree.items():
        path = (*above, name)
        is_table = path[0] in GROUPS if len(path) == 1 else ".".join(path) == SECRETS
        if isinstance(value, dict) and (is_table or (path[0] == SCHEDULES and len(path) < 3)):
            yield from _leaves(path, value)
        else:
            yield path, value


def _what_else(path: tuple[str, ...], source: str) -> str:
    """Say what was expected in place of a name that means nothing."""
    is_variable = source.isidentifier()
    key = ".".join(path)
    if key in GROUPS:
        example = variable(f"{key}.{next(iter(GROUPS[key].model_fields))}")
        return f"settings below it, such as {example}" if is_variable else "a table"
    setting = setting_of(path)
    if setting == SCHEDULES:
        form = (
            f"{variable(SCHEDULES)}__NAME__EVERY and the like" if is_variable else "tables [schedules.NAME]"
        )
        return f"{form}; a NAME has letters, digits, - and _"
    if setting == SECRETS:
        return f"one {variable(SECRETS)}__NAME for each" if is_variable else "a table of NAME = value"
    if setting is not None:
        return f"the whole of {setting} in one value"
    wanted = [variable(k) for k in KEYS] + [FILE_VARIABLE] if is_variable else [*KEYS, *GROUPS]
    close = get_close_matches(source if is_variable else key, wanted, 1, 0.7)
    if not close:
        close = [k for k in wanted if re.split(r"\.|__", k.lower())[-1] == path[-1]]
    hint = f"; did you mean {close[0]}?" if close else " (runner config show lists them)"
    if path[0] == "limits" and not is_variable:
        hint += f" A rate limit is a table [rate_limits.{path[-1]}]"
    return f"the name of a setting{hint}"


def _broken(path: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    what, line, column = broken_at(error, text)
    lines = text.rstrip("\n").split("\n")
    shown = masked_line(lines, min(line, len(lines)) - 1).expandtabs(1)
    return f"{path}:{line}:{column} -> not valid TOML: {what}\n    {shown}\n    {' ' * (column - 1)}^"
