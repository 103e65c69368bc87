"""step.lua, wait.lua, signal.lua, the end `suspend`: what a job has done and waits for, over its attempts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.wire.dead_scripts import DeadScripts
from runner.wire.durable import FULL, LOST, RECORDED, DurableScripts
from runner.wire.keys import keys_of
from runner.wire.scripts import Claimed, Verdict

DAY_MS = 86_400_000
DEAD = 'max_tries {"n": 1, "task": "t"}'


class Bench:
    """A desk with one job `a` of durable steps; `token` is that of its present attempt."""

    def __init__(self, desk: Any, limit: int = 10_000) -> None:
        self.desk = desk
        self.scripts = DurableScripts(desk.redis.execute_command, limit=limit)
        self.token, self.job = "", Claimed("", None, 0, 0, 0, 0, 0, 0, False, False)

    async def claim(self) -> Claimed:
        self.token = f"t{self.desk.calls}"
        self.job = await self.desk.claim_one(self.token)
        return self.job

    async def step(self, name: str, result: str = "1", token: str = "") -> int:
        return await self.scripts.step(
            self.desk.keys, "a", token=token or self.token, step=f"step:{name}", result=result.encode()
        )

    async def wait(
        self, name: str, number: int = 1, for_ms: int = DAY_MS, token: str = ""
    ) -> tuple[str, str]:
        word, data = await self.scripts.wait(
            self.desk.keys,
            "a",
            token=token or self.token,
            slot=f"wait:{name}#{number}",
            counter=f"signals:{name}",
            for_ms=for_ms,
            now_ms=self.desk.now_ms,
        )
        return word.decode(), data.decode()

    async def sleep(self, number: int, for_ms: int) -> tuple[str, str]:
        word, data = await self.scripts.wait(
            self.desk.keys,
            "a",
            token=self.token,
            slot=f"sleep:#{number}",
            counter="",
            for_ms=for_ms,
            now_ms=self.desk.now_ms,
        )
        return word.decode(), data.decode()

    async def suspend(self, slot: str) -> int:
        return await self.desk.finish(self.job, self.token, "suspend", result=slot.encode(), note="it waits")

    async def signal(self, name: str, data: str = "1", key: str = "", job_id: str = "a") -> int:
        self.desk.calls += 1
        return await self.scripts.signal(
            self.desk.keys,
            job_id,
            name=name,
            key=key or f"k{self.desk.calls}",
            data=data.encode(),
            now_ms=self.desk.now_ms,
        )

    async def record(self) -> dict[str, str]:
        found = await self.desk.redis.hgetall(self.desk.keys.record("a"))
        return {k.decode(): v.decode() for k, v in found.items()}

    async def due_ms(self) -> int:
        return int(await self.desk.redis.zscore(self.desk.keys.queue, "a"))


@pytest.fixture
async def bench(desk: Any) -> Bench:
    made = Bench(desk)
    await desk.enqueue("a")
    await made.claim()
    return made


@pytest.mark.parametrize("end", ["again", "later", "back", "suspend", "crash"])
async def test_a_recorded_step_outlives_its_attempt(bench: Bench, end: str) -> None:
    """However an attempt ends without ending the job, the next one finds what was recorded."""
    assert await bench.step("fetch", '{"rate": 1}') == RECORDED
    if end == "crash":
        await bench.desk.let_lease_end("a")
    else:
        await bench.desk.finish(bench.job, bench.token, end, 0)
    assert (await bench.claim()).records == 2
    assert (await bench.record())["step:fetch"] == '{"rate": 1}'


@pytest.mark.parametrize("end", ["done", "cancelled"])
async def test_records_go_with_their_job(bench: Bench, end: str) -> None:
    """Nothing of a job that has ended well, or was cancelled while it slept, stays on the server."""
    await bench.step("fetch")
    await bench.sleep(1, 10)
    if end == "done":
        await bench.desk.finish(bench.job, bench.token, "done")
    else:
        await bench.suspend("sleep:#1")
        assert await bench.desk.cancel("a", result=b"", keep_ms=0) == 1
    assert await bench.desk.picture() == {}


async def test_who_lost_the_lease_records_nothing(bench: Bench) -> None:
    """Neither a step nor the beginning of a wait: another attempt has the job, or it has ended."""
    stale = bench.token
    await bench.desk.let_lease_end("a")
    await bench.claim()
    before = await bench.desk.picture()
    assert await bench.step("fetch", token=stale) == LOST
    assert await bench.wait("ok", token=stale) == ("lost", "")
    assert await bench.desk.picture() == before
    await bench.desk.finish(bench.job, bench.token, "done")
    assert await bench.step("fetch") == Verdict.REPEATED
    assert await bench.wait("ok") == ("lost", "")
    assert await bench.desk.picture() == {}


async def test_a_step_sent_twice_is_recorded_once(bench: Bench) -> None:
    """Its bytes are counted once, too."""
    assert [await bench.step("fetch", "12345") for _ in range(2)] == [RECORDED, RECORDED]
    assert (await bench.record())["b"] == str(len("step:fetch") + 5)


async def test_records_are_bounded_in_bytes_and_in_number(desk: Any) -> None:
    """What does not fit is refused whole, steps, waits and signals alike."""
    bench = Bench(desk, limit=100)
    await desk.enqueue("a")
    await bench.claim()
    assert await bench.step("a", "x" * 80) == RECORDED
    before = await desk.picture()
    assert await bench.step("b", "x" * 20) == FULL
    assert await bench.wait("ok") == ("full", "")
    assert await bench.signal("ok", "x" * 20) == FULL
    assert await desk.picture() == before

    await desk.redis.hset(desk.keys.record("a"), mapping={f"a{n}": "" for n in range(1000)})
    roomy = DurableScripts(desk.redis.execute_command, limit=10_000)
    assert await roomy.step(desk.keys, "a", token=bench.token, step="step:c", result=b"1") == FULL


async def test_a_sleep_lasts_from_its_first_call(bench: Bench) -> None:
    """A crash, or a later attempt with another span, does not begin it anew; once over, it stays over."""
    till = bench.desk.now_ms + DAY_MS
    assert await bench.sleep(1, DAY_MS) == ("held", str(till))
    await bench.desk.let_lease_end("a")
    await bench.claim()
    assert await bench.sleep(1, 2 * DAY_MS) == ("held", str(till))
    assert await bench.suspend("sleep:#1") == Verdict.WRITTEN
    assert await bench.due_ms() == till
    bench.desk.now_ms = till
    assert (await bench.claim()).records == 2
    assert await bench.sleep(1, DAY_MS) == ("came", "-")
    bench.desk.now_ms = till - DAY_MS
    assert await bench.sleep(1, DAY_MS) == ("came", "-")
    assert await bench.sleep(2, 0) == ("came", "-")


async def test_a_suspended_job_spends_neither_an_attempt_nor_a_snooze(bench: Bench) -> None:
    """It is nobody's, and says why it waits; asked twice, the end is written once."""
    await bench.sleep(1, DAY_MS)
    assert [await bench.suspend("sleep:#1") for _ in range(2)] == [Verdict.WRITTEN, Verdict.REPEATED]
    picture = await bench.desk.picture()
    assert picture["retry:a"] == "0"
    assert picture["history:a"]["w"] == "it waits"
    assert "s" not in picture["history:a"]
    assert not {"running", "lease:a", "suspects"} & picture.keys()
    bench.desk.now_ms += DAY_MS
    job = await bench.claim()
    assert (job.attempt, job.snoozes) == (1, 0)


