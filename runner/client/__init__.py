"""The door that writes: enqueue, wait for results, cancel.

    results.py  results are pushed to whoever waits
    job.py      a handle on one enqueued job
    client.py   both, and enqueues of one moment in one script call
"""

from .client import Bulk, Client
from .job import Disposition, Job, JobInfo

__all__ = ["Bulk", "Client", "Disposition", "Job", "JobInfo"]
