"""The way into a queue of several shards, for jobs of which it matters whether they are there already.

All shards are asked first: a job that one of them has goes there, so a key and ``Unique`` mean the same when
shards were added meanwhile, and the bounds of the queue count all of it. What others enqueue between the
asking and the writing is not seen: a bound may be exceeded by it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..wire.intake import Admission, Look, Wish, enqueue_checked, look
from ..wire.keys import Keys
from ..wire.scripts import Execute
from .bound import Bound

_BETWEEN = "\x1f"


@dataclass(slots=True)
class _Part:
    """What one shard is asked for: the numbers of the wishes, and how many jobs may wait in it then."""

    numbers: list[int] = field(default_factory=list[int])
    most: int = 0


async def admit_spread(
    execute: Execute, shards: Mapping[str, Keys], wishes: Sequence[Wish], places: Sequence[str], bound: Bound
) -> list[Admission]:
    """Enqueue up to 500 jobs; two round trips, each a call a shard.

    Args:
        execute: sends one command.
        shards: of the queue, by name.
        wishes: the jobs.
        places: the shard of each, where none has it.
        bound: of the whole queue.
    """
    asked = [
        (wish.entry.job_id, wish.sole.digest if wish.sole else "", _counted(wish, bound)) for wish in wishes
    ]
    seen = await asyncio.gather(*(look(execute, keys, asked) for keys in shards.values()))
    looks = dict(zip(shards, seen, strict=True))
    answers, parts = _planned(asked, looks, places, bound)
    given = await asyncio.gather(
        *(
            enqueue_checked(
                execute,
                shards[at],
                [wishes[i] for i in part.numbers],
                most=part.most,
                drops=bound.when_full == "drop_oldest",
                most_owned=bound.max_per_tenant,
            )
            for at, part in parts.items()
        )
    )
    for part, admissions in zip(parts.values(), given, strict=True):
        for i, admission in zip(part.numbers, admissions, strict=True):
            full = admission.word == "FULL"
            answers[i] = admission._replace(about=str(_waiting(looks))) if full else admission
    return [answers[i] for i in range(len(wishes))]


def _planned(
    asked: Sequence[tuple[str, str, str]], looks: Mapping[str, Look], places: Sequence[str], bound: Bound
) -> tuple[dict[int, Admission], dict[str, _Part]]:
    """Decide where each goes, and refuse those for which the queue as a whole has no room."""
    refused, parts = dict[int, Admission](), dict[str, _Part]()
    free, coming = bound.max_waiting - _waiting(looks), Counter[str]()
    for i, (place, (_, _, tenant)) in enumerate(zip(places, asked, strict=True)):
        found = max(looks, key=lambda at: (looks[at].jobs[i][0], at == place))
        is_new = looks[found].jobs[i][0] < 2
        crowd = sum(each.jobs[i][1] for each in looks.values()) + coming[tenant]
        if is_new and tenant and crowd >= bound.max_per_tenant:
            refused[i] = Admission("CROWDED", str(crowd), found)
        elif is_new and bound.max_waiting and free <= 0 and bound.when_full != "drop_oldest":
            refused[i] = Admission("FULL", str(_waiting(looks)), found)
        else:
            part = parts.setdefault(found, _Part())
            part.numbers.append(i)
            if is_new:
                coming[tenant] += 1
                part.most += free > 0
                free -= 1
    for at, part in parts.items():
        part.most = max(1, looks[at].waiting + part.most) if bound.max_waiting else 0
    return refused, parts


def _counted(wish: Wish, bound: Bound) -> str:
    """Give the tenant of a job, where a queue counts them."""
    return wish.entry.lane.split(_BETWEEN)[1] if bound.max_per_tenant and wish.entry.lane else ""


def _waiting(looks: Mapping[str, Look]) -> int:
    return sum(each.waiting for each in looks.values())
