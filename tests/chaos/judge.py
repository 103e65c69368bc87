"""What became of everything: the ledgers of receiver, gateway and workers against our word."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from jobs.payment.sandbox import balance
from runner import JobState
from runner.dead_letters import Letter
from runner.demo.ledger import read_ledger

from .load import cents_of, order_of
from .stage import OPEN_STATES, Stage
from .tasks import Event

RESUME_S = 5.0
STARTS_AGAIN_S = 5.0
"""A killed worker's job starts again within its lease and this: 15 s and 5 s with the real lease."""

PROMISES: dict[str, str] = {
    "webhooks lost": "webhooks acknowledged",
    "duplicates not recognisable": "webhook duplicates",
    "wrong signatures": "webhook requests",
    "payments lost": "payments acknowledged",
    "charged twice": "payments acknowledged",
    "mismatches": "payments acknowledged",
    "jobs lost": "jobs acknowledged",
    "jobs enqueued twice": "jobs acknowledged",
    "stale outcomes accepted": "jobs acknowledged",
    "fences that did not rise": "job starts",
    "chords lost": "chords acknowledged",
    "ends that we do not know": "acknowledged in all",
    "not ended in time": "acknowledged in all",
    "chords fired twice": "chords acknowledged",
    "ticks twice": "ticks",
    "workers ended by themselves": "faults",
    "foreign errors": "refused calls",
}
"""What must be 0, and out of how many."""

DYING = {"hooks": "webhooks", "payments": "payments", "works": "jobs"}
"""What of the load may become a dead letter, and what it is called."""
NO_LETTER = "no letter says why"
LOSSES = ("webhooks lost", "payments lost", "jobs lost", "chords lost", "ends that we do not know")
REPEATS = ("jobs enqueued twice", "stale outcomes accepted", "fences that did not rise", "chords fired twice")
"""What a server that has lost acknowledged writes may do again."""


@dataclass
class Outcome:
    """What a scenario came to.

    Attributes:
        figures: counts by name; those of PROMISES among them.
        samples: seconds: `recovery` from a kill to the job's next start, `resume` from the server's return
            to the next start of any job.
        broken: promises that did not hold, each as a sentence.
        told: lines for people.
        seconds: how long it took.
    """

    figures: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[float]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(stage: Stage, unpromised: tuple[str, ...] = ()) -> Outcome:
    """Compare, count, and say which promises are broken.

    Args:
        stage: settled.
        unpromised: names of PROMISES that are not made here: counted, not held against us.
    """
    outcome = Outcome(told=list(stage.told))
    events = stage.events()
    figures = outcome.figures
    figures.update(stage.figures)
    _webhooks(stage, figures)
    _payments(stage, figures, outcome.told)
    _jobs(stage, events, figures)
    _chords(stage, events, figures)
    _dead(stage, events, outcome)
    done = Counter(stage.done) + _faults(stage)
    figures.update(done)
    figures["faults"] = sum(done.values())
    figures["acknowledged in all"] = stage.load.count
    figures["workers ended by themselves"] = len(stage.crew.exits)
    figures["refused calls"] = sum(stage.load.refused.values()) + len(stage.load.foreign)
    figures["foreign errors"] = len(stage.load.foreign)
    outcome.told += [f"worker {pid} ended by itself, code {code}" for pid, code in stage.crew.exits]
    outcome.told += sorted(set(stage.load.foreign))[:5]
    outcome.samples = {"recovery": recoveries(events, stage.crew.deaths), "resume": resumes(stage, events)}
    for name, out_of in PROMISES.items():
        figures[name] += 0
        if figures[name] and name not in unpromised:
            outcome.broken.append(f"{name}: {figures[name]} of {figures[out_of]}")
    return outcome


def _webhooks(stage: Stage, figures: Counter[str]) -> None:
    lines = read_ledger(stage.ledger)
    taken = [line for line in lines if line.is_taken]
    first: dict[int, str] = {}
    for line in taken:
        if line.number in first:
            figures["webhook duplicates"] += 1
            figures["duplicates not recognisable"] += line.webhook_id != first[line.number]
        first.setdefault(line.number, line.webhook_id)
    figures["webhook requests"] = len(lines)
    figures["wrong signatures"] = sum(not line.is_signed for line in lines)
    figures["webhooks acknowledged"] = len(stage.load.jobs["hooks"])
    for number in stage.load.jobs["hooks"]:
        state = stage.state_of("hooks", number)
        if state is JobState.DEAD:
            figures["webhooks dead"] += 1
        elif state is not JobState.UNKNOWN and not state.is_terminal:
            figures["not ended in time"] += 1
        elif number not in first:
            figures["webhooks lost"] += 1
        elif state is JobState.UNKNOWN:
            figures["ends that we do not know"] += 1
        else:
            figures["webhooks delivered"] += 1


def _payments(stage: Stage, figures: Counter[str], told: list[str]) -> None:
    book = balance(stage.gateway.ledger)
    numbers = stage.load.jobs["payments"]
    states = {order_of(number): stage.states.get(order_of(number)) for number in numbers}
    figures["payments acknowledged"] = len(numbers)
    figures["charged twice"] = len(book.charged_twice)
    settled = {order: said for order, said in states.items() if said and said["status"] not in OPEN_STATES}
    ours = [line for line in book.mismatches(settled) if not line.endswith("not ours")]
    figures["mismatches"] = len(ours)
    told += ours[:5]
    for number in numbers:
        order, state = order_of(number), states[order_of(number)]
        charge = book.charges.get(order)
        job = stage.state_of("payments", number)
        if job is not JobState.UNKNOWN and not job.is_terminal:
            figures["not ended in time"] += 1
            told.append(f"{order}: its job is still {job}, the payment {state and state['status']}")
        elif state is not None and state["status"] == "succeeded" and charge is not None:
            figures["payments charged"] += 1
            figures["mismatches"] += charge.amount_minor != cents_of(number)
        elif job is JobState.DEAD:
            figures["payments dead"] += 1
        elif state is None and charge is None:
            figures["payments lost"] += 1
        elif state is not None and state["status"] == "needs_review":
            figures["payments left to a person"] += 1
            told.append(f"{order}: left to a person: {state.get('reason')}; charged: {charge is not None}")
        else:
            figures["ends that we do not know"] += 1
            told.append(f"{order}: job {job}, our word {state}, charged: {charge is not None}")


