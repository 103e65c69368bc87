"""docs/wire-format.md says of keys, letters and fields what the code says."""

import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec
from pages import ROOT

from runner.engine.envelope import _fields
from runner.job import Attempt
from runner.wire import keys
from runner.wire.codec import Meta, Payload

GUIDE = (ROOT / "docs/wire-format.md").read_text()


def keys_table() -> Iterable[str]:
    """The table of wire/keys.py as Markdown; its columns stand where its head has them."""
    lines = iter((keys.__doc__ or "").splitlines())
    head = next(line for line in lines if line.lstrip().startswith("classic"))
    at = [*(head.index(word) for word in ("classic", "tagged", "type", "whose", "meaning")), None]
    yield "| classic | tagged | type | whose | |"
    yield "| --- | --- | --- | --- | --- |"
    for line in lines:
        if not line.strip():
            return
        classic, tagged, kind, whose, meaning = (line[a:b].strip() for a, b in pairwise(at))
        names = ", ".join(f"`{name}`" for name in classic.split(", "))
        yield f"| {names} | {tagged if tagged == '…' else f'`{tagged}`'} | {kind} | {whose} | {meaning} |"


def test_the_keys_are_those_of_the_code():
    """Row by row: a key that is added or renamed is added or renamed here."""
    table = list(keys_table())
    assert len(table) > 40
    assert "\n".join(table) in GUIDE, "\n".join(table)


def test_the_letters_are_those_of_the_code():
    """Each letter of `m`, in the order of the code, and nothing else."""
    told = GUIDE.partition("| letter in `m` | means |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w)` \|", told, re.MULTILINE) == [f.name for f in msgspec.structs.fields(Meta)]


def fields_of(table: str) -> list[str]:
    """The names in the first column of a table, several a row or one."""
    first = re.findall(r"^\| (.*?) \|", table.partition("\n\n")[0], re.MULTILINE)
    return re.findall(r"`(\w+)`", " ".join(first))


def test_the_fields_are_those_of_the_code():
    """Of a payload and of a result envelope."""
    _, job, result = GUIDE.split("| field | means |")
    assert fields_of(job) == [field.name for field in msgspec.structs.fields(Payload)]
    attempt = Attempt(job_id="", queue="", number=1, token="", fence=1, due_at_ms=0, payload=None)
    assert set(fields_of(result)) == {*_fields(attempt, success=True), "o"}
