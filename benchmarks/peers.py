"""Who takes part."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ADAPTERS = HERE / "adapters"
REQUIREMENTS = HERE / "requirements"
OURS = "arq-runner"


@dataclass(frozen=True, slots=True)
class Peer:
    """A library.

    Attributes:
        name: as its users write it.
        adapter: file in adapters/.
        slots: jobs at once in one worker.
        hook_slots: webhooks at once in one worker: as many as its HTTP client is fastest with.
    """

    name: str
    adapter: str
    slots: int = 100
    hook_slots: int = 100

    @property
    def is_node(self) -> bool:
        return self.adapter.endswith(".mjs")

    @property
    def key(self) -> str:
        """Name of its requirements and of its folder."""
        return self.name.lower()

    def command(self, work: Path, role: str) -> list[str]:
        """Give what runs as "client" or "worker"."""
        program = "node" if self.is_node else str(self.python(work))
        return [program, str(ADAPTERS / self.adapter), role]

    def python(self, work: Path) -> Path:
        """Give the interpreter whose packages it needs: ours is the project's own."""
        return Path(sys.executable) if self.name == OURS else work / self.key / "bin" / "python"

    def environment(self, work: Path) -> Mapping[str, str]:
        """Give the variables that its adapter needs beside those of the bench."""
        paths = [str(ADAPTERS), str(HERE.parent)] if self.name == OURS else [str(ADAPTERS)]
        return {"PYTHONPATH": os.pathsep.join(paths), "BENCH_PACKAGES": str(work / self.key)}


PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "with_runner.py"),
        Peer("arq", "with_arq.py", hook_slots=10),
        Peer("SAQ", "with_saq.py", slots=30, hook_slots=10),
        Peer("streaQ", "with_streaq.py", hook_slots=10),
        Peer("taskiq", "with_taskiq.py", hook_slots=10),
        Peer("Celery", "with_celery.py", hook_slots=30),
        Peer("Dramatiq", "with_dramatiq.py"),
        Peer("RQ", "with_rq.py"),
        Peer("Huey", "with_huey.py", hook_slots=10),
        Peer("BullMQ", "with_bullmq.mjs", hook_slots=30),
    )
}


def peers_named(names: str) -> list[Peer]:
    """Give those of a list like "celery,rq", we always first; all for an empty one.

    Raises:
        ValueError: one is not known; says who is.
    """
    known = {peer.key: peer for peer in PEERS.values()}
    wanted = [name.strip().lower() for name in names.replace(",", " ").split()]
    if unknown := [name for name in wanted if name not in known]:
        msg = f"no peer is called {', '.join(unknown)}; there are: {', '.join(known)}"
        raise ValueError(msg)
    return [peer for key, peer in known.items() if not wanted or key in wanted or peer.name == OURS]
