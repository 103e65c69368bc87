"""The certificate a server shows, looked at by who checks it: a connection may have been told not to."""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..settings.addresses import parse_address
from ..wire.asking import Refusal

ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Trust:
    """What a connection is made with: paths of the authority's certificate, our certificate and its key.

    Empty ones stand for the system's authorities, and for none.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that a server showed.

    Attributes:
        host: that it was asked for.
        wrong: why it is not to be trusted for that host; empty when it is.
        ends_in_s: for how long it is valid.
    """

    host: str
    wrong: str = ""
    ends_in_s: float = 0.0


async def read_certificate(url: str, trust: Trust, *, now_s: float) -> Certificate | Refusal | None:
    """Look at the certificate of the first server of an address; None where there is no TLS."""
    if urlsplit(url).scheme not in ("rediss", "rediss+sentinel"):
        return None
    host, port = parse_address(url).places[0]
    try:
        context = ssl.create_default_context(cafile=trust.ca_file or None)
        if trust.cert_file:
            context.load_cert_chain(trust.cert_file, trust.key_file or None)
        async with asyncio.timeout(ASK_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return Certificate(host, error.verify_message)
    except (OSError, TimeoutError) as error:
        return Refusal(str(error) or type(error).__name__)
    shown = writer.get_extra_info("peercert") or {}
    writer.close()
    return Certificate(host, ends_in_s=ssl.cert_time_to_seconds(shown["notAfter"]) - now_s)
