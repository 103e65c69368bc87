"""What a header declares, what the loader makes of it, and what it refuses."""

import re
from typing import Any

import pytest
from redis.exceptions import ResponseError

from runner.wire.lua_loader import load, parse

GOOD = """-- try: what it does.
--
-- KEYS  queue  zset  job id -> due at (ms)
-- KEYS  dead   zset  dead letters
-- ARGV  limit  int   at most this many
-- ARGV  word   str   some text
-- ARGV  jobs   rest  ids
-- GIVES what it was given
-- FAILS nothing
-- COST  O(1)
-- USES  text
return { queue, dead, text(limit + 1), word, jobs_n, jobs(1), jobs(2) }
"""


async def test_a_body_knows_its_keys_and_arguments_by_name(redis: Any) -> None:
    """Keys and texts as they are, numbers as numbers, the rest counted from one."""
    script = parse("try", GOOD)
    assert (script.keys, script.args, script.has_rest) == (("queue", "dead"), ("limit", "word", "jobs"), True)
    reply = await redis.eval(script.source, 2, "q", "d", 9_007_199_254_740_990, "007", "a", "b")
    assert reply == [b"q", b"d", b"9007199254740991", b"007", 2, b"a", b"b"]


async def test_the_sha_is_the_servers(redis: Any) -> None:
    """The name by which a script is called is the one the server gives it."""
    script = parse("try", GOOD)
    assert await redis.script_load(script.source) == script.sha


@pytest.mark.parametrize("name", ["enqueue", "claim", "finish", "renew", "cancel", "progress", "maintain"])
async def test_every_verb_is_a_script_the_server_takes(redis: Any, name: str) -> None:
    """All of them compile on the server; only what takes in new work is refused when memory is full."""
    script = load(name)
    assert await redis.script_load(script.source) == script.sha
    assert script.source.startswith("#!lua\n" if name == "enqueue" else "#!lua flags=allow-oom\n")


async def test_a_line_of_an_error_leads_to_the_file(redis: Any) -> None:
    """The server counts lines of what was sent; `offset` is what stands before the file's own."""
    script = parse("try", GOOD + "error('here')\n".replace("error", "local x = nil; return x.y --"))
    broken = parse("try", GOOD.replace("return {", "local x = nil\nlocal y = x.z\nreturn {"))
    with pytest.raises(ResponseError) as caught:
        await redis.eval(broken.source, 2, "q", "d", 1, "w")
    [line] = re.findall(r"user_script:(\d+)", str(caught.value))[:1]
    lines = broken.source.splitlines()
    assert lines[int(line) - 1] == "local y = x.z"
    assert GOOD.splitlines()[0] == lines[broken.offset]
    assert int(line) - broken.offset == GOOD.splitlines().index("-- USES  text") + 3
    assert script.offset == broken.offset


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("-- KEYS  queue", "KEYS takes a name and a kind"),
        ("-- KEYS", "KEYS takes a name and a kind"),
        ("-- KEYS  Queue-Key  zset", "KEYS takes a name and a kind"),
        ("-- ARGV  limit", "ARGV takes a name and a kind"),
        ("-- ARGV  limit  float  a number", "an argument is one of int, str, pack, rest"),
        ("-- ARGV  queue  str  the same again", "the name 'queue' is taken"),
        ("-- ARGV  word  str  the same again", "the name 'word' is taken"),
        ("-- KEYS  queue  zset  the same again", "the name 'queue' is taken"),
        ("-- USES  nosuch", "there is no lib/nosuch.lua"),
        ("-- FLAGS  allow-oom", "FLAGS is 'none'"),
    ],
)
def test_a_wrong_header_names_the_line(line: str, wrong: str) -> None:
    """What cannot be read is refused with the file, the line, and what was expected."""
    head = "-- try: x.\n-- KEYS  queue  zset  ids\n-- ARGV  word  str  text\n"
    with pytest.raises(ValueError, match=re.escape(f"try.lua:4: {wrong}")):
        parse("try", f"{head}{line}\nreturn 1\n")


def test_nothing_follows_the_rest() -> None:
    """An argument after `rest` could never be told from it."""
    head = "-- try: x.\n-- ARGV  jobs  rest  ids\n-- ARGV  limit  int  most\n"
    with pytest.raises(ValueError, match=re.escape("try.lua:3: 'jobs' takes the rest")):
        parse("try", head)


def test_only_the_header_declares() -> None:
    """The header ends with the first line of code: a later comment is a comment."""
    script = parse("try", "-- try: x.\n-- ARGV  a  str  text\nreturn a\n-- ARGV  b  str  no argument\n")
    assert script.args == ("a",)


def test_a_script_is_read_once() -> None:
    """Loading is free after the first time."""
    assert load("claim") is load("claim")
