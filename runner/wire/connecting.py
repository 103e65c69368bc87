"""Connections to whichever server is right at the moment: the master that sentinels name, a living node.

redis-py's own sentinel connections try the old master again through all their retries, and write to it
when it has been demoted meanwhile. Here each connecting asks anew, and a server that is no master is not
used.
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, SSLConnection
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from ..settings import RedisGroup
from ..settings.addresses import ServerAddress, parse_address
from .passing import BROKEN

Place = tuple[str, int]
Login = dict[str, Any]

SENTINEL_S = 1.0
"""How long one sentinel may take to answer; then the next is asked."""
_LOGIN = ("username", "password", "credential_provider")
_REFUSED = (AuthenticationError, NoPermissionError)
_IDLE_S, _PROBE_S, _PROBES = 30, 10, 3
"""A peer that vanished without a word is noticed after a minute also by those who only listen."""


class PasswordFile(CredentialProvider):
    """Reads the password anew at each connection, so that it can be changed while we run."""

    def __init__(self, path: str, username: str | None) -> None:
        self._path = Path(path)
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Give the password, with the user if there is one."""
        password = self._path.read_text(encoding="utf-8").strip()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Give the same: redis-py's own warns at each call."""
        return self.get_credentials()


class Seek(Protocol):
    """Says where to connect to."""

    must_be_master: bool

    async def places(self) -> Sequence[Place]:
        """Give what is to be tried, in this order."""
        ...


