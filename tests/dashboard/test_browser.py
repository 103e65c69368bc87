"""In a real Chromium: pages come alive, buttons act, hostile jobs stay text, the console has no complaint.

Left out where there is none: conftest.py says so at the end of the run.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from chromium import Tab, chromium

from runner import JobState, Runner
from runner.dashboard import dashboard
from runner.dashboard.serve import serve
from runner.dashboard.watch import Watch

HOSTILE = "\"><img src=x onerror='window.owned=1'><script>window.owned=1</script>\x1b[2J\u202e"


@pytest.fixture
async def url(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Ticks come twice as often as they do: the test waits for one."""
    monkeypatch.setattr("runner.dashboard.app.EVERY_S", 1.0)
    monkeypatch.setitem(Watch.look.__kwdefaults__, "max_age_s", 0.9)
    app = dashboard(runner)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(serve(app, listening))
        yield f"http://localhost:{listening.getsockname()[1]}"
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def text(tab: Tab) -> str:
    return await tab.run("document.querySelector('main').innerText")


async def test_a_browser_looks_and_acts(
    runner: Runner, url: str, tasks: Any, work: Callable[[], Any]
) -> None:
    """One session: live, charts, pause a queue, hostile jobs, replay one changed, replay many."""
    await runner.enqueue(tasks.deliver.using(key="d"), "https://a.example/", {"n": 1})
    await runner.enqueue(tasks.deliver.using(key="h"), HOSTILE, {HOSTILE: HOSTILE})
    await work()
    async with chromium() as tab:
        await tab.open(f"{url}/")
        await tab.until("document.querySelector('#pulse').dataset.state === 'live'")
        assert await tab.run("document.querySelectorAll('.plot canvas').length") == 3
        await tab.run("window.same = true")
        await runner.enqueue(tasks.charge.using(delay=600), "o-1")
        await tab.until("/Scheduled\\s+1/.test(document.querySelector('#top').innerText)")
        assert await tab.run("window.same")

        await tab.open(f"{url}/queues")
        await tab.run("document.getElementById('queue-pause-bulk').click()")
        await tab.until("document.querySelector('.said')?.innerText.startsWith('Paused')")
        assert (await runner.inspector.queue("bulk")).is_paused
        await tab.until("document.getElementById('queue-resume-bulk') !== null")

        await tab.open(f"{url}/job?id=h")
        assert "onerror='window.owned=1'" in await text(tab)
        assert "⟨202E⟩" in await text(tab)
        await tab.open(f"{url}/dead")
        assert await tab.run("window.owned") is None

        await tab.open(f"{url}/job?id=d&queue=default")
        await tab.run("document.querySelector('a[href*=edit]').click()")
        await tab.until("document.querySelector('textarea[name=\"value:payload\"]') !== null")
        await tab.run("document.querySelector('textarea[name=\"value:payload\"]').value = '{\"n\": 2}'")
        await tab.run("document.querySelector('form.edit button').click()")
        await tab.until("document.querySelector('.state.ready') !== null")
        assert (await runner.inspector.job("d")).args == ["https://a.example/", {"n": 2}]
        await tab.run("document.querySelector('button.risk').click()")
        await tab.until("document.querySelector('.state.cancelled') !== null")
        assert tab.dialogs == ["Cancel this job?"]

        await tab.open(f"{url}/replay?error=GiveUp")
        await tab.run("document.getElementById('replay-all').click()")
        await tab.until("location.pathname === '/run' && document.body.innerText.includes('All done')")
        assert await runner.job("h").status() is JobState.READY
        # A page that is left while it refreshes cuts its request off, and htmx says so: no fault of a page.
        cut_off = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")
        assert [each for each in tab.complaints if not any(word in each for word in cut_off)] == []
