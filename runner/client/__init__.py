"""The door that writes: enqueue, wait for results, cancel.

    inbox.py    enqueues of one moment become one script call
    results.py  results are pushed to whoever waits
    job.py      a handle on one enqueued job
    client.py   the three together
"""

from .client import Bulk, Client
from .job import Disposition, Job, JobInfo

__all__ = ["Bulk", "Client", "Disposition", "Job", "JobInfo"]
