"""One request that was let in, and the answers to it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from ..doors import Doors
from .access import Access
from .runs import Runs
from .watch import Watch

BODY_LIMIT = 64 * 1024


class NotHere(Exception):
    """There is nothing of that name; the text says what."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What one dashboard has: the doors, what it last saw, and what it does.

    Attributes:
        doors: of the runner.
        watch: reads for all who look on.
        runs: its replays.
        closing: set when it is about to end: streams end at once.
    """

    doors: Doors
    watch: Watch
    runs: Runs
    closing: asyncio.Event


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in.

    Attributes:
        request: as it came.
        desk: of the dashboard.
        access: what the sender may do.
        given: query, or fields of the form.
    """

    request: Request
    desk: Desk
    access: Access
    given: Mapping[str, str]

    @property
    def doors(self) -> Doors:
        """The doors of the runner."""
        return self.desk.doors

    @property
    def by(self) -> str:
        """Who acts, as the audit keeps it."""
        return f"{self.access.user or self.access.role} (dashboard)"

    def text(self, name: str, default: str = "") -> str:
        """Give a field; surrounding blanks do not count."""
        return self.given.get(name, "").strip() or default

    def needed(self, name: str) -> str:
        """Give a field that has to be there.

        Raises:
            ValueError: names it.
        """
        value = self.given.get(name, "")
        if not value:
            msg = f"the request needs '{name}'"
            raise ValueError(msg)
        return value


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be shown.

    Attributes:
        template: its name, without the end.
        title: of the page.
        values: what the template shows.
        is_live: it shows what changes; the browser asks again.
        status: of HTTP.
    """

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_live: bool = True
    status: int = 200


@dataclass(frozen=True, slots=True)
class Done:
    """A change was made: the page to show now, and the word of SAID that tells of it."""

    page: str
    said: str = ""
    given: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def location(self) -> str:
        """The page's address, as seen from that of any act."""
        given = {**self.given, "said": self.said} if self.said else self.given
        return f"../{self.page}" + (f"?{urlencode(given)}" if given else "")


async def form_of(request: Request) -> dict[str, str]:
    """Read the fields of a form.

    Raises:
        ValueError: it is too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            msg = f"a form has {BODY_LIMIT:,} bytes at most"
            raise ValueError(msg)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=100))
