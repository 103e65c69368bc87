"""The tables ``[rate_limits.NAME]``: rates of limits that tasks name, and of those taken by hand.

Not ``[limits]``: that is what sizes are limited to.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..rates import Rate, rate_of


class RateLimitTable(BaseModel):
    """One rate limit of settings.toml; goes before what tasks declare, after what is set at run time."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    rate: str = Field(description="so many in a period: 100/s, 10/m, 1/30s (rate)")
    burst: int | None = Field(default=None, description="at once at most; left out: the rate's count (count)")

    @model_validator(mode="after")
    def _is_a_rate(self) -> Self:
        self.as_rate()
        return self

    def as_rate(self) -> Rate:
        """Give it as a Rate.

        Raises:
            ValueError: it is none.
        """
        return rate_of(self.rate, self.burst)


RateLimitTables = Annotated[
    Mapping[str, RateLimitTable],
    Field(description="a table [rate_limits.NAME] for each; docs/limits.md has its options"),
]
