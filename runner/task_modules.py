"""The modules with a runner's tasks, imported by the names that settings give."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from .errors import InvalidTask, SettingsError


def task_module(name: str) -> ModuleType:
    """Import a module that ``tasks`` in settings names; from the current folder, too.

    Raises:
        SettingsError: there is no such module.
        InvalidTask: it declares a task that cannot work.
        ImportError: its own code imports what is not there.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not
        where = "looked in the current folder too; check the name in settings.toml"
        msg = f"tasks: there is no module '{name}' ({where})"
        raise SettingsError(msg) from error
    except InvalidTask as error:
        msg = f"module '{name}': {error}"
        raise InvalidTask(msg) from error
