"""One operation, from the ledger to the gateway and back: the one place where a request for money leaves.

begin ──► send | replay ──► react ──┐
      ──► look | ask ──► conclude ──┤──► record
      ──► done, wait, stale, mismatch, refused, capped: nothing is sent
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, replace

from .gateway import Found, Outcome, PaymentGateway, Unknown
from .operation import Doing, Rules, Step, conclude, react
from .records import Begun, Holder, Message, Operation
from .report import message_of
from .request import Request
from .state import State
from .store import Store

logger = logging.getLogger("jobs.payment")

Said = Outcome | Found
"""What a gateway answers, to a request or to a question."""

MARGIN_S = 15.0
KEY_MARGIN = 0.08
"""Share of a key's life in which it is no longer relied on: 2 of Stripe's 24 hours."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn at an operation came to.

    Attributes:
        verb: what ``begin`` said, or ``written``, or ``lost``: another attempt has the operation.
        wait_s: when to come back; 0 where that has no meaning, less than 0 for never.
        operation: as it was when it was begun.
        step: what was written.
        why: the word for a refusal.
        message: what the merchant is to be told.
        said: what the gateway said last; None: nobody asked it.
    """

    verb: str
    wait_s: float = 0
    operation: Operation | None = None
    step: Step | None = None
    why: str = ""
    message: Message | None = None
    said: Said | None = None


class Desk:
    """Works on operations, one turn at a time.

    Args:
        store: the ledger.
        gateway: what moves the money.
        rules: of that gateway.
        timeout_s: the longest a request to it takes.
        key_ttl_s: how long it remembers a key; 0: it does not honour keys.
        tells: whether the merchant is told of what ends.
    """

    def __init__(
        self,
        store: Store,
        gateway: PaymentGateway,
        rules: Rules,
        *,
        timeout_s: float,
        key_ttl_s: float,
        tells: bool = False,
    ) -> None:
        self.store = store
        self.gateway = gateway
        self._rules = rules
        self._timeout_s = timeout_s
        self._safe_s = max(0.0, key_ttl_s * (1 - KEY_MARGIN) - timeout_s)
        self._tells = tells

    async def take(self, request: Request, job: str, fence: int, *, attempt: int = 1) -> Turn:
        """Take a turn at an operation: at most one request for money leaves, and its outcome is written."""
        holder = Holder(job, fence, secrets.token_hex(8))
        began = asyncio.get_running_loop().time()
        begun = await self._begin(request, holder, attempt)
        if begun.verb == "ask":
            step, said = await self._look(begun.operation)
            if step.to is not State.CREATED or step.wait_s:
                return await self._write(begun.operation, holder.token, step, said)
            begun = await self._begin(request, holder, attempt, is_asked=True)
        if begun.verb in ("send", "replay"):
            if asyncio.get_running_loop().time() - began > MARGIN_S / 2:
                return Turn("wait", MARGIN_S, begun.operation)
            return await self._move(begun, holder.token)
        if begun.verb == "look":
            return await self._write(begun.operation, holder.token, *await self._look(begun.operation))
        return Turn(begun.verb, begun.wait_s, begun.operation, why=begun.operation["why"])

    async def withdraw(self, request: Request, job: str, fence: int) -> Turn:
        """Take a turn at an operation so that it will not be executed any more.

        One that surely was not is closed as rejected, also when it was never begun: whoever comes late with
        it finds that. Of any other it is found out what happened; nothing is sent.
        """
        holder = Holder(job, fence, secrets.token_hex(8))
        begun = await self._begin(request, holder, 1, withdraws=True)
        if begun.verb in ("ask", "look"):
            step, said = await self._look(begun.operation)
            if begun.verb != "ask" or step.to is not State.CREATED or step.wait_s:
                return await self._write(begun.operation, holder.token, step, said)
            begun = await self._begin(request, holder, 1, is_asked=True, withdraws=True)
        if begun.verb == "send":
            step = Step(to=State.REJECTED, reason="withdrawn before it was sent", evidence="withdrawn")
            return await self._write(begun.operation, holder.token, step, None)
        return Turn(begun.verb, begun.wait_s, begun.operation, why=begun.operation["why"])

    async def _begin(
        self,
        request: Request,
        holder: Holder,
        attempt: int,
        *,
        is_asked: bool = False,
        withdraws: bool = False,
    ) -> Begun:
        lease_s, safe_s = 2 * self._timeout_s + MARGIN_S, 0 if withdraws else self._safe_s
        return await self.store.begin(
            request,
            holder,
            lease_s=lease_s,
            safe_s=safe_s,
            attempt=attempt,
            is_asked=is_asked,
            withdraws=withdraws,
        )

    async def _move(self, begun: Begun, token: str) -> Turn:
        """Send the request, and write what came of it even when this attempt is cancelled meanwhile."""
        doing = doing_of(begun.operation)
        try:
            outcome = await self.gateway.execute(doing.order)
        except asyncio.CancelledError:
            step = react(doing, Unknown("cancelled while the request was under way"), self._rules)
            await asyncio.shield(self._write(begun.operation, token, replace(step, wait_s=0), None))
            raise
        step = react(doing, outcome, self._rules)
        if begun.verb == "replay" and isinstance(outcome, Unknown) and outcome.was_answered:
            step = conclude(doing, await self.gateway.find(doing.order), self._rules)
        return await self._write(begun.operation, token, step, outcome)

    async def _look(self, operation: Operation) -> tuple[Step, Said]:
        doing = doing_of(operation)
        found = await self.gateway.find(doing.order)
        return conclude(doing, found, self._rules), found

    async def _write(self, operation: Operation, token: str, step: Step, said: Said | None) -> Turn:
        return replace(await write(self.store, operation, token, step, tells=self._tells), said=said)


async def write(store: Store, operation: Operation, token: str, step: Step, *, tells: bool) -> Turn:
    """Write what became of an operation in hand, and raise the alarm where it asks for one."""
    message = message_of(operation, step) if tells else None
    if step.alert:
        place = f"{operation['kind']} of order {operation['order']} ({operation['op_id']})"
        logger.error("payment alert: %s: %s", place, step.reason)
    if not await store.record(operation, token, step, message):
        return Turn("lost", 1.0, operation)
    return Turn("written", step.wait_s or 0, operation, step, message=message)


def doing_of(operation: Operation) -> Doing:
    """Give what a step has to know of an operation."""
    return Doing(
        operation.order(),
        operation.state,
        operation.number("tries"),
        operation.number("reads"),
        operation.since_send_s,
    )
