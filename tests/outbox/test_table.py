"""The table as databases see it, and the statements that move its rows."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from runner import MissingExtra
from runner.outbox import OUTBOX, Relay

GUIDE = (Path(__file__).parents[2] / "docs/outbox.md").read_text()
DIALECTS = {"postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}


def words(sql: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", sql)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_guide_has_the_ddl(name):
    """Word for word what SQLAlchemy makes of the table, for migrations that are written by hand."""
    told = re.findall(r"^```sql\n(.*?);\n```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert words(str(CreateTable(OUTBOX).compile(dialect=DIALECTS[name]))) in [words(sql) for sql in told]


def test_postgresql_locks_what_it_moves_and_skips_what_others_move():
    """In the order of the rows, a batch at a time; SQLite, which knows no such lock, is not asked for one."""
    relay = Relay(create_async_engine("sqlite+aiosqlite://"), None)
    rows = relay._batch({"bulk"})
    sql = {name: " ".join(str(rows.compile(dialect=dialect)).split()) for name, dialect in DIALECTS.items()}
    assert re.search(r"ORDER BY runner_outbox\.position LIMIT \S+ FOR UPDATE SKIP LOCKED$", sql["postgresql"])
    assert "queue NOT IN" in sql["postgresql"]
    assert "FOR UPDATE" not in sql["sqlite"]


def test_a_missing_sqlalchemy_is_one_sentence(monkeypatch):
    """It is an extra, looked for when the outbox is asked for."""
    for name in [name for name in sys.modules if name.startswith("runner.outbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the outbox needs the extra 'sqlalchemy': pip install"):
        importlib.import_module("runner.outbox")
