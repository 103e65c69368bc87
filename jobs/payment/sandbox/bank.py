"""What the sandbox holds: intents, refunds, keys. Every effect is in the journal before it is known here."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..declines import KIND_OF
from .ledger import Journal, entries

Reply = tuple[int, dict[str, Any]]


@dataclass
class Kept:
    """A key that was used: what for, when, and what was answered; None while it runs."""

    fields: tuple[tuple[str, str], ...]
    at_s: float
    reply: Reply | None = None


@dataclass
class Bank:
    """Accounts and rules.

    Attributes:
        journal: where effects go.
        honours_keys: False ignores ``Idempotency-Key`` altogether.
        key_ttl_s: keys are forgotten after this.
    """

    journal: Journal
    honours_keys: bool = True
    key_ttl_s: float = 86_400.0
    intents: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    keys: dict[str, Kept] = field(default_factory=dict[str, Kept])
    made: int = 0

    @classmethod
    def on(cls, path: Path, **rules: Any) -> "Bank":
        """Open the bank of a ledger; what is in it is remembered, the keys are not."""
        bank = cls(Journal(path), **rules)
        for entry in entries(path):
            bank.made += 1
            bank._apply(entry)
        return bank

    def kept(self, key: str, fields: Mapping[str, str]) -> Kept | Reply | None:
        """Look a key up: what was kept of it, an error when it was used for something else, or nothing."""
        kept = self.keys.get(key) if self.honours_keys and key else None
        if kept is None or time.monotonic() - kept.at_s > self.key_ttl_s:
            return None
        if kept.fields != tuple(sorted(fields.items())):
            return 400, error_body("idempotency_error", "", "this key was used with other parameters")
        return kept

    def keep(self, key: str, fields: Mapping[str, str]) -> Kept:
        """Remember that a key is in use."""
        kept = Kept(tuple(sorted(fields.items())), time.monotonic())
        if key:
            self.keys[key] = kept
        return kept

    async def charge(self, fields: Mapping[str, str]) -> Reply:
        """Make and confirm a PaymentIntent. Sources named ``…decline_<code>`` are declined."""
        amount, source = int(fields["amount"]), fields["payment_method"]
        captured = fields.get("capture_method") != "manual"
        metadata = {k[9:-1]: v for k, v in fields.items() if k.startswith("metadata[")}
        declined = source.partition("decline_")[2]
        entry: dict[str, Any] = {
            "effect": "decline" if declined else "charge",
            "id": self._id("pi"),
            "amount": amount,
            "currency": fields["currency"],
            "captured": captured,
            "order_id": metadata.get("order_id", ""),
            "metadata": metadata,
            "code": declined,
            "created": int(time.time_ns() // 10**9),
        }
        await self._write(entry)
        intent = self.intents[entry["id"]]
        if declined:
            return 402, {"error": intent["last_payment_error"] | {"payment_intent": intent}}
        return 200, intent

    async def capture(self, ref: str, fields: Mapping[str, str]) -> Reply:
        """Capture an intent."""
        intent = self.intents.get(ref)
        if intent is None:
            return 404, error_body("invalid_request_error", "resource_missing", "no such payment_intent")
        amount = int(fields.get("amount_to_capture", intent["amount"]))
        if intent["status"] != "requires_capture" or amount > intent["amount"]:
            return 400, error_body(
                "invalid_request_error", "payment_intent_unexpected_state", intent["status"]
            )
        await self._change("capture", intent, amount)
        return 200, intent

    async def cancel(self, ref: str) -> Reply:
        """Cancel an intent of which nothing is captured."""
        intent = self.intents.get(ref)
        if intent is None:
            return 404, error_body("invalid_request_error", "resource_missing", "no such payment_intent")
        if intent["status"] != "requires_capture":
            return 400, error_body(
                "invalid_request_error", "payment_intent_unexpected_state", intent["status"]
            )
        await self._change("void", intent, 0)
        return 200, intent

    async def refund(self, fields: Mapping[str, str]) -> Reply:
        """Give back some of a captured intent; like some gateways, also more than there is."""
        intent = self.intents.get(fields["payment_intent"])
        if intent is None:
            return 404, error_body("invalid_request_error", "resource_missing", "no such payment_intent")
        metadata = {k[9:-1]: v for k, v in fields.items() if k.startswith("metadata[")}
        entry = await self._change(
            "refund", intent, int(fields["amount"]), id=self._id("re"), metadata=metadata
        )
        return 200, self.refunds[entry["id"]]

    async def _change(self, effect: str, intent: dict[str, Any], amount: int, **more: Any) -> dict[str, Any]:
        entry = {"effect": effect, "intent": intent["id"], "amount": amount, "currency": intent["currency"]}
        entry |= {"order_id": intent["metadata"].get("order_id", ""), **more}
        await self._write(entry)
        return entry

    async def _write(self, entry: dict[str, Any]) -> None:
        await self.journal.append(entry)
        self._apply(entry)

    def _id(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.made:08d}"

    def _apply(self, entry: dict[str, Any]) -> None:
        if entry["effect"] in ("charge", "decline"):
            self.intents[entry["id"]] = _intent(entry)
        elif entry["effect"] == "refund":
            names = ("id", "amount", "currency", "metadata")
            made = {name: entry[name] for name in names} | {"object": "refund", "status": "succeeded"}
            self.refunds[entry["id"]] = made | {"payment_intent": entry["intent"]}
        else:
            intent = self.intents[entry["intent"]]
            intent["status"] = "succeeded" if entry["effect"] == "capture" else "canceled"
            intent["amount_received"] = entry["amount"]


def _intent(entry: Mapping[str, Any]) -> dict[str, Any]:
    status = "succeeded" if entry["captured"] else "requires_capture"
    intent: dict[str, Any] = {
        "object": "payment_intent",
        "id": entry["id"],
        "amount": entry["amount"],
        "amount_received": entry["amount"] if entry["captured"] else 0,
        "currency": entry["currency"],
        "metadata": entry["metadata"],
        "created": entry["created"],
        "status": "requires_payment_method" if entry["effect"] == "decline" else status,
    }
    if entry["effect"] == "decline":
        code = entry["code"] if entry["code"] in KIND_OF else "generic_decline"
        intent["last_payment_error"] = {"type": "card_error", "code": "card_declined", "decline_code": code}
    return intent


def error_body(kind: str, code: str, message: str) -> dict[str, Any]:
    """Give an error of the API's form."""
    return {"error": {"type": kind, "code": code, "message": message}}
