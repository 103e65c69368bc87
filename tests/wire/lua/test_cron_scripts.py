"""cron_tick, cron_flush, cron_put, cron_drop, cron_pause, cron_run, cron_states: one call at a time."""

import pytest

from runner.wire import schedules as wire
from runner.wire.keys import keys_of
from runner.wire.link import Link
from runner.wire.schedules import Tick

NOW = 1_767_225_600_000


@pytest.fixture(params=["classic", "tagged"])
def keys(request):
    return keys_of("default", request.param)


@pytest.fixture
async def execute(redis):
    link = Link(redis.connection_pool)
    yield link.execute
    await link.close()


def asked(last=NOW, at=NOW + 1000, **changed):
    fields = {
        "name": "s",
        "fingerprint": "f",
        "last_ms": last,
        "tick_ms": at,
        "missed": 0,
        "overlap": "allow",
        "most": 0,
        "limit": 0,
        "job_id": f"cron:s:{at}",
        "due_ms": at,
        "payload": b"{}",
    }
    return Tick(**{**fields, **changed})


ANNOUNCED = asked(0, 0, job_id="", payload=b"")


async def one(execute, keys, tick, now_ms):
    [answer] = await wire.tick(execute, keys, [tick], now_ms=now_ms)
    return tuple(answer)


async def test_a_tick_is_made_from_the_last_one_and_a_repeat_learns_of_it(execute, keys, redis):
    """The same call twice, as redis-py re-sends it, makes one job."""
    assert await one(execute, keys, ANNOUNCED, NOW) == ("NEW", NOW)
    assert await one(execute, keys, asked(), NOW + 1000) == ("MADE", NOW + 1000)
    assert await one(execute, keys, asked(), NOW + 1000) == ("ALREADY", NOW + 1000)
    assert await redis.zrange(keys.queue, 0, -1, withscores=True) == [
        (f"cron:s:{NOW + 1000}".encode(), NOW + 1000)
    ]
    assert await redis.ttl(keys.job(f"cron:s:{NOW + 1000}")) == -1
    assert await redis.ttl(keys.schedule("s")) == -1


async def test_a_tick_before_its_time_is_early(execute, keys, redis):
    """Told by how much; nothing is written."""
    await one(execute, keys, ANNOUNCED, NOW)
    assert await one(execute, keys, asked(), NOW + 400) == ("EARLY", 600)
    assert await redis.exists(keys.queue) == 0


async def test_a_state_that_is_gone_begins_now(execute, keys):
    """A server that lost its data does not run what it does not know of."""
    assert await one(execute, keys, asked(), NOW + 1000) == ("NEW", NOW + 1000)


async def test_a_redefined_schedule_refuses_ticks_of_the_old_rule(execute, keys):
    """A worker that has not heard of the change is told to read it."""
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW)
    await wire.put(execute, keys, "s", fingerprint="g", definition=b"{}", now_ms=NOW + 500)
    assert await one(execute, keys, asked(), NOW + 1000) == ("OLD", NOW + 500)


async def test_a_job_that_is_there_already_is_left_alone(execute, keys, redis):
    """By its id: enqueued by hand, still running, or dead."""
    await one(execute, keys, ANNOUNCED, NOW)
    await redis.set(keys.job(f"cron:s:{NOW + 1000}"), b"mine")
    assert (await one(execute, keys, asked(), NOW + 1000))[0] == "EXISTS"
    assert await redis.get(keys.job(f"cron:s:{NOW + 1000}")) == b"mine"


async def test_a_job_whose_time_comes_again_counts_once(execute, keys):
    """After the clock went back: of two that may run there is room for one more (seed 35226)."""
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW)
    assert (await one(execute, keys, asked(most=2), NOW + 1000))[0] == "MADE"
    for is_paused in (True, False):
        await wire.pause(execute, keys, "s", is_paused=is_paused, now_ms=NOW)
    assert (await one(execute, keys, asked(most=2), NOW + 1000))[0] == "EXISTS"
    assert (await one(execute, keys, asked(NOW + 1000, NOW + 2000, most=2), NOW + 2000))[0] == "MADE"
    assert (await one(execute, keys, asked(NOW + 2000, NOW + 3000, most=2), NOW + 3000))[0] == "SKIPPED"


