"""One server or a cluster: what a pool leads to is opened here, and used in the same way."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from redis.asyncio.connection import ConnectionPool

from .cluster import ClusterLink
from .connecting import ClusterPool, Place
from .keys import Keys
from .link import Link
from .tracking import Tracking

AnyLink = Link | ClusterLink


def open_link(pool: ConnectionPool, *, timeout_s: float = 5.0) -> AnyLink:
    """Give a link to what a pool leads to; it connects when it is used."""
    if isinstance(pool, ClusterPool):
        return ClusterLink(pool, timeout_s=timeout_s)
    return Link(pool, timeout_s=timeout_s)


def open_tracking(
    pool: ConnectionPool,
    link: AnyLink,
    *,
    prefixes: Sequence[str] = (),
    on_change: Callable[[list[bytes]], None],
) -> "AnyTracking":
    """Give what tells of changed keys, as ``Tracking``; it listens when it is started."""
    if isinstance(pool, ClusterPool) and isinstance(link, ClusterLink):
        return ClusterTracking(pool, link, prefixes=prefixes, on_change=on_change)
    assert isinstance(link, Link)  # noqa: S101 - a link is made of the pool that is given
    return Tracking(pool, link, prefixes=tuple(prefixes), on_change=on_change)


class ClusterTracking:
    """A Tracking for each node that may have news.

    Args:
        pool: of the cluster.
        link: whose reads, or whose neighbours' writes, are watched.
        prefixes: each in one slot, by its hash tag, or with a tag that is not closed and shared by others of
            them; empty: every node is watched.
        on_change: as Tracking's.
    """

    def __init__(
        self,
        pool: ClusterPool,
        link: ClusterLink,
        *,
        prefixes: Sequence[str],
        on_change: Callable[[list[bytes]], None],
    ) -> None:
        self._pool = pool
        self._link = link
        self._prefixes = prefixes
        self._on_change = on_change
        self._nodes: dict[Place, Tracking] = {}
        self._known: Sequence[Place | None] = ()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_on(self) -> bool:
        """Whether all nodes push now."""
        return bool(self._nodes) and all(node.is_on for node in self._nodes.values())

    def start(self) -> None:
        """Begin to listen, in the background, and follow the slots wherever they go."""
        self._link.on_nodes = self._follow
        if self._link.places:
            self._follow()
        else:
            self._link.learn()

    async def close(self) -> None:
        """Stop listening."""
        self._link.on_nodes = None
        nodes, self._nodes = self._nodes, {}
        await asyncio.gather(*(node.close() for node in nodes.values()), *self._ending)

    def _follow(self) -> None:
        with_slot = [prefix for prefix in self._prefixes if "}" in prefix or "{" not in prefix]
        known = [self._link.place_of(prefix) for prefix in with_slot] or sorted(self._link.places)
        wanted = {place for place in known if place is not None}
        if known != self._known:
            self._known = known
            self._on_change([])
        for place in self._nodes.keys() - wanted:
            ending = asyncio.get_running_loop().create_task(self._nodes.pop(place).close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        for place in wanted - self._nodes.keys():
            node = self._nodes[place] = Tracking(
                self._pool.at(place),
                self._link.at(place),
                prefixes=tuple(self._prefixes),
                on_change=self._on_change,
            )
            node.start()


def listened_for(queues: Iterable[Keys]) -> tuple[str, ...]:
    """Give the beginnings of keys whose changes are news to a worker of these queues.

    A queue of several shards has one more, that of all of them: a Tracking leaves out what another covers.
    """
    every = list(queues)
    names = [keys.name for keys in every]
    shared = {f"arq:queue:{{{name}" for name in names if names.count(name) > 1}
    return (*(keys.queue for keys in every), *dict.fromkeys(keys.abort for keys in every), *sorted(shared))


AnyTracking = Tracking | ClusterTracking