@pytest.mark.parametrize("when", ["before it is claimed", "before the wait", "during", "waiting"])
async def test_a_signal_comes_through_whenever_it_is_sent(desk: Any, when: str) -> None:
    """Before the job starts, before it waits, while its attempt ends, or while it is held: due at once."""
    bench = Bench(desk)
    await desk.enqueue("a")
    if when == "before it is claimed":
        assert await bench.signal("ok", '"yes"') == RECORDED
    job = await bench.claim()
    assert job.records == (1 if when == "before it is claimed" else 0)
    if when == "before the wait":
        assert await bench.signal("ok", '"yes"') == RECORDED
    if when in ("during", "waiting"):
        assert await bench.wait("ok") == ("held", str(desk.now_ms + DAY_MS))
        if when == "during":
            assert await bench.signal("ok", '"yes"') == RECORDED
        assert await bench.suspend("wait:ok#1") == Verdict.WRITTEN
        if when == "waiting":
            assert await bench.due_ms() == desk.now_ms + DAY_MS
            assert await bench.signal("ok", '"yes"') == RECORDED
        assert await bench.due_ms() == desk.now_ms
        assert (await bench.record())["w"] == ""
        await bench.claim()
    assert await bench.wait("ok") == ("came", '+"yes"')


async def test_a_signal_does_not_touch_a_lease(bench: Bench) -> None:
    """A running job's place in the queue is the end of its lease."""
    await bench.wait("ok")
    before = await bench.due_ms()
    await bench.signal("ok")
    assert await bench.due_ms() == before


async def test_a_wait_whose_time_is_over_stays_so(bench: Bench) -> None:
    """A signal that comes later goes to the next wait; both answers are the same in every attempt."""
    assert await bench.wait("ok", for_ms=0) == ("came", "-")
    await bench.signal("ok", '"late"')
    await bench.desk.let_lease_end("a")
    await bench.claim()
    for _ in range(2):
        assert await bench.wait("ok", 1) == ("came", "-")
        assert await bench.wait("ok", 2) == ("came", '+"late"')


async def test_a_signal_after_the_time_but_before_the_job_looks_counts(bench: Bench) -> None:
    """Time is judged when the job asks: what is there by then is given."""
    await bench.wait("ok", for_ms=10)
    await bench.suspend("wait:ok#1")
    bench.desk.now_ms += 50
    await bench.signal("ok", "2")
    await bench.claim()
    assert await bench.wait("ok") == ("came", "+2")


