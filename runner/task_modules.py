"""The modules with a runner's tasks, imported by the names that settings give."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from .errors import InvalidTask, SettingsError


def task_module(name: str) -> ModuleType:
    """Import a module that ``tasks`` in settings names; from the current folder, too.

    Raises:
        SettingsError: there is no such module, or its own code fails.
        InvalidTask: it declares a task that cannot work.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise broken_import(name, error) from error
        where = "looked in the current folder too; check the name in settings.toml"
        msg = f"tasks: there is no module '{name}' ({where})"
        raise SettingsError(msg) from error
    except InvalidTask as error:
        msg = f"module '{name}': {error}"
        raise InvalidTask(msg) from error
    except Exception as error:
        raise broken_import(name, error) from error


def broken_import(name: str, error: Exception) -> SettingsError:
    """Give what to raise for a module that is there and cannot be imported: what failed, at which line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if isinstance(error, SyntaxError) else f" ({last.filename}:{last.lineno})"
    what = f"module '{name}' cannot be imported: {type(error).__name__}: {error}{where}"
    return SettingsError(f"{what}; python -c 'import {name}' shows all of it")
