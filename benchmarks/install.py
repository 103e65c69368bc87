"""Installs what the peers need, each in a folder of its own; says what cannot be had."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from .peers import OURS, REQUIREMENTS, Peer

STEP_S = 600.0
TELLING_LINES = 3


class NotInstalled(Exception):
    """A peer cannot take part; says why."""


def install(peer: Peer, work: Path) -> str:
    """Install a peer, unless it is, and give the versions of what matters.

    Raises:
        NotInstalled: a program or a package is not to be had.
    """
    if peer.name == OURS:
        return ", ".join(f"{name} {version(name)}" for name in (OURS, "arq", "redis", "hiredis", "uvloop"))
    wanted = REQUIREMENTS / f"{peer.key}.{'json' if peer.is_node else 'txt'}"
    folder, text = work / peer.key, wanted.read_bytes()
    stamp = folder / "installed"
    digest = hashlib.sha256(text + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if peer.is_node:
            (folder / "package.json").write_bytes(text)
            _run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)])
        else:
            _run([sys.executable, "-m", "venv", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
            _run([*pip, "--disable-pip-version-check", "-r", str(wanted)])
        stamp.write_text(digest)
    return _told(peer, text.decode())


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_S, check=False)
    except FileNotFoundError:
        msg = f"there is no program {command[0]!r} on this machine"
        raise NotInstalled(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"{Path(command[0]).name} did not end within {STEP_S:.0f} s"
        raise NotInstalled(msg) from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-TELLING_LINES:]
        msg = f"{Path(command[0]).name} failed: {' / '.join(said)}"
        raise NotInstalled(msg)


def _told(peer: Peer, text: str) -> str:
    if peer.is_node:
        node = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
        pinned = json.loads(text)["dependencies"]
        return ", ".join(
            [*(f"{name} {number}" for name, number in pinned.items()), f"node {node.lstrip('v')}"]
        )
    chosen = text.partition("# and what they bring")[0]
    return ", ".join(line.replace("==", " ") for line in chosen.splitlines() if "==" in line)
