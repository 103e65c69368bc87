"""The results of very many: read by pages, while they are gone through."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

PAGE = 500
"""Results that one trip reads."""

R = TypeVar("R")


class Results(Generic[R]):
    """What the members of a group returned, in order; read while it is gone through, 500 at a time.

    A task whose first parameter is annotated so gets it in place of a list; in its tests it may be given a
    list. It may be gone through more than once; each time reads anew.

        async for each in results: ...

    Args:
        count: of the results.
        read: gives those from a place on, up to 500, as plain JSON.
        rebuild: makes of each what the annotation says.
    """

    __slots__ = ("_count", "_read", "_rebuild")

    def __init__(
        self,
        count: int,
        read: Callable[[int], Awaitable[list[Any]]],
        rebuild: Callable[[Any], R] = lambda value: value,
    ) -> None:
        self._count = count
        self._read = read
        self._rebuild = rebuild

    @classmethod
    def of(cls, values: list[Any]) -> "Results[Any]":
        """Make it of what is there already."""

        async def read(start: int) -> list[Any]:
            return values[start : start + PAGE]

        return Results(len(values), read)

    def rebuilt(self, rebuild: Callable[[Any], R]) -> "Results[R]":
        """Give the same, with each made into what an annotation says."""
        return Results(self._count, self._read, rebuild)

    def __len__(self) -> int:
        return self._count

    async def __aiter__(self) -> AsyncIterator[R]:
        """Go through all of them.

        Raises:
            TypeError: one does not fit the annotation.
            redis.exceptions.RedisError: the server is away.
        """
        for start in range(0, self._count, PAGE):
            for value in await self._read(start):
                yield self._rebuild(value)

    def __repr__(self) -> str:
        return f"<Results, {self._count}>"
