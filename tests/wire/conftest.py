"""A desk to try the scripts at: one queue, a clock that stands still, and a picture of the whole database.

| fixture | gives |
| --- | --- |
| `keys` | the keys of a queue, once in each layout: what uses it runs twice |
| `desk` | a `Desk` on that queue |
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from runner.wire.keys import Keys, keys_of
from runner.wire.scripts import Claim, Claimed, End, Entry, Scripts

LEASE_MS = 15_000
START_MS = 1_700_000_000_000


class Desk:
    """Calls the scripts of one queue at a time of its own, and looks at what they left.

    In pictures a key has a short name: `queue`, `running`, `suspects`, `dead`, `ward`, `abort`, and with the
    id of its job `job:a`, `lease:a`, `retry:a`, `result:a`, `history:a`, `letter:a`. What the dead letters
    keep about all of themselves is left out: it has tests of its own.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self.scripts = Scripts(redis.execute_command)
        self.now_ms = START_MS
        self.calls = 0

    async def enqueue(
        self, *ids: str, at_ms: int = 0, delay_ms: int = 0, payload: bytes = b"", lane: str = ""
    ) -> list[bool]:
        """A job's payload is its id unless one is given."""
        entries = [Entry(job_id, at_ms, delay_ms, payload or job_id.encode(), lane) for job_id in ids]
        return await self.scripts.enqueue(self.keys, entries, now_ms=self.now_ms)

    async def claim(self, token: str = "", **options: Any) -> Claim:
        """Claim up to 10 jobs with a token of its own: t1, t2, …"""
        self.calls += 1
        options = {"worker": "w", "limit": 10, "lease_ms": LEASE_MS, "now_ms": self.now_ms, **options}
        return await self.scripts.claim(self.keys, token=token or f"t{self.calls}", **options)

    async def claim_one(self, token: str, **options: Any) -> Claimed:
        claim = await self.claim(token, **options)
        assert len(claim.jobs) == 1
        return claim.jobs[0]

    async def finish(self, job: Claimed, token: str, verb: str, ms: int = 0, **parts: Any) -> int:
        verdicts = await self.finish_all([self.end(job, token, verb, ms, **parts)])
        return verdicts[0]

    async def finish_all(self, ends: list[End]) -> list[int]:
        return await self.scripts.finish(self.keys, ends, now_ms=self.now_ms)

    @staticmethod
    def end(job: Claimed, token: str, verb: str, ms: int = 0, *, result: bytes = b"", note: str = "") -> End:
        return End(job.job_id, token, job.fence, verb, ms, result, note, job.attempt)

    async def renew(self, *leases: tuple[str, str]) -> list[str]:
        return await self.scripts.renew(self.keys, leases, lease_ms=LEASE_MS, now_ms=self.now_ms)

    async def cancel(self, job_id: str, result: bytes = b"cancelled", keep_ms: int = 60_000) -> int:
        return await self.scripts.cancel(
            self.keys, job_id, result=result, keep_ms=keep_ms, now_ms=self.now_ms
        )

    async def let_lease_end(self, *ids: str) -> None:
        """Do what time does to the leases of a worker that died."""
        self.now_ms += LEASE_MS + 1
        await self.redis.delete(*(self.keys.lease(job_id) for job_id in ids))

    async def picture(self) -> dict[str, Any]:
        """Everything on the server, by short name."""
        return {self._short(key): await self._read(key) for key in await self._keys()}

    async def short_lived(self) -> set[str]:
        """The short names of all keys that have a TTL."""
        return {self._short(key) for key in await self._keys() if await self.redis.pttl(key) >= 0}

    async def _keys(self) -> list[str]:
        found = [key.decode() async for key in self.redis.scan_iter()]
        about_all = tuple(
            f"{self.keys.dead}{mark}{word}" for mark in ":-" for word in ("stats", "untold", "audit")
        )
        return [key for key in found if key not in about_all]

    def _short(self, key: str) -> str:
        keys = self.keys
        whole = {keys.queue: "queue", keys.running: "running", keys.suspects: "suspects", keys.dead: "dead"}
        whole |= {keys.ward: "ward", keys.abort: "abort"}
        if key in whole:
            return whole[key]
        for name in ("job", "lease", "retry", "result", "record", "dead_letter"):
            prefix = getattr(keys, name)("")
            if key.startswith(prefix):
                short = {"record": "history", "dead_letter": "letter"}.get(name, name)
                return f"{short}:{key.removeprefix(prefix)}"
        return key

    async def _read(self, key: str) -> Any:
        match await self.redis.type(key):
            case b"string":
                return _text(await self.redis.get(key))
            case b"zset":
                pairs = await self.redis.zrange(key, 0, -1, withscores=True)
                return {_text(member): int(score) for member, score in pairs}
            case b"hash":
                fields = await cast("Awaitable[dict[bytes, bytes]]", self.redis.hgetall(key))
                return {_text(name): _text(value) for name, value in fields.items()}
            case other:
                raise AssertionError(f"{key!r} is a {other!r}")


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


@pytest.fixture(params=["classic", "tagged"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return keys_of("default", request.param)


@pytest.fixture
def desk(redis: Redis, keys: Keys) -> Desk:
    return Desk(redis, keys)


@pytest.fixture
def desk_on() -> Callable[[Redis, Keys], Desk]:
    return Desk
