import asyncio
import random

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from simulation import KEYS, START_MS, LyingClock

from runner import cron, events, every
from runner.schedules.ticker import Ticker
from runner.wire import schedules as wire
from runner.wire.codec import decode_job

MINUTE = 60_000


def tick_of(job_id):
    return int(job_id.rsplit(":", 1)[1])


@pytest.mark.parametrize("seed", range(3))
async def test_each_of_a_thousand_ticks_runs_once_whatever_clocks_and_workers_do(simulated, note, seed):
    """Four workers, clocks wrong by up to five minutes, killed at any reply: 1,000 ticks, 1,000 jobs."""
    rng = random.Random(seed)
    schedule = every("1m", note, name="s", catch_up="all", overlap="allow")
    clocks = [LyingClock(simulated, rng.uniform(-300, 300)) for _ in range(4)]
    tickers, kills = {}, 0
    simulated.lose = lambda: rng.random() < 0.05
    simulated.now_ms += 1
    while simulated.now_ms < START_MS + 1000 * MINUTE + 2 * MINUTE:
        for n in rng.sample(range(4), 4):
            try:
                if n not in tickers:
                    tickers[n] = simulated.ticker(schedule, clock=clocks[n])
                    await tickers[n].load()
                await tickers[n].step()
            except RedisConnectionError:
                del tickers[n]
                kills += 1
            if rng.random() < 0.02:
                clocks[n].wrong_s = rng.uniform(-300, 300)
        await simulated.finish_jobs()
        simulated.now_ms += rng.randint(5_000, 90_000)
    ticks = [tick_of(job_id) for job_id in simulated.made]
    first = ticks[0]
    assert ticks == [first + n * MINUTE for n in range(len(ticks))], "each once, in order, none left out"
    assert len(ticks) >= 1000
    assert kills > 50


async def test_a_fast_worker_is_told_that_it_is_early(simulated, note):
    """The server's time decides; nothing is made before it."""
    clock = LyingClock(simulated)
    ticker = simulated.ticker(every("1m", note, name="s"), clock=clock)
    await ticker.load()
    clock.wrong_s = 300
    await ticker.step()
    assert await simulated.finish_jobs() == []
    simulated.now_ms = START_MS + MINUTE
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]


@pytest.mark.parametrize(("catch_up", "minutes"), [("latest", [3]), ("all", [1, 2, 3]), ("none", [])])
async def test_three_ticks_while_all_workers_are_down(simulated, note, catch_up, minutes):
    """A new worker runs the latest, all or none of them; the others count as missed."""
    schedule = every("1m", note, name="s", catch_up=catch_up, overlap="allow")
    await simulated.ticker(schedule).load()
    simulated.now_ms = START_MS + 3 * MINUTE + 30_000
    ticker = simulated.ticker(schedule)
    await ticker.load()
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + n * MINUTE}" for n in minutes]
    [state] = await wire.states(simulated.execute, KEYS, ["s"])
    assert (state.made, state.missed) == (len(minutes), 3 - len(minutes))
    simulated.now_ms = START_MS + 4 * MINUTE
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 4 * MINUTE}"]


async def test_ticks_older_than_the_grace_are_missed(simulated, note):
    """After a long outage nobody gets what is of no use any more."""
    schedule = every("1m", note, name="s", catch_up="all", misfire_grace="5m", overlap="allow")
    await simulated.ticker(schedule).load()
    simulated.now_ms = START_MS + 60 * MINUTE
    ticker = simulated.ticker(schedule)
    await ticker.load()
    await ticker.step()
    ticks = [tick_of(job_id) for job_id in await simulated.finish_jobs()]
    assert ticks == [START_MS + n * MINUTE for n in range(55, 61)]
    [state] = await wire.states(simulated.execute, KEYS, ["s"])
    assert state.missed == 54


async def test_a_tick_while_the_server_is_down_runs_when_it_is_back(simulated, note):
    """The tick is late, not lost."""
    ticker = simulated.ticker(cron("* * * * *", note, name="s"))
    await ticker.load()
    simulated.is_down, simulated.now_ms = True, START_MS + MINUTE
    with pytest.raises(RedisConnectionError):
        await ticker.step()
    simulated.is_down, simulated.now_ms = False, START_MS + MINUTE + 40_000
    await ticker.load()
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]


