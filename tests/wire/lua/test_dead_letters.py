"""The scripts of dead letters on a bare desk, in both layouts."""

import random
from typing import Any

import pytest

from runner.wire.dead_scripts import Answer, DeadScripts, Position
from runner.wire.keys import Keys, keys_of

DEAD_NOTE = 'max_tries {"n": 1, "task": "t"}'
FOREVER = {"keep_ms": 10**15, "max_count": 10**9, "max_bytes": 10**15}


@pytest.fixture
def dead(desk: Any) -> DeadScripts:
    return DeadScripts(desk.redis.execute_command)


async def bury(desk: Any, *ids: str, note: str = DEAD_NOTE, payload: bytes = b"") -> None:
    """Enqueue, claim and end jobs as dead, at the desk's time."""
    await desk.enqueue(*ids, payload=payload)
    token = f"bury{desk.calls}"
    claim = await desk.claim(token, limit=500)
    await desk.finish_all([desk.end(job, token, "dead", note=note) for job in claim.jobs])


async def replay(desk: Any, dead: DeadScripts, *ids: str, op: str = "op", payload: bytes = b"") -> list[int]:
    letters = [(job_id, payload) for job_id in ids]
    return await dead.replay(desk.keys, letters, by="me", op=op, now_ms=desk.now_ms)


async def bytes_by_hand(desk: Any) -> int:
    """The bytes of all letters, counted without the running sum."""
    total = 0
    for member in await desk.redis.zrange(desk.keys.dead, 0, -1):
        fields = await desk.redis.hgetall(desk.keys.dead_letter(member.decode()))
        total += sum(len(value) for name, value in fields.items() if name != b"bytes")
    return total


async def bytes_in_stats(desk: Any) -> int:
    return int(await desk.redis.hget(desk.keys.dead_stats, "bytes") or 0)


async def test_a_replay_makes_the_same_job_again(desk: Any, dead: DeadScripts) -> None:
    """Same id, same payload byte for byte, attempts 0, due now; nothing of the letter is left."""
    await bury(desk, "a", payload=b"\x00\xff bytes")
    desk.now_ms += 5000

    assert await replay(desk, dead, "a") == [Answer.DONE]

    keys = desk.keys
    assert await desk.redis.get(keys.job("a")) == b"\x00\xff bytes"
    assert await desk.redis.zrange(keys.queue, 0, -1, withscores=True) == [(b"a", desk.now_ms)]
    gone = (keys.retry("a"), keys.result("a"), keys.dead_letter("a"), keys.dead)
    assert await desk.redis.exists(*gone) == 0
    job = await desk.claim_one("again")
    assert (job.attempt, job.payload) == (1, b"\x00\xff bytes")


async def test_a_replayed_job_keeps_its_fence_rising_and_counts_its_replays(
    desk: Any, dead: DeadScripts
) -> None:
    """A fence given out before the death is lower than any after the replay."""
    await desk.enqueue("a")
    first = await desk.claim_one("t")
    await desk.finish(first, "t", "again", 0, note="{}")
    second = await desk.claim_one("u")
    await desk.finish(second, "u", "dead", note=DEAD_NOTE)

    await replay(desk, dead, "a")
    third = await desk.claim_one("v")

    assert third.fence > first.fence
    await desk.finish(third, "v", "dead", note=DEAD_NOTE)
    letter = await desk.redis.hgetall(desk.keys.dead_letter("a"))
    assert (letter[b"r"], letter[b"z"]) == (b"1", b'{"n": 1, "task": "t"}')


async def test_a_replay_sent_twice_is_one_replay(desk: Any, dead: DeadScripts) -> None:
    """The second sending answers like the first, although the job died again in between."""
    await bury(desk, "a")
    assert await replay(desk, dead, "a", "b", op="x") == [1, 0]
    job = await desk.claim_one("t")
    await desk.finish(job, "t", "dead", note=DEAD_NOTE)

    assert await replay(desk, dead, "a", "b", op="x") == [1, 0]

    assert await desk.redis.zcard(desk.keys.dead) == 1
    assert await desk.redis.zcard(desk.keys.queue) == 0


