"""A user's own arq settings, unchanged, under our Worker: for ``runner worker module.WorkerSettings``."""

import importlib
import inspect
import logging.config
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from arq.logs import default_log_config
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError

from .client import Client
from .engine.connect import connect
from .engine.worker import Worker
from .errors import ServerUnreachable, SettingsError
from .task_modules import broken_import


def import_settings(path: str) -> Any:
    """Import what a dotted path names, from the current folder too, as ``arq`` does.

    Raises:
        SettingsError: there is no such module or name, or the module's own code fails.
    """
    name, _, attribute = path.replace(":", ".").rpartition(".")
    if not name:
        msg = f"'{path}': expected module and class, such as app.worker.WorkerSettings"
        raise SettingsError(msg)
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    module = _import(name)
    if not hasattr(module, attribute):
        close = get_close_matches(attribute, vars(module), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        msg = f"'{path}': module '{name}' has no '{attribute}'{hint}"
        raise SettingsError(msg)
    return getattr(module, attribute)


def worker_of(settings: Any, *, burst: bool | None = None) -> Worker:
    """Build our Worker from arq settings; nothing is connected yet.

    Args:
        settings: a class, a dict or an object, as ``arq`` takes; what a class inherits counts too.
        burst: None leaves it to the settings.

    Raises:
        SettingsError: says what the constructor does not accept.
    """
    given = dict(parameters_of(settings))
    if burst is not None:
        given["burst"] = burst
    try:
        return Worker(**given)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        name = getattr(settings, "__name__", type(settings).__name__)
        msg = f"{name}: the worker does not take these settings: {error}"
        raise SettingsError(msg) from error


def parameters_of(settings: Any) -> Mapping[str, Any]:
    """Give the constructor's parameters among the attributes of arq settings."""
    if isinstance(settings, dict):
        values = cast("dict[str, Any]", settings)
    elif isinstance(settings, type):
        values = {name: value for each in reversed(settings.__mro__) for name, value in vars(each).items()}
    else:
        values = vars(settings)
    known = inspect.signature(Worker).parameters
    return {name: value for name, value in values.items() if name in known}


def configure_arq_logging(*, speaker: str = "") -> None:
    """Log as the command ``arq`` does; in a fleet each line says which process speaks."""
    config = default_log_config(verbose=False)
    if speaker:
        config["formatters"]["arq.standard"]["format"] = f"%(asctime)s: [{speaker}] %(message)s"
    logging.config.dictConfig(config)


def run(worker: Worker) -> None:
    """Serve until told to stop.

    Raises:
        ServerUnreachable: there is no server, or it refuses us; says where.
    """
    try:
        worker.run()
    except RedisError as error:
        raise _unreachable(worker, error) from error


async def client_of(worker: Worker) -> Client:
    """Connect to a worker's server, for looking at it.

    Raises:
        ServerUnreachable: there is no server, or it refuses us; says where.
    """
    try:
        pool = await connect(worker)
    except (RedisError, OSError) as error:
        raise _unreachable(worker, error) from error
    return Client(cast("ConnectionPool", pool.connection_pool), address=url_of(worker))


def url_of(worker: Worker) -> str:
    """Give the address of a worker's server, without user and password."""
    at = worker.redis_settings
    if at is None:
        return "redis://localhost"
    if at.unix_socket_path:
        return f"unix://{at.unix_socket_path}"
    return f"{'rediss' if at.ssl else 'redis'}://{at.host}:{at.port}/{at.database}"


def _unreachable(worker: Worker, error: Exception) -> ServerUnreachable:
    at = worker.redis_settings
    where = (at.unix_socket_path or f"{at.host}:{at.port}") if at else "the server of redis_pool"
    return ServerUnreachable(f"no server at {where} ({error}); is it running, are redis_settings right?")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise broken_import(name, error) from error
        msg = f"there is no module '{error.name}' (looked in the current folder too)"
        raise SettingsError(msg) from error
    except Exception as error:
        raise broken_import(name, error) from error
