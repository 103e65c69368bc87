"""The states of a payment operation, and which may follow which.

    created ──► sending ──► succeeded | authorized | pending | requires_action
       ▲           │        declined_hard | declined_soft | rejected
       │           ▼
       │        unknown ──► resolving ──► any of the above | unknown | needs_review
       └── not executed, proved: a new attempt under a new key

``sending`` is written, with the key, before the first byte leaves. Whoever finds it with a dead lease makes
it ``unknown`` and never sends first. ``unknown`` ends by evidence, or by a person: never by a timer.
"""

from enum import StrEnum


class State(StrEnum):
    """Where an operation is."""

    CREATED = "created"
    SENDING = "sending"
    UNKNOWN = "unknown"
    RESOLVING = "resolving"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    AUTHORIZED = "authorized"
    DECLINED_SOFT = "declined_soft"
    DECLINED_HARD = "declined_hard"
    REJECTED = "rejected"
    NEEDS_REVIEW = "needs_review"

    @property
    def is_closed(self) -> bool:
        """Whether nothing will happen to it by itself any more."""
        return self in CLOSED


CLOSED = frozenset(
    {
        State.SUCCEEDED,
        State.AUTHORIZED,
        State.DECLINED_SOFT,
        State.DECLINED_HARD,
        State.REJECTED,
        State.NEEDS_REVIEW,
    }
)
REPORTED = CLOSED | {State.REQUIRES_ACTION}
"""The merchant is told of these."""

_ADOPTED = frozenset(
    {
        State.SUCCEEDED,
        State.AUTHORIZED,
        State.PENDING,
        State.REQUIRES_ACTION,
        State.DECLINED_SOFT,
        State.DECLINED_HARD,
        State.REJECTED,
    }
)
ARROWS: dict[State, frozenset[State]] = {
    State.CREATED: frozenset({State.CREATED, State.SENDING}) | _ADOPTED | {State.NEEDS_REVIEW},
    State.SENDING: frozenset({State.CREATED, State.UNKNOWN}) | _ADOPTED,
    State.UNKNOWN: frozenset({State.RESOLVING}),
    State.RESOLVING: frozenset({State.UNKNOWN, State.CREATED, State.NEEDS_REVIEW}) | _ADOPTED,
    State.PENDING: _ADOPTED | {State.NEEDS_REVIEW},
    State.REQUIRES_ACTION: _ADOPTED | {State.NEEDS_REVIEW},
    State.DECLINED_SOFT: frozenset({State.CREATED}),
    State.DECLINED_HARD: frozenset(),
    State.REJECTED: frozenset(),
    State.SUCCEEDED: frozenset(),
    State.AUTHORIZED: frozenset(),
    State.NEEDS_REVIEW: frozenset({State.SUCCEEDED, State.AUTHORIZED, State.DECLINED_HARD, State.REJECTED}),
}
"""Which state may follow which; ``needs_review`` is left by a person only."""
