"""The commands of sorted sets."""

from typing import Any

from .keyspace import Keyspace, Refused, ZSet, integer, number, text_of

_FLAGS = (b"NX", b"XX", b"GT", b"LT", b"CH")
EMPTY = ZSet()


def zadd(db: Keyspace, key: bytes, *arguments: bytes) -> int:
    flags, first = set(), 0
    while arguments[first].upper() in _FLAGS:
        flags.add(arguments[first].upper())
        first += 1
    pairs = [(number(arguments[i]), arguments[i + 1]) for i in range(first, len(arguments), 2)]
    found: ZSet | None = db.get(key, ZSet)
    if found is None:
        if b"XX" in flags or not pairs:
            return 0
        found = db.make(key, ZSet)
    added = moved = 0
    for score, member in pairs:
        old = found.scores.get(member)
        if old is None:
            if b"XX" not in flags:
                found.put(member, score)
                added += 1
        elif not (
            b"NX" in flags
            or old == score
            or (b"GT" in flags and score < old)
            or (b"LT" in flags and score > old)
        ):
            found.put(member, score)
            moved += 1
    if added or moved:
        db.changed[key] = None
    return added + moved if b"CH" in flags else added


def zrem(db: Keyspace, key: bytes, *members: bytes) -> int:
    found = db.get(key, ZSet)
    if found is None:
        return 0
    gone = sum([found.remove(member) for member in members])
    if gone:
        db.changed[key] = None
        db.tidy(key, found)
    return gone


def zscore(db: Keyspace, key: bytes, member: bytes) -> bytes | None:
    score = (db.get(key, ZSet) or EMPTY).scores.get(member)
    return None if score is None else text_of(score)


def zmscore(db: Keyspace, key: bytes, *members: bytes) -> list[bytes | None]:
    scores = (db.get(key, ZSet) or EMPTY).scores
    return [text_of(scores[member]) if member in scores else None for member in members]


def zcard(db: Keyspace, key: bytes) -> int:
    return len(db.get(key, ZSet) or EMPTY)


def zcount(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    first, end = (db.get(key, ZSet) or EMPTY).span(low, high)
    return max(0, end - first)


def zlexcount(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    """Count names between ``[a`` and ``(b``; all scores are alike."""
    if low[:1] != b"[" or high[:1] != b"(":
        raise Refused("ERR this model knows no such range")
    return sum(low[1:] <= member < high[1:] for _, member in (db.get(key, ZSet) or EMPTY).ranked)


def zrange(db: Keyspace, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[bytes]:
    found: ZSet = db.get(key, ZSet) or EMPTY
    words = [option.upper() for option in options]
    if b"BYSCORE" in words:
        first, end = found.span(low, high)
        rows = found.ranked[first:end]
        if b"LIMIT" in words:
            offset, count = (integer(word) for word in words[words.index(b"LIMIT") + 1 :][:2])
            rows = rows[offset : offset + count if count >= 0 else None]
    else:
        first, last = integer(low), integer(high)
        first = max(0, first + len(found)) if first < 0 else first
        rows = found.ranked[first : last + 1 if last != -1 else None]
    return _told(rows, words)


def zrevrange(db: Keyspace, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[bytes]:
    rows, last = (db.get(key, ZSet) or EMPTY).ranked[::-1], integer(high)
    return _told(
        rows[integer(low) : last + 1 if last != -1 else None], [option.upper() for option in options]
    )


def zrangebyscore(db: Keyspace, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[bytes]:
    return zrange(db, key, low, high, b"BYSCORE", *options)


def zremrangebyscore(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    return zrem(db, key, *zrangebyscore(db, key, low, high))


def zremrangebyrank(db: Keyspace, key: bytes, first: bytes, last: bytes) -> int:
    """Both may count from the end."""
    size, low, high = zcard(db, key), integer(first), integer(last)
    high = high + size if high < 0 else high
    return zrem(db, key, *zrange(db, key, b"%d" % low, b"%d" % high)) if size and high >= 0 else 0


def _told(rows: list[tuple[float, bytes]], words: list[bytes]) -> list[bytes]:
    if b"WITHSCORES" in words:
        return [part for score, member in rows for part in (member, text_of(score))]
    return [member for _, member in rows]


ZSET_COMMANDS: dict[bytes, Any] = {
    function.__name__.upper().encode(): function
    for function in (
        *(zadd, zrem, zscore, zmscore, zcard, zcount, zlexcount, zrange, zrevrange),
        *(zrangebyscore, zremrangebyscore, zremrangebyrank),
    )
}
