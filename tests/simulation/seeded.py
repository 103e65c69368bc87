"""Whatever a process asks the machine for, out of the seed: clocks, random words, its own name.

The engine takes its event loop's time and its Clock; what it draws, it draws from ``random``, ``secrets`` and
``uuid``. Those of this process are replaced for the length of a block.
"""

import contextlib
import os
import random
import secrets
import socket
import sys
import uuid
from collections.abc import Generator
from datetime import UTC, datetime
from random import Random
from typing import Any
from unittest.mock import patch

import arq.worker

from runner.clock import SystemClock

from .world import START_S, World


@contextlib.contextmanager
def seeded(world: World) -> Generator[None]:
    """Let everything that happens inside be decided by the world."""
    rng = Random(f"words {world.seed}")

    class Drawn(Random):
        def __init__(self, x: Any = None) -> None:
            super().__init__(rng.getrandbits(64) if x is None else x)

    def now_ms(_: Any) -> int:
        return int((START_S + world.now_s) * 1000) + (world.inside.wall_ahead_ms if world.inside else 0)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(START_S + world.now_s, tz or UTC)

    def uuid4() -> uuid.UUID:
        """Whoever looks on, as Sentry, draws identities of its own: they are no part of the seed."""
        is_ours = sys._getframe(1).f_globals["__name__"].startswith("runner.")
        return uuid.UUID(int=rng.getrandbits(128)) if is_ours else real_uuid4()

    real_uuid4 = uuid.uuid4
    before = random.getstate()
    random.seed(world.seed)
    with (
        patch.object(SystemClock, "now_ms", now_ms),
        patch.object(SystemClock, "monotonic", lambda _: world.now_s),
        patch.object(secrets, "token_hex", lambda n=16: f"{rng.getrandbits(8 * n):0{2 * n}x}"),
        patch.object(uuid, "uuid4", uuid4),
        patch.object(random, "Random", Drawn),
        patch.object(arq.worker, "datetime", Then),  # arq writes the hour into its health check
        patch.object(os, "getpid", lambda: 1),
        patch.object(socket, "gethostname", lambda: "simulated"),
    ):
        try:
            yield
        finally:
            random.setstate(before)