async def test_a_signal_of_one_key_is_one_signal(bench: Bench) -> None:
    """A webhook that comes twice, or a call that redis-py sends again, is not handed over twice."""
    assert [await bench.signal("ok", n, key="evt_1") for n in ("1", "2")] == [RECORDED, RECORDED]
    assert (await bench.wait("ok", 1))[1] == "+1"
    assert (await bench.wait("ok", 2))[0] == "held"


async def test_a_signal_to_no_job_is_refused(bench: Bench) -> None:
    """Unknown, ended, or dead: nothing is written that no job would ever clear away."""
    assert await bench.signal("ok", job_id="b") == LOST
    await bench.desk.finish(bench.job, bench.token, "dead", note=DEAD)
    before = await bench.desk.picture()
    assert await bench.signal("ok") == LOST
    assert await bench.desk.picture() == before


async def test_a_replay_goes_on_from_what_is_recorded(bench: Bench) -> None:
    """Steps, sleeps and signals stay with a dead letter; what its attempts were goes."""
    await bench.step("fetch", "7")
    await bench.sleep(1, 0)
    await bench.signal("ok", "8")
    records = {name: value for name, value in (await bench.record()).items() if ":" in name or name == "b"}
    await bench.desk.finish(bench.job, bench.token, "dead", note=DEAD)
    dead = DeadScripts(bench.desk.redis.execute_command)
    await dead.replay(bench.desk.keys, [("a", b"")], op="x", by="test", now_ms=bench.desk.now_ms)
    after = await bench.record()
    assert {name: value for name, value in after.items() if name in records} == records
    assert after.keys() - records.keys() <= {"f", "d", "r", "z"}
    assert (await bench.claim()).records


async def test_the_replay_of_a_wait_in_vain_waits_anew(bench: Bench) -> None:
    """The last wait begins again, and what came after its time is for it; an earlier one stays as it was."""
    await bench.wait("ok", 1, for_ms=0)
    await bench.signal("ok", "2")
    await bench.wait("ok", 2)
    await bench.wait("ok", 3, for_ms=0)
    await bench.signal("ok", "4")
    await bench.signal("ok", "5")
    await bench.desk.finish(bench.job, bench.token, "dead", note='no_signal {"n": 1}')
    dead = DeadScripts(bench.desk.redis.execute_command)
    await dead.replay(bench.desk.keys, [("a", b"")], op="x", by="test", now_ms=bench.desk.now_ms)
    await bench.claim()
    assert [(await bench.wait("ok", n))[1] for n in (1, 2, 3, 4)] == ["-", "+2", "+4", "+5"]
    assert (await bench.wait("ok", 5))[0] == "held"
    await bench.signal("ok", "6")
    assert (await bench.wait("ok", 5))[1] == "+6"


class Story:
    """Signals, waits and what may come between, at one job; `got` is what its waits were given."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.sent = 0
        self.got: list[str] = []
        self.is_held = False

    async def signal(self) -> None:
        self.sent += 1
        assert await self.bench.signal("s", str(self.sent)) == RECORDED
        assert not self.is_held or await self.bench.due_ms() <= self.bench.desk.now_ms, (
            "it oversleeps a signal"
        )

    async def time(self) -> None:
        self.bench.desk.now_ms += 1_000

    async def wake(self) -> bool:
        """Claim the job if it is held and due; whether it runs then."""
        if self.is_held and await self.bench.due_ms() <= self.bench.desk.now_ms:
            await self.bench.claim()
            self.is_held = False
        return not self.is_held

    async def wait(self, *, suspends: bool = False) -> None:
        word, data = await self.bench.wait("s", len(self.got) + 1, for_ms=5_000)
        if word == "came":
            self.got.append(data)
        elif suspends:
            await self.bench.suspend(f"wait:s#{len(self.got) + 1}")
            self.is_held = True

    async def suspend(self) -> None:
        await self.wait(suspends=True)

    async def crash(self) -> None:
        await self.bench.desk.let_lease_end("a")
        await self.bench.claim()
        await self.bench.desk.redis.hdel(
            self.bench.desk.keys.record("a"), "d"
        )  # no suspect of killing workers

    async def retry(self) -> None:
        await self.bench.desk.finish(self.bench.job, self.bench.token, "again", 0)
        await self.bench.claim()


@settings(max_examples=25)
@given(moves=st.lists(st.sampled_from(["signal", "wait", "crash", "suspend", "time", "retry"]), max_size=25))
async def test_every_signal_is_given_once_and_in_order(redis: Any, desk_on: Any, moves: list[str]) -> None:
    """Whatever comes between: waits get the signals in order, each once; no held job oversleeps one."""
    await redis.flushdb()
    bench = Bench(desk_on(redis, keys_of("default")))
    await bench.desk.enqueue("a")
    await bench.claim()
    story = Story(bench)
    for move in moves:
        if await story.wake() or move in ("signal", "time"):
            await getattr(story, move)()
    if await story.wake():
        bench.desk.now_ms += 5_000
        before = -1
        while len(story.got) != before and sum(data != "-" for data in story.got) < story.sent:
            before = len(story.got)
            await story.wait()
        assert [data for data in story.got if data != "-"] == [f"+{n}" for n in range(1, story.sent + 1)]
