"""Which shard of a queue has a job: all are asked at once."""

import asyncio
from collections.abc import Sequence

from ..wire.keys import Keys
from ..wire.scripts import Execute


async def shard_of(execute: Execute, shards: Sequence[Keys], job_id: str) -> Keys:
    """Give the shard that has a job, its letter or its result; the first when none has any of them."""
    found = await asyncio.gather(
        *(
            execute("EXISTS", keys.job(job_id), keys.result(job_id), keys.dead_letter(job_id))
            for keys in shards
        )
    )
    return next((keys for keys, count in zip(shards, found, strict=True) if count), shards[0])
