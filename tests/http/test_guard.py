"""The address guard: no spelling of a url, and no answer of a name server, reaches an inner address."""

import ipaddress

import httpx
import pytest

from runner.http import AddressGuard, AddressRefused, Cause, NotSent, exchange
from runner.http.guard import REFUSED_V4, REFUSED_V6

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250
240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254
::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::1
100::1 2001::1 2001:0:4136:e378::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1
2002:a9fe:a9fe:: 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 febf::1 fec0::1
ff02::1 ff0e::1
"""

PUBLIC = """
1.1.1.1 8.8.8.8 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255 172.15.255.255
172.32.0.1 192.0.1.1 192.167.255.255 198.17.255.255 198.20.0.1 223.255.255.255 2606:4700:4700::1111
2001:4860:4860::8888 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
"""


@pytest.mark.parametrize("address", REFUSED.split())
def test_an_inner_address_is_refused(address):
    """Loopback, private, link-local, metadata, multicast, reserved, and their disguises in IPv6."""
    assert AddressGuard().refusal(address) is not None


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_let_through(address):
    """Also right beside a refused network, and as an IPv4 address in IPv6 clothes."""
    assert AddressGuard().refusal(address) is None


def test_no_network_of_the_table_is_refused_only_at_its_edge():
    """The first, the last and a middle address of each network are refused."""
    for network in (*REFUSED_V4, *REFUSED_V6):
        for number in (0, network.num_addresses // 2, -1):
            assert AddressGuard().refusal(str(network[number])), network[number]


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "0x7f.0.0.1", "1.2.3.4.5", "::g"])
def test_what_is_no_address_is_refused(address):
    """Whatever cannot be judged is not dialled."""
    assert AddressGuard().refusal(address) is not None


@pytest.mark.parametrize(
    ("allow", "address", "is_let_through"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("127.0.0.0/8", "::1", False),
        ("127.0.0.0/8", "10.0.0.1", False),
        ("::1/128", "::1", True),
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.0.0/16", "10.2.2.3", False),
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", True),
    ],
)
def test_an_allowed_network_is_let_through_and_no_other(allow, address, is_let_through):
    """Development and self-hosting name what they need, as CIDRs."""
    assert (AddressGuard.allowing([allow]).refusal(address) is None) == is_let_through


@pytest.mark.parametrize("network", ["10.0.0.1/8", "localhost", "10.0.0.0/33"])
def test_a_wrong_network_is_refused_when_the_guard_is_made(network):
    """A typing error must not open more, or less, than was meant."""
    with pytest.raises(ValueError, match=r"10\.0\.0|localhost"):
        AddressGuard.allowing([network])


def test_one_bad_answer_refuses_the_name():
    """Which of its addresses is dialled is not in our hands."""
    with pytest.raises(AddressRefused, match=r"'mixed.example'.*127\.0\.0\.1") as caught:
        AddressGuard().check("mixed.example", ["8.8.8.8", "127.0.0.1"])
    assert isinstance(caught.value, httpx.ConnectError)
    assert caught.value.host == "mixed.example"


HOSTILE = """
127.0.0.1 127.0.0.1. 127.1 127.0.1 127.000.000.001 0177.0.0.1 017700000001 0x7f.0.0.1 0x7f.1 0x7f000001
2130706433 127.0.0.2 127.127.127.127 0 0.0.0.0 00 0x0 localhost localhost. LOCALHOST LocalHost 127。0。0。1
127．0．0．1 ①②⑦.⓪.⓪.① [::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1]
[0:0:0:0:0:ffff:7f00:0001] [::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [::ffff:0:127.0.0.1]
[fe80::1%25lo] [::1%25lo] 8.8.8.8@127.0.0.1 user:pass@127.0.0.1 127.0.0.1%2f.example %31%32%37.0.0.1
127.0.0.1%00.example loop.test loop.test. LOOP.test mixed.test mapped.test mapped6.test nat64.test
sixtofour.test any.test metadata.test private.test multicast.test unique.test scoped.test cgnat.test
empty..test -loop.test _loop.test loop_.test a@b@127.0.0.1 loop.test\\@127.0.0.1 127.0.0.1\\@loop.test
[127.0.0.1] [::1].example 127.0.0.1#@loop.test
"""

ANSWERS = {
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "mapped6.test": ["::ffff:7f00:1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "sixtofour.test": ["2002:7f00:1::"],
    "any.test": ["0.0.0.0"],
    "metadata.test": ["169.254.169.254"],
    "private.test": ["10.0.0.1"],
    "multicast.test": ["224.0.0.1"],
    "unique.test": ["fd00::1"],
    "scoped.test": ["fe80::1%lo"],
    "cgnat.test": ["100.64.0.1"],
}


async def hostile_names(host: str, _port: int) -> list[str]:
    """A name server whose every other name is the loopback."""
    return ANSWERS.get(host.rstrip(".").lower(), ["127.0.0.1"])


async def test_no_spelling_of_a_url_opens_a_connection_to_loopback(make_client, receivers):
    """Some seventy spellings and names, and the canary on loopback sees not one connection."""
    assert len(HOSTILE.split()) >= 60
    client = make_client(allow=(), lookup=hostile_names)
    async with receivers.Receiver(receivers.answers(), host="127.0.0.1") as canary:
        ended = {
            host: await exchange(client, "POST", f"http://{host}:{canary.port}/", content=b"{}", timeout_s=20)
            for host in HOSTILE.split()
        }
        assert canary.ledger.connections == 0
    strays = {host: end for host, end in ended.items() if not isinstance(end, NotSent)}
    assert strays == {}
    assert {end.cause for end in ended.values()} == {Cause.REFUSED, Cause.INVALID}


async def test_the_system_resolver_is_guarded_like_any_other(guarded, receivers):
    """Without an injected lookup too: the operating system turns odd spellings into addresses."""
    async with receivers.Receiver(receivers.answers()) as canary:
        for host in ("localhost", "0x7f.1", "0x7f000001", "017700000001"):
            ended = await exchange(guarded, "POST", f"http://{host}:{canary.port}/", timeout_s=20)
            assert isinstance(ended, NotSent), host
        assert canary.ledger.connections == 0


async def test_a_name_with_one_bad_address_among_good_ones_is_not_dialled(make_client, receivers):
    """Not even its good address: an attacker must not gain a race between the two."""

    async def mixed(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    client = make_client(allow=["127.0.0.1/32"], lookup=mixed)
    async with receivers.Receiver(receivers.answers()) as receiver:
        ended = await exchange(client, "POST", f"http://mixed.example:{receiver.port}/", timeout_s=20)
        assert receiver.ledger.connections == 0
    assert isinstance(ended, NotSent)
    assert ended.cause is Cause.REFUSED


async def test_a_name_that_changes_its_mind_is_judged_at_each_connection(make_client, receivers):
    """Rebinding: one lookup a connection, and what was judged is what is dialled."""
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    client = make_client(allow=["127.0.0.1/32"], lookup=rebinding)
    closing = receivers.answers(200, "connection: close")
    async with receivers.Receiver(closing) as receiver:
        first = await exchange(client, "POST", f"http://hooks.example:{receiver.port}/", timeout_s=20)
        second = await exchange(client, "POST", f"http://hooks.example:{receiver.port}/", timeout_s=20)
        assert receiver.ledger.connections == 1
    assert first.status == 200
    assert isinstance(second, NotSent)
    assert second.cause is Cause.REFUSED
    assert asked == ["hooks.example", "hooks.example"]


def test_every_address_python_calls_local_is_refused():
    """The table is stricter than ipaddress wherever the two disagree."""
    for text in (REFUSED + PUBLIC).split():
        address = ipaddress.ip_address(text)
        inner = getattr(address, "ipv4_mapped", None) or address
        if not inner.is_global and text != "64:ff9b::8.8.8.8":
            assert AddressGuard().refusal(text), text
