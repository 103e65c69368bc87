"""The parent's own port: /healthz, /readyz, /metrics and /scale of all its processes together.

Each process answers at a port of its own; the parent asks them when it is asked. One whose event loop is
blocked does not answer, which the parent then says.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

import aiohttp
from aiohttp import web

from ..health.answers import TEXT_FORMAT, Answer, told
from ..health.endpoint import routes_of, serve_port
from .plan import Policy
from .process import Process
from .together import together

ANSWER_S = 3.0
"""How long a process may take: it waits 2 s for the server itself."""
_SELF: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - not bound here


class Fleet(Protocol):
    """What of a supervisor is told."""

    processes: dict[int, Process]
    policy: Policy


class Said(NamedTuple):
    """What a process answered; status 0: it did not."""

    process: Process
    status: int
    text: str


class FleetEndpoint:
    """Serves the port.

    Args:
        fleet: whose processes are asked.
        host: address to listen on, and where the processes do.
        port: of the parent; the process in place n answers at this port plus n.
    """

    def __init__(self, fleet: Fleet, *, host: str, port: int) -> None:
        self._fleet = fleet
        self._host = host
        self._port = port
        own = _SELF.get(host, host)
        self._asked_at = f"[{own}]" if ":" in own else own
        self.address: tuple[str, int] | None = None
        self.by_name: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "metrics": self._metrics,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "scale": self._scale,
        }

    async def run(self) -> None:
        """Serve until cancelled; a port that is taken is tried again."""
        app = web.Application()
        app.add_routes(routes_of(self.by_name))
        await serve_port(app, self._host, self._port, on_listening=self._note_address)

    def _note_address(self, address: tuple[str, int]) -> None:
        self.address = address

    async def _ask_all(self, path: str, *, first: str = "", most: int | None = None) -> list[Said]:
        """Ask every process that serves and stays, in the order of their places.

        Args:
            path: what they are asked.
            first: what the first one is asked instead.
            most: no more than so many are asked.
        """
        staying = [each for each in self._fleet.processes.values() if each.is_ready and not each.is_retiring]
        staying = sorted(staying, key=lambda each: each.place)[:most]
        paths = [first or path, *[path] * len(staying)]
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            asking = (self._ask(session, each, path) for each, path in zip(staying, paths, strict=False))
            return await asyncio.gather(*asking)

    async def _ask(self, session: aiohttp.ClientSession, process: Process, path: str) -> Said:
        url = f"http://{self._asked_at}:{self._port + process.place}/{path}"
        try:
            async with session.get(url) as answer:
                return Said(process, answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return Said(process, 0, "")

    async def _metrics(self) -> Answer:
        """One process asks the server how the queues stand; all do, when that one does not answer."""
        said = await self._ask_all("process-metrics", first="metrics")
        if said and said[0].status != 200:
            said = await self._ask_all("metrics")
        text = together({each.process.place: each.text for each in said if each.status == 200})
        own = _own(self._fleet, sum(each.status == 200 for each in said))
        return Answer(200, TEXT_FORMAT, (text + own).encode())

    async def _healthz(self) -> Answer:
        """The parent lives; it is no use when none of its processes answers, and none is being started."""
        said = await self._ask_all("healthz")
        is_starting = any(not each.is_ready for each in self._fleet.processes.values())
        alive = is_starting or any(each.status == 200 for each in said)
        reasons = [why for each in said for why in _reasons(each)]
        return told({"alive": alive, "reasons": reasons}, is_well=alive)

    async def _readyz(self) -> Answer:
        said, wanted = await self._ask_all("readyz"), self._fleet.policy.processes
        reasons = [why for each in said for why in _reasons(each)]
        if len(said) < wanted:
            reasons.append(f"{len(said)} of {wanted} processes serve")
        return told({"ready": not reasons, "reasons": reasons}, is_well=not reasons)

    async def _scale(self) -> Answer:
        """Every process says the same of the server: the first answer will do."""
        for most in (1, None):
            for each in await self._ask_all("scale", most=most):
                if each.status == 200:
                    return told(json.loads(each.text), is_well=True)
        return told({"error": "no process could ask the server"}, is_well=False)


def _reasons(said: Said) -> list[str]:
    who = f"process {said.process.place} (pid {said.process.pid})"
    if said.status == 200:
        return []
    try:
        reasons: Any = json.loads(said.text)["reasons"]
    except (ValueError, KeyError, TypeError):
        return [f"{who} does not answer: its event loop may be blocked"]
    return [f"{who}: {why}" for why in reasons]


def _own(fleet: Fleet, answering: int) -> str:
    """Give what only the parent knows."""
    states = {
        "wanted": fleet.policy.processes,
        "alive": len(fleet.processes),
        "retiring": sum(each.is_retiring for each in fleet.processes.values()),
        "answering": answering,
    }
    name = "runner_fleet_processes"
    head = f"# HELP {name} worker processes of this parent\n# TYPE {name} gauge\n"
    return head + "".join(f'{name}{{state="{state}"}} {count}\n' for state, count in states.items())
