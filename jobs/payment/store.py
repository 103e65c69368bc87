"""The ledger: operations, sums and their audit trail on the server; each change is one script.

| key | type | meaning |
| --- | --- | --- |
| `runner:{payments}:pay:<order>` | HASH | sums, see below; `currency`, `ref`, its operations as `o<n>` |
| `runner:{payments}:op:<op_id>` | HASH | an operation, see Operation |
| `runner:{payments}:audit:<order>` | LIST | transitions: `hash at_ms op from to evidence` |
| `runner:{payments}:open` | ZSET | operation that is not closed -> look at it at (ms) |
| `runner:{payments}:outbox` | HASH | message id -> what the merchant is told |
| `runner:{payments}:declines:<card>` | ZSET, PX | declined attempts of a card -> at ms; `!` marks hard ones |
| `runner:{payments}:review` | ZSET | operation that a person has to look at -> since ms |
| `runner:{payments}:event:<id>` | STRING, PX | an event of the gateway that was taken in |
| `runner:{payments}:proven` | STRING | ledger and gateway were found to agree; lost with the data |
| `runner:{payments}:paused` | STRING, PX | until when (ms) the gateway wants no new requests |

Sums: `authorized >= captured >= refunded + refunding`; `capturing`, `voiding` and `refunding` are set
aside for operations under way. What expires (PX) says nothing of where money is. One hash tag keeps a script
within one slot.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .operation import Step
from .records import Begun, Cap, Holder, Message, Operation, Payment
from .request import Request
from .state import State

PREFIX = "runner:{payments}:"
PACKAGE = "jobs.payment"
RECALL_MS = 30 * 86_400_000
"""Declined attempts of a card are remembered so long: the longest window that card schemes count in."""


class RunsScripts(Protocol):
    """The client, as far as the ledger needs it."""

    async def run_script(self, package: str, verb: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script of a package."""
        ...


