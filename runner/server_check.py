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
    """Refuses a server that is too old or may evict jobs.

    Args:
        allow_unsafe: let an evicting one pass.
    """

    def __init__(self, *, allow_unsafe: bool) -> None:
        self._allow_unsafe = allow_unsafe

    async def __call__(self, redis: Any) -> None:
        """Check version and eviction, as far as the server lets us see them.

        Raises:
            UnsafeServer: says what to change.
        """
        try:
            _check_version(str((await redis.info("server")).get("redis_version", "")))
            policy = (await redis.config_get("maxmemory-policy")).get("maxmemory-policy", "")
        except ResponseError as error:
            logger.info("the server does not let us check it (%s)", error)
            return
        if policy in ("noeviction", "") or self._allow_unsafe:
            return
        msg = (
            f"the server's maxmemory-policy is '{policy}': it may delete waiting jobs. "
            "Set it to noeviction, or redis.allow_unsafe_server = true to run all the same"
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
