"""Why a job does not run, and from when on it may: facts in, sentences out.

facts.py   what can keep it, as ``client/explaining.py`` reads it; nothing here asks the server
rules.py   the table: a reason is a line of it
"""

from .facts import Explanation, Facts, Gate, Holder, Reason, Serving
from .rules import explained

__all__ = ["Explanation", "Facts", "Gate", "Holder", "Reason", "Serving", "explained"]
