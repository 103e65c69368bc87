"""What goes wrong with which request, decided by a seed: the same seed makes the same trouble."""

from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """One way to answer badly."""

    UNAVAILABLE = "503"
    BUSY = "429"
    REDIRECT = "redirect"
    RESET_LATE = "reset after reading"
    DRIP = "drip"
    BOMB = "gzip bomb"


RARE = tuple(fault for fault in Fault if fault is not Fault.UNAVAILABLE)
RARE_SHARE = 0.1
"""Each of the rarer faults, and each of the two lost hosts, is this share of how frequent 503 is."""


def fault_of(seed: int, share: float, number: int, visit: int) -> Fault | None:
    """Say how a request is to be answered; None for properly.

    Args:
        seed: of the run.
        share: of the requests that are answered 503, 0 to 1.
        number: of the webhook.
        visit: how often it has come, from 1.
    """
    drawn = Random(f"{seed} {number} {visit}").random()
    if drawn < share:
        return Fault.UNAVAILABLE
    if not share:
        return None
    rare = int((drawn - share) / (share * RARE_SHARE))
    return RARE[rare] if rare < len(RARE) else None


def is_reset_unread(seed: int, share: float, connection: int) -> bool:
    """Say whether the connection of that number is reset before anything is read from it."""
    return Random(f"{seed} connection {connection}").random() < share * RARE_SHARE


def lost_hosts(seed: int, share: float, webhooks: int) -> dict[int, str]:
    """Give the numbers of the webhooks for the host that is ``down`` and for the one that is ``gone``."""
    each = min(round(webhooks * share * RARE_SHARE), webhooks // 2)
    drawn = Random(f"{seed} hosts").sample(range(webhooks), 2 * each)
    return dict.fromkeys(drawn[:each], "down") | dict.fromkeys(drawn[each:], "gone")