async def test_what_is_not_dead_is_not_replayed(desk: Any, dead: DeadScripts) -> None:
    """An unknown id, a waiting job and one that ended well are all answered with MISSING and left alone."""
    await desk.enqueue("waiting")
    before = {key: await desk.redis.dump(key) for key in await desk.redis.keys()}

    assert await replay(desk, dead, "unknown", "waiting") == [Answer.MISSING] * 2

    await desk.redis.delete(desk.keys.op("op"))
    assert {key: await desk.redis.dump(key) for key in await desk.redis.keys()} == before


async def test_a_letter_whose_id_lives_again_is_not_replayed(desk: Any, dead: DeadScripts) -> None:
    """A stock arq client may take the id of a dead letter; the living job is not overwritten."""
    await bury(desk, "a")
    await desk.redis.set(desk.keys.job("a"), b"another")
    await desk.redis.zadd(desk.keys.queue, {"a": desk.now_ms})

    assert await replay(desk, dead, "a") == [Answer.ALIVE]

    assert await desk.redis.get(desk.keys.job("a")) == b"another"
    assert await desk.redis.zcard(desk.keys.dead) == 1


async def test_a_letter_without_payload_cannot_be_replayed(desk: Any, dead: DeadScripts) -> None:
    """A job whose payload was gone stays a letter, unless the caller gives a payload."""
    await desk.enqueue("a")
    await desk.redis.delete(desk.keys.job("a"))
    job = await desk.claim_one("t")
    await desk.finish(job, "t", "dead", note="missing_payload {}")

    assert await replay(desk, dead, "a") == [Answer.NO_PAYLOAD]
    assert await replay(desk, dead, "a", op="other", payload=b"new") == [Answer.DONE]
    assert await desk.redis.get(desk.keys.job("a")) == b"new"


async def test_a_letter_of_another_queue_is_not_replayed_here(desk: Any, dead: DeadScripts) -> None:
    """In arq's layout letters of all queues share a prefix: the queue's own index decides."""
    await bury(desk, "a")
    layout = "tagged" if "{" in desk.keys.queue else "classic"
    letters = [("a", b"")]
    assert await dead.replay(keys_of("bulk", layout), letters, by="me", op="op") == [Answer.MISSING]
    assert await desk.redis.zcard(desk.keys.dead) == 1


async def test_a_cancellation_asked_for_before_the_death_does_not_meet_the_replay(
    desk: Any, dead: DeadScripts
) -> None:
    """The replayed job runs, whatever was asked of its former life."""
    await bury(desk, "a")
    await desk.redis.zadd(desk.keys.abort, {"a": 1})
    await replay(desk, dead, "a")
    assert not (await desk.claim_one("t")).aborted


async def test_a_job_that_follows_a_death_is_enqueued_with_it(desk: Any, dead: DeadScripts) -> None:
    """One script buries and enqueues; the id is derived from the death: a second one, a second job."""
    follow = b'{"f": "on_dead"} 7 '
    note = f"gave_up {len(follow)} ".encode() + follow + b'{"n": 1}'
    await bury(desk, "a", note=note)  # type: ignore[arg-type]
    assert await desk.redis.get(desk.keys.job("dead:a")) == follow
    assert (await desk.redis.hgetall(desk.keys.dead_letter("a")))[b"note"] == b'{"n": 1}'

    job = await desk.claim_one("f")
    assert job.job_id == "dead:a"
    await desk.finish(job, "f", "done")
    await replay(desk, dead, "a")
    job = await desk.claim_one("t")
    end = desk.end(job, "t", "dead", note=note)
    await desk.finish_all([end])
    assert await desk.finish_all([end]) == [2]  # a re-sent finish enqueues nothing more
    assert await desk.redis.zrange(desk.keys.queue, 0, -1) == [b"dead:a:1"]


