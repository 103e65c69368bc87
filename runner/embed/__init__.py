"""Parts for the web app that a runner lives in."""

from .idempotency_key import IdempotencyKey

__all__ = ["IdempotencyKey"]
