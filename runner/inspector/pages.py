"""Jobs of a queue, page by page, out of millions: every call looks at a bounded number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ..dead_letters.letter import Letter, parse
from ..job import JobState
from ..wire import codec
from ..wire.keys import PARKED, Keys
from ..wire.peek import task_in
from ..wire.queue_scripts import HEAD_BYTES, MAX_PAGE, QueueScripts, RawRow
from ..wire.scripts import Execute
from .values import JobPage, JobRow

WAITING = (JobState.READY, JobState.SCHEDULED)
STATES = (*WAITING, JobState.RUNNING, JobState.DEAD)
"""What can be listed. How jobs ended otherwise is known by id only, as long as their results are kept."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted; empty fields want all.

    Attributes:
        task: name of the task; ``*`` and ``?`` stand for any.
        text: anywhere in id and the first 16 KiB of the payload, whatever the case.
    """

    task: str = ""
    text: str = ""

    def matches(self, row: JobRow, head: bytes) -> bool:
        """Say whether a job is wanted; ``head`` is the begin of its payload."""
        if self.task and not fnmatchcase(row.task, self.task):
            return False
        return not self.text or self.text.casefold() in f"{row.id} {head.decode(errors='replace')}".casefold()


ANY = JobFilter()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reading stands: behind a job, at the moment that it was fixed to."""

    queue: str
    state: JobState
    at_ms: int = 0
    due_ms: str = ""
    job_id: str = ""

    @property
    def cursor(self) -> str:
        return f"{self.queue}/{self.state}/{self.at_ms}/{self.due_ms}/{self.job_id}"


async def read_waiting(
    scripts: QueueScripts,
    keys: Keys,
    state: JobState,
    wanted: JobFilter,
    *,
    cursor: str,
    limit: int,
    look: int,
) -> JobPage:
    """Read ready or scheduled jobs in order of due, as of the moment of the first page.

    Raises:
        ValueError: the cursor is none of this list.
    """
    place = await _begun(scripts, keys, _parsed(cursor, keys.at, state))
    found: list[JobRow] = []
    looked, bands, after = 0, _bands(place), (place.due_ms, place.job_id)
    while looked < look:
        since_ms, until_ms = bands[0]
        size = min(MAX_PAGE, look - looked, limit - len(found) if wanted == ANY else MAX_PAGE)
        _, named = await scripts.page(keys, since_ms=since_ms, until_ms=until_ms, after=after, limit=size)
        now_ms, raw = await scripts.rows(keys, [job.job_id for job in named]) if named else (0, [])
        for job, each in zip(named, raw, strict=True):
            looked += 1
            after = (job.due_ms.decode(), job.job_id.decode(errors="replace"))
            place = replace(place, due_ms=after[0], job_id=after[1])
            row = row_of(each, keys.at, now_ms)
            if row.state in WAITING and wanted.matches(row, each.head):
                found.append(row)
                if len(found) == limit:
                    return JobPage(found, place.cursor, looked)
        if len(named) < size:
            del bands[0]
            if not bands:
                return JobPage(found, "", looked)
            after = ("", "")
    return JobPage(found, place.cursor, looked)


async def _begun(scripts: QueueScripts, keys: Keys, place: _Place) -> _Place:
    """Fix a reading to the moment of its first page."""
    if place.at_ms:
        return place
    at_ms, _ = await scripts.page(keys, limit=1)
    return replace(place, at_ms=at_ms)


def _bands(place: _Place) -> list[tuple[int, int]]:
    """Give the stretches of the queue, from and to a score, that a list has from a place on.

    Jobs without a lane stand at their due time; ready ones in a lane far behind all others, in its order.
    """
    if place.state is JobState.SCHEDULED:
        return [(place.at_ms + 1, PARKED - 1)]
    bands = [(0, place.at_ms), (PARKED, PARKED + place.at_ms)]
    return bands[1:] if place.due_ms and float(place.due_ms) >= PARKED else bands


