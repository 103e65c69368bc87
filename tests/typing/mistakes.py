"""Mistakes that a type checker finds before anything runs. A line that is wrong says which rule it breaks."""

from runner import Context, Runner, backoff, chain, chord, group, saga, step, task


@task
async def ship(ctx: Context, order: str, boxes: int = 1) -> str:
    return f"{boxes} of {order}"


async def wrong_arguments(runner: Runner) -> None:
    await runner.enqueue(ship)  # error: reportCallIssue
    await runner.enqueue(ship, 17)  # error: reportArgumentType
    await runner.enqueue(ship, "o-1", boxes="two")  # error: reportArgumentType
    await runner.enqueue(ship, "o-1", box=2)  # error: reportCallIssue
    await runner.enqueue(ship, "o-1", 2, 3)  # error: reportCallIssue
    await runner.enqueue(ship.using(delay=5), None)  # error: reportArgumentType
    ship.call(order=b"o-1")  # error: reportArgumentType


@task
async def repack(ctx: Context) -> None:
    await ctx.enqueue(ship, 17)  # error: reportArgumentType


@task(isolation="process")
def render(ctx: Context, order: str) -> bytes: ...


async def wrong_arguments_elsewhere(runner: Runner) -> None:
    await runner.enqueue(render, 17)  # error: reportArgumentType


async def fetch(day: str) -> float:
    return float(day)


@task
async def durable(ctx: Context) -> None:
    await ctx.step("fetch", fetch, 17)  # error: reportArgumentType
    await ctx.step("fetch", fetch)  # error: reportCallIssue
    await ctx.wait_for("approved")  # error: reportCallIssue


@task
async def weigh(ctx: Context, parcels: list[str]) -> int: ...


async def wrong_workflows(runner: Runner) -> None:
    chain(ship.call("o-1"), weigh.call())  # error: reportArgumentType
    chain(weigh.call(["a"]), ship.call(boxes=2))  # error: reportArgumentType
    chord([weigh.call(["a"])], weigh)  # error: reportArgumentType
    group(ship.call("o-1"), "o-2")  # error: reportArgumentType
    await runner.start(chain(weigh.call(), weigh.call(["b"]).fixed()))  # error: reportArgumentType
    await runner.start(ship.call("o-1"), on_failure="ignore")  # error: reportArgumentType


@task
async def unship(ctx: Context, shipped: int | None, order: str) -> None: ...


async def wrong_sagas() -> None:
    step(ship.call("o-1"), undo=unship)  # error: reportArgumentType
    step(ship.call("o-1"), undo=unship.call(None, "o-1"))  # error: reportArgumentType
    step(ship)  # error: reportArgumentType
    saga(ship.call("o-1"))  # error: reportArgumentType


async def wrong_results(runner: Runner) -> int:
    job = await runner.enqueue(ship, "o-1")
    count: int = await job.result()  # error: reportAssignmentType
    job.disposition = "lost"  # error: reportAttributeAccessIssue
    return count


async def no_task(runner: Runner) -> None:
    async def pack(ctx: Context) -> None: ...

    await runner.enqueue(pack)  # error: reportArgumentType, reportCallIssue
    await runner.enqueue("ship", "o-1")  # error: reportArgumentType, reportCallIssue
    await runner.enqueue_many([ship])  # error: reportArgumentType


@task  # error: reportArgumentType
def blocking(ctx: Context) -> None: ...


@task(retry=5)  # error: reportArgumentType
async def bad_retry(ctx: Context) -> None: ...


@task(tiemout=5)  # error: reportCallIssue, reportUntypedFunctionDecorator
async def bad_option(ctx: Context) -> None: ...


policy = backoff.exponential(jitter="some")  # error: reportArgumentType
later: object = ship.using(until="tomorrow")  # error: reportArgumentType
never: object = ship.using(when=5)  # error: reportCallIssue, reportUnknownVariableType
