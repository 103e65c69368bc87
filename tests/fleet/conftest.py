"""Ports for a parent and its processes."""

import contextlib
import socket
from collections.abc import Callable

import pytest


@pytest.fixture
def free_ports() -> Callable[[int], int]:
    def find(count: int) -> int:
        """The first of so many ports in a row that nobody listens on."""
        while True:
            with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
                first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                for port in range(first + 1, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                return first

    return find