async def test_a_tick_is_skipped_while_the_job_before_it_runs(simulated, note):
    """overlap = skip: counted, and the next one runs again."""
    ticker = simulated.ticker(every("1m", note, name="s"))
    await ticker.load()
    for minute in (1, 2, 3):
        simulated.now_ms = START_MS + minute * MINUTE
        await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]
    simulated.now_ms = START_MS + 4 * MINUTE
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 4 * MINUTE}"]
    [state] = await wire.states(simulated.execute, KEYS, ["s"])
    assert (state.made, state.skipped) == (2, 2)


async def test_one_tick_is_kept_until_the_job_before_it_has_ended(simulated, note):
    """overlap = buffer_one: the first of those that came meanwhile runs then, the others are skipped."""
    ticker = simulated.ticker(every("1m", note, name="s", overlap="buffer_one"))
    await ticker.load()
    for minute in (1, 2, 3):
        simulated.now_ms = START_MS + minute * MINUTE
        pause_s = await ticker.step()
    assert pause_s <= 1, "it looks each second"
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]
    simulated.now_ms += 1000
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 2 * MINUTE}"]
    [state] = await wire.states(simulated.execute, KEYS, ["s"])
    assert (state.made, state.skipped) == (2, 1)


async def test_a_kept_tick_comes_before_the_next_one(simulated, note):
    """The earlier job ends just before a tick: the one that waited is made, and this one waits."""
    ticker = simulated.ticker(every("1m", note, name="s", overlap="buffer_one"))
    await ticker.load()
    for minute in (1, 2):
        simulated.now_ms = START_MS + minute * MINUTE
        await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]
    for minute in (2, 3):
        simulated.now_ms = START_MS + 3 * MINUTE
        await ticker.step()
        assert await simulated.finish_jobs() == [f"cron:s:{START_MS + minute * MINUTE}"]


async def test_the_last_tick_of_a_count_is_made_though_it_had_to_wait(simulated, note):
    """A kept tick counts: there are no more than that many, and it is not forgotten at the end."""
    ticker = simulated.ticker(every("1m", note, name="s", overlap="buffer_one", count=2))
    await ticker.load()
    for minute in (1, 2, 3, 4):
        simulated.now_ms = START_MS + minute * MINUTE
        await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]
    simulated.now_ms += 1000
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 2 * MINUTE}"]
    simulated.now_ms += 2 * MINUTE
    await ticker.step()
    assert await simulated.finish_jobs() == []


async def test_a_tick_that_a_dead_worker_kept_is_made_by_another(simulated, note):
    """Every worker that meets a tick of such a schedule looks whether one waits, also after the last tick."""
    schedule = every("1m", note, name="s", overlap="buffer_one")
    dies, lives = simulated.ticker(schedule), simulated.ticker(schedule)
    for ticker in (dies, lives):
        await ticker.load()
    for minute in (1, 2):
        simulated.now_ms = START_MS + minute * MINUTE
        for ticker in (dies, lives):
            await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + MINUTE}"]
    simulated.now_ms += 1000
    await lives.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 2 * MINUTE}"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_ticker_that_hears_news_as_it_is_cancelled_ends(turns):
    """Else its worker, told to stop, would wait for it for ever (seed 1632)."""

    async def execute(*_):
        return [b"1", b"0"]

    ticker = Ticker(execute, [])
    running = asyncio.create_task(ticker.run())
    for _ in range(20):
        await asyncio.sleep(0)
    ticker.note_changed()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()


async def test_no_more_jobs_than_max_instances_are_there_at_once(simulated, note):
    """overlap = allow, up to that many."""
    ticker = simulated.ticker(every("1m", note, name="s", overlap="allow", max_instances=2))
    await ticker.load()
    for minute in (1, 2, 3, 4):
        simulated.now_ms = START_MS + minute * MINUTE
        await ticker.step()
    assert len(await simulated.finish_jobs()) == 2