async def test_the_sum_of_bytes_is_what_a_count_by_hand_gives(desk: Any, dead: DeadScripts) -> None:
    """Burials, a burial over a letter of the same id, replays, discards and trims keep it exact."""
    await bury(desk, *"abcdefgh", payload=b"x" * 50)
    assert await bytes_in_stats(desk) == await bytes_by_hand(desk) > 400
    await desk.redis.set(desk.keys.job("a"), b"taken over by a stock client")
    await desk.redis.zadd(desk.keys.queue, {"a": 1})
    job = await desk.claim_one("t")
    await desk.finish(job, "t", "dead", note=DEAD_NOTE)
    assert await bytes_in_stats(desk) == await bytes_by_hand(desk)
    await replay(desk, dead, "b", "c")
    await dead.discard(desk.keys, ["d", "nothing"], verb="discard", by="me", op="d")
    await dead.trim(desk.keys, keep_ms=10**15, max_count=2, max_bytes=10**9, now_ms=desk.now_ms)
    assert await bytes_in_stats(desk) == await bytes_by_hand(desk) > 0
    await dead.trim(desk.keys, keep_ms=10**15, max_count=0, max_bytes=10**9, now_ms=desk.now_ms)
    assert await bytes_in_stats(desk) == 0


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        ({}, "abcd"),
        ({"keep_ms": 2500}, "cd"),
        ({"max_count": 3}, "bcd"),
        ({"max_count": 3, "keep_ms": 1500}, "d"),
    ],
    ids=str,
)
async def test_retention_deletes_the_oldest_first(
    desk: Any, dead: DeadScripts, bounds: dict[str, int], left: str
) -> None:
    """By age or by count, whichever asks for more; what went is counted."""
    for job_id in "abcd":
        await bury(desk, job_id)
        desk.now_ms += 1000
    gone = await dead.trim(desk.keys, **{**FOREVER, **bounds, "now_ms": desk.now_ms})

    assert [m.decode() for m in await desk.redis.zrange(desk.keys.dead, 0, -1)] == list(left)
    assert gone == 4 - len(left)
    assert int(await desk.redis.hget(desk.keys.dead_stats, "trimmed") or 0) == gone


async def test_retention_by_bytes_keeps_as_many_as_fit(desk: Any, dead: DeadScripts) -> None:
    """The newest letters stay that together fit the limit, and no step is longer than asked."""
    for job_id in "abcdef":
        await bury(desk, job_id, payload=b"x" * 1000)
        desk.now_ms += 1
    each = await bytes_in_stats(desk) // 6
    bounds = {**FOREVER, "max_bytes": each * 2 + 10, "now_ms": desk.now_ms}
    assert await dead.trim(desk.keys, **bounds, limit=3) == 3
    assert await dead.trim(desk.keys, **bounds, limit=3) == 1
    assert await desk.redis.zrange(desk.keys.dead, 0, -1) == [b"e", b"f"]


async def test_every_letter_is_read_once_whatever_happens_between_the_pages(
    desk: Any, dead: DeadScripts
) -> None:
    """Letters of one moment, the last one read gone: what stays from begin to end is on exactly one page."""
    rng = random.Random(7)
    ids = [f"j{n:03}" for n in range(120)]
    for start in range(0, 120, 40):
        await bury(desk, *ids[start : start + 40])
        desk.now_ms += rng.choice([0, 1])
    for order in ("newest", "oldest"):
        seen: list[str] = []
        removed: set[str] = set()
        after = Position()
        while True:
            page = await dead.page(
                desk.keys,
                order=order,
                after=after,
                limit=7,
                now_ms=desk.now_ms,  # type: ignore[arg-type]
            )
            seen += [row.job_id for row in page.rows]
            if page.at_end:
                break
            after = Position(page.rows[-1].entered_at_ms, page.rows[-1].job_id)
            if order == "newest" or len(seen) % 2:
                removed |= {seen[-1]}
                await dead.discard(desk.keys, [seen[-1]], verb="discard", by="me", op=f"{order}{len(seen)}")
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen, reverse=order == "newest")
        assert len(seen) == (120 if order == "newest" else 120 - 17)


async def test_a_page_stays_within_its_times_and_its_bytes(desk: Any, dead: DeadScripts) -> None:
    """Since and until bound it; large letters end it early and the next page goes on behind them."""
    for job_id in "abcd":
        await bury(desk, job_id, payload=b"x" * 400_000)
        desk.now_ms += 1000
    begin = desk.now_ms - 4000
    page = await dead.page(desk.keys, since_ms=begin + 1000, until_ms=begin + 2000)
    assert ([row.job_id for row in page.rows], page.at_end) == (["c", "b"], True)
    page = await dead.page(desk.keys, now_ms=desk.now_ms)
    assert ([row.job_id for row in page.rows], page.at_end) == (["d", "c", "b"], False)
    last = page.rows[-1]
    page = await dead.page(desk.keys, after=Position(last.entered_at_ms, last.job_id), until_ms=page.until_ms)
    assert ([row.job_id for row in page.rows], page.at_end) == (["a"], True)


