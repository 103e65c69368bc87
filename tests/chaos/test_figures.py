"""What is counted adds up, and a verdict is what the figures say."""

from collections import Counter
from pathlib import Path
from typing import Any

from chaos.figures import Counts, bound, histogram
from chaos.judge import NO_LETTER, Outcome, death, recoveries
from chaos.slope import is_flat
from chaos.tasks import Event

from runner.dead_letters import Letter


def test_counts_add_up_over_runs(tmp_path: Path):
    """A second program that reads the file goes on where the first one ended."""
    path = tmp_path / "counts.json"
    outcome = Outcome(Counter({"jobs acknowledged": 50, "jobs lost": 0}), {"recovery": [0.4, 16.5, 99.0]})
    Counts(path).add("workers-die", outcome)
    again = Counts(path)
    again.add("workers-die", outcome)
    again.add("storm", Outcome(Counter({"jobs lost": 2})))
    held = Counts(path)
    assert held.figures() == Counter({"jobs acknowledged": 100, "jobs lost": 2})
    assert held.figures(without=("storm",))["jobs lost"] == 0
    assert sum(held.bars("recovery", "workers-die")) == 6
    assert held.bars("recovery")[-1] == 2
    assert held.held["workers-die"]["runs"] == 2


def test_nothing_seen_in_n_is_less_than_three_in_n():
    """The rule of three where nothing was seen, the share where something was, nothing without tries."""
    assert (bound(0, 3000), bound(3, 300), bound(0, 0)) == ("< 0.001", "0.01", "-")
    assert histogram([0.5, 0.51])[:2] == [1, 1]


def test_a_recovery_is_from_a_kill_to_the_next_start_of_what_it_broke_off():
    """What had ended, and what a living worker ran, counts for nothing."""
    events = [
        Event("start", "broken off", 1, 10, 7, 1.0),
        Event("start", "broken off", 2, 20, 8, 9.0),
        Event("start", "ended", 1, 11, 7, 1.0),
        Event("end", "ended", 1, 11, 7, 2.0),
        Event("start", "ended", 2, 21, 8, 9.0),
        Event("start", "lost its lease", 1, 12, 9, 1.0),
        Event("start", "lost its lease", 2, 22, 8, 9.0),
    ]
    assert recoveries(events, {7: 3.0}) == [6.0]


def test_a_death_is_told_with_its_reason_and_what_was_done_to_its_workers():
    """Poison has no error, only workers that died; others have one; a letter may be lost with the tail."""
    nothing: dict[str, Any] = {"task": "work", "replays": 0, "died_at_ms": 1, "size": 1, "history": ()}
    nothing |= {"payload": None, "args": None, "kwargs": None, "queue": "default"}
    poison = Letter(id="a", reason="poison", attempts=3, error={}, **nothing)
    assert death(poison, [7, 8, 9], {7: "killed", 9: "held"}) == (
        "poison, 3 attempts, worker 7 killed, worker 8 lived, worker 9 held"
    )
    failed = Letter(
        id="a", reason="max_tries", attempts=2, error={"type": "OSError", "message": "no"}, **nothing
    )
    assert death(failed, [], {}) == "max_tries, OSError: no, 2 attempts"
    assert death(None, [], {}) == NO_LETTER


def test_flat_is_what_does_not_grow_beyond_its_noise():
    """A leak of 1 % a minute is told from the same noise around one height."""
    noise = [(7 * second) % 5 for second in range(600)]
    level = [(float(second), 1000.0 + noise[second]) for second in range(600)]
    leaking = [(at, value + at / 6) for at, value in level]
    assert is_flat(level, slack=0).flat
    assert not is_flat(leaking, slack=0).flat
    assert is_flat(leaking, slack=200).flat
    assert is_flat(level, slack=200).told_from > 1, "400 s with that slack show no growth below 180 % an hour"
