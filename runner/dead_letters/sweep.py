"""One act over many letters: oldest first, at most 100 a call, paced, and resumable at any moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ..wire.dead_scripts import MAX_LETTERS, Answer
from .letter import Letter
from .reading import Page

BATCHES_A_SECOND = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """How far an act over many letters has come.

    Attributes:
        looked: letters looked at.
        matched: of them, those the filter wants.
        done: letters replayed, discarded or written; with a dry run always 0.
        gone: matched, but somebody else was faster.
        refused: matched, and left where they are: a job of that id is alive, or its payload is gone.
        cursor: where to go on after an interruption; empty at the end.
    """

    looked: int = 0
    matched: int = 0
    done: int = 0
    gone: int = 0
    refused: int = 0
    cursor: str = ""

    def plus(self, answers: Sequence[int]) -> "Tally":
        """Count what a script answered."""
        done, gone = answers.count(Answer.DONE), answers.count(Answer.MISSING)
        refused = len(answers) - done - gone
        return replace(self, done=self.done + done, gone=self.gone + gone, refused=self.refused + refused)


Act = Callable[[str, Sequence[Letter]], Awaitable[list[int]]]
"""Does it to letters of one queue, all in one script call; an Answer for each."""

Read = Callable[[str, int], Awaitable[Page]]
"""Gives the page at a cursor, with at most so many letters."""

Progress = Callable[[Tally], object]
Sleep = Callable[[float], Awaitable[object]]


async def sweep(
    read: Read,
    act: Act | None,
    *,
    cursor: str = "",
    rate: float | None = None,
    on_progress: Progress | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Tally:
    """Act on every letter that ``read`` gives; None only counts.

    Args:
        read: gives pages.
        act: what is done.
        cursor: where an earlier run stopped.
        rate: letters a second at most; None for no limit.
        on_progress: called after every call of the server's; its ``cursor`` is where to resume.
        sleep: waits so many seconds.
    """
    size = MAX_LETTERS if rate is None else max(1, min(MAX_LETTERS, int(rate / BATCHES_A_SECOND)))
    loop = asyncio.get_running_loop()
    begun_at, tally = loop.time(), Tally(cursor=cursor)
    while True:
        page = await read(tally.cursor, size)
        tally = replace(tally, looked=tally.looked + page.looked, matched=tally.matched + len(page.letters))
        for queue in dict.fromkeys(letter.queue for letter in page.letters):
            if act is not None:
                tally = tally.plus(await act(queue, [x for x in page.letters if x.queue == queue]))
        tally = replace(tally, cursor=page.cursor)
        if on_progress is not None:
            on_progress(tally)
        if not tally.cursor:
            return tally
        if (
            rate is not None
            and act is not None
            and (early := tally.matched / rate - loop.time() + begun_at) > 0
        ):
            await sleep(early)