async def test_a_death_that_no_worker_saw_is_told_once(desk: Any, dead: DeadScripts) -> None:
    """Poison is buried by the claim of somebody else; of two workers that find it one tells, and enqueues."""
    await poison(desk, "p")
    assert await desk.redis.smembers(desk.keys.dead_untold) == {b"p"}
    assert await dead.tell(desk.keys, "p", b"follow", now_ms=desk.now_ms)
    assert not await dead.tell(desk.keys, "p", b"follow", now_ms=desk.now_ms)
    assert await desk.redis.get(desk.keys.job("dead:p")) == b"follow"
    assert await desk.redis.zrange(desk.keys.queue, 0, -1) == [b"dead:p"]


async def test_a_replayed_poison_job_runs_alone(desk: Any, dead: DeadScripts) -> None:
    """Its deaths stay with it: it puts no neighbour at risk again."""
    await poison(desk, "p")
    await replay(desk, dead, "p")
    assert (await desk.claim(is_idle=False)).jobs == []
    assert (await desk.claim_one("idle", is_idle=True)).alone


async def poison(desk: Any, job_id: str) -> None:
    """Let a job take down its workers until it is convicted."""
    await desk.enqueue(job_id)
    for _ in range(4):
        await desk.claim(is_idle=True)
        await desk.let_lease_end(job_id)
    assert (await desk.claim(is_idle=True)).jobs == []
    assert await desk.redis.hget(desk.keys.dead_letter(job_id), "reason") == b"poison"


async def test_an_import_writes_what_is_not_there(desk: Any, dead: DeadScripts) -> None:
    """A letter or a living job of the same id stays as it is; the fields come back byte for byte."""
    await bury(desk, "there")
    await desk.enqueue("alive")
    fields = {"reason": b"gave_up", "at": b"5", "attempts": b"2", "note": b"{}", "payload": b"\x00\xff"}
    letters = [(job_id, fields) for job_id in ("there", "alive", "new")]
    options = {"by": "me", "op": "i", "now_ms": desk.now_ms}

    assert await dead.restore(desk.keys, letters, **options) == [0, 2, 1]
    assert await dead.restore(desk.keys, letters, **options) == [0, 2, 1]

    new = await desk.redis.hgetall(desk.keys.dead_letter("new"))
    assert {name.decode(): new[name] for name in new} == {
        **fields,
        "queue": desk.keys.queue.encode(),
        "bytes": str(await bytes_of(desk, "new")).encode(),
    }
    assert await desk.redis.zscore(desk.keys.dead, "new") == desk.now_ms
    assert await bytes_in_stats(desk) == await bytes_by_hand(desk)


async def bytes_of(desk: Any, job_id: str) -> int:
    fields = await desk.redis.hgetall(desk.keys.dead_letter(job_id))
    return sum(len(value) for name, value in fields.items() if name != b"bytes")


async def test_what_people_do_is_on_record(desk: Any, dead: DeadScripts, keys: Keys) -> None:
    """Who, what, when and which ids: one entry a call that did something."""
    await bury(desk, "a", "b", "c")
    await replay(desk, dead, "a", "nothing")
    await dead.discard(keys, ["b", "c"], verb="purge", by="you", op="p", now_ms=desk.now_ms)
    await dead.discard(keys, ["b"], verb="discard", by="you", op="q", now_ms=desk.now_ms)
    entries = [fields for _, fields in await desk.redis.xrange(keys.dead_audit)]
    assert [(e[b"verb"], e[b"by"], e[b"ids"]) for e in entries] == [
        (b"replay", b"me", b"a"),
        (b"purge", b"you", b"b\nc"),
    ]
    assert {e[b"at"] for e in entries} == {str(desk.now_ms).encode()}
