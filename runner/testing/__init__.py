"""Testing jobs with the real thing: a real server, the real scripts, and time that a test moves.

``Kit`` is what tests use; the pytest fixture ``runner_kit`` makes one on an empty database: docs/testing.md.
"""

from .faults import FAULTS, Crash, Fault
from .kit import Ended, Enqueued, Kit
from .moving_time import MovingTime

__all__ = ["FAULTS", "Crash", "Ended", "Enqueued", "Fault", "Kit", "MovingTime"]
