"""Parts for the web app that a runner lives in."""

from .idempotency_key import IdempotencyKey
from .probes import Probes

__all__ = ["IdempotencyKey", "Probes"]
