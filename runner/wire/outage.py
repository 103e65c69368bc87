"""A server that was away for long: leases have run out meanwhile, though those who hold them live.

Whoever is back first would take what others hold: jobs, locks, records of effects. So each process gives the
others time to renew before it takes anything that may be theirs.
"""

import asyncio

OTHERS_RENEW_S = 1.0
"""Time for the others: whoever holds something tries to renew it more often than that."""


class Outage:
    """What one process knows of a server that is, or was, away.

    Args:
        lease_s: one that lasts less than a third of it ends no lease.

    Attributes:
        is_on: the server has not answered yet.
    """

    __slots__ = ("_least_s", "_since", "_takes_from", "is_on")

    def __init__(self, lease_s: float) -> None:
        self._least_s = lease_s / 3
        self._since = self._takes_from = 0.0
        self.is_on = False

    def begin(self) -> None:
        """The server does not answer; before others had their time, it is still the same outage."""
        now = asyncio.get_running_loop().time()
        if not self.is_on and now >= self._takes_from:
            self._since = now
        self.is_on = True

    def end(self) -> None:
        """It takes what this process renews."""
        now = asyncio.get_running_loop().time()
        if self.is_on and now - self._since > self._least_s:
            self._takes_from = now + OTHERS_RENEW_S
        self.is_on = False

    def is_felt(self) -> bool:
        """Say whether nothing is to be taken now."""
        return self.is_on or self.left_s() > 0

    def left_s(self) -> float:
        """Give how long others are to renew before this process takes anything."""
        return max(0.0, self._takes_from - asyncio.get_running_loop().time())
