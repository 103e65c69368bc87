"""Is this server, are these settings, is this arq project fit for jobs? ``runner doctor``.

facts.py        what is asked of a server: all reading, in one place
sample.py       what is looked at of the jobs
server.py       checks of the server: pure, facts in, findings out
work.py         checks of queues, workers and settings: likewise
arq_project.py  what an arq project gains, and what differs
finding.py      what a check says
"""

from .arq_project import check_project
from .facts import Facts, read_facts
from .finding import Finding, is_wrong
from .server import check_server
from .work import check_settings, check_work

__all__ = [
    "Facts",
    "Finding",
    "check_project",
    "check_server",
    "check_settings",
    "check_work",
    "is_wrong",
    "read_facts",
]