async def test_many_ticks_of_many_schedules_are_one_call(execute, keys, redis):
    """A hundred, each with its own answer."""
    ticks = [asked(name=f"s{n}", job_id=f"cron:s{n}:1") for n in range(100)]
    announced = [each._replace(last_ms=0, tick_ms=0, job_id="", payload=b"") for each in ticks]
    assert {each.word for each in await wire.tick(execute, keys, announced, now_ms=NOW)} == {"NEW"}
    assert {each.word for each in await wire.tick(execute, keys, ticks, now_ms=NOW + 1000)} == {"MADE"}
    assert await redis.zcard(keys.queue) == 100


async def test_changes_are_found_by_their_number_and_old_ones_forgotten(execute, keys):
    """Each look gives what came after the one before; a removed one has no definition."""
    for name in ("a", "b"):
        assert await wire.put(execute, keys, name, fingerprint="f", definition=name.encode(), now_ms=NOW)
    first = await wire.changes(execute, keys, 0)
    assert first.definitions == {"a": b"a", "b": b"b"}
    assert first.seen == await wire.newest(execute, keys)
    assert (await wire.changes(execute, keys, first.seen)).definitions == {}
    assert await wire.drop(execute, keys, "a", now_ms=NOW + 1)
    assert not await wire.drop(execute, keys, "a", now_ms=NOW + 1)
    assert await wire.pause(execute, keys, "b", is_paused=True, now_ms=NOW + 1)
    second = await wire.changes(execute, keys, first.seen)
    assert second.definitions == {"a": None, "b": b"b"}
    await wire.put(execute, keys, "c", fingerprint="f", definition=b"c", now_ms=NOW + 86_400_002)
    assert (await wire.changes(execute, keys, 0)).definitions == {"c": b"c"}
    assert {name async for name, _ in wire.definitions(execute, keys)} == {"b", "c"}


async def test_a_removed_schedule_leaves_nothing_after_a_day(execute, keys, redis):
    """Its state stays that long for workers that have not heard of it."""
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW)
    await wire.drop(execute, keys, "s", now_ms=NOW)
    assert 0 < await redis.pttl(keys.schedule("s")) <= 86_400_000
    assert (await one(execute, keys, asked(), NOW + 1000))[0] == "ENDED"
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW + 2000)
    assert await redis.pttl(keys.schedule("s")) == -1
    assert (await one(execute, keys, asked(NOW + 2000, NOW + 3000), NOW + 3000))[0] == "MADE"


async def test_a_name_that_code_declares_after_it_was_removed_begins_anew(execute, keys):
    """Announcing takes it over."""
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW)
    await wire.drop(execute, keys, "s", now_ms=NOW)
    assert await one(execute, keys, ANNOUNCED, NOW + 5) == ("NEW", NOW + 5)
    assert (await one(execute, keys, asked(NOW + 5), NOW + 1000))[0] == "MADE"


async def test_a_job_made_out_of_turn_counts_where_overlap_is_decided(execute, keys):
    """And is no tick: the schedule goes on as it was."""
    await one(execute, keys, ANNOUNCED, NOW)
    assert await wire.run(execute, keys, "s", [("by-hand", b"{}")], now_ms=NOW) == [True]
    assert await wire.run(execute, keys, "s", [("by-hand", b"{}")], now_ms=NOW) == [False]
    assert (await one(execute, keys, asked(overlap="skip"), NOW + 1000))[0] == "SKIPPED"
    [state] = await wire.states(execute, keys, ["s"])
    assert (state.made, state.skipped, state.last_ms) == (0, 1, NOW + 1000)


async def test_a_buffered_tick_waits_while_paused_and_goes_with_the_schedule(execute, keys, redis):
    """Nothing of a paused or removed schedule starts."""
    await wire.put(execute, keys, "s", fingerprint="f", definition=b"{}", now_ms=NOW)
    await one(execute, keys, asked(overlap="buffer_one"), NOW + 1000)
    second = asked(NOW + 1000, NOW + 2000, overlap="buffer_one")
    assert (await one(execute, keys, second, NOW + 2000))[0] == "BUFFERED"
    assert await wire.flush(execute, keys, "s", now_ms=NOW + 2000) == 0
    await redis.delete(keys.job(f"cron:s:{NOW + 1000}"))
    await wire.pause(execute, keys, "s", is_paused=True, now_ms=NOW + 2000)
    assert await wire.flush(execute, keys, "s", now_ms=NOW + 2000) == 0
    await wire.drop(execute, keys, "s", now_ms=NOW + 2000)
    assert await wire.flush(execute, keys, "s", now_ms=NOW + 2000) == 2
    assert await redis.exists(keys.job(f"cron:s:{NOW + 2000}")) == 0
