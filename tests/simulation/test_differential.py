"""The server of the simulation against a real one: the same commands, replies and keys afterwards.

The commands are those of simulated seeds, each with the server's time as its argument: first in their order,
then drawn at random out of many seeds, where most find a state that their sender never saw. Scripts that no
seed sends are called through their wrappers, with arguments drawn.
"""

import asyncio
from functools import cache
from random import Random

import redis as redis_sync

from runner.wire.lua_loader import Script
from tests.simulation.any_calls import Caller
from tests.simulation.scripting import KNOWN
from tests.simulation.simulate import simulate
from tests.simulation.twins import SCRIPTS, Call, Twins, at_time

BY_SOURCE = {script.source.encode(): script for script in SCRIPTS.values()}
SEEDS = range(9000, 9006)
DRAWN = 3000
CALLERS = 6
MADE = 500


@cache
def calls_of(seed: int) -> list[Call]:
    """Give the commands of a seed that read or change keys, scripts with the time they are to take."""
    found = []
    for now_ms, command in simulate(seed, keeps_trace=True).commands:
        script = SCRIPTS.get(command[1]) or BY_SOURCE.get(command[1]) if command[0][:4] == b"EVAL" else None
        if script is not None:
            found.append((now_ms, at_time([b"EVALSHA", script.sha.encode(), *command[2:]], script, now_ms)))
        elif command[0] in KNOWN and command[0] not in (b"TIME", b"DBSIZE"):
            found.append((now_ms, command))
    return found


def test_the_model_does_what_the_server_does(redis_url: str) -> None:
    """Whole seeds, faults and all: each reply is the real server's, and so is all that they leave."""
    for seed in SEEDS:
        redis_sync.Redis.from_url(redis_url).flushdb()
        twins = Twins(redis_url)
        assert twins.run(calls_of(seed)) > 5
        twins.compare()


def test_the_model_does_what_the_server_does_with_any_calls(redis_url: str) -> None:
    """Calls drawn out of many seeds: stale tokens, jobs that are gone, states that no worker makes."""
    rng = Random(7)
    pool = [call for seed in SEEDS for call in calls_of(seed)]
    times = sorted(now_ms for now_ms, _ in rng.choices(pool, k=DRAWN))
    drawn = [(now_ms, rng.choice(pool)[1]) for now_ms in times]
    calls = [(now_ms, again(command, now_ms)) for now_ms, command in drawn]
    twins = Twins(redis_url)
    assert twins.run(calls) > 20
    twins.compare()


def again(command: list[bytes], now_ms: int) -> list[bytes]:
    script = script_of(command)
    return at_time(list(command), script, now_ms) if script is not None else command


def script_of(command: list[bytes]) -> Script | None:
    return SCRIPTS.get(command[1]) if command[0] == b"EVALSHA" else None


def test_the_model_does_what_the_server_does_with_each_script(redis_url: str) -> None:
    """Calls of the wrappers with drawn arguments, in both layouts; none of our scripts is left out."""
    met = {script.name for seed in SEEDS for _, command in calls_of(seed) if (script := script_of(command))}
    for seed in range(CALLERS):
        redis_sync.Redis.from_url(redis_url).flushdb()
        twins = Twins(redis_url)
        caller = Caller(twins, seed, "tagged" if seed % 2 else "classic")
        asyncio.run(caller.make(MADE))
        assert twins.look() > 20
        twins.compare()
        met |= {name for name, answers in caller.answers.items() if len(answers) > 1}
    assert met == {script.name for script in SCRIPTS.values()}
