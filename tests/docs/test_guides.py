"""Every block of the README and of docs/ does what it says; pages.py has the marks and what they mean."""

import ast
import configparser
import inspect
import json
import os
import re
import sys
import tomllib
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import names
import pytest
import shell
import yaml
from pages import BLOCKS, GIVEN, LANGUAGES, PAGES, ROOT, Block, blocks_of, given_of, prose_of

import runner as public
from runner import Runner, Settings, Task
from runner.settings import load_settings
from runner.settings.model import GROUPS, KEYS

PUBLIC = {name: getattr(public, name) for name in public.__all__}
PYTHON = [block for block in BLOCKS if block.language == "python"]


def by_place(blocks: list[Block]) -> Any:
    return pytest.mark.parametrize("block", blocks, ids=[block.place for block in blocks])


class Reader:
    """Somebody who types a page in, block after block."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
        self.patch = monkeypatch
        self.module = ModuleType(f"guide_{page.stem}".replace("-", "_"))
        self.names = vars(self.module)
        self.names |= PUBLIC
        self.names["leaving"] = self.leaving = AsyncExitStack()
        monkeypatch.setitem(sys.modules, self.module.__name__, self.module)

    async def type(self, source: str, place: str, line: int = 0) -> None:
        """Run a block; the runner knows what is declared before it is first named, or awaited."""
        body = names.statements(source)
        first = next((i for i, each in enumerate(body) if names.acts(each)), len(body))
        await self._run(body[:first], place, line)
        if first == len(body):
            return
        tasks = {each.name: each for each in self.names.values() if isinstance(each, Task)}
        settings = load_settings(environ={**os.environ, "RUNNER_TASKS": ""})
        made = Runner(settings, tasks=tasks.values(), schedules=self.names.get("schedules", ()))
        async with made.worker() if tasks else made:
            self.names["runner"] = made
            await self._run(body[first:], place, line)

    async def _run(self, body: list[ast.stmt], place: str, line: int) -> None:
        code = names.compiled(body, place, line)
        running = eval(code, self.names)
        if code.co_flags & inspect.CO_COROUTINE:
            await running

    def import_file(self, block: Block) -> list[Any]:
        """Make a module of a block, and give the tests in it."""
        module = ModuleType(block.module)
        self.patch.setitem(sys.modules, block.module, module)
        exec(names.compiled(names.statements(block.text), block.place, block.line), vars(module))
        tests = [found for name, found in vars(module).items() if name.startswith("test_")]
        assert tests or not block.module.startswith("test_"), f"{block.place} has no tests"
        return tests


@pytest.fixture
def redis_url(runner_redis_url: str) -> str:
    """The database of `runner_kit`: a page may use both."""
    return runner_redis_url


@pytest.fixture
def folder(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; settings are the server, loopback, and a secret for webhooks."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)
    monkeypatch.setenv("RUNNER_WEBHOOKS__ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("RUNNER_WEBHOOKS__SECRETS__SHOP", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    return tmp_path


RUN = [page for page in PAGES if any(block.is_runnable for block in blocks_of(page))]


@pytest.mark.parametrize("page", RUN, ids=[page.stem for page in RUN])
async def test_each_page_runs(page, folder, redis, monkeypatch, capsys, runner_kit):
    """From top to bottom in one namespace, on a real server, with a worker; it prints what it says."""
    reader = Reader(monkeypatch, page)
    async with reader.leaving:
        await reader.type(given_of(page), f"given/{page.stem}.py")
        for block in blocks_of(page):
            capsys.readouterr()
            if block.is_runnable and block.module:
                for test in reader.import_file(block):
                    await redis.flushdb()
                    await test(runner_kit)
            elif block.is_runnable:
                await reader.type(block.text, block.place, block.line)
                printed = capsys.readouterr().out.splitlines()
                assert not block.printed or printed == block.printed, block.place


def test_blocks_are_marked():
    """A language that we check, and for Python: run it, a file, or a reason why not."""
    assert len(PYTHON) > 25
    odd = [b.place for b in BLOCKS if b.language not in LANGUAGES]
    odd += [b.place for b in PYTHON if b.mark and not b.module and len(b.reason) < 8]
    odd += [b.place for b in BLOCKS if b.language != "python" and b.mark]
    assert odd == []
    text = sum(page.read_text().count("\n```") for page in PAGES)
    assert text == 2 * len(BLOCKS), "a block is left open, or begins with more than its language and a mark"


def test_what_is_given_belongs_to_a_page():
    """No file of given/ is left behind by a page that was renamed."""
    pages = {page.stem.replace("-", "_").lower() for page in PAGES}
    assert {path.stem for path in GIVEN.glob("*.py")} <= pages


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_names_are_known(page):
    """Each name in Python is defined by the page, public, or named in the reason why the block is not run."""
    known = {*PUBLIC, "runner", *names.defined(given_of(page))}
    for block in blocks_of(page):
        if block.language != "python":
            continue
        names.imported(block.text)
        known |= names.defined(block.text) | (names.KINDS.keys() if block.reason else set())
        unknown = {n for n in names.free(block.text) - known if not re.search(rf"\b{n}\b", block.reason)}
        assert unknown == set(), block.place
        assert names.missing(block.text) == [], block.place


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_commands_are_known(page, folder, cli_tasks):
    """Every `runner …` is taken by the command line; variables and make targets are there."""
    (folder / "dead.jsonl").touch()  # a file to import has to be there
    faults = [
        f"{block.place}: {line}: {fault}"
        for block in blocks_of(page)
        for line in shell.lines(block)
        for words in shell.commands(line)
        if (fault := shell.fault(words))
    ]
    assert faults == []
    assert shell.unknown_inline(prose_of(page)) == []
    assert shell.unknown_variables(page.read_text()) == []


@pytest.mark.parametrize(
    "line", ["runner dead list --reasons x", "runner jobs look", "make tea", "runner top 1"]
)
def test_an_unknown_command_is_found_out(line):
    """The check above can fail: the command line is really asked."""
    [words] = shell.commands(line)
    assert shell.fault(words) != ""
    assert shell.unknown_inline("`runner jobs list|look ID`") == ["`runner jobs list|look ID`"]


@pytest.fixture
def cli_tasks(folder, monkeypatch):
    """`runner enqueue` completes names of tasks by these."""
    monkeypatch.setenv("RUNNER_TASKS", "")


@by_place([block for block in BLOCKS if block.language in {"toml", "json", "yaml", "ini"}])
def test_data_is_well_formed(block, folder):
    """TOML is settings that a worker would start with."""
    match block.language:
        case "toml":
            tomllib.loads(block.text)
            (folder / "settings.toml").write_text(block.text)
            assert isinstance(load_settings(), Settings)
        case "json":
            json.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case _:
            configparser.ConfigParser(strict=False).read_string(block.text)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere(page):
    """To a file of ours, and to a heading in it."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose_of(page)):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_settings_are_called_so(page):
    """Nobody looks for a setting that has another name."""
    groups = "|".join(GROUPS)
    named = set(re.findall(rf"`((?:{groups})\.[a-z_]+)(?: = [^`]*)?`", prose_of(page)))
    assert {name for name in named if name not in KEYS and f"`{name}(" not in page.read_text()} == set()


def test_the_index_names_every_guide():
    """docs/README.md leads to all of them."""
    index = (ROOT / "docs/README.md").read_text()
    assert [
        page.name for page in PAGES[1:] if page.name != "README.md" and f"({page.name})" not in index
    ] == []
