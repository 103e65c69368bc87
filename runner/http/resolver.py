"""Names to addresses, for the transport: off the loop, judged, and looked up once a connection.

``getaddrinfo`` in the loop's default executor has as few as six threads: a handful of dead name servers would
then hold up every healthy host. So the lookups have threads of their own.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from .guard import AddressGuard

RESOLVER_THREADS = 64

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses of (host, port); raises OSError when there are none."""


class SystemLookup:
    """Asks the operating system, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)

    def close(self) -> None:
        """Let the threads go; one that hangs in a lookup ends when the lookup does."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        msg = f"not a host name: {error}"
        raise socket.gaierror(socket.EAI_NONAME, msg) from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class GuardedResolver(AbstractResolver):
    """aiohttp's way to our lookup; every answer is judged before any is dialled."""

    def __init__(self, lookup: Lookup, guard: AddressGuard) -> None:
        self._lookup = lookup
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses of a name, all of them allowed.

        Raises:
            AddressRefused: one of them is not.
            OSError: there are none.
        """
        del family  # aiohttp asks for all of them, unless its connector is told otherwise
        addresses = await self._lookup(host, port)
        self._guard.check(host, addresses)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Do nothing: the lookup belongs to the transport."""


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
