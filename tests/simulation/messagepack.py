"""MessagePack as the server's ``cmsgpack`` writes it: texts and whole numbers, one value after the other."""

from typing import Any


def pack(*values: Any) -> bytes:
    return b"".join(_packed(value) for value in values)


def _packed(value: Any) -> bytes:
    if type(value) is int and 0 <= value < 128:
        return bytes((value,))
    if type(value) is not bytes:
        raise TypeError(f"this model packs texts and small numbers, not {value!r}")
    size = len(value)
    if size < 32:
        return bytes((0xA0 | size,)) + value
    for mark, width in ((0xD9, 1), (0xDA, 2), (0xDB, 4)):
        if size < 1 << 8 * width:
            return bytes((mark,)) + size.to_bytes(width) + value
    raise ValueError("too long")


def unpack(data: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(data):
        mark = data[at]
        at += 1
        if mark < 128:
            found.append(mark)
            continue
        width = {0xD9: 1, 0xDA: 2, 0xDB: 4}.get(mark, 0)
        size = int.from_bytes(data[at : at + width]) if width else mark & 31
        at += width
        found.append(data[at : at + size])
        at += size
    return found
