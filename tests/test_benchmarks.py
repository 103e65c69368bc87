"""benchmarks/: the report tells what it is given, and our own adapter plays by the rules of the others."""

import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.book import Book, about_here
from benchmarks.growth import Long
from benchmarks.measures import WAYS
from benchmarks.peers import OURS, PEERS
from benchmarks.players import Scene, client, watch, workers
from benchmarks.report import lines, write
from benchmarks.stage import open_stage


def test_the_report_tells_losses_as_plainly_as_wins(tmp_path: Path) -> None:
    """What another library is better at stands under "We lose at", and who is missing or failed is named."""
    book = Book(about=about_here("small", 3), missing={"RQ": "could not be installed: no"})
    drained, enqueued = "drain, 1 process, jobs/s", "enqueue, one caller, jobs/s"
    started = "idle to start, p50"
    for value in (900, 1000, 1100):
        book.note(OURS, {drained: value * 4, enqueued: value, started: 1.0})
        book.note("BullMQ", {drained: value, enqueued: value * 2, started: 1.05})
    look = {"drain, jobs/s": 3000.0}
    book.note_backlog(OURS, Long(10_000, 250.0, [look] * 3), 10_000)
    book.note_trouble("BullMQ", 'webhooks, 2: File "/some/where/here.py" too slow')
    write(book, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    lost, even, won = (page.index(words) for words in ("We lose at", "Even (", "We win at"))
    assert (
        lost
        < page.index("enqueueing, one caller: we 1,000 jobs/s, best of the others BullMQ 2,000: 0.50 x")
        < even
    )
    assert even < page.index("an idle worker, to start, p50") < won
    assert won < page.index(
        "draining no-ops, 1 process: we 4,000 jobs/s, best of the others BullMQ 1,000: 4.00 x"
    )
    assert "4,000 [3,600–4,400]" in page
    assert "RQ is missing: it could not be installed: no" in page
    assert 'BullMQ, webhooks, 2: File "here.py" too slow' in page
    assert "no-op drain, 1 process, jobs/s: 4,000 (bar >= 18,000): NOT MET" in page
    for plot in ("drain", "enqueue", "latency", "backlog"):
        assert f"(benchmarks-{plot}.svg)" in page
        ET.parse(tmp_path / f"benchmarks-{plot}.svg")
    assert lines(Book.load(tmp_path / "benchmarks.json")) == lines(book)


def test_our_adapter_speaks_as_all_do(tmp_path: Path) -> None:
    """Our client answers each question, and a worker started as by a user runs every job once."""
    with open_stage() as (stage, url):
        scene = Scene(PEERS[OURS], tmp_path, stage, url)
        with client(scene) as asked, workers(scene, 1) as players:
            done = [asked.ask(do="enqueue", way=way, count=50, seconds=5)["jobs"] for way in WAYS]
            assert done == [50, 50, 50]
            watch(scene.ran, players, 150, 30, 0.005)
            took = asked.ask(do="latency", count=2, seconds=5)
        assert [len(times) for times in took.values()] == [2, 2]
        assert scene.ran() == 150
