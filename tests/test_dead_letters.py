"""The door to the dead letters: what web apps and the command line do with them."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis

from runner.dead_letters import DeadLetters, Edit, Filter, Tally
from runner.errors import InvalidArguments, NotDead, ReplayRefused
from runner.registry import Registry
from runner.tasks import task
from runner.wire import codec
from runner.wire.keys import keys_of
from runner.wire.link import Link
from runner.wire.scripts import End, Entry, Scripts

START_MS = 1_700_000_000_000


@task
async def pay(ctx: Any, order: str, amount: int, *, note: str = "") -> None:
    """A task whose arguments can be edited."""


@pytest.fixture
async def dead(redis_url: str) -> AsyncIterator[DeadLetters]:
    link = Link(ConnectionPool.from_url(redis_url))
    yield DeadLetters(link.execute, queues=("default", "bulk"), registry=lambda: Registry([pay]), by="tester")
    await link.close()


class Cemetery:
    """Buries jobs the way a worker does."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.scripts = Scripts(redis.execute_command)
        self.now_ms = START_MS

    async def bury(
        self,
        job_id: str,
        *args: Any,
        task: str = "pay",
        queue: str = "default",
        reason: str = "max_tries",
        error: str = "ValueError",
        payload: bytes | None = None,
        expires_ms: int = 0,
    ) -> bytes:
        """Enqueue, claim, end as dead; the payload."""
        meta = codec.Meta(x=expires_ms)
        payload = codec.encode_job(task, args, {}, START_MS, meta) if payload is None else payload
        note = (
            f'{reason} {{"n": 1, "task": "{task}", "error": {{"type": "{error}", "message": "m {job_id}"}}}}'
        )
        keys = keys_of(queue)
        assert await self.scripts.enqueue(keys, [Entry(job_id, 0, 0, payload)], now_ms=self.now_ms) == [True]
        options: dict[str, Any] = {"worker": "w", "limit": 1, "lease_ms": 1000, "now_ms": self.now_ms}
        [job] = (await self.scripts.claim(keys, token="t", **options)).jobs
        end = End(job_id, "t", job.fence, "dead", 1000, b"{}", note, job.attempt)
        assert await self.scripts.finish(keys, [end], now_ms=self.now_ms) == [1]
        self.now_ms += 1
        return payload

    async def live(self, queue: str = "default") -> list[str]:
        """The ids in the queue, in order."""
        return [m.decode() for m in await self.redis.zrange(keys_of(queue).queue, 0, -1)]


@pytest.fixture
def cemetery(redis: Redis) -> Cemetery:
    return Cemetery(redis)


