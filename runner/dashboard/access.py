"""Who may come in, and from where a change may be asked for."""

import inspect
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple, cast, get_args
from urllib.parse import urlsplit

from starlette.requests import Request

Role = Literal["read", "operate"]


class Access(NamedTuple):
    """What somebody may do.

    Attributes:
        role: ``read``, or ``operate``: change things, too.
        user: kept with what they change.
    """

    role: Role
    user: str = ""


Answer = Access | Role | None
Authorize = Callable[[Request], Answer | Awaitable[Answer]]
"""Says what whoever sent a request may do; None: nothing. What it raises goes to the app around."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_LOCAL_NAMES = ("localhost", "localhost.localdomain")


class Forbidden(Exception):
    """It is not let in; the text says why and what to do."""


async def admit(request: Request, authorize: Authorize | None) -> Access:
    """Give what the sender may do.

    Raises:
        Forbidden: nothing, or it asks for a change that it may not make, or from another site.
    """
    if authorize is None:
        access = _local(request)
    else:
        answer: Any = authorize(request)
        access = _checked(await answer if inspect.isawaitable(answer) else answer)
    if request.method not in ("GET", "HEAD"):
        if access.role != "operate":
            msg = "your role is read: it looks, and changes nothing"
            raise Forbidden(msg)
        _check_site(request)
    return access


def _local(request: Request) -> Access:
    """Let in who sits at this machine, and asks for it by its own name: another name may be a rebound one."""
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    peer = request.client.host if request.client is not None else ""
    if any(header in request.headers for header in _FORWARDED) or not is_loopback(peer):
        msg = "closed: only this machine may look. runner.dashboard(authorize=…) says who else may"
        raise Forbidden(msg)
    if not is_loopback(name):
        msg = f"closed: without authorize= it answers to localhost, not to '{name}'"
        raise Forbidden(msg)
    return Access("operate", "local")


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own, and no other's."""
    try:
        return host in _LOCAL_NAMES or ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(answer: Any) -> Access:
    """Take only what is an answer: a mistake in ``authorize`` must not open anything."""
    if isinstance(answer, str):
        answer = Access(cast("Role", answer))
    if isinstance(answer, Access) and answer.role in get_args(Role):
        return answer
    msg = "closed: you may not look at this dashboard"
    raise Forbidden(msg)


def _check_site(request: Request) -> None:
    """Refuse what another site's page sends; every browser says one of these, and a page cannot forge it."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        is_ours = urlsplit(origin).netloc in {
            name for header in ("host", "x-forwarded-host") if (name := headers.get(header, ""))
        }
    if not is_ours:
        msg = "refused: a change is asked for from this dashboard's own pages only"
        raise Forbidden(msg)
