"""What a decline means for trying again: the issuer's and the schemes' codes, in six classes.

| class | what follows |
| --- | --- |
| hard | never again with this card |
| data | never again without other card data |
| customer | the customer must act; never again by ourselves |
| soft | a new attempt, at the merchant's wish, a day later at the earliest |
| technical | a new attempt, at the merchant's wish, an hour later at the earliest |
| duplicate | not a decline of ours, perhaps: the outcome is unknown until the gateway is asked |

Nothing in this package retries a decline by itself.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["hard", "data", "customer", "soft", "technical", "duplicate"]

HOUR_S = 3600
DAY_S = 24 * HOUR_S

MAX_ATTEMPTS = 8
"""Attempts of one operation: what Stripe recommends; Visa allows 15 in 30 days, Mastercard 35."""

_CODES: dict[Kind, str] = {
    "hard": (
        "lost_card stolen_card pickup_card fraudulent merchant_blacklist restricted_card "
        "revocation_of_all_authorizations revocation_of_authorization stop_payment_order "
        "invalid_account new_account_information_available"
    ),
    "data": (
        "incorrect_number invalid_number incorrect_cvc invalid_cvc expired_card invalid_expiry_month "
        "invalid_expiry_year incorrect_zip incorrect_address invalid_amount"
    ),
    "customer": (
        "authentication_required card_not_supported currency_not_supported call_issuer "
        "transaction_not_allowed offline_pin_required online_or_offline_pin_required pin_try_exceeded"
    ),
    "soft": (
        "insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded do_not_honor "
        "generic_decline no_action_taken not_permitted try_again_later security_violation service_not_allowed"
    ),
    "technical": "issuer_not_available processing_error reenter_transaction approve_with_id",
    "duplicate": "duplicate_transaction",
}
KIND_OF: dict[str, Kind] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""Decline codes of the Stripe API."""

VISA_NEVER = frozenset(["04", "07", "12", "15", "41", "43", "46", "57", "R0", "R1", "R3"])
"""Visa's category 1: the issuer will never approve."""

ADVICE: dict[str, tuple[Kind, int]] = {
    "01": ("data", 0),
    "02": ("soft", DAY_S),
    "03": ("hard", 0),
    "04": ("data", 0),
    "21": ("hard", 0),
    "22": ("customer", 0),
    "24": ("soft", HOUR_S),
    "25": ("soft", DAY_S),
    "26": ("soft", 2 * DAY_S),
    "27": ("soft", 4 * DAY_S),
    "28": ("soft", 6 * DAY_S),
    "29": ("soft", 8 * DAY_S),
    "30": ("soft", 10 * DAY_S),
    "40": ("customer", 0),
    "41": ("customer", 0),
    "42": ("hard", 0),
    "99": ("hard", 0),
}
"""Mastercard's merchant advice codes: class, and the wait in seconds that they ask for."""


@dataclass(frozen=True, slots=True)
class Decline:
    """A refusal by the issuer.

    Attributes:
        kind: see the module's table.
        code: the gateway's word for it; empty when it gave none.
        wait_s: seconds until a new attempt may be asked for; 0 for never.
        network_code: the network's raw code, as it came.
        message: the gateway's words, for the operator.
    """

    kind: Kind
    code: str = ""
    wait_s: int = 0
    network_code: str = ""
    message: str = ""

    @property
    def is_soft(self) -> bool:
        """Whether a new attempt may be asked for later."""
        return self.wait_s > 0


def classify(
    code: str, *, advice: str = "", network_code: str = "", network_advice: str = "", message: str = ""
) -> Decline:
    """Give the class of a decline; the strictest of what issuer, network and gateway say wins.

    Args:
        code: ``decline_code``, or ``code`` where there is none.
        advice: ``advice_code`` of the Stripe API.
        network_code: ``network_decline_code``.
        network_advice: ``network_advice_code``: Mastercard's.
        message: kept, 200 characters of it.
    """
    kind, wait_s = KIND_OF.get(code, "soft"), 0
    if network_advice in ADVICE:
        kind, wait_s = _stricter(kind, *ADVICE[network_advice])
    if network_code in VISA_NEVER or advice == "do_not_try_again":
        kind = "hard"
    elif advice == "confirm_card_data" and kind in ("soft", "technical"):
        kind = "data"
    least = {"soft": DAY_S, "technical": HOUR_S}.get(kind, 0)
    return Decline(kind, code, max(wait_s, least) if least else 0, network_code, message[:200])


_STRICTNESS: tuple[Kind, ...] = ("technical", "soft", "customer", "data", "hard", "duplicate")


def _stricter(kind: Kind, other: Kind, wait_s: int) -> tuple[Kind, int]:
    return (kind if _STRICTNESS.index(kind) > _STRICTNESS.index(other) else other), wait_s