async def test_a_letter_says_why_the_job_died(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Reason, error, attempts, arguments and the payload byte for byte."""
    payload = await cemetery.bury("a", "o-1", 7)
    letter = await dead.show("a")
    assert (letter.id, letter.queue, letter.task, letter.reason) == ("a", "default", "pay", "max_tries")
    assert (letter.attempts, letter.replays, letter.died_at_ms) == (1, 0, START_MS)
    assert letter.error == {"type": "ValueError", "message": "m a"}
    assert (letter.args, letter.kwargs, letter.payload) == (["o-1", 7], {}, payload)
    assert [entry["n"] for entry in letter.history] == [1]


@pytest.mark.parametrize("act", ["show", "replay", "discard"])
async def test_an_id_that_is_not_dead_is_named(dead: DeadLetters, cemetery: Cemetery, act: str) -> None:
    """The error says which id, and where it was looked for."""
    await cemetery.bury("a", "o-1", 7)
    with pytest.raises(NotDead, match="no dead letter 'b' in the queues default, bulk"):
        await getattr(dead, act)("b")
    with pytest.raises(NotDead, match="no dead letter 'a' in queue bulk"):
        await getattr(dead, act)("a", queue="bulk")
    assert (await dead.show("a")).id == "a"


async def test_a_replayed_letter_is_a_job_and_no_letter(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Same payload; a second replay has nothing to replay."""
    payload = await cemetery.bury("a", "o-1", 7)
    await dead.replay("a")
    assert await cemetery.redis.get(keys_of("default").job("a")) == payload
    assert await cemetery.live() == ["a"]
    with pytest.raises(NotDead):
        await dead.replay("a")
    [entry] = await dead.audit()
    assert (entry["verb"], entry["by"], entry["ids"], entry["queue"]) == ("replay", "tester", "a", "default")


async def test_a_living_job_of_the_same_id_refuses_the_replay(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Both stay as they are."""
    await cemetery.bury("a", "o-1", 7)
    await cemetery.redis.set("arq:job:a", b"alive")
    await cemetery.redis.zadd("arq:queue", {"a": 1})
    with pytest.raises(ReplayRefused, match="'a' is not replayed: a job of that id waits or runs"):
        await dead.replay("a")
    assert (await dead.show("a")).id == "a"


async def test_a_letter_without_payload_refuses_the_replay(dead: DeadLetters, cemetery: Cemetery) -> None:
    """What is gone cannot run; the letter stays to be discarded."""
    await cemetery.bury("a", "o-1", 7)
    await cemetery.redis.hdel("runner:dead:a", "payload")
    with pytest.raises(ReplayRefused, match="its payload is gone"):
        await dead.replay("a")
    await dead.discard("a")
    assert await cemetery.redis.exists("runner:dead:a", "runner:default:dead") == 0


async def test_a_replay_overrules_expires(dead: DeadLetters, cemetery: Cemetery) -> None:
    """A job that died too late to start would otherwise die again at once; all else of the payload stays."""
    payload = await cemetery.bury("a", "o-1", 7, reason="expired", expires_ms=START_MS + 1)
    await dead.replay("a")
    replayed = await cemetery.redis.get("arq:job:a")
    assert codec.decode_job(payload).m == codec.Meta(x=START_MS + 1)
    assert replayed is not None
    assert codec.decode_job(replayed).m == codec.Meta()
    assert replayed == payload.replace(f'"x":{START_MS + 1}'.encode(), b"")


@pytest.mark.parametrize(
    ("edit", "args", "kwargs"),
    [
        (Edit({"amount": 8}), ["o-1", 8], {}),
        (Edit({"note": "late"}), ["o-1", 7], {"note": "late"}),
        (Edit(args=["o-2", 9]), ["o-2", 9], {}),
        (Edit({"amount": 1}, args=[], kwargs={"order": "o-3"}), ["o-3", 1], {}),
    ],
    ids=str,
)
async def test_edited_arguments_take_the_place_of_the_old(
    dead: DeadLetters, cemetery: Cemetery, edit: Edit, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """By name, or all anew; time of enqueue and all the rest of the payload stay."""
    payload = await cemetery.bury("a", "o-1", 7)
    await dead.replay("a", edit=edit)
    job = codec.decode_job(await cemetery.redis.get("arq:job:a") or b"")
    before = codec.decode_job(payload)
    assert (job.a, job.k) == (args, kwargs)
    assert (job.f, job.et, job.m) == (before.f, before.et, before.m)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (Edit({"amount": "8"}), "argument 'amount': expected int"),
        (Edit({"price": 8}), "no parameter 'price'; it takes"),
        (Edit(args=["o-1"]), "missing a required argument: 'amount'"),
    ],
    ids=str,
)
async def test_arguments_that_do_not_fit_leave_the_letter(
    dead: DeadLetters, cemetery: Cemetery, edit: Edit, complaint: str
) -> None:
    """The task's types are checked before anything is written."""
    await cemetery.bury("a", "o-1", 7)
    with pytest.raises(InvalidArguments, match=complaint):
        await dead.replay("a", edit=edit)
    assert (await dead.show("a")).args == ["o-1", 7]
    assert await cemetery.live() == []


async def test_arguments_of_an_unknown_task_cannot_be_edited(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Without the task there are no types to check by."""
    await cemetery.bury("a", 1, task="gone")
    with pytest.raises(InvalidArguments, match=r"'gone' is not known here.*known: pay"):
        await dead.replay("a", edit=Edit(args=[2]))


LETTERS = {
    "a": {"task": "pay", "args": ("o-1", 1)},
    "b": {"task": "send", "args": ("https://api.example.com/x",), "error": "httpx.ConnectError"},
    "c": {"task": "send", "args": ("http://other.test:8080/",), "reason": "gave_up"},
    "d": {"task": "pay", "args": ("Straße", 1), "queue": "bulk"},
}


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), "cbad"),
        (Filter(task="send"), "cb"),
        (Filter(task="p*"), "ad"),
        (Filter(reason="gave_up"), "c"),
        (Filter(error="ConnectError"), "b"),
        (Filter(error="httpx.*"), "b"),
        (Filter(host="api.example.com"), "b"),
        (Filter(host="*.TEST"), "c"),
        (Filter(text="STRASSE"), "d"),
        (Filter(text="m c"), "c"),
        (Filter(since_ms=START_MS + 1, until_ms=START_MS + 2), "cb"),
        (Filter(task="pay", reason="gave_up"), ""),
    ],
    ids=str,
)
async def test_a_filter_finds_what_it_names(
    dead: DeadLetters, cemetery: Cemetery, wanted: Filter, ids: str
) -> None:
    """Newest first, one queue after the other."""
    for job_id, options in LETTERS.items():
        given = dict(options)
        await cemetery.bury(job_id, *given.pop("args"), **given)
    page = await dead.find(wanted)
    assert [letter.id for letter in page.letters] == list(ids)
    assert page.cursor == ""


async def test_unreadable_payloads_are_listed_like_others(dead: DeadLetters, cemetery: Cemetery) -> None:
    """A pickle, half a JSON and a letter of which only the index is left."""
    await cemetery.bury("pickle", payload=b"\x80\x04.", task="t")
    await cemetery.bury("half", payload=b'{"f": ', task="t")
    await cemetery.bury("bare", "o-1", 7)
    await cemetery.redis.delete("runner:dead:bare")
    page = await dead.find()
    assert [(x.id, x.task, x.reason, x.args) for x in page.letters] == [
        ("bare", "", "", None),
        ("half", "t", "max_tries", None),
        ("pickle", "t", "max_tries", None),
    ]
    await dead.discard("bare")


async def test_ten_thousand_letters_are_paged_within_bounds(dead: DeadLetters, redis: Redis) -> None:
    """Every letter on exactly one page; no call looks at more than it may; a sparse filter goes on."""
    keys = keys_of("default")
    pipe = redis.pipeline()
    for n in range(10_000):
        pipe.zadd(keys.dead, {f"j{n:05}": START_MS + n // 10})
        pipe.hset(keys.dead_letter(f"j{n:05}"), mapping={"reason": "max_tries" if n % 3000 else "gave_up"})
    await pipe.execute()

    ids, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = await dead.find(cursor=cursor, limit=700)
        assert page.looked <= 700
        ids += [letter.id for letter in page.letters]
        cursor, pages = page.cursor, pages + 1
    assert ids == [f"j{n:05}" for n in reversed(range(10_000))]
    assert pages == 15

    rare, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = await dead.find(Filter(reason="gave_up"), cursor=cursor, look=500)
        assert page.looked <= 500
        rare += [letter.id for letter in page.letters]
        cursor, pages = page.cursor, pages + 1
    assert rare == ["j09000", "j06000", "j03000", "j00000"]
    assert pages == 21  # the last one finds nothing any more


@pytest.mark.parametrize(
    "cursor", ["nonsense", "other/1/2/a", "default/x/2/a", "default/1/x/a", "default/1/2/"]
)
async def test_a_cursor_of_somewhere_else_is_refused(dead: DeadLetters, cursor: str) -> None:
    """It says which queues were meant."""
    with pytest.raises(ValueError, match=r"cursor .* none of a list of these queues: default, bulk"):
        await dead.find(cursor=cursor)


async def test_many_are_replayed_oldest_first(dead: DeadLetters, cemetery: Cemetery) -> None:
    """All that the filter wants, over all queues; the tally says how it went, step by step."""
    for n in range(250):
        await cemetery.bury(f"j{n:03}", "o", n, queue="bulk" if n % 10 == 0 else "default")
    await cemetery.bury("other", 1, task="other")
    steps: list[Tally] = []
    tally = await dead.replay_many(Filter(task="pay"), on_progress=steps.append)
    assert (tally.done, tally.matched, tally.refused, tally.cursor) == (250, 250, 0, "")
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert all(b.done - a.done <= 100 for a, b in itertools.pairwise(steps))
    assert len(await cemetery.live()) == 225
    assert len(await cemetery.live("bulk")) == 25
    assert [letter.id for letter in (await dead.find()).letters] == ["other"]


async def test_a_dry_run_counts_and_touches_nothing(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Replay and purge alike."""
    for n in range(5):
        await cemetery.bury(f"j{n}", "o", n)
    before = {key: await cemetery.redis.dump(key) for key in await cemetery.redis.keys()}
    for act in (dead.replay_many, dead.purge):
        tally = await act(dry_run=True)
        assert (tally.matched, tally.done) == (5, 0)
    assert {key: await cemetery.redis.dump(key) for key in await cemetery.redis.keys()} == before


async def test_what_dies_after_the_begin_is_left_for_the_next_replay(
    dead: DeadLetters, cemetery: Cemetery
) -> None:
    """A replay of jobs that fail at once ends: it is fixed to the moment it began."""
    for n in range(150):
        await cemetery.bury(f"j{n:03}", "o", n)
    worker = Scripts(cemetery.redis.execute_command)

    async def fail_all() -> None:
        keys = keys_of("default")
        claim = await worker.claim(keys, token="w", worker="w", limit=500, lease_ms=1000)
        ends = [End(j.job_id, "w", j.fence, "dead", 0, b"", "max_tries {}", 1) for j in claim.jobs]
        await worker.finish(keys, ends)

    tally, cursor = Tally(), ""
    for _ in range(10):
        page = await dead.find(cursor=cursor, limit=100, order="oldest")
        for letter in page.letters:
            await dead.replay(letter.id)
        await fail_all()
        tally, cursor = Tally(done=tally.done + len(page.letters)), page.cursor
        if not cursor:
            break
    assert tally.done == 150
    assert (await dead.standings("default"))[0].count == 150


async def test_a_rate_is_kept_by_waiting_between_calls(dead: DeadLetters, cemetery: Cemetery) -> None:
    """At 50/s ten letters go in each call, and the waits add up to at least what the rate asks."""
    for n in range(60):
        await cemetery.bury(f"j{n:02}", "o", n)
    steps: list[Tally] = []
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    await dead.replay_many(rate=50, on_progress=steps.append, sleep=sleep)
    assert [step.done for step in steps][:6] == [10, 20, 30, 40, 50, 60]
    assert len(waits) >= 5
    assert waits[0] <= 10 / 50
    assert waits == sorted(waits)  # nobody really slept, so each asks for all the time since the begin


async def test_a_purge_deletes_and_counts(dead: DeadLetters, cemetery: Cemetery) -> None:
    """Only what the filter wants; who did it is on record."""
    for job_id in "abc":
        await cemetery.bury(job_id, "o", 1, reason="gave_up" if job_id == "b" else "max_tries")
    tally = await dead.purge(Filter(reason="max_tries"))
    assert (tally.done, tally.matched) == (2, 2)
    assert [letter.id for letter in (await dead.find()).letters] == ["b"]
    assert [(e["verb"], e["ids"]) for e in await dead.audit()] == [("purge", "a\nc")]
    standing = (await dead.standings("default"))[0]
    assert (standing.count, standing.oldest_at_ms) == (1, START_MS + 1)
    assert standing.size == (await dead.show("b")).size
