"""What is compared, in which tables, and which bars we set ourselves."""

from collections.abc import Callable
from typing import NamedTuple

from .book import Book
from .peers import OURS


class Figure(NamedTuple):
    """A figure that is compared; ``name`` is the one in the book."""

    name: str
    title: str
    unit: str
    more_is_better: bool = True

    @property
    def is_rate(self) -> bool:
        return self.more_is_better


class Section(NamedTuple):
    """A table and its plot: of the first ``plotted`` figures."""

    key: str
    title: str
    words: str
    figures: tuple[Figure, ...]
    plotted: int = 1
    is_log: bool = False


def rate(name: str, title: str, unit: str = "jobs/s") -> Figure:
    return Figure(f"{name}, jobs/s", title, unit)


def cost(name: str, title: str, unit: str = "µs/job") -> Figure:
    return Figure(name, title, unit, more_is_better=False)


SECTIONS = (
    Section(
        "drain",
        "Draining no-ops",
        "A filled queue, workers that are started on it; from one second after the first job until 95 % "
        "have run. Each job leaves a result where its library keeps results. CPU of the workers is that "
        "of all their processes.",
        (
            rate("drain, 1 process", "1 process"),
            rate("drain, 2 processes", "2 processes"),
            cost("drain, 1 process, worker CPU", "worker CPU, 1 process"),
            cost("drain, 1 process, server CPU", "server CPU, 1 process"),
        ),
        plotted=2,
    ),
    Section(
        "enqueue",
        "Enqueueing",
        "One client process, no worker. One caller waits for each answer; 32 callers each wait for theirs "
        "(not for libraries that block); in bulk, a thousand a call, by those that have such a call.",
        (
            rate("enqueue, one caller", "one caller"),
            rate("enqueue, 32 callers", "32 callers"),
            rate("enqueue in bulk", "in bulk"),
            cost("enqueue, one caller, client CPU", "client CPU, one caller"),
            cost("enqueue, one caller, server CPU", "server CPU, one caller"),
        ),
        plotted=3,
    ),
    Section(
        "latency",
        "An idle worker",
        "Single jobs with pauses of up to 20 ms between them, in ms: until the job starts, and until who "
        "enqueued it has its result, by the library's own way of waiting.",
        tuple(
            cost(f"{name}, {share}", f"{told}, {share}", "ms")
            for name, told in (("idle to start", "to start"), ("idle to result", "to result"))
            for share in ("p50", "p99")
        ),
        plotted=4,
        is_log=True,
    ),
    Section(
        "webhooks",
        "Webhooks, end to end",
        "1 KB of JSON, signed, posted to one receiver on this machine that answers at once. We send by "
        "our `send_webhook` with guard, deadline and circuit breaker; the others by httpx (BullMQ by "
        "node's `fetch`), one client a worker, with as many requests at once as that client is fastest "
        "with.",
        (
            rate("webhooks, 1 process", "1 process", "deliveries/s"),
            rate("webhooks, 2 processes", "2 processes", "deliveries/s"),
            cost("webhooks, 1 process, worker CPU", "worker CPU, 1 process"),
            cost("webhooks, 1 process, server CPU", "server CPU, 1 process"),
        ),
        plotted=2,
    ),
    Section(
        "backlog",
        "Long queues",
        "One worker on a queue of that length: three looks of about a second each in one filling, so "
        "least and most are of those. A length that could not be enqueued within half a minute is left "
        "out. Memory is the server's `used_memory` for each waiting no-op, payload and index included.",
        (
            rate("drain at 10,000 waiting", "10,000 waiting"),
            rate("drain at 100,000 waiting", "100,000 waiting"),
            rate("drain at 1,000,000 waiting", "1,000,000 waiting"),
            rate("drain beside jobs for later", "beside jobs for tomorrow"),
            cost("memory, waiting job", "memory", "B/waiting job"),
            cost("memory, job for later", "memory", "B/job for tomorrow"),
        ),
        plotted=0,
    ),
)

COMPARED = tuple(figure for section in SECTIONS for figure in section.figures)


class Bar(NamedTuple):
    """A bar that we set ourselves: what is divided, what by, and the least or most it should be."""

    title: str
    value: Callable[[Book], float | None]
    bar: float
    is_least: bool = True


def _ours(figure: str) -> Callable[[Book], float | None]:
    return lambda book: book.median(OURS, figure)


def _of(figure: str, other: Callable[[Book], float | None]) -> Callable[[Book], float | None]:
    def value(book: Book) -> float | None:
        above, below = book.median(OURS, figure), other(book)
        return above / below if above and below else None

    return value


def _floor(figure: str) -> Callable[[Book], float | None]:
    return lambda book: book.floor_median(figure)


DRAIN, HOOKS, SHORT = (
    "drain, 1 process, jobs/s",
    "webhooks, 1 process, jobs/s",
    "drain at 10,000 waiting, jobs/s",
)
BARS = (
    Bar("no-op drain / BullMQ's, 1 process", _of(DRAIN, lambda book: book.median("BullMQ", DRAIN)), 2),
    Bar("no-op drain, 1 process, jobs/s", _ours(DRAIN), 18_000),
    Bar("no-op drain / bare commands", _of(DRAIN, _floor("bare commands, jobs/s")), 0.5),
    Bar("idle worker: enqueue to start, p50, ms", _ours("idle to start, p50"), 1, is_least=False),
    Bar("webhooks / bare `client.post` on our transport", _of(HOOKS, _floor("bare post, requests/s")), 0.8),
    Bar("webhooks / bare `exchange` on our transport", _of(HOOKS, _floor("bare exchange, requests/s")), 0.8),
    Bar("memory of a waiting job, B", _ours("memory, waiting job"), 600, is_least=False),
    Bar(
        "drain at 1,000,000 waiting / at 10,000",
        _of("drain at 1,000,000 waiting, jobs/s", _ours(SHORT)),
        0.85,
    ),
    Bar(
        "drain beside jobs for tomorrow / without",
        _of("drain beside jobs for later, jobs/s", _ours(SHORT)),
        0.85,
    ),
)
