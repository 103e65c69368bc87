"""Verbs that race, in every order a small random history can have.

A history is a list of steps of two workers of ours, a stock one, a client and a clock; after each step the
invariants below hold over the whole database.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.lanes import Gate, Lane
from runner.wire.keys import PARKED, Keys
from runner.wire.scripts import Claimed, Verdict

IDS = ("a", "b", "c")
ENDED = ("done", "dead")
NOTES = {"done": "", "dead": "failed {}", "again": "{}", "later": "why", "back": ""}

FULL_AT = {"g": 1, "h": 2}
PLAIN = dict.fromkeys(IDS, "")
OF_LANES = {"laned", "lane", "lanes", "lone", "tenants", "turn", "holders", "waiting", "shut"}
lanes = st.sampled_from(
    [
        Lane(),
        Lane("t"),
        Lane("", 2),
        Lane("", 5, (Gate("g"),)),
        Lane("t", 7, (Gate("g"), Gate("h"))),
        Lane("", 5, (Gate("h"),)),
    ]
).map(lambda lane: lane.spec)

workers = st.sampled_from(["w1", "w2"])
jobs = st.sampled_from(IDS)
steps = st.one_of(
    st.tuples(st.just("enqueue"), jobs),
    st.tuples(st.just("enqueue"), jobs, st.just(500)),
    st.tuples(st.just("claim"), workers, st.booleans(), st.booleans(), st.integers(1, 3)),
    st.tuples(st.just("renew"), workers),
    st.tuples(st.just("finish"), workers, jobs, st.sampled_from(sorted(NOTES)), st.booleans()),
    st.tuples(st.just("cancel"), jobs),
    st.tuples(st.just("pass"), st.sampled_from([1, 9_000, 16_000])),
    st.tuples(st.just("stock claims"), jobs),
    st.tuples(st.just("stock ends"), jobs),
    st.tuples(st.just("maintain")),
)


@dataclass
class History:
    """What a correct observer knows: who was given which lease, which jobs are acknowledged and not ended."""

    desk: Any
    given: dict[str, dict[str, tuple[str, Claimed]]] = field(default_factory=lambda: {"w1": {}, "w2": {}})
    live: set[str] = field(default_factory=set)
    leases: dict[str, int] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    last_token: dict[str, str] = field(default_factory=dict)
    stock: set[str] = field(default_factory=set)
    lanes: dict[str, str] = field(default_factory=lambda: dict(PLAIN))

    async def take(self, step: tuple[Any, ...]) -> None:
        await getattr(self, "_" + step[0].replace(" ", "_"))(*step[1:])

    async def _enqueue(self, job_id: str, delay_ms: int = 0) -> None:
        [made] = await self.desk.enqueue(job_id, lane=self.lanes[job_id], delay_ms=delay_ms)
        if made and job_id not in self.live:
            self.live.add(job_id)
            self.fences.pop(job_id, None)

    async def _claim(self, worker: str, is_idle: bool, is_resent: bool, limit: int) -> None:
        token = self.last_token.get(worker) if is_resent else None
        is_resent = token is not None
        held_before = {job_id: lease for job_id, lease in (await self._held()).items() if lease != token}
        if token is None:
            self.desk.calls += 1
            token = self.last_token[worker] = f"t{self.desk.calls}"
        claim = await self.desk.claim(token, worker=worker, is_idle=is_idle, is_resent=is_resent, limit=limit)
        assert len(claim.jobs) <= limit
        assert len({job.job_id for job in claim.jobs}) == len(claim.jobs)
        for job in claim.jobs:
            assert job.job_id not in held_before, "a job was given that somebody holds"
            assert job.job_id in self.live
            assert job.fence > self.fences.get(job.job_id, 0)
            assert len(claim.jobs) == 1 or not job.alone
            self.fences[job.job_id] = job.fence
            self.given[worker][job.job_id] = (token, job)
            self.leases[job.job_id] = self.desk.now_ms + 15_000
            self.stock.discard(job.job_id)
        await self._note_ended()

    async def _renew(self, worker: str) -> None:
        leases = [(job_id, token) for job_id, (token, _) in self.given[worker].items()]
        if not leases:
            return
        entitled = {job_id for job_id, token in leases if await self._may_speak(job_id, token)}
        lost = set(await self.desk.renew(*leases))
        assert lost == {job_id for job_id, _ in leases} - entitled
        for job_id in entitled:
            self.leases[job_id] = self.desk.now_ms + 15_000
        for job_id in lost:
            del self.given[worker][job_id]

    async def _finish(self, worker: str, job_id: str, verb: str, twice: bool) -> None:
        if job_id not in self.given[worker]:
            return
        token, job = self.given[worker].pop(job_id)
        entitled = await self._may_speak(job_id, token)
        before = await self.desk.picture()
        verdict = await self.desk.finish(job, token, verb, 500, result=b"", note=NOTES[verb])
        assert (verdict == Verdict.WRITTEN) == entitled
        if not entitled:
            assert await self.desk.picture() == before, "a stale token changed something"
            return
        if verb in ENDED:
            self.live.discard(job_id)
        if twice:
            before = await self.desk.picture()
            assert await self.desk.finish(job, token, verb, 500, note=NOTES[verb]) == Verdict.REPEATED
            assert await self.desk.picture() == before

    async def _cancel(self, job_id: str) -> None:
        waits = job_id in self.live and job_id not in await self._held()
        answer = await self.desk.cancel(job_id, keep_ms=0)
        assert answer in ((1, 2) if waits else (2,) if job_id in self.live else (0,))
        if answer == 1:
            self.live.discard(job_id)

    async def _pass(self, ms: int) -> None:
        self.desk.now_ms += ms
        over = [job_id for job_id, end in self.leases.items() if end <= self.desk.now_ms]
        for job_id in over:
            del self.leases[job_id]
            await self.desk.redis.delete(self.desk.keys.lease(job_id))

    async def _stock_claims(self, job_id: str) -> None:
        due = await self.desk.redis.zscore(self.desk.keys.queue, job_id)
        if due is not None and due <= self.desk.now_ms and job_id not in await self._held():
            await self.desk.redis.set(self.desk.keys.lease(job_id), "1", px=600_000)
            await self.desk.redis.incr(self.desk.keys.retry(job_id))
            self.stock.add(job_id)

    async def _stock_ends(self, job_id: str) -> None:
        if job_id in self.stock:
            keys = self.desk.keys
            await self.desk.redis.delete(keys.lease(job_id), keys.job(job_id), keys.retry(job_id))
            await self.desk.redis.zrem(keys.queue, job_id)
            await self.desk.redis.delete(keys.record(job_id))
            self.stock.discard(job_id)
            self.live.discard(job_id)

    async def _maintain(self) -> None:
        assert await self.desk.scripts.maintain(self.desk.keys, cursor=0) == 0

    async def _held(self) -> dict[str, str]:
        leases = await self.desk.redis.mget([self.desk.keys.lease(job_id) for job_id in IDS])
        return {job_id: lease.decode() for job_id, lease in zip(IDS, leases, strict=True) if lease}

    async def _may_speak(self, job_id: str, token: str) -> bool:
        """The rule: the last to be given the job, unless it was given on, taken over, released or ended."""
        entry = (await self.desk.picture()).get("running", {}).get(job_id, "")
        in_queue = await self.desk.redis.zscore(self.desk.keys.queue, job_id) is not None
        lease = (await self._held()).get(job_id)
        return in_queue and entry.startswith(f"{token} ") and lease in (None, token)

    async def _note_ended(self) -> None:
        """A claim itself may convict a job."""
        self.live -= set((await self.desk.picture()).get("dead", {}))

    async def check(self) -> None:
        picture = await self.desk.picture()
        queue, dead, running = (set(picture.get(name, {})) for name in ("queue", "dead", "running"))
        for job_id in IDS:
            assert (job_id in queue) == (job_id in self.live), "an acknowledged job is not in the queue"
            assert (f"job:{job_id}" in picture) == (job_id in queue)
            assert (f"letter:{job_id}" in picture) == (job_id in dead)
            assert not {job_id} & queue & dead
        for job_id, lease in (await self._held()).items():
            if lease != "1":
                assert picture["running"][job_id].startswith(f"{lease} "), "lease and holder disagree"
                assert picture["queue"][job_id] > self.desk.now_ms
        for job_id in set(picture.get("suspects", {})) & queue:
            assert job_id not in running or job_id in self.stock or f"lease:{job_id}" in picture
        assert {name.partition(":")[0] for name in await self.desk.short_lived()} <= {"lease", "ward"}
        await self._check_slots(picture)

    async def _check_slots(self, picture: dict[str, Any]) -> None:
        """Never more holders than a gate lets pass; who runs has its slots, who waits in a lane has none."""
        here = self.desk.keys.here
        for gate, most in FULL_AT.items():
            assert len(picture.get(f"{here}holders:{gate}", {})) <= most
        for job_id in self.live:
            score, gates = picture["queue"][job_id], self.lanes[job_id].split("\x1f")[2::3]
            holds = [job_id in picture.get(f"{here}holders:{gate}", {}) for gate in gates]
            assert all(holds) or not any(holds)
            if (
                job_id in picture.get("running", {})
                and f"lease:{job_id}" in picture
                and job_id not in self.stock
            ):
                assert all(holds)
            if score >= PARKED:
                assert not any(holds)

    async def drain(self) -> None:
        """Let everything end; then nothing is left of lanes and gates."""
        for job_id in self.stock.copy():
            await self._stock_ends(job_id)
        await self._maintain()
        for _ in range(20):
            await self._pass(20_000)
            await self._claim("w1", True, False, 3)
            for job_id in list(self.given["w1"]):
                await self._finish("w1", job_id, "done", False)
        assert not self.live, "a job waits for ever"
        left = {key.removeprefix(self.desk.keys.here) for key in await self.desk.picture()}
        assert {key for key in left if key.partition(":")[0] in OF_LANES} == set()


@settings(
    max_examples=60,
    derandomize=True,
)
@given(history=st.lists(steps, min_size=5, max_size=40))
async def test_a_job_is_always_in_exactly_one_place(
    redis: Redis, keys: Keys, desk_on: Callable[[Redis, Keys], Any], history: list[tuple[Any, ...]]
) -> None:
    """Queue, dead or ended, whatever the order of verbs; stale tokens change nothing; nothing expires."""
    await redis.flushdb()
    story = History(desk_on(redis, keys))
    await story.take(("enqueue", "a"))
    for step in history:
        await story.take(step)
        await story.check()


@settings(
    max_examples=30,
    derandomize=True,
)
@given(specs=st.tuples(lanes, lanes, lanes), history=st.lists(steps, min_size=5, max_size=40))
async def test_a_gate_is_never_passed_by_more_than_it_lets_and_no_slot_leaks(
    redis: Redis,
    keys: Keys,
    desk_on: Callable[[Redis, Keys], Any],
    specs: tuple[str, ...],
    history: list[tuple[Any, ...]],
) -> None:
    """The same histories with jobs in lanes: all of the above holds, slots too, and in the end all ran."""
    await redis.flushdb()
    story = History(desk_on(redis, keys), lanes=dict(zip(IDS, specs, strict=True)))
    await story.desk.scripts.set_rules(keys, {f"set:{gate}": str(n) for gate, n in FULL_AT.items()})
    for step in history:
        await story.take(step)
        await story.check()
    await story.drain()


@pytest.mark.parametrize("verb", sorted(NOTES))
@pytest.mark.parametrize("claims_first", [True, False])
async def test_finish_and_a_claim_after_the_lease_meet_once(desk: Any, verb: str, claims_first: bool) -> None:
    """Whichever comes first wins: the end stands and nothing is left of it, or the new holder stands."""
    await desk.enqueue("a")
    job = await desk.claim_one("old")
    await desk.let_lease_end("a")
    if claims_first:
        new = await desk.claim_one("new")
        assert await desk.finish(job, "old", verb, 0, note=NOTES[verb]) == Verdict.LOST
        assert await desk.finish(new, "new", "done") == Verdict.WRITTEN
    else:
        assert await desk.finish(job, "old", verb, 0, note=NOTES[verb]) == Verdict.WRITTEN
        left = [job.job_id for job in (await desk.claim("new")).jobs]
        assert left == ([] if verb in ENDED else ["a"])


@pytest.mark.parametrize("renews_first", [True, False])
async def test_renew_and_a_claim_after_the_lease_meet_once(desk: Any, renews_first: bool) -> None:
    """One of the two has the job afterwards, and the other knows it."""
    await desk.enqueue("a")
    await desk.claim("old")
    await desk.let_lease_end("a")
    if renews_first:
        assert await desk.renew(("a", "old")) == []
        assert (await desk.claim("new")).jobs == []
    else:
        await desk.claim_one("new")
        assert await desk.renew(("a", "old")) == ["a"]
    assert (await desk.picture())["lease:a"] == ("old" if renews_first else "new")


@pytest.mark.parametrize("cancels_first", [True, False])
async def test_cancel_and_claim_meet_once(desk: Any, cancels_first: bool) -> None:
    """A cancelled job is not started; a started one is asked to stop."""
    await desk.enqueue("a")
    if cancels_first:
        assert await desk.cancel("a") == 1
        assert (await desk.claim("t")).jobs == []
    else:
        await desk.claim_one("t")
        assert await desk.cancel("a") == 2
