"""Jobs that exist exactly if your transaction does: rows of your database, moved to the server after commit.

    your transaction:  … your rows …, outbox.enqueue(…) ──► commit ──► (row)
    after commit:      row ──► enqueue (acknowledged) ──► row deleted, in one transaction that locks it

Whatever is killed when: before the commit there is neither row nor job; after it the row stays until the
server has acknowledged the job. A row that is moved twice has the same id and the same bytes, and is one job.
"""

from importlib.util import find_spec

from ..errors import MissingExtra

if find_spec("sqlalchemy") is None:
    what = "the outbox"
    raise MissingExtra(what, "sqlalchemy")

from .outbox import Outbox
from .outboxes import Outboxes
from .relay import Relay
from .table import METADATA, OUTBOX

__all__ = ["METADATA", "OUTBOX", "Outbox", "Outboxes", "Relay"]