class Store:
    """The ledger, through a client.

    Args:
        client: runs the scripts.
        account: part of every derived name; see the settings.
        caps: of declined attempts of one card.
        now_ms: gives the time; None asks the server, as all but tests do.
    """

    def __init__(
        self,
        client: RunsScripts,
        account: str = "",
        *,
        caps: Sequence[Cap] = (),
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._client = client
        self._account = account
        self._caps = " ".join(f"{cap.times} {round(cap.window_s * 1000)}" for cap in caps)
        self._now_ms = now_ms or (lambda: 0)

    async def begin(
        self,
        request: Request,
        holder: Holder,
        *,
        lease_s: float,
        safe_s: float,
        attempt: int = 1,
        is_asked: bool = False,
        only_looks: bool = False,
        withdraws: bool = False,
    ) -> Begun:
        """Take an operation in hand; one round trip. Who ``only_looks`` is never given one to send.

        Who ``withdraws`` one sends nothing either: no cap of a card keeps it from being closed.
        """
        op_id = request.op_id(self._account)
        fields = {**_written(request), "attempt": attempt, "key": request.key(self._account, attempt)}
        keys = (
            *_keys(request.order_id, op_id),
            f"{PREFIX}proven",
            f"{PREFIX}paused",
            self._declines(request.source),
        )
        args = (
            self._now_ms(),
            op_id,
            holder.token,
            holder.job,
            holder.fence,
            round(lease_s * 1000),
            2 if only_looks else int(is_asked),
        )
        caps = "none" if withdraws else self._caps
        reply = await self._run("begin", keys, (*args, round(safe_s * 1000), caps, *_flat(fields)))
        return Begun(reply[0].decode(), int(reply[1]) / 1000, Operation(_table(reply[2:])))

    async def record(
        self, operation: Operation, token: str, step: Step, message: Message | None = None
    ) -> bool:
        """Write down a step and let go of the operation; False when somebody else has it."""
        wait_ms = -1 if step.wait_s is None else round(step.wait_s * 1000)
        retry_ms = step.decline.wait_s * 1000 if step.decline is not None else 0
        args = (
            self._now_ms(),
            operation["op_id"],
            token,
            step.to.value,
            wait_ms,
            retry_ms,
            round(step.pause_s * 1000),
            RECALL_MS,
        )
        told = message or Message("", "")
        keys = (*_keys(operation["order"], operation["op_id"]), f"{PREFIX}outbox", f"{PREFIX}paused")
        keys = (*keys, self._declines(operation["source"]), f"{PREFIX}review")
        fields = self._changes(operation, step)
        reply = await self._run("record", keys, (*args, step.evidence[:300], *told, *_flat(fields)))
        return reply == 1

    async def settle(
        self, operation: Operation, token: str, step: Step, message: Message | None = None
    ) -> bool:
        """Write what a person found out; False when the operation is not in review (any more)."""
        told = message or Message("", "")
        place = _keys(operation["order"], operation["op_id"])[:3]
        args = (
            self._now_ms(),
            operation["op_id"],
            token,
            step.to.value,
            step.ref,
            step.evidence[:600],
            *told,
        )
        return await self._run("settle", (*place, f"{PREFIX}review", f"{PREFIX}outbox"), args) == 1

    async def review(self, *, limit: int = 100) -> list[Operation]:
        """Give the operations that a person has to look at; ``since`` says from when on (ms)."""
        found = await self._run("review", (f"{PREFIX}review",), (limit, f"{PREFIX}op:"))
        return [Operation(_table(each)) for each in found]

    async def heard(self, event_id: str, *, keep_s: float = 0, hurry: str = "") -> bool:
        """Note an event of the gateway, if ``keep_s`` is given; True when it was taken in before.

        ``hurry`` names an open operation that the next sweep is to look at.
        """
        keys = (f"{PREFIX}event:{event_id}", f"{PREFIX}open")
        return await self._run("heard", keys, (round(keep_s * 1000), hurry)) == 1

    async def read(self, order_id: str, *, with_trail: bool = False) -> Payment | None:
        """Give a payment; None when there is none."""
        keys = (f"{PREFIX}pay:{order_id}", f"{PREFIX}audit:{order_id}")
        fields, operations, trail = await self._run("read", keys, (f"{PREFIX}op:", int(with_trail)))
        if not fields:
            return None
        found = tuple(Operation(_table(each)) for each in operations)
        return Payment(_table(fields), found, tuple(each.decode() for each in trail))

    async def due(self, *, late_s: float, limit: int = 100) -> tuple[list[Operation], list[Message]]:
        """Give operations nobody came back to, and messages that were not handed on."""
        keys = (f"{PREFIX}open", f"{PREFIX}outbox")
        operations, messages = await self._run(
            "due", keys, (self._now_ms(), round(late_s * 1000), limit, f"{PREFIX}op:")
        )
        told = [Message(id_, body) for id_, body in _table(messages).items()]
        return [Operation(_table(each)) for each in operations], told

    async def told(self, message_id: str) -> None:
        """Forget a message that was handed on."""
        await self._run("told", (f"{PREFIX}outbox",), (message_id,))

    async def restore(self, fields: Mapping[str, str], op_id: str, to: State) -> bool:
        """Take a charge that only the gateway has into the ledger."""
        keys = _keys(fields["order"], op_id)[:3]
        return await self._run("restore", keys, (self._now_ms(), op_id, to.value, *_flat(fields))) == 1

    async def prove(self) -> None:
        """Note that ledger and gateway agree."""
        await self._run("prove", (f"{PREFIX}proven",), (self._now_ms(),))

    def _changes(self, operation: Operation, step: Step) -> dict[str, str]:
        changes = {"why": step.reason[:300], "tries": str(step.tries), "reads": str(step.reads)}
        if step.ref:
            changes["ref"] = step.ref
        if step.next_action:
            changes["action"] = step.next_action
        if step.decline is not None:
            changes |= {"decline": step.decline.code, "class": step.decline.kind}
            changes |= {"network": step.decline.network_code, "words": step.decline.message}
        if step.is_new_attempt:
            attempt = operation.number("attempt") + 1
            key = operation.request().key(self._account, attempt)
            changes |= {"attempt": str(attempt), "key": key, "sent_at": "", "last_at": ""}
        return changes

    def _declines(self, source: str) -> str:
        card = hashlib.sha256(f"{self._account}\n{source}".encode()).hexdigest()[:32]
        return f"{PREFIX}declines:{card}"

    async def _run(self, verb: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return await self._client.run_script(PACKAGE, verb, keys, args)


def _written(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {"order": request.order_id, "kind": request.kind}
    fields |= {"amount": request.amount_minor, "currency": request.currency, "state": State.CREATED.value}
    fields |= {"name": request.name, "source": request.source, "customer": request.customer}
    return {name: value for name, value in fields.items() if value != ""} | (
        {} if request.capture else {"capture": "0"}
    )


def _keys(order_id: str, op_id: str) -> tuple[str, str, str, str]:
    return f"{PREFIX}pay:{order_id}", f"{PREFIX}op:{op_id}", f"{PREFIX}audit:{order_id}", f"{PREFIX}open"


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


def _table(flat: Sequence[bytes]) -> dict[str, str]:
    words = [each.decode() for each in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
