"""The commands of strings, hashes and sets, and those of any key; ``zsets`` has the others.

A function's name is its command's; the table at the end is all that this server knows. One it does not know
is an error, never a guess.
"""

from typing import Any

from .keyspace import OK, Keyspace, Members, Ok, Refused, Stream, ZSet, integer

KINDS = {bytes: b"string", dict: b"hash", ZSet: b"zset", Members: b"set", Stream: b"stream"}


def exists(db: Keyspace, *keys: bytes) -> int:
    return sum(key in db.values for key in keys)


def delete(db: Keyspace, *keys: bytes) -> int:
    return sum([db.drop(key) for key in keys])


def rename(db: Keyspace, source: bytes, target: bytes) -> Ok:
    if source not in db.values:
        raise Refused("ERR no such key")
    value, expires = db.values[source], db.expires.get(source)
    db.drop(source)
    db.put(target, value)
    if expires is not None:
        db.expire_at(target, expires)
    return OK


def persist(db: Keyspace, key: bytes) -> int:
    if db.expires.pop(key, None) is None:
        return 0
    db.changed[key] = None
    return 1


def pexpire(db: Keyspace, key: bytes, ms: bytes) -> int:
    if key not in db.values:
        return 0
    db.expire_at(key, db.now_ms + integer(ms))
    return 1


def expire(db: Keyspace, key: bytes, seconds: bytes) -> int:
    return pexpire(db, key, b"%d" % (integer(seconds) * 1000))


def pttl(db: Keyspace, key: bytes) -> int:
    if key not in db.values:
        return -2
    return db.expires[key] - db.now_ms if key in db.expires else -1


def type_of(db: Keyspace, key: bytes) -> Ok:
    value = db.values.get(key)
    return Ok(b"none") if value is None else Ok(KINDS[type(value)])


def dbsize(db: Keyspace) -> int:
    return len(db.values)


