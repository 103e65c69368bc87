"""The tables ``[rate_limits.NAME]``: rates of limits that tasks name, and of those taken by hand.

Not ``[limits]``: that is what sizes are limited to.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ..rates import Rate, rate_of


class RateLimitTable(BaseModel):
    """One rate limit of settings.toml; goes before what tasks declare, after what is set at run time."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    rate: str = Field(description="so many in a period: 100/s, 10/m, 1/30s (rate)")
    burst: int | None = Field(default=None, description="at once at most; left out: the rate's count (count)")

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        rate_of(value)
        return value

    @field_validator("burst")
    @classmethod
    def _can_be_counted(cls, value: int | None, info: ValidationInfo) -> int | None:
        if "rate" in info.data:
            rate_of(info.data["rate"], value)
        return value

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
