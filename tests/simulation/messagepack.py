"""MessagePack as the server's ``cmsgpack`` knows it: texts, whole numbers, lists; one value after another."""

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


_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_NUMBERS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_LISTS = {0xDC: 2, 0xDD: 4}
_WIDTHS = {**_TEXTS, **_NUMBERS, **_LISTS}


def unpack(data: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(data):
        value, at = _one(data, at)
        found.append(value)
    return found


def _one(data: bytes, at: int) -> tuple[Any, int]:
    mark = data[at]
    width = _WIDTHS.get(mark, 0)
    size = int.from_bytes(data[at + 1 : at + 1 + width])
    at += 1 + width
    if mark < 0x80:
        return mark, at
    if mark & 0xF0 == 0x90 or mark in _LISTS:
        found: list[Any] = []
        for _ in range(size if width else mark & 15):
            value, at = _one(data, at)
            found.append(value)
        return found, at
    if mark in _NUMBERS:
        return size, at
    if mark & 0xE0 != 0xA0 and mark not in _TEXTS:
        raise ValueError("Bad data format in input.")
    size = size if width else mark & 31
    return data[at : at + size], at + size
