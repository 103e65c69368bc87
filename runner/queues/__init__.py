"""The door that administers queues and the jobs that wait in them."""

from .door import Queues

__all__ = ["Queues"]
