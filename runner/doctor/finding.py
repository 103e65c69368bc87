"""What a check says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "wrong", "warning", "not checked", "gain", "differs"]
"""``not checked``: the server does not tell. ``gain``, ``differs``: of an arq project, beside stock arq."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict.

    Attributes:
        check: what was looked at, in a word or two.
        verdict: one of these words.
        why: what was found, and what follows from it.
        cure: what to do, as a command or a setting where there is one; empty when there is nothing to do.
    """

    check: str
    verdict: Verdict
    why: str
    cure: str = ""


def is_wrong(findings: Iterable[Finding]) -> bool:
    """Say whether something is wrong; warnings are not."""
    return any(finding.verdict == "wrong" for finding in findings)
