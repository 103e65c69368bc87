"""The task of ``runner demo``, and how to deliver on a schedule of your own: here seconds for hours."""

from jobs.webhook import Delivery, Payload, deliver
from runner.backoff import exponential
from runner.context import Context
from runner.errors import Retry
from runner.tasks import task

SCHEDULE = exponential(base=0.25, cap=2)
LONGEST_WAIT_S = 1.0
"""``deliver`` gives an overloaded receiver a minute; here it has a second, all its Retry-After asks for."""


@task(name="demo_webhook", retry=SCHEDULE, max_tries=8)
async def demo_webhook(ctx: Context, url: str, payload: Payload, *, event: str, secret: str) -> Delivery:
    """Deliver a payload to a url, or give up within some ten seconds."""
    try:
        return await deliver(ctx, url, payload, event=event, secret=secret, schedule=SCHEDULE)
    except Retry as again:
        if again.delay_s is None:
            raise
        raise Retry(min(again.delay_s, LONGEST_WAIT_S), reason=again.reason) from None