def time_now(db: Keyspace) -> list[bytes]:
    return [b"%d" % (db.now_us // 1_000_000), b"%d" % (db.now_us % 1_000_000)]


def publish(db: Keyspace, channel: bytes, message: bytes) -> int:
    db.published.append((channel, message))
    return 1


# -- strings


def get(db: Keyspace, key: bytes) -> bytes | None:
    return db.get(key, bytes)


def mget(db: Keyspace, *keys: bytes) -> list[bytes | None]:
    values = [db.values.get(key) for key in keys]
    return [value if type(value) is bytes else None for value in values]


def set_(db: Keyspace, key: bytes, value: bytes, *options: bytes) -> Ok | None:
    ms, rest = 0, [option.upper() for option in options]
    if unknown := [word for word in rest if word not in (b"NX", b"PX", b"EX") and not word.isdigit()]:
        raise Refused(f"ERR this model knows no SET {unknown[0]!r}")
    if b"NX" in rest and key in db.values:
        return None
    for unit, size in ((b"PX", 1), (b"EX", 1000)):
        if unit in rest:
            ms = integer(rest[rest.index(unit) + 1]) * size
            if ms <= 0:
                raise Refused("ERR invalid expire time in 'set' command")
    db.put(key, value)
    if ms:
        db.expire_at(key, db.now_ms + ms)
    return OK


def psetex(db: Keyspace, key: bytes, ms: bytes, value: bytes) -> Ok | None:
    return set_(db, key, value, b"PX", ms)


def setnx(db: Keyspace, key: bytes, value: bytes) -> int:
    return 0 if set_(db, key, value, b"NX") is None else 1


def mset(db: Keyspace, *pairs: bytes) -> Ok:
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        db.put(key, value)
    return OK


def msetnx(db: Keyspace, *pairs: bytes) -> int:
    if exists(db, *pairs[::2]):
        return 0
    mset(db, *pairs)
    return 1


def decr(db: Keyspace, key: bytes) -> int:
    value = integer(db.get(key, bytes) or b"0") - 1
    db.values[key], db.changed[key] = b"%d" % value, None
    return value


def strlen(db: Keyspace, key: bytes) -> int:
    return len(db.get(key, bytes) or b"")


def getrange(db: Keyspace, key: bytes, first: bytes, last: bytes) -> bytes:
    value, end = db.get(key, bytes) or b"", integer(last)
    return value[integer(first) : end + 1 if end >= 0 else len(value) + end + 1]


def setbit(db: Keyspace, key: bytes, offset: bytes, bit: bytes) -> int:
    place, mask = divmod(integer(offset), 8)
    value = bytearray((db.get(key, bytes) or b"").ljust(place + 1, b"\0"))
    mask = 0x80 >> mask
    was = bool(value[place] & mask)
    value[place] = value[place] | mask if bit == b"1" else value[place] & ~mask
    db.values[key], db.changed[key] = bytes(value), None
    return int(was)


def bitcount(db: Keyspace, key: bytes, first: bytes = b"0", last: bytes = b"-1", unit: bytes = b"BIT") -> int:
    bits = "".join(f"{byte:08b}" for byte in db.get(key, bytes) or b"")
    end = integer(last)
    return bits[integer(first) : end + 1 if end >= 0 else len(bits) + end + 1].count("1")


# -- hashes


def hget(db: Keyspace, key: bytes, field: bytes) -> bytes | None:
    return (db.get(key, dict) or {}).get(field)


def hmget(db: Keyspace, key: bytes, *fields: bytes) -> list[bytes | None]:
    found = db.get(key, dict) or {}
    return [found.get(field) for field in fields]


def hset(db: Keyspace, key: bytes, *pairs: bytes) -> int:
    found = db.make(key, dict)
    before = len(found)
    found.update(zip(pairs[::2], pairs[1::2], strict=True))
    return len(found) - before


def hsetnx(db: Keyspace, key: bytes, field: bytes, value: bytes) -> int:
    return 0 if hexists(db, key, field) else hset(db, key, field, value)


def hdel(db: Keyspace, key: bytes, *fields: bytes) -> int:
    return _drop_from(db, key, db.get(key, dict), fields)


def _drop_from(db: Keyspace, key: bytes, found: Any, names: tuple[bytes, ...]) -> int:
    gone = [name for name in dict.fromkeys(names) if found and name in found]
    for name in gone:
        del found[name]
    if gone:
        db.changed[key] = None
        db.tidy(key, found)
    return len(gone)


def hexists(db: Keyspace, key: bytes, field: bytes) -> int:
    return int(field in (db.get(key, dict) or {}))


def hlen(db: Keyspace, key: bytes) -> int:
    return len(db.get(key, dict) or {})


def hkeys(db: Keyspace, key: bytes) -> list[bytes]:
    return list(db.get(key, dict) or {})


def hvals(db: Keyspace, key: bytes) -> list[bytes]:
    return list((db.get(key, dict) or {}).values())


def hgetall(db: Keyspace, key: bytes) -> list[bytes]:
    return [part for pair in (db.get(key, dict) or {}).items() for part in pair]


def hscan(db: Keyspace, key: bytes, _cursor: bytes, *_: bytes) -> list[Any]:
    """All at once, as the server does with a small hash."""
    return [b"0", hgetall(db, key)]


def hincrby(db: Keyspace, key: bytes, field: bytes, by: bytes) -> int:
    found = db.make(key, dict)
    value = integer(found.get(field, b"0")) + integer(by)
    found[field] = b"%d" % value
    return value


def hrandfield(db: Keyspace, key: bytes, count: bytes = b"", values: bytes = b"") -> Any:
    found = db.get(key, dict) or {}
    if not count:
        return db.rng.choice(list(found)) if found else None
    fields = db.rng.sample(list(found), min(integer(count), len(found)))
    return [part for field in fields for part in (field, found[field])] if values else fields


# -- sets


def sadd(db: Keyspace, key: bytes, *members: bytes) -> int:
    found = db.make(key, Members)
    before = len(found)
    found.update(dict.fromkeys(members))
    return len(found) - before


def srem(db: Keyspace, key: bytes, *members: bytes) -> int:
    return _drop_from(db, key, db.get(key, Members), members)


def scard(db: Keyspace, key: bytes) -> int:
    return len(db.get(key, Members) or {})


def sismember(db: Keyspace, key: bytes, member: bytes) -> int:
    return int(member in (db.get(key, Members) or {}))


def smembers(db: Keyspace, key: bytes) -> list[bytes]:
    return list(db.get(key, Members) or {})


def srandmember(db: Keyspace, key: bytes, count: bytes) -> list[bytes]:
    found = smembers(db, key)
    return db.rng.sample(found, min(integer(count), len(found)))


COMMANDS: dict[bytes, Any] = {
    name.upper().encode(): function
    for name, function in {
        "del": delete,
        "unlink": delete,
        "set": set_,
        "type": type_of,
        "time": time_now,
        "exists": exists,
        "rename": rename,
        "persist": persist,
        "pexpire": pexpire,
        "expire": expire,
        "pttl": pttl,
        "dbsize": dbsize,
        "publish": publish,
        "get": get,
        "mget": mget,
        "psetex": psetex,
        "setnx": setnx,
        "mset": mset,
        "msetnx": msetnx,
        "decr": decr,
        "strlen": strlen,
        "getrange": getrange,
        "setbit": setbit,
        "bitcount": bitcount,
        "hget": hget,
        "hmget": hmget,
        "hset": hset,
        "hsetnx": hsetnx,
        "hdel": hdel,
        "hexists": hexists,
        "hlen": hlen,
        "hkeys": hkeys,
        "hvals": hvals,
        "hgetall": hgetall,
        "hincrby": hincrby,
        "hscan": hscan,
        "hrandfield": hrandfield,
        "sadd": sadd,
        "srem": srem,
        "scard": scard,
        "sismember": sismember,
        "smembers": smembers,
        "srandmember": srandmember,
    }.items()
}
