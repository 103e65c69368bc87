"""The door that writes: enqueue, wait for results, cancel.

entry.py      a call becomes what is sent
intake.py     it is sent, together with others of the moment
room.py       and waits in line where its queue is full
bulk.py       very many calls, in chunks
results.py    results are pushed to whoever waits
reading.py    all that is known of one job
explaining.py what can keep it from running
gates_ahead.py and the gates and the line before it
progress.py   how far running jobs are
patience.py   a server that is away for a moment
cancelled.py  the result of a job that nobody ran
job.py        a handle on one enqueued job
client.py     the door itself
signals.py    data handed to a job that waits
making.py     a client by settings
"""

from .bulk import Bulk
from .client import Client
from .job import Disposition, Job, JobInfo

__all__ = ["Bulk", "Client", "Disposition", "Job", "JobInfo"]
