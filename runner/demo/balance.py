"""Our word against the receiver's ledger."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import JobInfo, JobState
from .ledger import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What became of every webhook.

    Attributes:
        enqueued: acknowledged by the server.
        delivered: we say so, and the ledger has them.
        dead: why, and how many of them. They are kept as dead letters.
        lost: ids of those of which neither holds: not ended, unknown, or delivered by our word alone.
        strangers: ids in the ledger that were never enqueued.
        dead_but_taken: dead ones that the receiver has all the same: its answer never came through.
        duplicates: deliveries beyond the first of the same webhook.
        recognisable: duplicates with the ``webhook-id`` of the first.
        answers: what the receiver did, and how often; one a request.
        forged: requests whose signature was wrong.
    """

    enqueued: int
    delivered: int
    dead: Mapping[str, int]
    lost: tuple[str, ...]
    strangers: tuple[str, ...]
    dead_but_taken: int
    duplicates: int
    recognisable: int
    answers: Mapping[str, int]
    forged: int

    @property
    def is_even(self) -> bool:
        """Whether all is accounted for, on both sides."""
        return (
            self.enqueued == self.delivered + sum(self.dead.values())
            and not self.lost
            and not self.strangers
            and not self.forged
            and self.duplicates == self.recognisable
        )

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        return {
            "balanced": self.is_even,
            "enqueued": self.enqueued,
            "delivered": self.delivered,
            "dead": sum(self.dead.values()),
            "dead_reasons": dict(self.dead),
            "dead_but_taken": self.dead_but_taken,
            "lost": len(self.lost),
            "lost_ids": list(self.lost),
            "strangers": list(self.strangers),
            "duplicates": self.duplicates,
            "duplicates_recognisable": self.recognisable,
            "requests": sum(self.answers.values()),
            "answers": dict(self.answers),
            "wrong_signatures": self.forged,
        }


def balance_of(enqueued: Iterable[str], infos: Mapping[str, JobInfo], ledger: Iterable[Line]) -> Balance:
    """Compare.

    Args:
        enqueued: ids of the jobs that were acknowledged, which are also the webhook-ids.
        infos: what the server says of them, by id.
        ledger: what the receiver says.
    """
    ids, lines = set(enqueued), list(ledger)
    taken = {line.webhook_id for line in lines if line.is_taken}
    states = {job_id: infos[job_id].state for job_id in ids & infos.keys()}
    delivered = {job_id for job_id in taken if states.get(job_id) is JobState.SUCCEEDED}
    dead = {job_id for job_id, state in states.items() if state is JobState.DEAD}
    duplicates, recognisable = _duplicates(lines)
    return Balance(
        enqueued=len(ids),
        delivered=len(delivered),
        dead=Counter(_reason(infos[job_id]) for job_id in sorted(dead)),
        lost=tuple(sorted(ids - delivered - dead)),
        strangers=tuple(sorted(taken - ids)),
        dead_but_taken=len(dead & taken),
        duplicates=duplicates,
        recognisable=recognisable,
        answers=Counter(line.answer for line in lines),
        forged=sum(not line.is_signed for line in lines),
    )


def _duplicates(lines: Iterable[Line]) -> tuple[int, int]:
    """Count by the number in the body, and how many the webhook-id alone would have told."""
    first: dict[int, str] = {}
    duplicates = recognisable = 0
    for line in lines:
        if not line.is_taken:
            continue
        if line.number in first:
            duplicates += 1
            recognisable += line.webhook_id == first[line.number]
        first.setdefault(line.number, line.webhook_id)
    return duplicates, recognisable


def _reason(info: JobInfo) -> str:
    return str(info.error.get("message") or info.error.get("type") or "no reason recorded")
