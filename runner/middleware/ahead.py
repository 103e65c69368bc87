"""Asking for all jobs of a claim at once what their middleware would have to ask for each.

A job that waits for an answer of its own costs a future, a suspended call and a place in some batch: more
than the question itself. So what a call begins with is asked before it begins, and each finds its answer when
it comes to the place. What is not asked here, or not answered, the middleware asks as ever.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import InvalidArguments, ServerError
from ..job import Attempt
from ..wire.effects import Verb
from ..wire.passing import TROUBLE
from .holds import Holds


class Question(Protocol):
    """What one job asks, and its answer once there is one.

    Attributes:
        verb: the script that is asked, as ``EffectScripts.ask`` knows it.
        entry: what it is asked.
    """

    verb: Verb
    entry: tuple[Any, ...]

    def hear(self, answer: Any) -> bool:
        """Keep the answer; True when the call goes on from here, to what else it has to ask."""
        ...

    def undo(self) -> None:
        """Give back what was taken for a call that never came to it."""
        ...


class Asks(Protocol):
    """A middleware that begins with a question."""

    def question(self, attempt: Attempt, holds: Holds) -> Question:
        """Give what to ask for this attempt.

        Raises:
            InvalidArguments: its arguments leave nothing to ask.
        """
        ...


Asking = tuple[Attempt, Sequence[Asks]]


async def ask_ahead(holds: Holds, asking: Sequence[Asking]) -> None:
    """Ask for each attempt what its middleware begin with, outermost first; a trip for each depth.

    The answers are left in ``attempt.ahead``, for the middleware to take out in that order. Asks once: when
    the server is away nothing is left there, and each call is as patient for itself as it has to be; likewise
    as long as others are to renew.
    """
    if holds.scripts.outage.is_felt():
        return
    depth = 0
    while asking:
        by_verb: dict[Verb, tuple[list[Asking], list[Question]]] = {"lock": ([], []), "begin": ([], [])}
        for each in asking:
            attempt, asks = each
            try:
                question = asks[depth].question(attempt, holds)
            except InvalidArguments:  # the middleware finds the same, and says so
                continue
            some, questions = by_verb[question.verb]
            some.append(each)
            questions.append(question)
        calls = [_ask(holds, verb, depth, *asked) for verb, asked in by_verb.items() if asked[0]]
        going = [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)
        asking = [each for some in going for each in some]
        depth += 1


async def _ask(
    holds: Holds, verb: Verb, depth: int, asking: Sequence[Asking], questions: Sequence[Question]
) -> list[Asking]:
    """Ask one script for several; gives those who go on from its answer, to what else they have to ask."""
    try:
        answers = await holds.scripts.ask(verb, [question.entry for question in questions])
    except (ServerError, *TROUBLE):
        return []
    going: list[Asking] = []
    for each, question, answer in zip(asking, questions, answers, strict=True):
        attempt, asks = each
        if depth == 0:
            attempt.ahead = [question]
        else:
            attempt.ahead.append(question)
        if question.hear(answer) and depth + 1 < len(asks):
            going.append(each)
    return going


def undo_all(attempt: Attempt) -> None:
    """Give back what was taken for an attempt whose call did not come to it."""
    while attempt.ahead:
        attempt.ahead.pop().undo()
