"""The books of schedules: what became of each of their ticks, by what scripts were asked and answered.

| must never be | because |
| --- | --- |
| a tick that is made before its time, or while its schedule is paused | nobody asked for it |
| a tick of which two jobs are made | the call would happen twice |
| a tick that is passed over and neither made, nor skipped, nor counted as missed | it would be lost |
| a tick counted as missed within its grace, and not for a later one | likewise |
| a tick skipped while no earlier job is there | likewise |
| more jobs of a schedule at once than its overlap allows | that is all it is for |
| a schedule that stops before its end | each later tick would be lost |
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.schedules.misfire import MAX_CATCH_UP, ON_TIME_MS
from runner.schedules.schedule import Schedule
from runner.wire.keys import Keys

from .shop import Ledger

WATCHED = ("cron_tick", "cron_flush", "cron_pause", "cron_put")
CLOCK_MS = 2_500
"""How far a worker's word for the server's time may be off while the server's clock does not jump."""
DECIDED = ("MADE", "SKIPPED", "BUFFERED", "EXISTS", "MOVED")


@dataclass(slots=True)
class Book:
    """One schedule.

    Attributes:
        schedule: as it was declared or added.
        keys: of its queue.
        last_ms: up to when all ticks are decided; None: nobody has seen it.
        is_paused: whether somebody paused it.
        made: ids of the jobs that were made of its ticks.
        found: how many ticks met their job.
        kept: id of the job that waits for an earlier one to end.
        is_known: whether the server has its rule.
    """

    schedule: Schedule
    keys: Keys
    last_ms: int | None = None
    is_paused: bool = False
    made: list[str] = field(default_factory=list[str])
    found: int = 0
    kept: str = ""
    is_known: bool = False

    @property
    def is_used_up(self) -> bool:
        count = self.schedule.count
        return count is not None and len(self.made) + self.found + (self.kept != "") >= count

    @property
    def is_over(self) -> bool:
        is_at_end = self.last_ms is not None and self.schedule.after(self.last_ms) is None
        return (is_at_end or self.is_used_up) and not self.kept

    def between(self, after_ms: int, upto_ms: int) -> Iterator[int]:
        """Give the ticks after an instant, up to another."""
        tick = self.schedule.after(after_ms)
        while tick is not None and tick <= upto_ms:
            yield tick
            tick = self.schedule.after(tick)


class Ticks:
    """The books of all schedules of a seed.

    Attributes:
        books: by name.
        leapt: whether the server's clock has jumped: workers' words for its time are wrong for a while.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        keys: dict[str, Keys],
        ledger: Ledger,
        values: Callable[[], dict[bytes, Any]],
    ) -> None:
        self.books = {each.name: Book(each, keys[each.queue]) for each in schedules}
        self.leapt = False
        self._ledger = ledger
        self._values = values

    def cron_tick(self, rest: list[bytes], reply: list[Any], now_ms: int) -> None:
        for n in range(0, len(rest), 11):
            name, _, last, tick, missed, _, most, _, job, _, _ = rest[n : n + 11]
            word, number = (each.decode() for each in reply[n // 11 * 2 : n // 11 * 2 + 2])
            book = self.books[name.decode()]
            if word == "NEW":
                book.last_ms, book.is_known = int(number), True
            elif word == "ENDED" and not book.is_used_up:
                self._blame(book, f"ended after {len(book.made)} jobs")
            elif word in DECIDED:
                self._decide(book, int(last), int(tick), int(missed), now_ms, is_made=job != b"")
                self._place(book, word, job.decode(), int(most))

    def _decide(
        self, book: Book, last_ms: int, tick_ms: int, missed: int, now_ms: int, *, is_made: bool
    ) -> None:
        if last_ms != book.last_ms or tick_ms > now_ms or book.is_paused:
            self._blame(book, f"tick {tick_ms} after {last_ms} at {now_ms}: {book}")
        passed = list(book.between(last_ms, tick_ms))
        if len(passed) != missed + is_made:
            self._blame(book, f"{missed} of {passed} are missed, made {is_made}")
        for n, tick in enumerate(passed[:missed]):
            if not self.leapt and not _may_be_missed(
                book, now_ms - tick, len(passed) - n - 1, is_made=is_made
            ):
                self._blame(book, f"tick {tick} counts as missed at {now_ms}")
        book.last_ms = tick_ms

    def _place(self, book: Book, word: str, job: str, most: int) -> None:
        others = self._alive(book, job)
        match word:
            case "MADE":
                if job in book.made:
                    self._blame(book, f"{job} is made again")
                self._make(book, job, others)
            case "EXISTS":
                book.found += 1
            case "SKIPPED" | "BUFFERED":
                others = self._alive(book, "")
                is_free = not others and not book.kept
                if is_free or (book.schedule.overlap == "allow" and len(others) < most):
                    self._blame(book, f"{word} {job}, and {others} are there")
            case _:
                pass
        if word == "BUFFERED":
            if book.kept:  # it comes first, and this one is kept in its place
                self._make(book, book.kept, self._alive(book, book.kept))
            book.kept = job

    def _make(self, book: Book, job: str, others: list[str]) -> None:
        most = book.schedule.max_instances if book.schedule.overlap == "allow" else 1
        if job in book.made:  # the clock went back, and its time came again: the server knows it
            book.found += 1
        elif most and len(others) >= most:
            self._blame(book, f"{job} is made, and {others} are there")
        else:
            book.made.append(job)

    def cron_flush(self, state: bytes, reply: int) -> None:
        book = next(
            each for each in self.books.values() if each.keys.schedule(each.schedule.name).encode() == state
        )
        if reply == 1:
            self._make(book, book.kept, self._alive(book, book.kept))
            if book.is_paused:
                self._blame(book, f"{book.kept} is made while it is paused")
            book.kept = ""

    def cron_pause(self, name: str, reply: int, now_ms: int, *, is_paused: bool) -> None:
        if reply == 1:
            self.books[name].is_paused = is_paused
            if not is_paused:
                self.books[name].last_ms = now_ms

    def cron_put(self, name: str, now_ms: int) -> None:
        """Nobody puts another rule."""
        book = self.books[name]
        if not book.is_known:
            book.last_ms, book.is_known = now_ms, True

    def look(self) -> None:
        """Look at what is left when all has come to rest."""
        for book in self.books.values():
            if not book.is_over:
                self._blame(book, f"is not at its end: {book}")

    def _alive(self, book: Book, but: str) -> list[str]:
        values = self._values()
        return [job for job in book.made if job != but and book.keys.job(job).encode() in values]

    def _blame(self, book: Book, what: str) -> None:
        self._ledger.blame(f"schedule {book.schedule.name}: {what}")


def _may_be_missed(book: Book, late_ms: int, newer: int, *, is_made: bool) -> bool:
    schedule = book.schedule
    grace_ms = ON_TIME_MS if schedule.catch_up == "none" else schedule.misfire_grace_s * 1000
    is_for_a_later_one = schedule.catch_up != "all" and is_made
    return late_ms > grace_ms - CLOCK_MS or is_for_a_later_one or newer >= MAX_CATCH_UP
