"""What was taken from calls that live: for a trouble of their own, or only because the server was away?

Whoever is cut off, asleep or slow for a lease loses what it holds, and so does everybody when the server's
clock leaps: that is what a lease is, and who takes a record over is told that its effect may have happened.
But an outage is the same for all: then whoever lives keeps what it has, however long it was. Two cannot know
of it and take: who was started meanwhile, and who slept.
"""

from .network import NEVER, Network
from .shop import LEASE_S, Ledger

LONG_S = LEASE_S / 2
"""An outage that everybody notices as longer than a third of a lease."""


class Taken:
    """Knows since when who holds what, and what troubled them.

    Attributes:
        leapt_at_s: when the server's clock last leapt forward.
    """

    def __init__(self, network: Network, ledger: Ledger) -> None:
        self.leapt_at_s = NEVER
        self._network = network
        self._ledger = ledger
        self._kept_s: dict[bytes, float] = {}

    def keep(self, what: bytes) -> None:
        """Note that a job, lock or record was given to somebody, or kept by who has it."""
        self._kept_s[what] = self._ledger.world.now_s

    def look(self, what: bytes, job: bytes, fence: int) -> None:
        """Blame who takes this from a call that had no trouble of its own since it was kept."""
        call = self._ledger.call_of(job.decode(), fence)
        loop = None if call is None else self._ledger.loop_of(call)
        network, kept_s = self._network, self._kept_s[what]
        if loop is None or network.slow_s or (network.away_until_s > kept_s and self._is_takers_first()):
            return
        cut_s = network.cut_at_s.get(loop.name, NEVER)
        if max(loop.paused_until or NEVER, cut_s, network.slow_until_s, self._leapt_s()) < kept_s:
            self._ledger.blame(
                f"{what[:12]!r} was taken from {call}, which lives and had no trouble of its own"
            )

    def _is_takers_first(self) -> bool:
        """Whether who takes could not know of the last outage."""
        taker, network = self._ledger.world.acting, self._network
        if taker is None or taker.began_s > network.away_from_s - LEASE_S / 3:
            return True
        return taker.paused_until > network.away_until_s - LEASE_S / 3

    def _leapt_s(self) -> float:
        """A leap within a long outage costs nobody more than that."""
        network = self._network
        is_long = network.away_until_s - network.away_from_s > LONG_S
        is_within = network.away_from_s <= self.leapt_at_s <= network.away_until_s
        return NEVER if is_within and is_long else self.leapt_at_s
