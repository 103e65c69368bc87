"""The tables ``[concurrency.NAME]``: how many jobs at once, of limits that tasks name."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ConcurrencyTable(BaseModel):
    """One concurrency limit; goes before what tasks declare, after what is set at run time."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(ge=0, lt=10**9, description="jobs at once, in each queue; 0 lets nobody pass (count)")


ConcurrencyTables = Annotated[
    Mapping[str, ConcurrencyTable],
    Field(description="a table [concurrency.NAME] for each; docs/limits.md has its options"),
]
