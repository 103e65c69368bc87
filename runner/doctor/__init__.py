"""Is this server, are these settings, is this arq project fit for jobs? ``runner doctor``.

facts.py        what is asked of a server: all reading, in one place
nodes.py        the masters of a cluster
certificate.py  what a server with TLS shows
sample.py       what is looked at of the jobs
server.py       checks of the server: pure, facts in, findings out
reach.py        checks of who reaches it: likewise
work.py         checks of queues, workers and settings: likewise
arq_project.py  what an arq project gains, and what differs
finding.py      what a check says
"""

from .arq_project import check_project
from .certificate import Trust
from .facts import Facts, read_facts, read_masters
from .finding import Finding, is_wrong
from .nodes import masters_of
from .server import check_masters, check_server
from .work import check_settings, check_work

__all__ = [
    "Facts",
    "Finding",
    "Trust",
    "check_masters",
    "check_project",
    "check_server",
    "check_settings",
    "check_work",
    "is_wrong",
    "masters_of",
    "read_facts",
    "read_masters",
]
