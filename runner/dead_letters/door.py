"""The door to the dead letters, for web apps and the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import NotDead, ReplayRefused
from ..registry import Registry
from ..wire.dead_scripts import MAX_LETTERS, Answer, DeadScripts, new_op
from ..wire.keys import Keys, Layout, keys_of
from ..wire.scripts import Execute
from .destination import wanting
from .edit import Edit, edited_payload, without_expiry
from .letter import Filter, Letter, letter_of, number
from .reading import Order, Page, Standing, read_page
from .sweep import Progress, Sleep, Tally, sweep
from .transfer import entries_of, line_of

ANY = Filter()
UNCHANGED = Edit()
IMPORT_BYTES = 4 * 1024 * 1024


class DeadLetters:
    """Lists, shows, replays, discards, exports and imports dead letters.

    Every call to the server is bounded; what changes something is one script, on record in the queue's audit
    with ``by``, and safe to be sent twice. ``queue=`` means one queue; None means all of ``queues``.

    Args:
        execute: sends one command and gives its reply as the server wrote it; may send it again when the
            connection breaks.
        queues: names of the queues, and of their shards, to look at when none is given.
        layout: how keys are named.
        registry: gives the tasks that edited arguments are checked against.
        by: who acts; may be set later.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        queues: Iterable[str],
        layout: Layout = "classic",
        registry: Callable[[], Registry] = Registry,
        by: str = "",
    ) -> None:
        self._execute = execute
        self._scripts = DeadScripts(execute)
        self._layout: Layout = layout
        self._queues = {name: keys_of(name, layout) for name in queues}
        self._registry = registry
        self.by = by

    # -- reading ----------------------------------------------------------------------------------------

    async def find(
        self,
        wanted: Filter = ANY,
        *,
        queue: str | None = None,
        cursor: str = "",
        limit: int = 50,
        look: int = 1000,
        order: Order = "newest",
    ) -> Page:
        """List letters, queue by queue and shard by shard, of each by default the newest first.

        Args:
            wanted: which ones.
            queue: of this queue only.
            cursor: of the page before; empty to begin.
            limit: letters to give at most.
            look: letters to look at, at most: 100 a round trip. A filter that wants few may give an empty
                page with a cursor to go on.
            order: newest or oldest first.

        Raises:
            ValueError: the cursor belongs to another list.
        """
        options: dict[str, Any] = {"cursor": cursor, "limit": limit, "look": look, "order": order}
        is_wanted = wanting(wanted, self._registry() if wanted.destination else None)
        return await read_page(self._scripts, self._keys(queue), wanted, is_wanted=is_wanted, **options)

    async def show(self, job_id: str, *, queue: str | None = None) -> Letter:
        """Give all that is kept of one letter; two round trips.

        Raises:
            NotDead: there is none of that id.
        """
        keys = await self._holder(job_id, queue)
        return letter_of(job_id, keys.at, await self._fields(keys, job_id))

    async def standings(self, queue: str | None = None) -> list[Standing]:
        """Say how many letters each queue has, how large they are, and what retention deleted."""
        found: dict[str, Standing] = {}
        for each in await asyncio.gather(*map(self._standing, self._keys(queue).values())):
            found[each.queue] = each.plus(found.get(each.queue))
        return list(found.values())

    async def audit(self, *, queue: str | None = None, limit: int = 50) -> list[Mapping[str, str]]:
        """Give the last acts on letters, newest first: queue, at (ms), verb, by, ids (one a line)."""
        entries: list[Mapping[str, str]] = []
        for keys in self._keys(queue).values():
            found = await self._execute("XREVRANGE", keys.dead_audit, "+", "-", "COUNT", limit)
            for _, flat in found:
                texts = [part.decode(errors="replace") for part in flat]
                entries.append({"queue": keys.name, **dict(zip(texts[::2], texts[1::2], strict=True))})
        return sorted(entries, key=lambda entry: int(entry["at"]), reverse=True)[:limit]

    # -- one letter -------------------------------------------------------------------------------------

    async def replay(self, job_id: str, *, queue: str | None = None, edit: Edit = UNCHANGED) -> None:
        """Make a letter a job again: same id and payload, attempts 0, due now; without its ``expires``.

        Raises:
            NotDead: there is no letter of that id.
            ReplayRefused: a job of that id is alive, or the payload is gone.
            InvalidArguments: the edited arguments do not fit the task.
        """
        letter = await self.show(job_id, queue=queue)
        payload = without_expiry(letter.payload) if edit == UNCHANGED else b""
        if not payload and edit != UNCHANGED:
            payload = edited_payload(letter, edit, self._registry())
            payload = without_expiry(payload) or payload
        keys = keys_of(letter.queue, self._layout)
        [answer] = await self._scripts.replay(keys, [(job_id, payload)], by=self.by, op=new_op())
        if answer == Answer.MISSING:
            raise NotDead(_not_dead(job_id, [keys.name]))
        if answer == Answer.ALIVE:
            msg = f"job '{job_id}' is not replayed: a job of that id waits or runs in queue {keys.name}"
            raise ReplayRefused(msg)
        if answer == Answer.NO_PAYLOAD:
            msg = f"job '{job_id}' cannot be replayed: its payload is gone; discard it, or enqueue it anew"
            raise ReplayRefused(msg)

    async def discard(self, job_id: str, *, queue: str | None = None) -> None:
        """Delete a letter for good.

        Raises:
            NotDead: there is none of that id.
        """
        keys = await self._holder(job_id, queue)
        answers = await self._scripts.discard(keys, [job_id], verb="discard", by=self.by, op=new_op())
        if answers != [Answer.DONE]:
            raise NotDead(_not_dead(job_id, [keys.name]))

    # -- many letters -----------------------------------------------------------------------------------

    async def replay_many(
        self,
        wanted: Filter = ANY,
        *,
        queue: str | None = None,
        rate: float | None = None,
        dry_run: bool = False,
        cursor: str = "",
        on_progress: Progress | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> Tally:
        """Replay every letter the filter wants, oldest first; letters that die from now on are not touched.

        Args:
            wanted: which ones.
            queue: of this queue only.
            rate: letters a second at most; None for no limit.
            dry_run: only count.
            cursor: where an interrupted run stopped (``Tally.cursor``). Without it a second run finds what is
                left all the same, but would also replay what died again meanwhile.
            on_progress: called after each call of at most 100 letters.
            sleep: waits so many seconds.
        """

        async def act(name: str, letters: Sequence[Letter]) -> list[int]:
            given = [(letter.id, without_expiry(letter.payload)) for letter in letters]
            return await self._scripts.replay(keys_of(name, self._layout), given, by=self.by, op=new_op())

        read = self._reader(wanted, queue)
        options: dict[str, Any] = {"cursor": cursor, "rate": rate, "on_progress": on_progress, "sleep": sleep}
        return await sweep(read, None if dry_run else act, **options)

    async def purge(
        self,
        wanted: Filter = ANY,
        *,
        queue: str | None = None,
        dry_run: bool = False,
        cursor: str = "",
        on_progress: Progress | None = None,
    ) -> Tally:
        """Delete every letter the filter wants for good; arguments as ``replay_many``."""

        async def act(name: str, letters: Sequence[Letter]) -> list[int]:
            keys, ids = keys_of(name, self._layout), [letter.id for letter in letters]
            return await self._scripts.discard(keys, ids, verb="purge", by=self.by, op=new_op())

        read = self._reader(wanted, queue)
        return await sweep(read, None if dry_run else act, cursor=cursor, on_progress=on_progress)

    async def export(self, wanted: Filter = ANY, *, queue: str | None = None) -> AsyncIterator[str]:
        """Give every letter the filter wants as a line of JSON, without its line's end, oldest first."""
        read, cursor = self._reader(wanted, queue), ""
        while True:
            page = await read(cursor, 20)
            keys = [keys_of(letter.queue, self._layout) for letter in page.letters]
            found = await asyncio.gather(
                *(self._fields(k, x.id) for k, x in zip(keys, page.letters, strict=True))
            )
            for letter, fields in zip(page.letters, found, strict=True):
                if fields:
                    yield line_of(letter.id, letter.queue, fields)
            if not page.cursor:
                return
            cursor = page.cursor

    async def restore(
        self,
        lines: Callable[[], Iterable[bytes]],
        *,
        name: str = "the file",
        on_progress: Progress | None = None,
    ) -> Tally:
        """Import what ``export`` gave. All lines are checked before the first is written.

        A letter or a living job that is there stays as it is (``gone``, ``refused``), so an import may be run
        again. Imported letters count as new for retention.

        Args:
            lines: gives the lines anew each time it is called; it is called twice.
            name: what to call the file in errors.
            on_progress: called after each call of at most 100 letters.

        Raises:
            BrokenExport: a line is wrong; nothing was imported.
            QueueFull: the server is out of memory; what was written before stays.
        """
        total = sum(1 for _ in entries_of(lines(), name))
        tally = Tally(looked=total, matched=total)
        batch: list[tuple[str, dict[str, bytes]]] = []
        size, at = 0, ""
        for entry in entries_of(lines(), name):
            length = sum(map(len, entry.fields.values()))
            if batch and (entry.queue != at or len(batch) == MAX_LETTERS or size + length > IMPORT_BYTES):
                tally = await self._write(at, batch, tally, on_progress)
                batch, size = [], 0
            batch.append((entry.job_id, entry.fields))
            size, at = size + length, entry.queue
        return await self._write(at, batch, tally, on_progress) if batch else tally

    async def _write(self, queue: str, batch: Any, tally: Tally, on_progress: Progress | None) -> Tally:
        keys = keys_of(queue, self._layout)
        tally = tally.plus(await self._scripts.restore(keys, batch, by=self.by, op=new_op()))
        if on_progress is not None:
            on_progress(tally)
        return tally

    # -- parts ------------------------------------------------------------------------------------------

    def _keys(self, queue: str | None) -> Mapping[str, Keys]:
        if queue is None:
            return self._queues
        found = {at: keys for at, keys in self._queues.items() if keys.name == queue}
        return found or {queue: keys_of(queue, self._layout)}

    def _reader(self, wanted: Filter, queue: str | None) -> Callable[[str, int], Any]:
        return lambda cursor, limit: self.find(
            wanted, queue=queue, cursor=cursor, limit=limit, order="oldest"
        )

    async def _holder(self, job_id: str, queue: str | None) -> Keys:
        """Find the queue that has a letter of that id."""
        keys = list(self._keys(queue).values())
        scores = await asyncio.gather(*(self._execute("ZSCORE", k.dead, job_id) for k in keys))
        for each, score in zip(keys, scores, strict=True):
            if score is not None:
                return each
        raise NotDead(_not_dead(job_id, [each.name for each in keys]))

    async def _fields(self, keys: Keys, job_id: str) -> dict[str, bytes]:
        flat = await self._execute("HGETALL", keys.dead_letter(job_id))
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    async def _standing(self, keys: Keys) -> Standing:
        count, oldest, stats = await asyncio.gather(
            self._execute("ZCARD", keys.dead),
            self._execute("ZRANGE", keys.dead, 0, 0, "WITHSCORES"),
            self._execute("HMGET", keys.dead_stats, "bytes", "trimmed", "trimmed_bytes"),
        )
        size, trimmed, trimmed_size = map(number, stats)
        oldest_at_ms = int(float(oldest[1])) if oldest else None
        return Standing(keys.name, count, size, oldest_at_ms, trimmed, trimmed_size)


def _not_dead(job_id: str, queues: Sequence[str]) -> str:
    where = f"queue {queues[0]}" if len(queues) == 1 else f"the queues {', '.join(queues)}"
    return f"there is no dead letter '{job_id}' in {where}: replayed or discarded already, or another queue"
