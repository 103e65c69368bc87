"""Circuit breakers: what a task declares of the other side's health, and how a gate follows it.

@task(breaker=Breaker("host:{url.host}", retry_budget=0.2))

Each key has a gate, the same for all workers, which a job passes before its call:

| state | event | next |
| --- | --- | --- |
| closed | ``open_after`` failures in a row, or ``share`` of ``volume`` calls or more in ``window`` | open |
| open | ``open_for`` has passed; twice as long each time in a row, up to ``open_cap`` | half open |
| half open | ``probes`` jobs at once are let through; one of them fails | open, for twice as long |
| half open | ``close_after`` of them succeeded | recovering |
| recovering | a success, and an eighth of ``ramp`` has passed: twice as many at once | recovering |
| recovering | as closed: too many failures | open, for twice as long |
| recovering | it has come through ``ramp``: 512 at once | closed |
| closed, recovering | throttled: the other side asked for a wait | paused until then, then recovering |
| any | a person: ``runner limits pause``, ``resume``, ``reset`` | paused, recovering, closed |

While a gate lets nobody through jobs wait; no attempt is spent. What a call says that began before the gate
let anybody through is old, and changes nothing; nor does a job's end that says nothing of the other side.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, NamedTuple

from .errors import Delay, InvalidArguments, seconds
from .key_names import Key, checked_limit, fields_of, name_of, one_or_more, refuse_unknown

Verdict = Literal["ok", "failed", "throttled", "none"]
"""What a call says of the other side; ``throttled``: it asked for a wait; ``none``: nothing."""

State = Literal["closed", "open", "half_open", "recovering"]

RAMP_STEPS = 8
RAMP_TOP = 256
"""A gate that let through more than this at once, and heard of a success, is closed: nothing is held back."""

MOST = 1_000_000

POLICY_WORDS = (
    "after",
    "volume",
    "percent",
    "window",
    "open",
    "cap",
    "probes",
    "close",
    "step",
    "top",
    "pause",
)
BUDGET_WORDS = ("bcap", "share", "floor")
"""What the scripts call the numbers of ``Breaker.policy`` and ``.budget``, in their order."""


class Health(NamedTuple):
    """A verdict; with ``throttled`` the wait that was asked for."""

    verdict: Verdict
    retry_after_s: float = 0.0


Judge = Callable[[BaseException], "Verdict | Health"]
"""Says what an error tells of the other side."""


def health_of(error: BaseException) -> Health:
    """Say what an error tells of the other side, as breakers do that name no ``judge``.

    Failed: connections that broke or never came about, timeouts, a status of 500 and above. Throttled: 429,
    or 503 with Retry-After. Any other status is the other side's word, so it is well. Other errors say
    nothing.
    Knows the errors of httpx and aiohttp by their names.
    """
    if (status := _status_of(error)) is not None:
        asked_s = _retry_after_of(error)
        if status == 429 or (status == 503 and asked_s is not None):
            return Health("throttled", asked_s or 0.0)
        return Health("failed" if status >= 500 else "ok")
    if isinstance(error, ConnectionError | TimeoutError):
        return Health("failed")
    named = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(error).__mro__}
    return Health("failed" if named & _UNREACHABLE else "none")


_UNREACHABLE = {"httpx.TransportError", "aiohttp.ClientConnectionError", "socket.gaierror", "ssl.SSLError"}


def _status_of(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for place, name in (
        (response, "status_code"),
        (response, "status"),
        (error, "status_code"),
        (error, "status"),
    ):
        status = getattr(place, name, None)
        if isinstance(status, int) and 100 <= status < 600:
            return status
    return None


def _retry_after_of(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None) or error, "headers", None) or {}
    value = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many calls may be retries: in any time t at most burst + share × first tries + per_s × t.

    Attributes:
        share: of the first tries.
        per_s: beside those.
        burst: at once.
    """

    share: float = 0.2
    per_s: float = 1.0
    burst: int = 10

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0.001 <= self.per_s <= 1e6 and 1 <= self.burst <= 1_000_000):
            msg = f"a retry budget has a share of 0 to 1, per_s of 0.001 and a burst of 1 or more, not {self}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.burst * 1_000_000} {round(self.share * 1_000_000)} {round(self.per_s * 1000)}"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Jobs wait while the other side is ill, or asks for a wait, and come back in growing numbers.

    Attributes:
        name: of its gates; may hold the task's parameters in braces, as a RateLimit's: ``host:{url.host}``.
        key: gives what tells gates apart out of the task's arguments, by their names; instead of braces.
        open_after: so many failures in a row open it.
        share: so does this share of failures, of ``volume`` calls or more in a sliding ``window``.
        volume: see there.
        window: see there.
        open_for: how long the first opening lasts; each one in a row twice as long.
        open_cap: the longest.
        probes: jobs let through at once when it is half open.
        close_after: so many of them have to succeed.
        ramp: how long it takes at least from there until nothing is held back.
        pause_cap: the longest wait that the other side can ask for.
        retry_budget: how many calls may be retries; a number is the share of a RetryBudget. None: any.
        judge: says what an error tells of the other side; None: ``health_of``.
        policy: the numbers as the script takes them.
        budget: the same of the retry budget; empty for none.
    """

    name: str
    _: KW_ONLY
    key: Key | None = None
    open_after: int = 5
    share: float = 0.5
    volume: int = 20
    window: Delay = 60
    open_for: Delay = 30
    open_cap: Delay = 600
    probes: int = 1
    close_after: int = 5
    ramp: Delay = 10
    pause_cap: Delay = 3600
    retry_budget: RetryBudget | float | None = None
    judge: Judge | None = None
    policy: str = field(init=False, repr=False)
    budget: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            fields_of(checked_limit(self.name))
            given = self.retry_budget
            budget = RetryBudget(given) if isinstance(given, float | int) else given
            object.__setattr__(self, "policy", self._policy())
            object.__setattr__(self, "budget", str(budget or ""))
        except ValueError as error:
            msg = f"Breaker({self.name!r}): {error}"
            raise ValueError(msg) from None

    def _policy(self) -> str:
        delays = (self.window, self.open_for, self.open_cap, self.ramp, self.pause_cap)
        times = window_ms, open_ms, cap_ms, ramp_ms, pause_ms = [
            round(seconds(each) * 1000) for each in delays
        ]
        for word in ("open_after", "volume", "probes", "close_after"):
            if not isinstance(count := getattr(self, word), int) or not 1 <= count <= MOST:
                msg = f"{word}= is a whole number of 1 to {MOST}, not {count!r}"
                raise ValueError(msg)
        if not 0 < self.share <= 1:
            msg = f"share= is above 0 and at most 1, not {self.share}"
            raise ValueError(msg)
        if min(times) < 1 or cap_ms < open_ms:
            msg = "times are at least 1 ms, and open_cap= is no shorter than open_for="
            raise ValueError(msg)
        calls = (self.open_after, self.volume, max(1, round(self.share * 100)), window_ms)
        openings = (open_ms, cap_ms, self.probes, self.close_after)
        numbers = (*calls, *openings, max(1, ramp_ms // RAMP_STEPS), RAMP_TOP, pause_ms)
        return " ".join(map(str, numbers))

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse fields and functions that ask for what is none of the task's parameters.

        Raises:
            ValueError: names what it asks for, and the parameters.
        """
        refuse_unknown(f"Breaker({self.name!r})", self.name, (self.key,), parameters)

    def gate(self, task: str, named: Mapping[str, Any]) -> str:
        """Give the key of the gate that one call passes.

        Raises:
            InvalidArguments: they give none.
        """
        try:
            return name_of(self.name, self.key, named)
        except InvalidArguments:
            raise
        except Exception as error:
            msg = f"task '{task}': breaker {self.name!r} cannot be made of its arguments: {error}"
            raise InvalidArguments(msg) from error

    def health(self, error: BaseException) -> Health:
        """Say what an error tells of the other side."""
        said = health_of(error) if self.judge is None else self.judge(error)
        return Health(said) if isinstance(said, str) else said


Breakers = Breaker | Sequence[Breaker]


def breakers_of(declared: Breakers) -> tuple[Breaker, ...]:
    """Give what ``breaker=`` names; a TypeError when there is something else among them."""
    return one_or_more("breaker", Breaker, declared)
