"""One Link for each node of a cluster, and the map that says which node a command goes to.

To its users it is a Link. What is sent in one loop iteration to one node travels together. A node that
redirects is believed at once and the map is read again; a node that is gone makes it be read again, too, and
whoever sent the command hears of it as with one server: it waits and sends again.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .connecting import ClusterPool, Place
from .link import Command, Link, Reply, unlimited
from .passing import BROKEN
from .slots import first_key, redirected, slot_map, slot_of, unless_it_moves

LEARN_S = 1.0
"""How long one node may take to tell the map; then another is asked."""
LEARN_EVERY_S = 0.1
WATCH_EVERY_S = 0.25
"""How often the map is read while a node that is in it does not answer: another may take its slots over."""
MOST_REDIRECTS = 5


class ClusterLink:
    """A Link to each node that serves slots.

    Args:
        pool: of the cluster.
        timeout_s: as a Link's.

    Attributes:
        on_nodes: called when the map was read anew.
    """

    def __init__(self, pool: ClusterPool, *, timeout_s: float = 5.0) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._links: dict[Place, Link] = {}
        self._map: list[Place | None] = []
        self._unsent: list[tuple[Command, Reply]] = []
        self._begun: list[tuple[Command, Reply]] = []
        self._transaction: Place | None = None
        self._learning: asyncio.Task[None] | None = None
        self._gone: set[Place] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self.on_nodes: Callable[[], None] | None = None

    @property
    def places(self) -> set[Place]:
        """The nodes that serve slots; empty before the map is known."""
        return {place for place in self._map if place is not None}

    def place_of(self, key: str) -> Place | None:
        """Give the node that serves a key, as far as is known."""
        return self._map[slot_of(key)] if self._map else None

    def at(self, place: Place) -> Link:
        """Give the link to a node."""
        link = self._links.get(place)
        if link is None:
            link = self._links[place] = Link(self._pool.at(place), timeout_s=self._timeout_s)
            link.on_silence = self.learn
        return link

    def execute(self, *command: Any) -> Reply:
        """Send a command to the node it belongs to; as ``Link.execute``.

        MULTI and CLIENT CACHING wait for the command behind them, which has to be sent without waiting.
        """
        answer: Reply = asyncio.get_running_loop().create_future()
        if self._map:
            self._send(command, answer)
        else:
            self._unsent.append((command, answer))
            self.learn()
        return answer

    def learn(self) -> None:
        """Read the map anew, in the background."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.get_running_loop().create_task(self._learn(is_first=not self._map))

    async def close(self) -> None:
        """Close all links; commands without a reply fail."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        self._fail_unsent(RedisConnectionError("the link was closed"))
        links, self._links = self._links, {}
        await asyncio.gather(*(link.close() for link in links.values()), *self._closing)

    def _send(self, command: Command, answer: Reply) -> None:
        key = first_key(command)
        begins = command[0] == "MULTI" or command[:2] == ("CLIENT", "CACHING")
        if begins or (self._begun and key is None and command[0] != "EXEC"):
            self._begun.append((command, answer))
            return
        place = self._transaction or self._any() if key is None else self._map[slot_of(key)]
        if place is None:
            _refuse(answer, ResponseError("CLUSTERDOWN no node serves the slot"))
            self.learn()
            return
        begun, self._begun = self._begun, []
        for each in begun:
            self._send_to(place, *each, may_follow=False)
            if each[0][0] == "MULTI":
                self._transaction = place
        self._send_to(place, command, answer, may_follow=self._transaction is None)
        if command[0] == "EXEC":
            self._transaction = None

    def _any(self) -> Place | None:
        return next((place for place in self._map if place is not None), None)

    def _send_to(
        self, place: Place, command: Command, answer: Reply, *, may_follow: bool, redirects: int = 0
    ) -> None:
        reply = self.at(place).execute(*unless_it_moves(command))

        def settle(reply: Reply) -> None:
            error = None if reply.cancelled() else reply.exception()
            if answer.done():
                return
            if reply.cancelled():
                answer.cancel()
            elif error is None:
                self._gone.discard(place)
                answer.set_result(reply.result())
            elif may_follow and redirects < MOST_REDIRECTS and str(error).startswith(("MOVED ", "ASK ")):
                self._follow(place, str(error), command, answer, redirects + 1)
            else:
                self._note_trouble(place, error)
                _refuse(answer, _passing(error))

        reply.add_done_callback(settle)

    def _follow(self, asked: Place, error: str, command: Command, answer: Reply, redirects: int) -> None:
        place = redirected(error, asked)
        if error.startswith("MOVED"):
            self._map[int(error.split()[1])] = place
            self.learn()
        else:
            self.at(place).execute("ASKING").add_done_callback(_ignore)
        self._send_to(place, command, answer, may_follow=True, redirects=redirects)

    def _note_trouble(self, place: Place, error: BaseException) -> None:
        is_gone = isinstance(error, RedisConnectionError | RedisTimeoutError)
        if is_gone:
            self._gone.add(place)
        if is_gone or str(error).startswith(("MOVED", "CLUSTERDOWN", "READONLY", "EXECABORT")):
            self.learn()

    async def _learn(self, *, is_first: bool) -> None:
        try:
            if not is_first:
                await asyncio.sleep(LEARN_EVERY_S)
            self._map = await self._read_map()
            serving = self.places
            for place in self._links.keys() - serving:
                self._drop(self._links.pop(place))
        except BROKEN as error:
            self._fail_unsent(error)
            self._go_on_learning()
            return
        self._go_on_learning()
        unsent, self._unsent = self._unsent, []
        for command, answer in unsent:
            try:
                self._send(command, answer)
            except (LookupError, TypeError, ValueError) as error:  # a command without sense fails alone
                _refuse(answer, error)
        if self.on_nodes is not None:
            self.on_nodes()

    def _go_on_learning(self) -> None:
        self._gone &= self.places
        watching = asyncio.get_running_loop().create_task(self._watch()) if self._gone else None
        self._learning = watching

    async def _watch(self) -> None:
        """Read the map again soon, and see whether the nodes are there again that did not answer."""
        await asyncio.sleep(WATCH_EVERY_S)
        for place in list(self._gone):
            self._send_to(place, ("PING",), asyncio.get_running_loop().create_future(), may_follow=False)
        await self._learn(is_first=False)

    async def _read_map(self) -> list[Place | None]:
        for place in random.sample(list(self._links), len(self._links)):
            with contextlib.suppress(*BROKEN):
                async with asyncio.timeout(LEARN_S):
                    return slot_map(await self._links[place].execute("CLUSTER", "SLOTS"), place)
        connection: Any = unlimited(self._pool)
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
                await connection.send_command("CLUSTER", "SLOTS")
                reply = await connection.read_response(disable_decoding=True)
            return slot_map(reply, (connection.host, connection.port))
        finally:
            await connection.disconnect(nowait=True)

    def _drop(self, link: Link) -> None:
        closing = asyncio.get_running_loop().create_task(link.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _fail_unsent(self, error: BaseException) -> None:
        if not isinstance(error, RedisError):
            error = RedisConnectionError(f"{type(error).__name__}: {error}")
        unsent, self._unsent = [*self._begun, *self._unsent], []
        self._begun = []
        for _, answer in unsent:
            _refuse(answer, error)


def _passing(error: BaseException) -> BaseException:
    """Say of what went to the wrong node that it is to be tried again."""
    if isinstance(error, ResponseError) and str(error).startswith(("MOVED", "ASK", "EXECABORT")):
        return ResponseError(f"TRYAGAIN {error}")
    return error


def _refuse(answer: Reply, error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # nobody may be listening any more


def _ignore(reply: Reply) -> None:
    if not reply.cancelled():
        reply.exception()
