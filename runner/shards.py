"""One queue over several slots of a cluster: its shards, their names, and which of them a job goes to.

A shard is a queue of its own to every script: ``bulk`` has the shards ``bulk``, ``bulk~1``, ``bulk~2`` … What
has to be counted together lies together: jobs under one concurrency limit in one shard, and jobs that do the
same. Others go by their id. A job stays where it was put, also when shards are added.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

MOST_SHARDS = 256

_SHARD = re.compile(r"(.+)~[1-9][0-9]*")
_BETWEEN = "\x1f"
_MASK = 2**64 - 1


def whole(name: str) -> str:
    """Give the queue that a shard belongs to; of a queue itself its name."""
    match = _SHARD.fullmatch(name)
    return name if match is None else match[1]


@dataclass(frozen=True, slots=True)
class Shards:
    """How many shards which queues have.

    Attributes:
        counts: by the queue's name; others have one.
    """

    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    def of(self, queue: str) -> tuple[str, ...]:
        """Give the shards of a queue, the first bears its name; of the name of a shard that alone."""
        return (queue, *(f"{queue}~{number}" for number in range(1, self.counts.get(queue, 1))))

    def all(self, queues: Iterable[str]) -> list[str]:
        """Give the shards of all these queues."""
        return [shard for queue in queues for shard in self.of(queue)]

    def place(self, queue: str, job_id: str, *, lane: str = "", digest: str = "") -> str:
        """Say to which shard a new job goes.

        Args:
            queue: its name.
            job_id: of the job.
            lane: its spec.
            digest: of a unique one.
        """
        count = self.counts.get(queue, 1)
        if count == 1:
            return queue
        return self.of(queue)[_jump(_limit_of(lane) or digest or job_id, count)]


ONE_EACH = Shards()


def _limit_of(lane: str) -> str:
    """Give the concurrency limit that decides; the one without a key of its own counts the most jobs."""
    parts = lane.split(_BETWEEN)[2:]
    limits = [(key, limit) for key, limit in zip(parts[::3], parts[1::3], strict=False) if limit]
    return next((key for key, limit in limits if key == limit), limits[0][0] if limits else "")


def _jump(word: str, count: int) -> int:
    """Choose evenly; of count + 1 the one in count + 1 words goes to the new one, all others stay.

    Jump consistent hash: Lamping and Veach, 2014.
    """
    key = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
    chosen, following = 0, 0
    while following < count:
        chosen = following
        key = (key * 2862933555777941757 + 1) & _MASK
        following = int((chosen + 1) * (2**31 / ((key >> 33) + 1)))
    return chosen
