"""The README and the guides as blocks.

| what stands behind the three backticks | what is done with the block |
| --- | --- |
| `python` | run, in order, one namespace a page; `# …` behind a print is what it prints |
| `python shop.py` | imported as that module; its `test_…` functions are run |
| `python no-run: why` | compiled; a name that nobody defines has to stand in the reason |
| `sh`, or nothing and lines with `$` | each command exists, with these options |
| `toml`, `json`, `yaml`, `ini` | read; TOML as our settings |
| `sql`, nothing | nothing |

A page's `given/<page>.py` is run first: what its reader is taken to have. `runner` is there in every page, a
Runner with a worker that knows the tasks which the page has declared so far.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIVEN = Path(__file__).parent / "given"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "sh", "toml", "json", "yaml", "ini", "sql", ""}

_FENCE = re.compile(r"^```([a-z]*)[ ]?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_PRINTED = re.compile(r"^ *print\(.*\) +# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def reason(self) -> str:
        """Why it is not run; empty when it is."""
        return self.mark.removeprefix("no-run: ") if self.mark.startswith("no-run: ") else ""

    @property
    def module(self) -> str:
        """Name of the module it is; empty when it is none."""
        return self.mark.removesuffix(".py") if self.mark.endswith(".py") else ""

    @property
    def is_runnable(self) -> bool:
        return self.language == "python" and not self.reason

    @property
    def printed(self) -> list[str]:
        """What it says that it prints."""
        return _PRINTED.findall(self.text)


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2].strip(), found[3])
        for found in _FENCE.finditer(text)
    ]


def prose_of(page: Path) -> str:
    """Give the page without its blocks."""
    return _FENCE.sub("", page.read_text())


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def given_of(page: Path) -> str:
    """Give the code that is run before a page's own."""
    path = GIVEN / f"{page.stem.replace('-', '_').lower()}.py"
    return path.read_text() if path.exists() else ""
