"""Reading dead letters page by page, out of millions: every call looks at a bounded number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..wire.dead_scripts import BEGIN, MAX_LETTERS, DeadScripts, Position, RawPage
from ..wire.keys import Keys
from .letter import Filter, Letter, letter_of_row

Order = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the letters a filter wants.

    Attributes:
        letters: in order of death within a queue, one queue after the other.
        cursor: where to go on; empty at the end. Later deaths than the first page are left out.
        looked: how many were looked at.
    """

    letters: Sequence[Letter]
    cursor: str
    looked: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the dead letters of one queue stand.

    Attributes:
        queue: its name.
        count: how many there are.
        size: their bytes.
        oldest_at_ms: when the oldest came in; None without any.
        trimmed: how many retention has deleted so far.
        trimmed_size: their bytes.
    """

    queue: str
    count: int
    size: int
    oldest_at_ms: int | None
    trimmed: int
    trimmed_size: int

    def plus(self, other: "Standing | None") -> "Standing":
        """Add another shard of the queue."""
        if other is None:
            return self
        oldest = [at for at in (self.oldest_at_ms, other.oldest_at_ms) if at is not None]
        return Standing(
            self.queue,
            self.count + other.count,
            self.size + other.size,
            min(oldest, default=None),
            self.trimmed + other.trimmed,
            self.trimmed_size + other.trimmed_size,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reading stands: in a queue, behind a letter, at the moment it was fixed to."""

    queue: str
    until_ms: int = 0
    after: Position = BEGIN

    @property
    def cursor(self) -> str:
        return f"{self.queue}/{self.until_ms}/{self.after.at_ms}/{self.after.job_id}"


async def read_page(
    scripts: DeadScripts,
    queues: Mapping[str, Keys],
    wanted: Filter,
    *,
    cursor: str,
    limit: int,
    look: int,
    order: Order,
    is_wanted: Callable[[Letter], bool],
) -> Page:
    """Read until ``limit`` letters are found, ``look`` were looked at, or the last queue ends.

    Raises:
        ValueError: the cursor is none of ours.
    """
    names = list(queues)
    place = _parsed(cursor, queues) if cursor else _Place(names[0], wanted.until_ms)
    found: list[Letter] = []
    looked = 0
    while looked < look:
        most = min(MAX_LETTERS, look - looked, limit - len(found) if wanted.takes_all else MAX_LETTERS)
        raw = await _read(scripts, queues[place.queue], wanted, place, most, order)
        place = replace(place, until_ms=raw.until_ms)
        for row in raw.rows:
            looked += 1
            place = replace(place, after=Position(row.entered_at_ms, row.job_id))
            letter = letter_of_row(row, place.queue)
            if is_wanted(letter):
                found.append(letter)
                if len(found) == limit:
                    return Page(found, place.cursor, looked)
        if raw.at_end:
            rest = names[names.index(place.queue) + 1 :]
            if not rest:
                return Page(found, "", looked)
            place = _Place(rest[0], raw.until_ms)
    return Page(found, place.cursor, looked)


async def _read(
    scripts: DeadScripts, keys: Keys, wanted: Filter, place: _Place, limit: int, order: Order
) -> RawPage:
    return await scripts.page(
        keys,
        after=place.after,
        order=order,
        since_ms=wanted.since_ms,
        until_ms=place.until_ms,
        limit=limit,
    )


def _parsed(cursor: str, queues: Mapping[str, Keys]) -> _Place:
    queue, until_ms, at_ms, job_id = (cursor.split("/", 3) + [""] * 3)[:4]
    if queue not in queues or not until_ms.isdigit() or not (at_ms.isdigit() if job_id else not at_ms):
        msg = f"the cursor '{cursor[:80]}' is none of a list of these queues: {', '.join(queues)}"
        raise ValueError(msg)
    return _Place(queue, int(until_ms), Position(at_ms, job_id))
