"""The numbers of breakers that are set at run time, for web apps and the command line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, Unpack, cast

from .breaker import BUDGET_WORDS, POLICY_WORDS, RAMP_STEPS, Breaker, RetryBudget
from .effects import span
from .errors import Delay
from .key_names import checked_limit
from .lane_rules import LaneRules
from .lanes import part_of
from .wire.keys import Keys
from .wire.scripts import Execute


class Numbers(TypedDict, total=False):
    """What can be set of a breaker, in the words and units of ``Breaker``."""

    open_after: int
    share: float
    volume: int
    window: Delay | str
    open_for: Delay | str
    open_cap: Delay | str
    probes: int
    close_after: int
    ramp: Delay | str
    pause_cap: Delay | str
    retry_budget: RetryBudget | float


_WORDS: Mapping[str, tuple[str, ...]] = {
    "open_after": ("after",),
    "volume": ("volume",),
    "share": ("percent",),
    "window": ("window",),
    "open_for": ("open",),
    "open_cap": ("cap",),
    "probes": ("probes",),
    "close_after": ("close",),
    "ramp": ("step",),
    "pause_cap": ("pause",),
    "retry_budget": BUDGET_WORDS,
}
"""By number of a Breaker: the words of the script."""

_SHARES = ("share", "retry_budget")
_TIMES = ("window", "open_for", "open_cap", "ramp", "pause_cap")


@dataclass(frozen=True, slots=True)
class BreakerNumbers:
    """A breaker and where its numbers come from.

    Attributes:
        name: of the breaker, or of one gate that has numbers of its own.
        numbers: by the words of ``Breaker``; times in seconds, the retry budget as its share, None for none.
        set_now: which of them were set at run time; the others are the task's.
    """

    name: str
    numbers: Mapping[str, float | None]
    set_now: frozenset[str]

    @property
    def source(self) -> Literal["run time", "task"]:
        """Who says them, in short."""
        return "run time" if self.set_now else "task"


class BreakerRules(LaneRules):
    """Reads and changes numbers of breakers; the next report and the next retry of any worker see them.

    Args:
        execute: sends one command.
        queues: whose gates these are; each has its own copy.
        known: concurrency limits, as LaneRules takes them.
        declared: breakers of tasks.
    """

    def __init__(
        self,
        execute: Execute,
        queues: Iterable[Keys],
        known: Mapping[str, tuple[int | None, bool]],
        declared: Iterable[Breaker] = (),
    ) -> None:
        super().__init__(execute, queues, known)
        self._breakers = {breaker.name: breaker for breaker in declared}

    async def set_breaker(self, name: str, **numbers: Unpack[Numbers]) -> BreakerNumbers:
        """Set numbers of a breaker for all workers; those that are not named stay as they are.

        Args:
            name: of a breaker as its task names it, braces and all; or of one gate, as ``host:example.com``,
                for that alone.
            numbers: as ``Breaker`` takes them; times also as text, such as ``5m``.

        Raises:
            ValueError: it is no name, there is no number, or they are none that a breaker can have.
        """
        if not numbers:
            msg = f"breaker '{name}': nothing to set; it has {', '.join(_WORDS)}"
            raise ValueError(msg)
        declared = self._breakers.get(name, Breaker(checked_limit(name)))
        given: dict[str, Any] = {
            word: span(value) if word in _TIMES else value  # pyright: ignore[reportArgumentType]
            for word, value in numbers.items()
        }
        meant = _words_of(replace(declared, **given))
        rule = f"breaker:{part_of(name)}"
        said = _said((await self._rules()).get(rule, ""))
        said |= {word: meant[word] for number in given for word in _WORDS[number]}
        await self._set(rule, " ".join(f"{word} {number}" for word, number in said.items()))
        return _numbers(name, declared, said)

    async def remove_breaker(self, name: str) -> bool:
        """Take back what was set: the task says all numbers again. False when nothing was set."""
        return await self._remove(f"breaker:{part_of(checked_limit(name))}")

    async def breakers(self) -> list[BreakerNumbers]:
        """Give all breakers by name: of tasks, and those of which numbers are set at run time."""
        set_now = {
            rule.removeprefix("breaker:"): _said(value)
            for rule, value in (await self._rules()).items()
            if rule.startswith("breaker:")
        }
        names = sorted({*self._breakers, *set_now})
        return [
            _numbers(name, self._breakers.get(name, Breaker("gate")), set_now.get(part_of(name), {}))
            for name in names
        ]


def numbers_of(pairs: Iterable[str]) -> Numbers:
    """Read ``open_after=10``, ``open_for=60s`` and the like.

    Raises:
        ValueError: one of them is something else; says what there is.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        word, equals, text = pair.partition("=")
        if not equals or word not in _WORDS:
            msg = f"a number of a breaker is one of {', '.join(_WORDS)}, as open_after=10; not {pair!r}"
            raise ValueError(msg)
        try:
            found[word] = text if word in _TIMES else float(text) if word in _SHARES else int(text)
        except ValueError:
            kind = "a share, such as 0.5" if word in _SHARES else "a whole number"
            msg = f"{word}= is {kind}, not {text!r}"
            raise ValueError(msg) from None
    return cast("Numbers", found)


def _words_of(breaker: Breaker) -> dict[str, int]:
    found: dict[str, int] = {}
    for words, said in ((POLICY_WORDS, breaker.policy), (BUDGET_WORDS, breaker.budget)):
        found.update(zip(words, map(int, said.split()), strict=False))
    return found


def _said(text: str) -> dict[str, int]:
    parts = text.split()
    return {word: int(number) for word, number in zip(parts[::2], parts[1::2], strict=True)}


def _numbers(name: str, declared: Breaker, said: Mapping[str, int]) -> BreakerNumbers:
    words = {**_words_of(declared), **said}
    found: dict[str, float | None] = {}
    for number, (word, *_) in _WORDS.items():
        value = words.get(word)
        match number:
            case "share":
                found[number] = words[word] / 100
            case "ramp":
                found[number] = words[word] * RAMP_STEPS / 1000
            case "retry_budget":
                found[number] = None if value is None else words["share"] / 1_000_000
            case _:
                found[number] = words[word] / 1000 if number in _TIMES else words[word]
    set_now = frozenset(number for number, (word, *_) in _WORDS.items() if word in said)
    return BreakerNumbers(name, found, set_now)
