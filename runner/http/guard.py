"""Which addresses this process may connect to: the guard against SSRF.

A webhook's url is written by a stranger. Without a guard it reaches whatever the worker can reach: the
loopback, the private network, the cloud's metadata service. The judgement is made on the address a connection
is about to be opened to, never on the name, so neither odd spellings nor a name that changes its mind help.

The table is our own: ``ipaddress.is_global`` differs between patch versions of Python and lets multicast,
NAT64 and 6to4 through. Source: the IANA special-purpose address registries, and the metadata addresses of
cloud providers.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REFUSED_V4 = {
    ipaddress.IPv4Network(network): what
    for network, what in {
        "0.0.0.0/8": "this host",
        "10.0.0.0/8": "private network",
        "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "Azure platform service",
        "169.254.0.0/16": "link-local, cloud metadata",
        "172.16.0.0/12": "private network",
        "192.0.0.0/24": "protocol assignments",
        "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "6to4 relay",
        "192.168.0.0/16": "private network",
        "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
}

REFUSED_V6 = {
    ipaddress.IPv6Network(network): what
    for network, what in {
        "::/128": "this host",
        "::1/128": "loopback",
        "64:ff9b:1::/48": "local NAT64",
        "fc00::/7": "private network",
        "fe80::/10": "link-local",
        "ff00::/8": "multicast",
        "2001::/23": "protocol assignments, Teredo",
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4",
        "3fff::/20": "documentation",
    }.items()
}

GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""All that is assigned for the internet; loopback, unique local, link-local and multicast lie outside."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""How an IPv6-only host reaches an IPv4 address; the last 32 bits are that address."""


class AddressRefused(httpx.ConnectError):
    """The guard does not let this process connect there; nothing was sent.

    Attributes:
        host: the name or literal of the url.
        reason: what is wrong with it, for people.
    """

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"refused to connect to {host!r}: {reason}")
        self.host = host
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Judges addresses.

    Attributes:
        allow: networks let through although the table refuses them; empty for none.
    """

    allow: tuple[Network, ...] = ()

    @classmethod
    def allowing(cls, networks: Iterable[str | Network]) -> Self:
        """Make a guard out of CIDRs such as ``127.0.0.0/8``.

        Raises:
            ValueError: one of them is not a network, or has bits set to the right of its mask.
        """
        return cls(tuple(ipaddress.ip_network(str(network)) for network in networks))

    def refusal(self, address: str) -> str | None:
        """Say why this address is refused, or None when it is not. Costs 10 to 20 µs."""
        try:
            plain = ipaddress.ip_address(address)
        except ValueError:
            return f"{address!r} is not an IP address"
        if isinstance(plain, ipaddress.IPv6Address) and plain.scope_id is not None:
            return f"{address} names a network interface"
        inner = _unwrap(plain)
        if any(inner in network or plain in network for network in self.allow):
            return None
        what = _refused(inner)
        return what and f"{address} is not a public address ({what}); webhooks.allow can let it through"

    def check(self, host: str, addresses: Iterable[str]) -> None:
        """Refuse a host when any of its addresses is refused: which one gets dialled is not in our hands.

        Raises:
            AddressRefused: names the host and the address.
        """
        for address in addresses:
            if reason := self.refusal(address):
                raise AddressRefused(host, reason)


def _unwrap(address: Address) -> Address:
    """Give the IPv4 address that packets to this address will reach, where there is one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _refused(address: Address) -> str | None:
    table = REFUSED_V4 if isinstance(address, ipaddress.IPv4Address) else REFUSED_V6
    for network, what in table.items():
        if address in network:
            return what
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_V6:
        return f"outside {GLOBAL_V6}"
    return None
