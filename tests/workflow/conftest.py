"""Workflows without workers: a clock that stands still, jobs run by hand, crashes where a test wants them.

| fixture | gives |
| --- | --- |
| `world` | a `World` on the test's database, once in each layout: what uses it runs twice |
| `world_on` | `world_on(redis, layout)`: makes one |
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from runner import Context, Settings, task
from runner.engine.attempt import decode
from runner.engine.envelope import JsonEnvelope
from runner.engine.finish import ending_of
from runner.engine.nodes import Nodes
from runner.job import Attempt
from runner.outcome import Cancelled, Dead, Outcome, Released, Succeeded
from runner.parts import Call, Part, Step
from runner.registry import Registry
from runner.settings.model import RedisGroup
from runner.wire.keys import Layout, keys_of, keys_of_workflow
from runner.wire.link import Link
from runner.wire.scripts import Claimed, End, Scripts
from runner.wire.workflows import LEASE_MS
from runner.workflow.door import Workflows
from runner.workflow.handle import Workflow

START_MS = 1_700_000_000_000
JOB_LEASE_MS = 15_000


@task
async def work(ctx: Context, *given: Any, deaths: int = 0) -> Any: ...


@task(queue="bulk")
async def haul(ctx: Context, *given: Any, deaths: int = 0) -> Any: ...


@task
async def alarm(ctx: Context, failure: dict[str, Any]) -> None: ...


class Crash(Exception):
    """The process that acts is gone."""


class World:
    """One server, workflows on it, and whoever acts on them.

    A job returns `label(what it was given)`, or dies as often as its `deaths` says.
    """

    def __init__(self, redis: Redis, layout: Layout) -> None:
        self.redis = redis
        self.layout: Layout = layout
        self.link = Link(redis.connection_pool)
        self.now_ms = START_MS
        self.crash_after: int | None = None
        self.ran: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()
        self.died: Counter[str] = Counter()
        self.told: list[dict[str, Any]] = []
        self.keys = {name: keys_of(name, layout) for name in ("default", "bulk")}
        self.jobs = Scripts(self.link.execute)
        settings = Settings(redis=RedisGroup(key_layout=layout), tasks=())
        client: Any = SimpleNamespace(execute=self.execute)
        self.workflows = Workflows(client, settings, Registry([work, haul, alarm]))
        self.advancing = self.workflows.advancing
        self.nodes = Nodes(self.link.execute, layout, list(self.keys.values()), lambda _: None)
        self._tokens = 0

    async def execute(self, *command: Any) -> Any:
        """Send a command; crash instead, or just after it, when it is time."""
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after == 0:
                raise Crash
            if self.crash_after == -1:
                await self.link.execute(*command)
                raise Crash
        return await self.link.execute(*command)

    async def start(self, part: Part[object, Any], **options: Any) -> Workflow[Any]:
        self.advancing.now_ms = self.now_ms
        return await self.workflows.start(part, **options)

    async def settle(self) -> None:
        """Tell workflows of everything that has ended and is due to be looked at."""
        self.advancing.now_ms = self.now_ms
        for keys in self.keys.values():
            while await self.advancing.settle(keys):
                pass

    async def claim(self, limit: int = 10) -> list[tuple[str, str, Claimed]]:
        """Claim due jobs of both queues, suspects too; gives (queue, token, job)."""
        claimed: list[tuple[str, str, Claimed]] = []
        self.now_ms += 1
        for name, keys in self.keys.items():
            self._tokens += 1
            token = f"t{self._tokens}"
            options: dict[str, Any] = {"worker": "w", "lease_ms": JOB_LEASE_MS, "is_idle": True}
            claim = await self.jobs.claim(keys, token=token, limit=limit, now_ms=self.now_ms, **options)
            claimed += [(name, token, job) for job in claim.jobs]
        return claimed

    async def end_of(self, name: str, token: str, job: Claimed, outcome: Outcome | None = None) -> End:
        """Run a job; gives what is to be written of it."""
        attempt = Attempt(
            job_id=job.job_id,
            queue=self.keys[name].queue,
            number=job.attempt,
            token=token,
            fence=job.fence,
            due_at_ms=job.due_at_ms,
            payload=job.payload,
        )
        envelope = JsonEnvelope()
        unread = decode(attempt, envelope)
        outcome = outcome or unread
        if outcome is None:
            refused = Cancelled() if job.aborted else await self.nodes.admit(attempt)
            outcome = refused or self._run(attempt)
        options: dict[str, Any] = {"worker": "w", "default_keep_ms": 60_000, "may_be_node": True}
        end = ending_of(attempt, outcome, None, envelope, **options)
        assert end is not None
        return end

    def _run(self, attempt: Attempt) -> Outcome:
        if attempt.task == "alarm":
            self.told.append(attempt.args[0])
            return Succeeded(None)
        label = attempt.args[-1]
        self.ran[label] += 1
        if self.died[attempt.job_id] < attempt.kwargs.get("deaths", 0):
            return Dead("gave_up", ValueError(label))
        return Succeeded(valued(label, *attempt.args[:-1]))

    async def finish(self, name: str, end: End) -> int:
        """Write an end; counts nodes that succeeded, and that died."""
        [verdict] = await self.jobs.finish(self.keys[name], [end], now_ms=self.now_ms)
        if verdict == 1:
            self.succeeded[end.job_id] += end.node.startswith(b"done")
            self.died[end.job_id] += end.node.startswith(b"dead")
        return verdict

    def let_notes_be_seen(self) -> None:
        """Do what time does to what was taken by a process that died while telling workflows."""
        self.now_ms += LEASE_MS + 1

    async def let_lease_end(self, name: str, job_id: str) -> None:
        """Do what time does to the lease of a worker that died."""
        self.now_ms += JOB_LEASE_MS + 1
        await self.redis.delete(self.keys[name].lease(job_id))

    async def let_leases_end(self) -> None:
        """Do what time does to everything that processes which died had taken."""
        self.now_ms += max(LEASE_MS, JOB_LEASE_MS) + 1
        for keys in self.keys.values():
            async for key in self.redis.scan_iter(keys.lease("*")):
                await self.redis.delete(key)

    async def drain(self) -> None:
        """Run everything to its end, without crashes."""
        self.crash_after = None
        for _ in range(200):
            await self.settle()
            claimed = await self.claim()
            for name, token, job in claimed:
                await self.finish(name, await self.end_of(name, token, job))
            if not claimed and not await self.unsettled():
                if not sum([await self.redis.zcard(keys.queue) for keys in self.keys.values()]):
                    return
                self.now_ms += 1000  # what was asked to wait a moment
        raise AssertionError("the workflow does not come to an end")

    async def unsettled(self) -> int:
        return sum([await self.redis.zcard(keys.nodes_ended) for keys in self.keys.values()])

    async def state(self, workflow: str) -> str:
        return (await self.workflows.workflow(workflow).info()).state

    async def result(self, workflow: str) -> Any:
        """What the result envelope says, groups read."""
        found = await self.redis.get(keys_of_workflow(workflow, self.layout).result(workflow))
        assert found is not None, "it has not ended"
        envelope = json.loads(found)
        value = envelope["r"]
        if isinstance(value, dict) and value.keys() == {"$group"}:
            from runner.workflow.values import read_value

            return await read_value(self.advancing.scripts, workflow, value["$group"])
        return value

    async def part(self, workflow: str, part: str) -> Any:
        """A part of a workflow as the server has it."""
        key = self.advancing.scripts.key(workflow, part)
        match await self.redis.type(key):
            case b"set":
                return await cast("Any", self.redis.smembers(key))
            case b"hash":
                return await cast("Any", self.redis.hgetall(key))
            case b"none":
                return None
            case _:
                return await self.redis.get(key)


def valued(label: str, *given: Any) -> Any:
    """What a job of that label returns for what it was given."""
    return f"{label}({json.dumps(given[0])})" if given else label


def call(label: str, *, deaths: int = 0, fixed: bool = False, far: bool = False) -> Step[Any, Any]:
    """A call that returns its label and what it was given, after so many deaths."""
    made = Call(haul if far else work, (label,), {"deaths": deaths} if deaths else {})
    return made.fixed() if fixed else made


@pytest.fixture(params=["classic", "tagged"])
async def world(redis: Redis, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(redis, request.param)
    yield made
    await made.link.close()


@pytest.fixture
def world_on() -> Callable[[Redis, Layout], World]:
    return World


@pytest.fixture
def say() -> SimpleNamespace:
    """What tests put workflows together of, since test files cannot import each other."""
    return SimpleNamespace(call=call, valued=valued, Crash=Crash, alarm=alarm, work=work, Released=Released)
