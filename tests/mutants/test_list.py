"""The list of seeded bugs: it cannot rot, and none of them is a slip of the pen."""

import tomllib
from collections import Counter
from pathlib import Path

import redis as redis_sync

from runner.wire.lua_loader import load, load_from

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = [
    mutant
    for path in sorted(Path(__file__).parent.glob("*.toml"))
    for mutant in tomllib.loads(path.read_text())["mutant"]
]


def test_every_bug_can_still_be_seeded() -> None:
    """Each old text stands exactly once in its file, its tests exist, and it says why it is in the list."""
    assert len(MUTANTS) >= 17
    texts: dict[str, str] = {}
    wrong = []
    for mutant in MUTANTS:
        for edit in mutant["edit"]:
            text = texts.setdefault(edit["file"], (ROOT / edit["file"]).read_text())
            if (times := text.count(edit["old"])) != 1 or edit["old"] == edit["new"]:
                wrong.append(f"{mutant['name']}: old text stands {times} times in {edit['file']}")
        for test in mutant["caught_by"]:
            path, _, name = test.partition("::")
            text = texts.setdefault(path, (ROOT / path).read_text())
            if f"def {name.partition('[')[0]}(" not in text:
                wrong.append(f"{mutant['name']}: there is no {test}")
        if not mutant["caught_by"] or len(mutant["why"]) < 30:
            wrong.append(f"{mutant['name']}: says neither why nor by what it is caught")
    assert wrong == []
    assert [name for name, n in Counter(each["name"] for each in MUTANTS).items() if n > 1] == []


def test_every_script_is_one_that_the_server_takes(server_url: str) -> None:
    """All compile: what a bug of the list does in a script is no slip of the pen."""
    with redis_sync.Redis.from_url(server_url) as redis:
        for path in sorted((ROOT / "runner/wire/lua").glob("*.lua")):
            assert redis.script_load(load(path.stem).source) == load(path.stem).sha
        for path in sorted((ROOT / "jobs/payment/lua").glob("*.lua")):
            script = load_from("jobs.payment", path.stem)
            assert redis.script_load(script.source) == script.sha
