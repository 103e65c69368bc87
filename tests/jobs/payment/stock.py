"""A stock for the payment saga: who has a piece is a field of one HASH, each change one command.

An order named ``…soldout`` gets no piece, one named ``…stuck`` is not shipped.
"""

from runner import Context, GiveUp, backoff, task
from runner.engine import nodes
from runner.wire import workflows

workflows.LEASE_MS = 1_000  # as the workers' own leases: what a dead one had taken is taken up in a second
nodes.LOOK_S = 0.5

STOCK = "stock"
SOON = backoff.constant(0.05)


@task(retry=SOON)
async def reserve(ctx: Context, order: str) -> str:
    """Put a piece aside, once; not for an order that was released, however late this comes."""
    if order.endswith("soldout"):
        raise GiveUp("sold out")
    is_new = await ctx["redis"].hsetnx(STOCK, order, "reserved")
    if not is_new and await ctx["redis"].hget(STOCK, order) == b"released":
        raise GiveUp("the order was given up")
    return f"piece of {order}"


@task(retry=SOON)
async def release(ctx: Context, piece: str | None, order: str) -> None:
    """Put it back, if there is any, and let none be reserved for the order later."""
    await ctx["redis"].hset(STOCK, order, "released")


@task(retry=SOON)
async def ship(ctx: Context, order: str) -> None:
    """Send it off."""
    if order.endswith("stuck"):
        raise GiveUp("nobody goes there")
    await ctx["redis"].hset(STOCK, order, "shipped")