async def test_a_schedule_ends_with_its_count_or_its_last_instant(simulated, note):
    """count= and until= are kept over restarts."""
    from datetime import UTC, datetime

    until = datetime.fromtimestamp((START_MS + 2 * MINUTE) / 1000, UTC)
    schedules = [every("1m", note, name="c", count=3), every("1m", note, name="u", until=until)]
    for minute in range(6):
        ticker = simulated.ticker(*schedules)
        await ticker.load()
        simulated.now_ms = START_MS + (minute + 1) * MINUTE
        await ticker.step()
        await simulated.finish_jobs()
    assert sum(job_id.startswith("cron:c:") for job_id in simulated.made) == 3
    assert sum(job_id.startswith("cron:u:") for job_id in simulated.made) == 2


async def test_another_rule_goes_on_from_now(simulated, note):
    """The ticks that the new rule would have had before the change are nobody's."""
    await simulated.ticker(cron("0 0 * * *", note, name="s")).load()
    simulated.now_ms = START_MS + 30 * MINUTE + 1
    ticker = simulated.ticker(cron("*/10 * * * *", note, name="s"))
    await ticker.load()
    await ticker.step()
    assert await simulated.finish_jobs() == []
    simulated.now_ms = START_MS + 40 * MINUTE
    await ticker.step()
    assert await simulated.finish_jobs() == [f"cron:s:{START_MS + 40 * MINUTE}"]


async def test_a_rolling_deploy_of_another_rule_stops_neither(simulated, note):
    """Workers of before tick by the old rule until they are gone, those of after by the new one."""
    before = simulated.ticker(every("1m", note, name="s"))
    await before.load()
    after = simulated.ticker(every("90s", note, name="s"))
    await after.load()
    for _ in range(6):
        simulated.now_ms += 30_000
        for ticker in (before, after, before, after):
            await ticker.step()
        await simulated.finish_jobs()
    assert [tick_of(job_id) - START_MS for job_id in simulated.made] == [60_000, 90_000, 120_000, 180_000]


async def test_a_job_of_a_tick_says_when_it_expires(simulated, note):
    """expires counts from the tick, also when the tick is late."""
    schedule = every("1m", note, name="s", expires="50s", args=("x",))
    ticker = simulated.ticker(schedule)
    await ticker.load()
    simulated.now_ms = START_MS + MINUTE + 9_000
    await ticker.step()
    [job_id] = [i.decode() for i in await simulated.redis.zrange(KEYS.queue, 0, -1)]
    payload = decode_job(await simulated.redis.get(KEYS.job(job_id)))
    assert (payload.m.x, payload.a) == (START_MS + MINUTE + 50_000, ["x"])


async def test_jitter_is_the_same_for_a_tick_on_every_worker(simulated, note):
    """It spreads schedules, not the runs of one."""
    schedule = every("1m", note, name="s", jitter="30s")
    again = every("1m", note, name="s", jitter="30s")
    shifts = [schedule.due_ms(START_MS + n * MINUTE) - START_MS - n * MINUTE for n in range(200)]
    assert shifts == [again.due_ms(START_MS + n * MINUTE) - START_MS - n * MINUTE for n in range(200)]
    assert min(shifts) >= 0
    assert 25_000 < max(shifts) <= 30_000
    ticker = simulated.ticker(schedule)
    await ticker.load()
    simulated.now_ms = START_MS + MINUTE
    await ticker.step()
    [(_, due)] = await simulated.redis.zrange(KEYS.queue, 0, -1, withscores=True)
    assert due == schedule.due_ms(START_MS + MINUTE)


async def test_what_a_tick_came_to_is_told_by_one_worker(simulated, note):
    """schedule.ticked with its lateness, schedule.skipped, schedule.missed: once over all workers."""
    told = []
    ends = [
        events.subscribe(name, lambda event, name=name: told.append((name, dict(event))))
        for name in ("schedule.ticked", "schedule.skipped", "schedule.missed")
    ]
    tickers = [simulated.ticker(every("1m", note, name="s")) for _ in range(3)]
    for ticker in tickers:
        await ticker.load()
    for at in (START_MS + MINUTE + 200, START_MS + 4 * MINUTE):
        simulated.now_ms = at
        for ticker in tickers:
            await ticker.step()
    for end in ends:
        end()
    assert [name for name, _ in told] == ["schedule.ticked", "schedule.missed", "schedule.skipped"]
    assert told[0][1]["late_ms"] == 200
    assert told[1][1]["ticks"] == 2
