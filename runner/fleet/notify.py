"""systemd's notifications (sd_notify): the service is ready, stops, lives. Nothing without NOTIFY_SOCKET."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send one state, such as ``READY=1``; a service manager that is away costs nothing."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    path = "\0" + address[1:] if address[0] == "@" else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(state.encode(), path)


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Give how often systemd wants a sign of life (WatchdogSec, half of it as it advises); None for never."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or meant_for not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / 2
