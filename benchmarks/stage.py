"""The server, started as our embedded one is, and open on a port: not all libraries speak to a socket."""

import contextlib
import socket
from collections.abc import Generator

from runner.bench.stage import Stage, stage

HOST = "127.0.0.1"


@contextlib.contextmanager
def open_stage() -> Generator[tuple[Stage, str]]:
    """Start a server with an append-only file, and stop it at the end; gives it and the url that all use."""
    with stage() as where:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        where.redis.config_set("bind", HOST)
        where.redis.config_set("port", port)
        yield where, f"redis://{HOST}:{port}/0"
