"""``runner jobs explain``: the reasons as lines for people, and as one object for programs."""

import json
from collections.abc import Callable

from redis import Redis

from runner.wire.keys import keys_of

Cli = Callable[..., tuple[int, str, str]]


def test_it_says_why_a_job_does_not_run(cli: Cli, sync: Redis) -> None:
    """A head, and a line a reason; what strangers wrote steers no terminal; an unknown id is exit code 4."""
    assert cli("enqueue", "pay", "o-1", "5", "--key", "k", "--delay", "1h")[0] == 0
    cli("queues", "pause", "default")
    sync.hset(keys_of("default").record("k"), "w", "in\x1b[2J line")
    code, out, err = cli("jobs", "explain", "k")
    assert (code, err) == (0, "")
    head, paused, unserved, waits = out.splitlines()
    assert head == "k  pay  scheduled in default"
    assert paused.startswith("- queue 'default' is paused since ")
    assert unserved == "- no worker serves queue 'default': none is alive"
    assert waits.startswith("- in\N{REPLACEMENT CHARACTER}[2J line; it comes back at ")
    told = json.loads(cli("jobs", "explain", "k", "--json")[1])
    assert [reason["kind"] for reason in told["reasons"]] == ["paused", "unserved", "snoozed"]
    assert told["reasons"][2]["until_ms"] == sync.zscore("arq:queue", "k")
    code, out, err = cli("jobs", "explain", "nobody")
    assert (code, out) == (4, "")
    assert "nobody" in err
