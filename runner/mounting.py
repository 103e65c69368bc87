"""The dashboard of a runner, to be mounted into an app."""

from typing import TYPE_CHECKING

from .doors import Doors
from .errors import MissingExtra

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .dashboard import Authorize


class Mounting(Doors):
    """The part of a Runner that stands on its doors, in a browser."""

    def dashboard(self, *, authorize: "Authorize | None" = None) -> "ASGIApp":
        """Make the dashboard: ``app.mount("/jobs", runner.dashboard(authorize=…))``; the app connects.

        Args:
            authorize: gets each request and gives ``"read"``, ``"operate"``, an ``Access`` with the user's
                name, or None for nobody; may be a coroutine function. Left out, only this machine is let in.

        Raises:
            MissingExtra: its libraries are not installed.
        """
        try:
            from .dashboard import dashboard
        except ImportError:
            what = "the dashboard"
            raise MissingExtra(what, "ui") from None
        return dashboard(self, authorize=authorize)
