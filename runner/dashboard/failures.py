"""Dead letters: grouped by error and host, and what replays all that a filter wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from ..clock import SYSTEM_CLOCK
from ..dead_letters import Filter, Letter
from ..settings.units import parse_moment
from .asked import Asked, NotHere, Page
from .shown import error_text, line_of

GROUPED = 500
"""Letters, the newest, of which groups are made."""
COUNTED = 500
"""Letters that a preview looks at; more are counted by a run of its own."""
PER_PAGE = 50
MOST_GROUPS = 100

FIELDS = ("task", "reason", "error", "host", "destination", "text", "queue", "since")
RATES = {"10": 10.0, "100": 100.0, "1000": 1000.0, "": None}


@dataclass(slots=True)
class Group:
    """Letters that died alike.

    Attributes:
        error: class of the last error, or the word for why it died.
        reason: that word; empty where the error's class is the name.
        host: the first of a URL among the arguments; empty for none.
        count: of those looked at.
        last_ms: when the newest died.
        message: of the newest.
        query: what the page of this group alone is asked with.
    """

    error: str
    reason: str
    host: str
    count: int
    last_ms: int
    message: str
    query: str


def wanted_of(asked: Asked) -> tuple[Filter, str | None]:
    """Make a filter, and the queue, of what a page or a form was asked with.

    Raises:
        ValueError: since is no time.
    """
    wanted = Filter(
        task=asked.text("task"),
        reason=asked.text("reason"),
        error=asked.text("error"),
        host=asked.text("host"),
        text=asked.text("text"),
        since_ms=_since_ms(asked.text("since")),
        destination=asked.text("destination"),
    )
    return wanted, asked.text("queue") or None


def _since_ms(since: str) -> int:
    try:
        return parse_moment(since, now_ms=SYSTEM_CLOCK.now_ms()) if since else 0
    except ValueError as error:
        msg = f"since: expected {error}, not '{since[:30]}'"
        raise ValueError(msg) from None


def given_of(asked: Asked) -> dict[str, str]:
    """Give the fields of the filter that a page or a form was asked with."""
    return {name: asked.text(name) for name in FIELDS if asked.text(name)}


async def dead(asked: Asked) -> Page:
    """What died: in groups, then the newest one by one, and who did what about it."""
    wanted, queue = wanted_of(asked)
    door, cursor = asked.doors.dead, asked.given.get("cursor", "")
    page = await door.find(wanted, queue=queue, cursor=cursor, limit=PER_PAGE, look=GROUPED)
    some = await door.find(wanted, queue=queue, limit=GROUPED, look=GROUPED) if not cursor else None
    standings = await door.standings(queue)
    values = {
        "groups": [] if some is None else groups_of(some.letters, given_of(asked)),
        "looked": 0 if some is None else some.looked,
        "is_all": some is not None and not some.cursor,
        "total": sum(each.count for each in standings),
        "rows": [_row(asked, letter) for letter in page.letters],
        "cursor": page.cursor,
        "wanted": wanted,
        "given": given_of(asked),
        "query": urlencode(given_of(asked)),
        "queues": asked.doors.inspector.queue_names,
        "audit": await door.audit(limit=10),
        "runs": list(asked.desk.runs.all.values())[:-6:-1],
        "is_first": not cursor,
    }
    return Page("dead", "Failures", values, is_live=not cursor)


def groups_of(letters: Sequence[Letter], given: dict[str, str]) -> list[Group]:
    """Group letters, the newest first, by class of error and host; the largest groups first."""
    found: dict[tuple[str, str], Group] = {}
    for letter in letters:
        kind = letter.error.get("type", "").rpartition(".")[2]
        host = next(iter(letter.hosts), "")
        group = found.get((kind or letter.reason, host))
        if group is None:
            alike = {"error": kind} if kind else {"reason": letter.reason}
            query = urlencode({**given, **alike, **({"host": host} if host else {})})
            message = error_text(letter.error.get("message", ""), 200)
            reason = "" if kind else letter.reason
            group = Group(kind or letter.reason, reason, host, 0, letter.died_at_ms, message, query)
            found[kind or letter.reason, host] = group
        group.count += 1
    return sorted(found.values(), key=lambda each: -each.count)[:MOST_GROUPS]


def _row(asked: Asked, letter: Letter) -> dict[str, object]:
    return {
        "letter": letter,
        "call": line_of(asked.doors.registry, letter),
        "error": letter.error.get("type", "").rpartition(".")[2] or letter.reason,
        "message": error_text(letter.error.get("message", ""), 200),
    }


async def replay(asked: Asked) -> Page:
    """How many a replay would touch, before it does: from a moment on that stays the same."""
    wanted, queue = wanted_of(asked)
    given = given_of(asked)
    if wanted.since_ms:
        given["since"] = f"{datetime.fromtimestamp(wanted.since_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    page = await asked.doors.dead.find(wanted, queue=queue, limit=COUNTED, look=COUNTED)
    values = {
        "count": len(page.letters),
        "is_all": not page.cursor,
        "looked": page.looked,
        "rows": [_row(asked, letter) for letter in page.letters[:5]],
        "given": given,
        "query": urlencode(given),
    }
    return Page("replay", "Replay", values, is_live=False)


async def run(asked: Asked) -> Page:
    """How far a replay is."""
    found = asked.desk.runs.all.get(asked.needed("id"))
    if found is None:
        msg = "there is no such run in this process: it began anew, or another one answers (runner dead log)"
        raise NotHere(msg)
    tally = found.tally
    handled = tally.matched if found.counts_only else tally.done + tally.gone + tally.refused
    values = {
        "run": found,
        "handled": handled,
        "passed_s": max(0, SYSTEM_CLOCK.now_ms() - found.began_at_ms) / 1000,
    }
    return Page("run", "Count" if found.counts_only else "Replay", values, is_live=not found.ended)
