"""systemd's notifications (sd_notify): the service is ready, stops, lives. Nothing without NOTIFY_SOCKET."""

import os
import socket
from collections.abc import Mapping


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send one state, such as ``READY=1``; a service manager that is away costs nothing.

    Returns:
        Whether there is nothing to send again: False when the manager has not read what was sent before.
        It is not waited for: a parent that waits cannot hear its workers.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return True
    path = "\0" + address[1:] if address[0] == "@" else address
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    try:
        with socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto(state.encode(), path)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Give how often systemd wants a sign of life (WatchdogSec, half of it as it advises); None for never."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or meant_for not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / 2
