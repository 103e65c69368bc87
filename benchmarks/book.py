"""What was seen: every sample of every figure, kept as JSON so that a report can be written again."""

import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from .growth import Long
from .measures import Sample

GIB = 1024**3
NEARLY = 0.8
FOLDERS = re.compile(r"(?:/[\w.+-]+)+/")


@dataclass
class Book:
    """One run.

    Attributes:
        about: date, machine in general words, commit, how much was run.
        versions: what each peer that took part is.
        missing: who could not take part, and why.
        samples: of each peer, each figure's values, one a round.
        troubles: what went wrong on the way; a figure that failed is not among the samples.
        backlog: of each peer, its long queues, shortest first.
        parked: of each peer, its queue beside jobs for later.
        floor: the same without a queue.
    """

    about: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)
    backlog: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    parked: dict[str, dict[str, Any]] = field(default_factory=dict)
    floor: dict[str, list[float]] = field(default_factory=dict)

    def note(self, peer: str, sample: Sample) -> None:
        """Write down a repetition."""
        _append(self.samples.setdefault(peer, {}), sample)

    def note_floor(self, sample: Sample) -> None:
        """Write down a repetition of what needs no queue."""
        _append(self.floor, sample)

    def note_trouble(self, peer: str, what: str) -> None:
        """Write down what failed, without the folders of this machine."""
        self.troubles.setdefault(peer, []).append(FOLDERS.sub("", " ".join(what.split())))

    def note_backlog(self, peer: str, found: Long, wanted: int) -> None:
        """Write down a long queue; it counts as one of the wanted length when it nearly is."""
        self.backlog.setdefault(peer, []).append(asdict(found))
        if found.jobs >= wanted * NEARLY:
            for look in found.looks:
                self.note(peer, {f"drain at {wanted:,} waiting, jobs/s": look["drain, jobs/s"]})
        self.samples[peer]["memory, waiting job"] = [found.memory]

    def note_parked(self, peer: str, found: Long) -> None:
        """Write down a queue beside jobs for later."""
        self.parked[peer] = asdict(found)
        for look in found.looks:
            self.note(peer, {"drain beside jobs for later, jobs/s": look["drain, jobs/s"]})
        self.note(peer, {"memory, job for later": found.memory})

    def values(self, peer: str, figure: str) -> list[float]:
        """Give the samples of a figure; none when it was not measured."""
        return self.samples.get(peer, {}).get(figure, [])

    def median(self, peer: str, figure: str) -> float | None:
        """Give the middle of a figure's samples."""
        found = self.values(peer, figure)
        return statistics.median(found) if found else None

    def floor_median(self, figure: str) -> float | None:
        """Give the middle of a figure that needs no queue."""
        found = self.floor.get(figure, [])
        return statistics.median(found) if found else None

    def best(self, peer: str, figure: str) -> float:
        """Give the most that was seen, or 0."""
        return max(self.values(peer, figure), default=0.0)

    def save(self, path: Path) -> None:
        """Write all of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what was saved."""
        return cls(**json.loads(path.read_text()))


def about_here(scale: str, repeat: int) -> dict[str, Any]:
    """Tell when and on what this runs, in words that name nobody's machine."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit or "unknown",
        "machine": f"{os.cpu_count()} cores ({platform.machine()}), {memory} GiB, {platform.system()}",
        "python": platform.python_version(),
        "scale": scale,
        "rounds": repeat,
    }


def _append(to: dict[str, list[float]], sample: Sample) -> None:
    for name, value in sample.items():
        to.setdefault(name, []).append(value)
