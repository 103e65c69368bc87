"""``runner doctor``, on a real server: what it prints, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from runner.wire.keys import keys_of

Cli = Callable[..., tuple[int, str, str]]
PROJECT = """
from arq import cron, func
from arq.connections import RedisSettings

async def mail(ctx, to): ...
async def nightly(ctx): ...

class Common:
    functions = [func(mail, timeout=600)]

class WorkerSettings(Common):
    cron_jobs = [cron(nightly, hour=2, minute=30)]
    max_trys = 3
    queue_name = "mine"
    redis_settings = RedisSettings(unix_socket_path={path!r}, database={database})

class Broken:
    functions = []
"""


def test_the_command_says_verdict_reason_and_cure(cli: Cli, sync: Redis) -> None:
    """A line each; the server of the tests does not write to disk, so exit code 1."""
    sync.zadd(keys_of("bulk").queue, {"lost": 1})
    code, out, err = cli("doctor", "--quick")
    assert (code, err) == (1, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["ok", "eviction      noeviction: a full server refuses new jobs, and keeps those it has"] in lines
    assert [
        "wrong",
        "durability    appendonly is no: a restart loses the jobs since the last snapshot",
    ] in lines
    assert [">", "CONFIG SET appendonly yes, and in its configuration file"] in lines
    assert ["wrong", "jobs          1 of 1 jobs have no payload, such as lost: evicted or expired?"] in lines
    findings = json.loads(cli("doctor", "--quick", "--json")[1])
    assert {"check", "verdict", "why", "cure"} == findings[0].keys()


def test_an_arq_project_is_told_what_it_gains(cli: Cli, redis_url: str) -> None:
    """And what differs: options arq drops without a word, pickles; its own server is checked, too."""
    path, _, database = redis_url.removeprefix("unix://").partition("?db=")
    Path("theirs.py").write_text(PROJECT.format(path=path, database=database))
    code, out, _ = cli("doctor", "theirs.WorkerSettings", "--quick")
    told = " ".join(out.split())
    for part in (
        "theirs.WorkerSettings: 2 functions, 1 cron jobs",
        "'max_trys' is no option of a worker, and is ignored > did you mean max_tries?",
        "functions: inherited, so the command arq ignores it; runner worker takes it",
        "payloads are pickles",
        "queue_name 'mine'",
        "within 15 s and a moment; with arq after 610 s",
        "a run happens once",
        "durability appendonly is no",
    ):
        assert part in told, part
    assert code == 1
    code, out, _ = cli("doctor", "theirs.Broken", "--quick")
    assert code == 1
    assert "at least one function" in out
    assert cli("doctor", "theirs.Nothing")[0] == 2
