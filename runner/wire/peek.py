"""What the begin of a payload says without being loaded: for lists, and for payloads that are pickles."""

import pickletools
import re

import msgspec

_NAME = re.compile(rb'"f"\s*:\s*("(?:[^"\\]|\\.)*")')


def task_in(head: bytes) -> str:
    """Give the name of the task that a payload's first bytes name; empty when they do not.

    arq's own pickles are taken apart, never loaded: no code of theirs runs.
    """
    return _pickled(head) if head[:1] == b"\x80" else _written(head)


def _written(head: bytes) -> str:
    found = _NAME.search(head)
    try:
        return msgspec.json.decode(found[1], type=str) if found else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _pickled(head: bytes) -> str:
    """Find the text that follows the text ``f``: arq pickles a dict with its keys in order."""
    is_next = False
    try:
        for _, value, _ in pickletools.genops(head):
            if isinstance(value, str):
                if is_next:
                    return value
                is_next = value == "f"
    except Exception:  # noqa: BLE001 - bytes of strangers, cut somewhere: pickletools raises what it likes
        return ""
    return ""
