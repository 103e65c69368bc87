"""What ends an idle worker's sleep: news from the server, an outcome, or the clock."""

import asyncio


class Wake:
    """A sleep with many reasons to end. Setting it while nobody sleeps makes the next sleep end at once."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the sleep."""
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep until set, at most this long. One timer, no asyncio task."""
        if not self._event.is_set():
            timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
            try:
                await self._event.wait()
            finally:
                timer.cancel()
        self._event.clear()
