"""Replays of many letters, one asyncio task each, in this process; what they did outlives it."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..dead_letters import DeadLetters, Filter, Tally
from ..errors import ChangeRefused

MOST_AT_ONCE = 4
KEPT = 20


@dataclass(slots=True)
class Run:
    """One replay of all letters that a filter wants, or a count of them.

    Attributes:
        id: names it.
        wanted: which ones.
        queue: of this queue only; None for all.
        rate: letters a second at most; None for no limit.
        counts_only: it changes nothing.
        by: who asked for it.
        expected: how many were counted before; 0: not counted.
        began_at_ms: by this machine's clock.
        given: the filter as the page was asked for it.
        tally: how far it is.
        ended: empty while it goes on, else a sentence.
    """

    id: str
    wanted: Filter
    queue: str | None
    rate: float | None
    counts_only: bool
    by: str
    expected: int
    began_at_ms: int
    given: Mapping[str, str]
    tally: Tally = field(default_factory=Tally)
    ended: str = ""

    def note(self, tally: Tally) -> None:
        """Keep how far it is."""
        self.tally = tally


class Runs:
    """Those of this process: some that go on, and the last ones that ended."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def all(self) -> Mapping[str, Run]:
        """By id, oldest first."""
        return self._runs

    def begin(
        self,
        dead: DeadLetters,
        wanted: Filter,
        *,
        queue: str | None,
        rate: float | None,
        counts_only: bool,
        expected: int,
        now_ms: int,
        given: Mapping[str, str],
    ) -> Run:
        """Begin one.

        Raises:
            ChangeRefused: as many go on as may.
        """
        if len(self._tasks) >= MOST_AT_ONCE:
            msg = f"{MOST_AT_ONCE} replays go on already: stop one, or wait for it"
            raise ChangeRefused(msg)
        name = secrets.token_hex(6)
        run = Run(name, wanted, queue, rate, counts_only, dead.by, expected, now_ms, given)
        self._runs[run.id] = run
        while len(self._runs) > KEPT:
            del self._runs[next(each for each in self._runs if each not in self._tasks)]
        task = asyncio.create_task(self._run(dead, run), name=f"runner replay {run.id}")
        self._tasks[run.id] = task
        task.add_done_callback(lambda ended: self._note_end(run, ended))
        return run

    def stop(self, run_id: str) -> bool:
        """Stop one; whether it went on."""
        task = self._tasks.get(run_id)
        return task is not None and task.cancel()

    async def _run(self, dead: DeadLetters, run: Run) -> None:
        run.tally = await dead.replay_many(
            run.wanted, queue=run.queue, rate=run.rate, dry_run=run.counts_only, on_progress=run.note
        )

    def _note_end(self, run: Run, ended: asyncio.Task[None]) -> None:
        del self._tasks[run.id]
        if ended.cancelled():
            run.ended = "stopped half-way; what was replayed stays replayed"
        elif error := ended.exception():
            run.ended = f"it failed half-way: {error}"
        else:
            run.ended = "counted" if run.counts_only else "all done"
