"""How well the other sides are, and what recovers what is dead of one of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from runner import Runner
from runner.dashboard.destinations import bars
from runner.wire.destinations import Tally

Browse = Callable[..., httpx.AsyncClient]
Work = Callable[[], Any]
NASTY = "https://a.example/?<script>alert(1)</script>\u202e"


async def test_the_page_tells_success_and_time_of_each(
    browse: Browse, runner: Runner, tasks: Any, work: Work
) -> None:
    """Those that failed first; what a key holds is harmless; a destination nobody called has a page, too."""
    await runner.enqueue_many(tasks.charge.call(f"o-{n}") for n in range(3))
    await runner.enqueue(tasks.deliver, NASTY, {})
    await work()
    listing = await runner.destinations.list()
    assert [(each.key, each.hour.calls, each.day.success) for each in listing.found] == [
        (f"to:{NASTY}", 1, 0.0),
        ("host:bank", 3, 1.0),
    ]
    page = (await browse().get("/destinations")).text
    assert page.index("⟨202E⟩") < page.index("host:bank")
    assert "<script>alert" not in page
    assert "100\u202f%" in page
    assert "≤ 50 ms" in page
    assert "host:bank" not in (await browse().get("/destinations?text=A.EX")).text
    page = (await browse().get("/destination", params={"key": f"to:{NASTY}"})).text
    assert "<script>alert" not in page
    assert "Recover failed…" in page
    assert "Recover" not in (await browse("read").get("/destination?key=host:bank")).text
    assert "Nothing holds its calls up." in (await browse().get("/destination?key=host:other")).text


async def test_a_limit_of_the_same_key_has_a_gauge(browse: Browse, runner: Runner) -> None:
    """A bucket of a limit with a field in its name, when its key is that of the destination."""
    await runner.limits.set("host:{url.host}", "7/s")
    await runner.limits.take("host:{url.host}", bucket="host:bank", cost=3)
    page = (await browse().get("/destination?key=host:bank")).text
    assert 'max="7" value="4"' in page
    assert "host:{url.host}" not in (await browse().get("/destination?key=gateway:bank")).text


async def test_gates_are_worked_from_the_page_of_the_destination(browse: Browse, runner: Runner) -> None:
    """A pause, and its end; the page says so, and stays where it is."""
    given = {"key": "host:bank", "from": "destination", "for": "5m"}
    answer = await browse().post("/gate/pause", data=given)
    assert answer.headers["location"] == "../destination?key=host%3Abank&said=paused"
    assert "paused by local (dashboard)" in (await browse().get("/destination?key=host:bank")).text
    assert "lets calls through in" not in (await browse().get("/destinations")).text  # nobody called it


async def test_what_died_of_one_destination_since_a_time_is_recovered(
    browse: Browse, runner: Runner, tasks: Any, work: Work, wait_until: Callable[..., Any]
) -> None:
    """Of two urls of one host the one that is meant; a preview first, from a moment that stays the same."""
    for key, url in (
        ("a", "https://a.example/1"),
        ("b", "https://a.example/2"),
        ("c", "https://a.example/1"),
    ):
        await runner.enqueue(tasks.deliver.using(key=key), url, {})
        await work()
    died_at_ms = {key: (await runner.dead.show(key)).died_at_ms for key in "abc"}
    since = datetime.fromtimestamp(died_at_ms["a"] / 1000, UTC) + timedelta(milliseconds=1)
    asked = {"destination": "to:https://a.example/1", "since": since.isoformat()}
    assert "Replay 2 dead" in (await browse().get("/replay", params={**asked, "since": "1h"})).text
    preview = (await browse().get("/replay", params=asked)).text
    assert "Replay 1 dead letter<" in preview
    assert f'name="since" value="{since:%Y-%m-%dT%H:%M:%S.%fZ}"' in preview
    answer = await browse().post("/dead/replay-many", data={**asked, "rate": "", "expected": "1"})
    location = answer.headers["location"].removeprefix("..")

    async def ended() -> bool:
        return "All done" in (await browse().get(location)).text

    await wait_until(ended, "it is replayed")
    assert {each.id for each in (await runner.dead.find()).letters} == {"a", "b"}
    wrong = await browse().get("/replay", params={**asked, "since": "yesterday<b>"})
    assert (wrong.status_code, "since: expected a time ago" in wrong.text, "<b>" in wrong.text) == (
        400,
        True,
        False,
    )


def test_the_words_for_a_tally_never_flatter() -> None:
    """Within a bound, to the bound above; a picture has nothing where nobody called."""
    tally = Tally(9, 1, 0, (0, 9, 0, 0, 0, 0, 0, 0, 1))
    assert (tally.within_ms(0.5), tally.within_ms(0.95), tally.success) == (100, float("inf"), 0.9)
    assert Tally(0, 0, 0, (0,) * 9).within_ms(0.5) is None
    total, failed = bars([(0, 0), (2, 1)], width=20, height=10)
    assert (total, failed) == ("M10.0 10h7.5v-10.0h-7.5z", "M10.0 10h7.5v-5.0h-7.5z")
