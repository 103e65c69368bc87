"""Metrics of several processes as one text: each sample says which process it is of. Pure."""

import re
from collections.abc import Mapping

from ..health.table import QUEUE_METRICS

_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?( .+)")
_HEADERS = ("# HELP ", "# TYPE ")


def together(texts: Mapping[int, str]) -> str:
    """Give Prometheus' text format of all of them.

    Samples of a process get the label ``process``, its place; sum over it. What is said of the queues
    every process says alike: it is taken from the first one that says it, without a label.

    Args:
        texts: by place of the process, what its /metrics gave.
    """
    headers: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    said_by: dict[str, int] = {}
    for place, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith(_HEADERS):
                family = line.split(" ", 3)[2]
                known = headers.setdefault(family, [])
                if line not in known:
                    known.append(line)
            elif family in QUEUE_METRICS:
                if said_by.setdefault(family, place) == place:
                    samples.setdefault(family, []).append(line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, place))
    lines = [line for family, said in headers.items() for line in (*said, *samples.get(family, ()))]
    return "\n".join(lines) + "\n" if lines else ""


def _labelled(line: str, place: int) -> str:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        return line
    name, labels, value = match.groups()
    return f'{name}{{process="{place}"{"," + labels if labels else ""}}}{value}'
