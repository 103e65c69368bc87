"""Templates into pages. Whatever a template writes is escaped, and what steers in it is written out."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from . import words
from .asked import Asked, Page
from .shown import visible

HERE = Path(__file__).parent

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SAID = {
    "paused": "Paused: nothing of it starts until it is resumed.",
    "resumed": "Resumed.",
    "changed": "Changed: it runs with these arguments.",
    "cancelled": "Cancelled: it ended, or was asked to stop.",
    "nothing": "There was nothing to do.",
    "retried": "It is due now.",
    "replayed": "Replayed: it is a job again, due now.",
    "discarded": "Discarded for good.",
    "made": "A job was made of it.",
    "reset": "Reset: all calls pass.",
    "stopped": "Stopped: what was replayed stays replayed.",
    "again": "It goes on: what failed is done again.",
}
"""What a page may say of a change: a table, so that a link cannot put words into it."""

NAV = (
    ("", "Overview"),
    ("queues", "Queues"),
    ("dead", "Failures"),
    ("destinations", "Destinations"),
    ("schedules", "Schedules"),
    ("limits", "Limits"),
    ("workflows", "Workflows"),
    ("workers", "Workers"),
    ("settings", "Settings"),
)


def shown_page(asked: Asked | None, page: Page, now_ms: int) -> HTMLResponse:
    """Make the answer of a page.

    Args:
        asked: None: nobody was let in.
        page: what to show.
        now_ms: for how long ago things are.
    """
    request = None if asked is None else asked.request
    values: dict[str, Any] = {
        "title": page.title,
        "is_live": page.is_live,
        "nav": NAV if asked is not None else (),
        "here": "" if request is None else request.url.path.rsplit("/", 1)[-1],
        "base": ".." if request is not None and request.method == "POST" else ".",
        "operates": asked is not None and asked.access.role == "operate",
        "user": "" if asked is None else asked.access.user,
        "said": "" if asked is None else SAID.get(asked.given.get("said", ""), ""),
        "now_ms": now_ms,
        **page.values,
    }
    text = _environment().get_template(f"{page.template}.html").render(values)
    return HTMLResponse(text.encode(errors="replace"), status_code=page.status, headers=HEADERS)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("span", "utc", "since", "count", "rate", "size", "percent"):
        made.filters[name] = getattr(words, name)
    made.filters["exact"] = escape  # escaped, and else as it is: for fields that come back
    return made


def _harmless(value: Any) -> Any:
    """Write out what steers, in every value that a template shows; markup is our own."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