def _jobs(stage: Stage, events: list[Event], figures: Counter[str]) -> None:
    starts: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.what in ("start", "tick"):
            starts[event.job].append(event)
    ends = Counter(event.job for event in events if event.what == "end")
    numbers = stage.load.jobs["works"]
    figures["jobs acknowledged"] = len(numbers)
    figures["job starts"] = sum(event.what == "start" for event in events)
    figures["jobs that ran to the end twice"] = sum(count > 1 for count in ends.values())
    for number, job in numbers.items():
        state = stage.state_of("works", number)
        if state is JobState.UNKNOWN:
            figures["ends that we do not know" if ends[job.id] else "jobs lost"] += 1
        elif not state.is_terminal:
            figures["not ended in time"] += 1
        if state is JobState.SUCCEEDED:
            said: Any = stage.watch and stage.watch.infos[job.id].result
            figures["stale outcomes accepted"] += said != max(each.fence for each in starts[job.id])
    for history in starts.values():
        fences = [each.fence for each in sorted(history, key=lambda each: each.attempt)]
        figures["fences that did not rise"] += fences != sorted(set(fences))
        firsts = sum(each.attempt == 1 for each in history)
        is_tick = history[0].what == "tick"
        figures["ticks"] += is_tick
        figures["ticks twice" if is_tick else "jobs enqueued twice"] += firsts > 1


def _chords(stage: Stage, events: list[Event], figures: Counter[str]) -> None:
    fired: dict[str, set[str]] = defaultdict(set)
    again = Counter[str]()
    for event in events:
        if event.what == "fired":
            fired[event.more].add(event.job)
            again[event.more] += event.attempt == 1
    figures["chords acknowledged"] = len(stage.load.jobs["chords"])
    figures["chords lost"] = sum(str(number) not in fired for number in stage.load.jobs["chords"])
    figures["chords fired twice"] = sum(len(fired[each]) > 1 or again[each] > 1 for each in fired)


def _dead(stage: Stage, events: list[Event], outcome: Outcome) -> None:
    """Say of each dead letter why it is one, and what was done to the workers that had begun its job."""
    fates = dict.fromkeys((pid for pid, _ in stage.crew.holds), "held")
    fates |= dict.fromkeys(stage.crew.deaths, "killed")
    for kind, named in DYING.items():
        for number, job in stage.load.jobs[kind].items():
            if stage.state_of(kind, number) is JobState.DEAD:
                letter = stage.letters.get(job.id)
                why = letter.reason if letter is not None and letter.reason else NO_LETTER
                outcome.figures[f"{named} dead: {why}"] += 1
                begun = [event.worker for event in events if event.what == "start" and event.job == job.id]
                outcome.told.append(f"{named} dead: {job.id}: {death(letter, begun, fates)}")


def death(letter: Letter | None, begun: list[int], fates: dict[int, str]) -> str:
    """Say why a job is dead, and what was done to each worker that noted its start, in order."""
    if letter is None:
        return NO_LETTER
    error = ": ".join(filter(None, (letter.error.get("type"), letter.error.get("message"))))
    told = [letter.reason or NO_LETTER, error, f"{letter.attempts} attempts"]
    told += [f"worker {pid} {fates.get(pid, 'lived')}" for pid in begun]
    return ", ".join(filter(None, told))


def _faults(stage: Stage) -> Counter[str]:
    done = Counter(
        {
            "worker SIGKILL": len(stage.crew.deaths) - stage.crew.crashes,
            "worker SIGKILL at a point of a payment": stage.crew.crashes,
            "worker SIGSTOP": len(stage.crew.holds),
        }
    )
    for name, proxy in (
        ("server", stage.proxy),
        ("receiver", stage.to_receiver),
        ("gateway", stage.to_gateway),
    ):
        for what, count in proxy.counts.items() if proxy is not None else ():
            done[f"{name} link: {what}"] += count
    return Counter({name: count for name, count in done.items() if count})


def recoveries(events: list[Event], deaths: dict[int, float]) -> list[float]:
    """Give the seconds from the death of a worker to the next start of each job that it was running."""
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        histories[event.job].append(event)
    found: list[float] = []
    for history in histories.values():
        starts = sorted((each for each in history if each.what == "start"), key=lambda each: each.at_s)
        ended = {each.fence for each in history if each.what == "end"}
        for start, following in itertools.pairwise(starts):
            if start.worker in deaths and start.fence not in ended:
                found.append(max(0.0, following.at_s - deaths[start.worker]))
    return sorted(found)


def resumes(stage: Stage, events: list[Event]) -> list[float]:
    """Give the seconds from each return of the server to the next start of any job."""
    starts = sorted(event.at_s for event in events if event.what == "start")
    found: list[float] = []
    for back_at in stage.back_at:
        after = next((at_s for at_s in starts if at_s >= back_at), None)
        if after is not None:
            found.append(after - back_at)
    return sorted(found)
