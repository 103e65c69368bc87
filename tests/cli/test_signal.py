"""``runner jobs signal``, on a real server."""

from collections.abc import Callable

from redis import Redis

Cli = Callable[..., tuple[int, str, str]]


def test_a_signal_reaches_a_job_of_any_queue(cli: Cli, sync: Redis) -> None:
    """It is kept for the task's next wait of that name; the same key again is the same signal."""
    cli("enqueue", "mail", "ann", "--key", "m-1")
    for _ in range(2):
        code, out, err = cli("jobs", "signal", "m-1", "approved", '{"by": "ann"}', "--key", "evt_1")
        assert (code, out, err) == (0, "m-1 has signal 'approved'\n", "")
    assert sync.hget("runner:job:m-1", "wait:approved#1") == b'+{"by":"ann"}'
    assert cli("jobs", "signal", "m-1", "approved", "--queue", "bulk")[0] == 0
    assert sync.hget("runner:job:m-1", "wait:approved#2") == b"+null"


def test_a_signal_that_reaches_nobody_says_why(cli: Cli) -> None:
    """Exit code 4 for a job that is not there, 1 for one of another queue, 2 for what is no JSON."""
    cli("enqueue", "mail", "ann", "--key", "m-1")
    for arguments, code, complaint in [
        (("m-2", "ok"), 4, "m-2"),
        (("m-1", "ok", "--queue", "default"), 1, "no job m-1 in queue 'default' that a signal could reach"),
        (("m-1", "ok", "{by"), 2, "the data takes JSON"),
        (("m-1", "a\tb"), 2, "text of 1 to 1024 characters"),
    ]:
        ended, out, err = cli("jobs", "signal", *arguments)
        assert (ended, out) == (code, ""), err
        assert complaint in err.replace("\n", " ")
