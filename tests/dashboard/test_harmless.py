"""What strangers write into jobs stands on the pages as text, short, without secrets, and steers nothing."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import Runner
from runner.dashboard import words
from runner.dashboard.shown import arguments, line_of, value_text, visible
from runner.registry import Registry
from runner.wire import codec
from runner.wire.keys import keys_of
from runner.wire.scripts import End, Entry, Scripts

Browse = Callable[..., httpx.AsyncClient]

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror=alert(1)>' onfocus=alert(1) x='",
    "template": "{{ 7 * 7 }}{% raw %}",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x00",
    "direction": "invoice\u202egpj.exe\u2066\u200f",
    "large": "A" * 1_000_000,
    "entity": "&lt;b&gt;&#x3c;b>",
    "uri": "javascript:alert(1)",
}
CLASSES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class Markup(HTMLParser):
    """Finds in a page what could run or load something, beside what each page has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.strange: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            link = (value or "").strip().lower()
            if name.startswith("on") or name in ("style", "srcdoc", "autofocus"):
                self.strange.append(f"{tag} {name}")
            if (
                name in ("href", "src", "action", "hx-get", "hx-post")
                and not link.startswith(("./", "#main"))
                and link
            ):
                self.strange.append(f"{tag} {name}={link}")
        if tag in ("iframe", "object", "embed", "base", "svg", "b"):
            self.strange.append(tag)


async def bury(redis: Any, job_id: str, text: str) -> None:
    """A dead letter whose every field is hostile."""
    keys, scripts = keys_of("default"), Scripts(redis.execute_command)
    payload = codec.encode_job(
        text[:300], (text, {text[:300]: [text]}), {"k" + text[:50]: text}, 1, codec.Meta()
    )
    note = codec.msgspec.json.encode(
        {
            "n": 1, "task": text[:300], "start": text[:99], "end": None, "worker": text[:300],
            "reason": text[:300],
            "error": {"type": text[:300], "message": text, "traceback": text},
        }
    ).decode()  # fmt: skip
    await scripts.enqueue(keys, [Entry(job_id, 0, 0, payload)])
    claim = await scripts.claim(keys, token="t", worker="w", limit=1, lease_ms=60_000)
    [job] = claim.jobs
    await scripts.finish(keys, [End(job_id, "t", job.fence, "dead", 0, b"", f"max_tries {note}", 1)])


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_jobs_are_shown_as_text(browse: Browse, runner: Runner, redis: Any, kind: str) -> None:
    """In lists, groups, the job's page and the search; no page grows with what is in it."""
    text = HOSTILE[kind]
    job_id = text[:100].replace("\x00", "") if kind != "large" else "large"
    await bury(redis, job_id, text)
    client = browse()
    for path, query in (
        ("/dead", {}),
        ("/dead", {"text": text[:500], "error": text[:500]}),
        ("/queue", {"name": "default", "state": "dead", "task": "*"}),
        ("/job", {"id": job_id, "queue": "default"}),
        ("/job", {"id": text[:500]}),
        ("/replay", {"host": text[:500]}),
        ("/limits", {"key": text[:200]}),
    ):
        answer = await client.get(path, params=query)
        html = answer.text
        assert answer.status_code in (200, 400, 404), (path, html[-300:])
        assert len(html) < 200_000, path
        assert not CLASSES.search(re.sub(r'<input type="hidden"[^>]*>', "", html)), path
        assert Markup(html).strange == [], path
        assert "49" not in html.partition("<main")[2] or kind != "template"


async def test_secrets_are_starred_out(browse: Browse, runner: Runner, tasks: Any, work: Any) -> None:
    """By an argument's name, by position too, in URLs, in texts of errors: lists, pages, results."""
    await runner.enqueue(
        tasks.deliver.using(key="s"), "https://u:canary@a.example/", {"password": "canary"}, "canary"
    )
    client = browse()
    pages = [(await client.get("/job?id=s")).text, (await client.get("/queue?name=default")).text]
    await work()
    pages += [
        (await client.get(path)).text for path in ("/job?id=s", "/dead", "/queue?name=default&state=dead")
    ]
    for page in pages:
        assert "canary" not in page
        assert "hunter2" not in page
        assert "a.example" in page


@settings(max_examples=50)
@given(st.text())
def test_what_is_visible_steers_nothing(text: str) -> None:
    """Whatever the text: no control character but tab and newline, and what can be read stays."""
    shown = visible(text)
    assert not CLASSES.search(shown)
    assert visible(shown) == shown
    if text.isalnum():
        assert shown == text


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value, {"k": value}]
        value = value[:1]
    return value


def call(*args: Any, **kwargs: Any) -> Any:
    return SimpleNamespace(task="theirs", args=args, kwargs=kwargs)


def test_a_value_is_bounded_before_anything_is_done_with_it() -> None:
    """Wide, deep, long, many: at most some 20,000 characters, and it says what is missing."""
    wide = {str(n): n for n in range(10**5)}
    for value in (["x"] * 10**5, wide, "y" * 10**6, nested(500), [["z" * 9999] * 300] * 300):
        assert len(value_text(value)) < 21_000
        assert len(line_of(Registry(), call(value, a=value))) < 300
    assert "more characters" in value_text("y" * 10**6)
    assert "(99,900 more)" in value_text(["x"] * 10**5)


def test_arguments_of_an_unknown_task_have_numbers() -> None:
    """Nothing is lost of a call whose task is not known here."""
    assert [name for name, _ in arguments(Registry(), call("a", "b", k=1))] == ["1", "2", "k"]
    assert line_of(Registry(), call("a", 2, k=[1])) == '"a", 2, k=[1]'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (1, "1 s"),
        (9.94, "9.9 s"),
        (59.6, "60 s"),
        (125, "2 min"),
        (7300, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_spans_are_short(seconds: float, text: str) -> None:
    """One unit, few digits."""
    assert words.span(seconds) == text


def test_instants_and_counts_read_well() -> None:
    """Ago and in, nothing for nothing, thin spaces; rubbish raises nothing."""
    assert (words.since(1000, 61_000), words.since(7_201_000, 1000), words.since(None, 5)) == (
        "60 s ago",
        "in 2 h",
        "",
    )
    assert (words.count(1234567), words.rate(0), words.rate(0.5), words.rate(120)) == (
        "1\u202f234\u202f567", "0/s", "30.0/min", "120/s",
    )  # fmt: skip
    assert words.utc(10**20) == f"{10**20} ms"
