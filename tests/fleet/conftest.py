"""Ports for a parent and its processes."""

import contextlib
import random
import socket
from collections.abc import Callable

import pytest


@pytest.fixture
def free_ports() -> Callable[[int], int]:
    def find(count: int) -> int:
        """The first of so many in a row that nobody listens on, below those of outgoing connections."""
        while True:
            with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
                first = random.randrange(11_000, 32_000)
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                return first

    return find
