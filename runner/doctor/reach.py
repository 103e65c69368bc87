"""Checks of who reaches the server: facts in, findings out."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..settings.addresses import parse_address
from ..wire.asking import Refusal
from .facts import Acl, Facts
from .finding import Finding

ENDS_SOON_DAYS = 14


def permissions(facts: Facts) -> Iterator[Finding]:
    """Whether we may do what is needed, and no more; and whether a password is asked for."""
    acl = facts.acl
    if isinstance(acl, Refusal):
        yield Finding("permissions", "not checked", f"the server does not tell: {acl}")
        return
    if acl.missing:
        words = " ".join(f"+{name.lower()}" for name in acl.missing)
        why = f"user {acl.user} may not {', '.join(acl.missing)}"
        yield Finding("permissions", "wrong", why, f"ACL SETUSER {acl.user} {words}")
        return
    if acl.dangerous and not _is_near(facts.url):
        why = f"user {acl.user} may {', '.join(acl.dangerous)}, which no job needs"
        words = " ".join(f"-{name.lower()}" for name in acl.dangerous)
        yield Finding("permissions", "warning", why, f"ACL SETUSER {acl.user} {words}")
    else:
        yield Finding("permissions", "ok", f"user {acl.user} may do what is needed")
    if acl.has_password is False and not _is_near(facts.url):
        why = f"user {acl.user} needs no password: whoever reaches the server can read and change all jobs"
        yield Finding("password", "wrong", why, f"ACL SETUSER {acl.user} resetpass '>…', and in redis.url")


def exposure(facts: Facts) -> Iterator[Finding]:
    """Whether whoever reaches the machine reaches the jobs: where it listens, and what it asks for."""
    config, acl = facts.config, facts.acl
    if isinstance(config, Refusal):
        yield Finding("exposure", "not checked", f"the server does not tell: {config}")
        return
    ports = [config.get(name, "0") for name in ("port", "tls-port")]
    far = [place for place in config.get("bind", "").split() if not _is_loopback(place.lstrip("-"))]
    is_open = (acl.user == "default" and acl.has_password is False) if isinstance(acl, Acl) else None
    where = f"it listens on {' '.join(far) or 'all addresses'}"
    if not any(port != "0" for port in ports):
        yield Finding("exposure", "ok", "it listens on a socket of this machine only")
    elif config.get("bind") and not far:
        yield Finding("exposure", "ok", "it listens on this machine's own addresses only")
    elif config.get("protected-mode") == "no" and is_open:
        why = (
            f"{where}, protected-mode is no, and no password is asked for: whoever reaches it can do anything"
        )
        yield Finding("exposure", "wrong", why, "CONFIG SET protected-mode yes, then a password, or bind")
    elif is_open:
        yield Finding("exposure", "ok", f"{where}; protected-mode lets only this machine in")
    else:
        yield Finding("exposure", "ok", f"{where}, and asks for a password")


def network(facts: Facts) -> Finding:
    """Whether what travels can be read by others."""
    if _is_near(facts.url):
        return Finding("network", "ok", "the server is on this machine")
    if urlsplit(facts.url).scheme.startswith("rediss"):
        return Finding("network", "ok", "TLS")
    why = "jobs and passwords travel in clear text to another machine"
    return Finding("network", "warning", why, "rediss:// in redis.url, and tls-port on the server")


def certificate(facts: Facts) -> Iterator[Finding]:
    """Whether a server with TLS is the one that the address names, and for how long."""
    shown = facts.certificate
    if isinstance(shown, Refusal):
        yield Finding("certificate", "not checked", f"it cannot be looked at: {shown}")
    elif shown is None:
        return
    elif shown.wrong:
        why = f"it is not to be trusted for {shown.host}: {shown.wrong}"
        cure = f"one for {shown.host}, by who redis.ca_file names; or the address that it is for in redis.url"
        yield Finding("certificate", "wrong", why, cure)
    elif (days := shown.ends_in_s / 86_400) < ENDS_SOON_DAYS:
        why = f"it ends in {days:.0f} days: from then on nobody can connect"
        yield Finding("certificate", "warning", why, "renew it, then CONFIG SET tls-cert-file to load it")
    else:
        yield Finding("certificate", "ok", f"for {shown.host}, and {days:.0f} days more")


def _is_near(url: str) -> bool:
    """Whether the server, or each sentinel, is on this machine, as far as the address says."""
    if urlsplit(url).scheme == "unix":
        return True
    try:
        places = parse_address(url).places
    except ValueError:
        return False
    return all(host == "localhost" or _is_loopback(host) for host, _ in places)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
