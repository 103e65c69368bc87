"""Whether a server can be trusted with jobs: asked once, before a worker's first claim."""

import logging
import re
from typing import Any

from redis.exceptions import ResponseError

from .errors import UnsafeServer

logger = logging.getLogger("runner")

OLDEST_MAJOR = 7
"""The first with flags on scripts, which let a full server be drained."""


class ServerCheck:
    """Refuses a server that is too old, may evict jobs, or does not write to disk what it must.

    Args:
        allow_unsafe: let an evicting or forgetting one pass.
        durable: the setting that asks for each change to be on disk; empty when none does.
    """

    def __init__(self, *, allow_unsafe: bool, durable: str = "") -> None:
        self._allow_unsafe = allow_unsafe
        self._durable = durable

    async def __call__(self, redis: Any) -> None:
        """Check version, eviction and persistence, as far as the server lets us see them.

        Raises:
            UnsafeServer: says what to change.
        """
        try:
            _check_version(str((await redis.info("server")).get("redis_version", "")))
            policy = (await redis.config_get("maxmemory-policy")).get("maxmemory-policy", "")
            writes = await redis.config_get("append*") if self._durable else {}
        except ResponseError as error:
            logger.info("the server does not let us check it (%s)", error)
            self._check_durable({})
            return
        self._check_durable(writes)
        if policy in ("noeviction", "") or self._allow_unsafe:
            return
        msg = (
            f"the server's maxmemory-policy is '{policy}': it may delete waiting jobs. "
            "Set it to noeviction, or redis.allow_unsafe_server = true to run all the same"
        )
        raise UnsafeServer(msg)

    def _check_durable(self, writes: dict[str, str]) -> None:
        """Refuse a server that may forget an acknowledged change; one that hides whether it does, too.

        WAITAOF is no proof: some servers answer it before the disk has.
        """
        asked = {"appendonly": "yes", "appendfsync": "always"}
        if not self._durable or self._allow_unsafe or asked.items() <= writes.items():
            return
        found = ", ".join(f"{name} is '{writes[name]}'" for name in asked if name in writes)
        msg = (
            f"{self._durable} asks for a server that writes each change to disk, and this one's "
            f"{found or 'configuration cannot be seen'}: set appendonly yes and appendfsync always, "
            "or redis.allow_unsafe_server = true to run all the same"
        )
        raise UnsafeServer(msg)


def _check_version(version: str) -> None:
    """Refuse a version that is known to be too old; one that cannot be read passes."""
    major = re.match(r"\d+", version)
    if major is not None and int(major[0]) < OLDEST_MAJOR:
        msg = (
            f"the server says it is version {version}; at least {OLDEST_MAJOR}.0 is needed (Redis or Valkey)"
        )
        raise UnsafeServer(msg)
