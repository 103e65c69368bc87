"""A server whose clock the test moves, and workers' tickers that are killed and lied to."""

from dataclasses import dataclass, field

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from runner.schedules.kept import Kept
from runner.schedules.ticker import Ticker
from runner.wire.keys import keys_of
from runner.wire.lua_loader import load

KEYS = keys_of("default")
SCRIPTS = {
    load(name).sha: load(name) for name in ("cron_tick", "cron_flush", "cron_pause", "cron_put", "cron_drop")
}
START_MS = 1_767_225_600_000
"""2026-01-01T00:00Z."""


@dataclass
class LyingClock:
    """A process's monotonic clock: the simulated time, and what is wrong with it."""

    server: "Simulated"
    wrong_s: float = 0.0

    def now_ms(self) -> int:
        return round(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return self.server.now_ms / 1000 + self.wrong_s


@dataclass
class Simulated:
    """A real server that takes its time from the test.

    Attributes:
        redis: the server.
        now_ms: its time.
        is_down: whether it answers.
        lose: called before each reply; true loses it, after the command has run.
    """

    redis: object
    now_ms: int = START_MS
    is_down: bool = False
    lose: object = lambda: False
    made: list[str] = field(default_factory=list)

    async def execute(self, *command):
        if self.is_down:
            raise RedisConnectionError("the server is down")
        if command[0] == "TIME":
            return [str(self.now_ms // 1000).encode(), str(self.now_ms % 1000 * 1000).encode()]
        command = list(command)
        if command[0] == "EVALSHA" and command[1] in SCRIPTS:
            script = SCRIPTS[command[1]]
            command[3 + len(script.keys) + script.args.index("now_ms")] = self.now_ms
            try:
                reply = await self.redis.execute_command(*command)
            except NoScriptError:
                reply = await self.redis.execute_command("EVAL", script.source, *command[2:])
        else:
            reply = await self.redis.execute_command(*command)
        if self.lose():
            raise RedisConnectionError("the reply was lost")
        return reply

    def ticker(self, *schedules, clock=None):
        kept = [Kept(schedule, keys_of(schedule.queue)) for schedule in schedules]
        return Ticker(self.execute, kept, queues=[KEYS], clock=clock or LyingClock(self))

    async def finish_jobs(self):
        """End all jobs without a trace, as if they had run; gives their ids."""
        ids = [job_id.decode() for job_id in await self.redis.zrange(KEYS.queue, 0, -1)]
        for job_id in ids:
            await self.redis.delete(KEYS.job(job_id))
        await self.redis.delete(KEYS.queue)
        self.made += ids
        return ids