async def read_running(
    execute: Execute, scripts: QueueScripts, keys: Keys, wanted: JobFilter, *, cursor: str, look: int
) -> JobPage:
    """Read running jobs in no order; a page has as many as the server gives, and may repeat some.

    Raises:
        ValueError: the cursor is none of this list.
    """
    place = _parsed(cursor, keys.at, JobState.RUNNING)
    found: list[JobRow] = []
    looked, position = 0, place.due_ms or "0"
    while True:
        answer = await execute("HSCAN", keys.running, position, "COUNT", MAX_PAGE)
        position, ids = answer[0].decode(), answer[1][::2]
        looked += len(ids)
        for start in range(0, len(ids), MAX_PAGE):
            now_ms, raw = await scripts.rows(keys, ids[start : start + MAX_PAGE])
            rows = [(row_of(each, keys.at, now_ms), each.head) for each in raw]
            found += [r for r, head in rows if r.state is JobState.RUNNING and wanted.matches(r, head)]
        if position == "0":
            return JobPage(found, "", looked)
        if found or looked >= look:
            return JobPage(found, replace(place, at_ms=1, due_ms=position).cursor, looked)


def row_of(raw: RawRow, queue: str, now_ms: int) -> JobRow:
    """Make a value of what the server says of a job."""
    payload = None
    if raw.size <= HEAD_BYTES:
        try:
            payload = codec.decode_job(raw.head)
        except ValueError:
            payload = None
    due_at_ms = None if raw.due_ms is None else int(float(raw.due_ms))
    worker, started_at_ms = holder(raw.entry) if raw.is_leased else ("", None)
    return JobRow(
        id=raw.job_id.decode(errors="replace"),
        queue=queue,
        state=_state(due_at_ms, now_ms, is_leased=bool(raw.is_leased)),
        task=task_in(raw.head) if payload is None else payload.f,
        attempts=int(raw.attempts) if raw.attempts.isdigit() else 0,
        due_at_ms=due_at_ms,
        size=raw.size,
        args=None if payload is None else payload.a,
        kwargs=None if payload is None else payload.k,
        enqueued_at_ms=0 if payload is None else payload.et,
        worker=worker,
        started_at_ms=started_at_ms,
        reason=raw.waits_for.decode(errors="replace"),
        progress=parse(raw.progress),
    )


def row_of_letter(letter: Letter) -> JobRow:
    """Make a row of a dead letter."""
    kind, message = letter.error.get("type", ""), letter.error.get("message", "")
    return JobRow(
        id=letter.id,
        queue=letter.queue,
        state=JobState.EXPIRED if letter.reason == "expired" else JobState.DEAD,
        task=letter.task,
        attempts=letter.attempts,
        due_at_ms=letter.died_at_ms,
        size=len(letter.payload or b""),
        args=letter.args,
        kwargs=letter.kwargs,
        reason=letter.reason,
        error=f"{kind}: {message}" if kind else "",
    )


def holder(entry: bytes | None) -> tuple[str, int | None]:
    """Give who has a job, and since when, of its entry ``token fence worker alone``; a stock worker has none.

    A fence is the claim's time in microseconds, or a little more.
    """
    if entry is None:
        return "(a stock arq worker)", None
    parts = entry.decode(errors="replace").rsplit(" ", 1)[0].split(" ", 2)
    return parts[-1], int(parts[1]) // 1000 if len(parts) == 3 and parts[1].isdigit() else None


def _state(due_at_ms: int | None, now_ms: int, *, is_leased: bool) -> JobState:
    if due_at_ms is None:
        return JobState.UNKNOWN
    if is_leased:
        return JobState.RUNNING
    return JobState.SCHEDULED if due_at_ms > now_ms else JobState.READY


def _parsed(cursor: str, queue: str, state: JobState) -> _Place:
    if not cursor:
        return _Place(queue, state)
    parts: Sequence[str] = cursor.split("/", 4)
    if len(parts) != 5 or parts[:2] != [queue, state] or not parts[2].isdigit():
        msg = f"the cursor '{cursor[:80]}' is none of a list of {state} jobs of queue {queue}"
        raise ValueError(msg)
    return _Place(queue, state, int(parts[2]), parts[3], parts[4])