class Seeking:
    """Connects to where a Seek says."""

    host: str
    port: int

    def __init__(self, *, seek: Seek, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seek = seek

    async def _connect(self) -> None:
        trouble: BaseException | None = None
        for self.host, self.port in await self._seek.places():  # noqa: B020 - redis-py looks there
            try:
                await super()._connect()  # pyright: ignore[reportAttributeAccessIssue] - of the class beside it
            except (OSError, TimeoutError) as error:
                trouble = error
            else:
                return
        raise trouble or RedisConnectionError("there is no server to connect to")

    async def is_named(self) -> bool:
        """Ask anew whether the server that it is connected to is one to connect to."""
        return (self.host, self.port) in await self._seek.places()

    async def on_connect(self) -> None:
        """Log in as redis-py does; then leave a server that is no master, where it has to be one."""
        connection: Any = super()
        await connection.on_connect()
        if self._seek.must_be_master:
            us: Any = self
            await us.send_command("ROLE")
            role = (await us.read_response(disable_decoding=True))[0]
            if role != b"master":
                msg = f"{self.host}:{self.port} is {role.decode()}, not master: it fails over"
                raise RedisConnectionError(msg)


class SeekingConnection(Seeking, Connection):
    """Without TLS."""


class SecureSeekingConnection(Seeking, SSLConnection):
    """With TLS."""


class Nodes:
    """The nodes of a cluster that settings name; the one that answered last comes first."""

    must_be_master = False

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    async def places(self) -> Sequence[Place]:
        """Give them."""
        return self._places


class Sentinels:
    """Asks sentinels for the master, in turn: the one that answered last first.

    Args:
        places: of the sentinels.
        master: the name they know it by.
        pool: whose settings reach them: TLS, time limit.
        login: of theirs; None for that of the pool, and only if a sentinel asks for any.
    """

    must_be_master = True

    def __init__(
        self, places: Sequence[Place], master: str, pool: ConnectionPool, login: Login | None = None
    ) -> None:
        self._places = list(places)
        self._master = master
        self._pool = pool
        self._login = login

    async def places(self) -> Sequence[Place]:
        """Give where the master is.

        Raises:
            redis.exceptions.AuthenticationError: each refuses us, which does not pass by itself.
            redis.exceptions.ConnectionError: no sentinel knows.
        """
        found: list[str] = []
        refusals = 0
        for place in list(self._places):
            # The next connecting begins with the next one: what this one says may be wrong.
            self._places.append(self._places.pop(self._places.index(place)))
            try:
                reply = await self._ask(place)
            except BROKEN as error:
                refusals += isinstance(error, _REFUSED)
                found.append(f"{place[0]}:{place[1]} {error or type(error).__name__}")
                continue
            if reply is not None:
                return [(reply[0].decode(), int(reply[1]))]
            found.append(f"{place[0]}:{place[1]} knows no '{self._master}'")
        msg = f"no sentinel says where the master '{self._master}' is: {'; '.join(found)}"
        if refusals == len(found):
            msg += "; redis.sentinel_user and redis.sentinel_password_file say who we are to them"
            raise AuthenticationError(msg)
        raise RedisConnectionError(msg)

    async def _ask(self, place: Place) -> Any:
        kwargs = dict(self._pool.connection_kwargs)
        masters = {name: kwargs.pop(name) for name in _LOGIN if name in kwargs}
        kwargs |= {"host": place[0], "port": place[1], "db": 0, "socket_timeout": SENTINEL_S}
        kwargs["socket_connect_timeout"] = SENTINEL_S
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
        if self._login is not None:
            return await _ask(self._pool.connection_class(**kwargs, **self._login), question)
        try:
            return await _ask(self._pool.connection_class(**kwargs), question)
        except _REFUSED:
            return await _ask(self._pool.connection_class(**kwargs, **masters), question)


async def _ask(connection: AbstractConnection, question: Sequence[str]) -> Any:
    try:
        await connection.connect()
        await connection.send_command(*question)
        return await connection.read_response(disable_decoding=True)
    finally:
        await connection.disconnect(nowait=True)


class ClusterPool(ConnectionPool):
    """Makes connections to any node of a cluster that lives, and gives pools for each node.

    Args:
        node: the settings of a connection to one node.
        places: of the nodes that are known from the start.
    """

    def __init__(self, node: ConnectionPool, places: Sequence[Place]) -> None:
        self._node = node
        super().__init__(_seeking(node), seek=Nodes(places), **node.connection_kwargs)

    def at(self, place: Place) -> ConnectionPool:
        """Give a pool of connections to one node."""
        host, port = place
        kwargs: dict[str, Any] = {**self._node.connection_kwargs, "host": host, "port": port}
        return ConnectionPool(self._node.connection_class, **kwargs)


def make_pool(url: str, settings: RedisGroup) -> ConnectionPool:
    """Make a pool of connections to a server, by its address and the settings; no I/O.

    Args:
        url: what settings say, or where the embedded server is.
        settings: credentials, TLS, time limits, cluster or not.
    """
    address = parse_address(url)
    pool = _single(address, settings)
    if settings.cluster:
        return ClusterPool(pool, address.places)
    if address.master:
        seek = Sentinels(address.places, address.master, pool, _sentinels_login(settings))
        return ConnectionPool(_seeking(pool), seek=seek, **pool.connection_kwargs)
    return pool


def _sentinels_login(settings: RedisGroup) -> Login | None:
    """Give who we are to sentinels, where settings say so."""
    if not settings.sentinel_password_file:
        return None
    user = settings.sentinel_user or None
    return {"credential_provider": PasswordFile(settings.sentinel_password_file, user)}


def _seeking(pool: ConnectionPool) -> Any:
    is_secure = issubclass(pool.connection_class, SSLConnection)
    return SecureSeekingConnection if is_secure else SeekingConnection


def _single(address: ServerAddress, settings: RedisGroup) -> ConnectionPool:
    # No CLIENT SETINFO: nothing needs it, and Redis 7.0 takes no users' file that names it.
    given: dict[str, Any] = {"socket_connect_timeout": settings.connect_timeout}
    given |= {"lib_name": None, "lib_version": None}
    if address.places:
        given |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    if address.single.startswith("rediss:"):
        files = {
            "ssl_ca_certs": settings.ca_file,
            "ssl_certfile": settings.cert_file,
            "ssl_keyfile": settings.key_file,
        }
        given |= {"ssl_check_hostname": True, **{name: path for name, path in files.items() if path}}
    pool: Any = ConnectionPool.from_url(address.single, **given)
    if settings.password_file:
        username = pool.connection_kwargs.pop("username", None)
        pool.connection_kwargs.pop("password", None)
        pool.connection_kwargs["credential_provider"] = PasswordFile(settings.password_file, username)
    return pool


def _keepalive() -> dict[int, int]:
    """Give the options of this system: not every one has all of them."""
    wanted = {"TCP_KEEPIDLE": _IDLE_S, "TCP_KEEPINTVL": _PROBE_S, "TCP_KEEPCNT": _PROBES}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
