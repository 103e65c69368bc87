"""Gates at the claim: an outage over lanes, on a clock that is handed in."""

from typing import Any

import pytest

from runner.breaker import Breaker
from runner.lanes import Gate, Lane
from runner.wire.gates import Call, GateScripts
from runner.wire.keys import keys_of


def told(key: str, job_id: str, verdict: str, breaker: Breaker, retry_ms: int = 0) -> Call:
    return Call(
        key, breaker.name, job_id, verdict, 1, retry_ms, 100, False, 0, "why", breaker.policy, breaker.budget
    )


def lane_of(key: str) -> str:
    return Lane(gates=(Gate(key),)).spec


@pytest.mark.parametrize("keys", [keys_of("default", "tagged")])
async def test_an_outage_costs_few_calls_and_ends_without_a_herd(desk: Any) -> None:
    """60 s of outage at one host, 20 jobs a second for it and 2 for another.

    Few calls reach it meanwhile and no claim is spent on those that wait; then twice as many each second; the
    other host's jobs start in the tick they come in.
    """
    breaker, gates = Breaker("h", open_for=5, ramp=8), GateScripts(desk.redis.execute_command, desk.keys)
    start, calls, claims, done, spent, others = desk.now_ms, [0] * 110, 0, 0, 0, []
    running: list[tuple[Any, str]] = []
    for tick in range(0, 110_000, 500):
        desk.now_ms = start + tick
        is_down = 5_000 <= tick < 65_000
        ends, reports = [], []
        for job, token in running:
            if job.job_id.startswith("other"):
                ends.append(desk.end(job, token, "done"))
                continue
            failed = desk.end(job, token, "again", 10_000, note="{}")
            ends.append(failed if is_down else desk.end(job, token, "done"))
            reports.append(told("host:a", job.job_id, "failed" if is_down else "ok", breaker))
        done += sum(end.verb == "done" for end in ends)
        spent += sum(end.verb == "again" for end in ends)
        if ends:
            await desk.finish_all(ends)
        if reports:
            await gates.report_all(reports, now_ms=desk.now_ms)
        await desk.enqueue(*(f"{tick}-{n}" for n in range(10)), lane=lane_of("host:a"))
        await desk.enqueue(f"other-{tick}", lane=lane_of("host:b"))
        claim = await desk.claim(f"t{tick}", limit=200)
        running = [(job, f"t{tick}") for job in claim.jobs]
        claims += len(running)
        mine = [job for job, _ in running if not job.job_id.startswith("other")]
        calls[tick // 1000] += len(mine)
        others.append(sum(job.job_id == f"other-{tick}" for job, _ in running))
    assert set(others[: 65 * 2]) == {1}
    assert sum(calls[6:65]) <= 4
    back = next(second for second in range(65, 110) if calls[second])
    assert calls[back] <= 8
    assert all(calls[n + 1] <= max(8, 2 * calls[n]) for n in range(back, back + 8))
    assert claims == done + len(running) + spent
    assert spent <= 25
