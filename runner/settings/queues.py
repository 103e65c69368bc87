"""The tables ``[queues.NAME]``: how many jobs a queue holds, and what becomes of those beyond."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..shards import MOST_SHARDS
from .units import Count, Duration


class QueueTable(BaseModel):
    """One queue of settings.toml; whoever enqueues through a Runner keeps to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    shards: Annotated[Count, Field(le=MOST_SHARDS)] = Field(
        default=1, description="slots of a cluster that it is spread over; with key_layout = tagged (count)"
    )
    max_waiting: Count | None = Field(
        default=None, description="jobs that may wait, due or not; left out: any number (count)"
    )
    max_per_tenant: Count | None = Field(
        default=None,
        description="jobs of one tenant that may have come in and not ended; left out: any number (count)",
    )
    when_full: Literal["reject", "drop_oldest", "wait"] = Field(
        default="reject", description="what becomes of a job beyond them"
    )
    wait: Duration = Field(default=5.0, description="with when_full = wait: no longer than this (duration)")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.max_waiting is None and self.model_fields_set & {"when_full", "wait"}:
            msg = "max_waiting beside when_full and wait: without it the queue is never full"
            raise ValueError(msg)
        return self


QueueTables = Annotated[
    Mapping[str, QueueTable],
    Field(description="a table [queues.NAME] for each; docs/limits.md has its options"),
]
