"""The door that reads: queues, jobs, workers, for dashboards and the command line.

values.py    what is known of a queue, a job, a worker
pages.py     jobs of a queue, page by page
groups.py    dead letters by how they died
detail.py    one job in full
presence.py  the workers
door.py      the door itself
"""

from .door import Inspector
from .pages import JobFilter
from .values import (
    DeadGroup,
    DeadGroups,
    JobDetail,
    JobPage,
    JobRow,
    Overview,
    QueueStanding,
    Totals,
    WorkerStanding,
)

__all__ = [
    "DeadGroup",
    "DeadGroups",
    "Inspector",
    "JobDetail",
    "JobFilter",
    "JobPage",
    "JobRow",
    "Overview",
    "QueueStanding",
    "Totals",
    "WorkerStanding",
]
