"""What ``arq runner.WorkerSettings`` builds a worker from: settings.toml, resolved at first use."""

import asyncio
import atexit
import contextlib
import sys

import arq.worker

from .app import Runner
from .engine.worker import Worker
from .errors import RunnerError, ServerError
from .logs import configure_logging
from .worker_parameters import worker_parameters


def install() -> type:
    """Resolve settings.toml into a class for ``arq``, whose command then builds our Worker.

    arq looks ``Worker`` up in ``arq.worker`` when it is called: that one name is bound to ours here, and
    nowhere else.

    Raises:
        RunnerError: a setting, a task or the embedded server; nothing was started then.
    """
    runner = Runner.from_settings()
    configure_logging(runner.settings.logs)
    if runner.settings.worker.uvloop:
        use_uvloop()
    atexit.register(runner.detach)
    parameters = worker_parameters(runner, runner.server_url())
    arq.worker.Worker = Worker
    return type("WorkerSettings", (), parameters)


def resolve_or_exit() -> type:
    """As ``install``, for arq's command: an error of ours is its text and an exit code, not a traceback."""
    try:
        return install()
    except RunnerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the person at the keyboard reads it
        raise SystemExit(3 if isinstance(error, ServerError) else 2) from None


def use_uvloop() -> None:
    """Make uvloop this thread's loop, when it is installed and no loop runs yet."""
    try:
        import uvloop
    except ImportError:
        return
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return
    asyncio.set_event_loop(uvloop.new_event_loop())
