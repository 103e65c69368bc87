"""Signals: data handed to a job that waits for it, or will."""

import uuid
from typing import Any

from ..errors import InvalidArguments, PayloadTooLarge, SignalRefused
from ..placement import checked_key
from ..wire import codec
from ..wire.durable import FULL, RECORDED, DurableScripts
from ..wire.keys import Keys


async def send_signal(
    scripts: DurableScripts, keys: Keys, job_id: str, name: str, data: Any, *, key: str | None, limit: int
) -> None:
    """Hand a signal to a job; see ``Job.signal``."""
    checked_key(name)
    try:
        encoded = codec.encode_value(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        msg = f"signal '{name}': its data cannot be encoded: {error}"
        raise InvalidArguments(msg) from error
    if len(encoded) > limit:
        msg = f"signal '{name}': its data takes {len(encoded):,} bytes, more than limits.payload = {limit:,}"
        raise PayloadTooLarge(msg)
    key = uuid.uuid4().hex if key is None else checked_key(key)
    answer = await scripts.signal(keys, job_id, name=name, key=key, data=encoded)
    if answer == FULL:
        msg = f"job {job_id} holds as many signals and steps as it may (limits.steps); '{name}' was not added"
        raise SignalRefused(msg)
    if answer != RECORDED:
        where = f"there is no job {job_id} in queue '{keys.name}' that a signal could reach"
        msg = f"{where}: it has ended, it never was, or it is in another queue (queue=…)"
        raise SignalRefused(msg)
