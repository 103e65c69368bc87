"""The dashboard: pages over the doors, for a browser; ``runner.dashboard(…)``, and ``runner dashboard``.

access.py    who may come in, and from where a change may be asked for
app.py       the ASGI app: what is behind which path, and what a wrong request gets
asked.py     one request that was let in
pages.py     queues, jobs, workers, settings: read
failures.py  dead letters, grouped; what replays them
destinations.py  the other sides that jobs call
rules.py     schedules, limits, workflows: read
edits.py     other arguments for a job
acts.py      every change
runs.py      replays of many letters, in this process
watch.py     one reading for all who look on
words.py     numbers, times and spans for people
shown.py     what strangers wrote, harmless, short and without secrets
views.py     templates into pages
serve.py     standalone
"""

from .access import Access, Authorize, Role
from .app import dashboard

__all__ = ["Access", "Authorize", "Role", "dashboard"]
