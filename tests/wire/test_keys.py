"""Names of keys: arq's own where arq has one, and one hash tag a queue where a cluster needs it."""

import dataclasses
import re
from pathlib import Path

import pytest
from arq.constants import (
    abort_jobs_ss,
    default_queue_name,
    in_progress_key_prefix,
    job_key_prefix,
    result_key_prefix,
    retry_key_prefix,
)
from redis.crc import key_slot

import runner.wire
from runner.wire.keys import Keys, keys_of, keys_of_arq_queue


def every_key(keys: Keys) -> list[str]:
    per_job = ("job", "lease", "retry", "result", "record", "dead_letter")
    whole = ("queue", "running", "suspects", "dead", "ward", "abort")
    return [getattr(keys, name) for name in whole] + [getattr(keys, name)("id") for name in per_job]


def test_the_classic_layout_is_arqs() -> None:
    """Every key that arq has a name for has that name."""
    keys = keys_of("default")
    assert keys.queue == default_queue_name
    assert keys.abort == abort_jobs_ss
    assert keys.job("x") == job_key_prefix + "x"
    assert keys.lease("x") == in_progress_key_prefix + "x"
    assert keys.retry("x") == retry_key_prefix + "x"
    assert keys.result("x") == result_key_prefix + "x"
    assert keys_of("bulk").queue == "arq:queue:bulk"


@pytest.mark.parametrize(
    ("queue", "name"), [("arq:queue", "default"), ("arq:queue:bulk", "bulk"), ("my", "my")]
)
def test_a_queue_named_as_arq_names_it_has_the_same_keys(queue: str, name: str) -> None:
    """arq's queue_name is the ZSET itself; a name of our form meets the keys of that queue."""
    keys = keys_of_arq_queue(queue)
    assert (keys.queue, keys.name) == (queue, name)
    if queue.startswith("arq:queue"):
        assert keys == keys_of(name)


@pytest.mark.parametrize("name", ["default", "bulk", "with space", "ünï"])
def test_the_tagged_layout_keeps_a_queue_in_one_slot(name: str) -> None:
    """A cluster runs a script only if all its keys hash alike."""
    assert len({key_slot(key.encode()) for key in every_key(keys_of(name, "tagged"))}) == 1


@pytest.mark.parametrize("layout", ["classic", "tagged"])
def test_no_two_things_share_a_name(layout: str) -> None:
    """Neither within a queue, nor what belongs to one queue alone with that of another."""
    one, other = (keys_of(name, layout) for name in ("one", "other"))  # type: ignore[arg-type]
    assert len(set(every_key(one))) == len(every_key(one))
    own = {"queue", "running", "suspects", "dead", "ward"}
    assert not {getattr(one, name) for name in own} & {getattr(other, name) for name in own}


@pytest.mark.parametrize("layout", ["classic", "tagged"])
def test_no_id_of_a_job_makes_a_key_of_the_queue(layout: str) -> None:
    """Ids are chosen by users: one named like a part of us must not meet it."""
    keys = keys_of("default", layout)  # type: ignore[arg-type]
    words = [field.name for field in dataclasses.fields(Keys)] + ["abort", "stats", "untold", "audit"]
    whole = {value for value in (getattr(keys, name) for name in dir(keys)) if isinstance(value, str)}
    per_job = (keys.job, keys.lease, keys.retry, keys.result, keys.record, keys.dead_letter)
    assert [make(word) for word in words for make in per_job if make(word) in whole] == []


DURABLE = {"signal.lua", "step.lua", "wait.lua", "rearm.lua", "dead_letters_import.lua"}
RECORD = re.compile(r"call\('H(?:SET|SETNX|INCRBY)', (?:history|letter|ours \.\. 'job:' \.\. id), (.*)\)")


def test_only_durable_records_have_a_colon_in_their_names() -> None:
    """What stays through a replay is told by that colon: no other script writes a field of such a name."""
    scripts = sorted(Path(runner.wire.__file__).parent.glob("lua/**/*.lua"))
    fields = {path: RECORD.findall(path.read_text()) for path in scripts}
    writers = {path.name for path, found in fields.items() if found}
    assert writers > DURABLE, "the pattern finds those that write records"
    others = [each for path, found in fields.items() if path.name not in DURABLE for each in found]
    assert [each for each in others if not re.fullmatch(r"'[^':]+'(, .*)?", each)] == []
    assert [each for each in others if re.search(r"'[^' ]*:[^' ]*'", each)] == []
