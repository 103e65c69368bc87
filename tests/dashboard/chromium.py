"""A real Chromium without a window, driven by its own debugging protocol: no driver to be installed."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

BINARY = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-port=0",
    "--hide-scrollbars",
)  # fmt: skip


class Tab:
    """One page. ``complaints`` has what its console says against it: errors, refusals of the policy."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._waiting.pop(told["id"])
                if not waiting.done():
                    waiting.set_result(told)
            elif told["method"] == "Page.javascriptDialogOpening":
                self.dialogs.append(told["params"]["message"])
                asyncio.ensure_future(self.send("Page.handleJavaScriptDialog", accept=True))
            else:
                self._note(told["method"], told["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["args"])[:500])

    async def send(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await self._waiting[number]
        assert "error" not in told, (method, told)
        return told["result"]

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        told = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str, timeout_s: float = 10) -> Any:
        """Wait for an expression to become true: it may be asked in the middle of a navigation."""
        async with asyncio.timeout(timeout_s):
            while True:
                told = await self.send("Runtime.evaluate", expression=script, returnByValue=True)
                if value := told["result"].get("value"):
                    return value
                await asyncio.sleep(0.02)

    async def open(self, url: str) -> None:
        self._loaded.clear()
        await self.send("Page.navigate", url=url)
        async with asyncio.timeout(10):
            await self._loaded.wait()

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        told = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """Start it, and give its page; it is gone afterwards."""
    assert BINARY, "no Chromium here"
    with tempfile.TemporaryDirectory(prefix="runner-chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            BINARY, *OPTIONS, f"--user-data-dir={folder}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            told = Path(folder, "DevToolsActivePort")
            async with asyncio.timeout(20):
                while not told.exists() or not told.read_text().count("\n"):
                    await asyncio.sleep(0.02)
            port = told.read_text().split("\n")[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    page = next(each for each in await answer.json() if each["type"] == "page")
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    tab = Tab(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await tab.send(f"{domain}.enable")
                    yield tab
                    await tab.send("Browser.close")
                    tab._reader.cancel()
            async with asyncio.timeout(5):
                await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)
                await process.wait()
