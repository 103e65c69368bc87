"""The application of a simulation: enqueues, cancels and waits, starts a workflow, and changes schedules."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from runner import chord
from runner.client import Client
from runner.client.job import Job
from runner.errors import RunnerError
from runner.registry import Registry
from runner.schedules.definition import encode_schedule
from runner.schedules.schedule import Schedule
from runner.settings import RedisGroup, Settings
from runner.wire import schedules as wire
from runner.workflow.door import Workflows

from . import shop
from .plan import Wanted

if TYPE_CHECKING:
    from .simulate import Simulation


async def run_app(simulation: "Simulation") -> None:
    ground = simulation.plan.ground
    client = Client(simulation.network.pool(), address="simulated", layout=ground.layout)
    settings = Settings(redis=RedisGroup(key_layout=ground.layout))
    flows = Workflows(client, settings, Registry(shop.TASKS))
    try:
        orders = [_order(simulation, client, job) for job in simulation.plan.jobs]
        adds = [_add(simulation, client, *each) for each in ground.added]
        pauses = [_pause(simulation, client, *each) for each in ground.pauses]
        await asyncio.gather(*orders, _flow(simulation, flows), *adds, *pauses)
    finally:
        simulation.client_is_done = True
        await client.close()


async def _order(simulation: "Simulation", client: Client, wanted: Wanted) -> None:
    await asyncio.sleep(wanted.at_s)
    while True:
        try:
            job = await client.enqueue(wanted.task, *wanted.args)
        except RunnerError:
            await asyncio.sleep(1)
            continue
        simulation.acknowledged.add(wanted.key)
        simulation.world.note("app has", wanted.key, wanted.task.name, wanted.args)
        break
    if wanted.cancel_at_s:
        await asyncio.sleep(max(0, wanted.cancel_at_s - simulation.world.now_s))
        simulation.cancelled.add(wanted.key)
        with contextlib.suppress(RunnerError):
            await job.cancel()
    if wanted.is_awaited:
        await _wait(simulation, job, wanted.key)


async def _wait(simulation: "Simulation", job: Job[Any], key: str) -> None:
    try:
        simulation.results[key] = await job.result()
    except RunnerError as error:
        simulation.results[key] = error


async def _flow(simulation: "Simulation", flows: Workflows) -> None:
    if not simulation.plan.parts:
        return
    await asyncio.sleep(simulation.plan.flow_at_s)
    calls = [shop.part.call(number, 0.3 * number) for number in range(simulation.plan.parts)]
    while True:
        try:
            flow = await flows.start(chord(calls, shop.merge.call()), id="flow")
            break
        except RunnerError:
            await asyncio.sleep(1)
    simulation.flow_acknowledged = True
    try:
        simulation.results["flow"] = await flow.result()
    except RunnerError as error:
        simulation.results["flow"] = error


async def _add(simulation: "Simulation", client: Client, at_s: float, schedule: Schedule) -> None:
    await asyncio.sleep(at_s)
    keys, print_, data = simulation.keys[schedule.queue], schedule.fingerprint, encode_schedule(schedule)
    await _insist(lambda: wire.put(client.execute, keys, schedule.name, fingerprint=print_, definition=data))


async def _pause(simulation: "Simulation", client: Client, name: str, from_s: float, until_s: float) -> None:
    keys = simulation.ticks.books[name].keys
    for at_s, is_paused in ((from_s, True), (until_s, False)):
        await asyncio.sleep(max(0, at_s - simulation.world.now_s))
        await _insist(lambda is_paused=is_paused: wire.pause(client.execute, keys, name, is_paused=is_paused))


async def _insist(call: Callable[[], Awaitable[Any]]) -> None:
    while True:
        try:
            await call()
            return
        except (RunnerError, RedisError):
            await asyncio.sleep(1)
