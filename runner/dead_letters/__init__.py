"""Dead letters: jobs that will not run again unless somebody says so."""

from .door import DeadLetters
from .edit import Edit
from .letter import Filter, Letter
from .reading import Page, Standing
from .retention import Retention
from .sweep import Tally

__all__ = ["DeadLetters", "Edit", "Filter", "Letter", "Page", "Retention", "Standing", "Tally"]
