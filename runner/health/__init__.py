"""What a process and its queues are like: metrics, readiness, and how many workers the backlog asks for."""

from .door import Health, Readiness

__all__ = ["Health", "Readiness"]
