"""The commands of streams: what people did to dead letters."""

from typing import Any

from .keyspace import Keyspace, Refused, Stream, integer


def xadd(db: Keyspace, key: bytes, *arguments: bytes) -> bytes:
    """Add an entry under a name that the server gives; ``MAXLEN ~`` cuts no stream this short."""
    if arguments[0].upper() != b"MAXLEN" or arguments[1] != b"~" or arguments[3] != b"*":
        raise Refused("ERR this model knows no such XADD")
    found: Stream = db.make(key, Stream)
    if len(found) >= integer(arguments[2]):
        raise Refused("ERR this model cuts no stream")
    name = b"%d-%d" % (db.now_ms, len(found))
    found.append((name, list(arguments[4:])))
    return name


def xrange(db: Keyspace, key: bytes, first: bytes, last: bytes) -> list[Any]:
    if (first, last) != (b"-", b"+"):
        raise Refused("ERR this model gives streams whole")
    return [[name, fields] for name, fields in db.get(key, Stream) or ()]


STREAM_COMMANDS: dict[bytes, Any] = {b"XADD": xadd, b"XRANGE": xrange}
