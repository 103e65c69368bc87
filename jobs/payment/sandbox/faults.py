"""What a gateway can do wrong, by name, and which of it happens to the next request."""

from dataclasses import dataclass, field
from random import Random

FAULTS: dict[str, str] = {
    "ok": "nothing",
    "charge_drop": "does it, then closes the connection without an answer",
    "drop": "closes the connection before doing anything",
    "charge_500": "does it, then answers 500; the key replays the 500",
    "conflict": "does it in the background and answers 409, as if another request were running",
    "throttle": "answers 429 with Retry-After, before doing anything",
    "slow": "takes its time, then does it",
    "html": "does it, then answers with a page",
    "truncated": "does it, then cuts the answer in two",
    "other_amount": "does it, then names another amount in the answer",
    "error_200": "does nothing, and answers 200 with an error body",
    "redirect": "does nothing, and answers 302",
    "unauthorized": "does nothing, and answers 401",
}


@dataclass
class Plan:
    """Which fault is next.

    Attributes:
        queue: these first, in order.
        share: then this share of the requests meets one of ``mix``, at random.
        mix: names of FAULTS.
        slow_s: how long ``slow`` takes.
        retry_after_s: what ``throttle`` names.
    """

    queue: list[str] = field(default_factory=list[str])
    share: float = 0.0
    mix: tuple[str, ...] = ()
    slow_s: float = 1.0
    retry_after_s: int = 1
    rng: Random = field(default_factory=Random)

    def next(self) -> str:
        """Give the fault that the next request meets."""
        if self.queue:
            return self.queue.pop(0)
        return self.rng.choice(self.mix) if self.mix and self.rng.random() < self.share else "ok"
