"""How long a call is made again while the server is away."""

import time

import pytest

from runner.client.patience import patiently
from runner.errors import ServerUnreachable


@pytest.mark.parametrize(("failures", "is_answered"), [(1, True), (2, False)])
async def test_who_was_stopped_in_its_first_try_makes_another(failures: int, is_answered: bool) -> None:
    """Held for longer than it would wait (SIGSTOP, a suspended machine) it has waited for nobody so far."""
    tries = 0

    async def call() -> str:
        nonlocal tries
        tries += 1
        if tries <= failures:
            time.sleep(0.02)  # the loop stands still, as that of a process that is stopped
            raise ConnectionError("no answer in time")
        return "answered"

    waiting = patiently(call, for_s=0.01, address="here")
    if is_answered:
        assert await waiting == "answered"
    else:
        with pytest.raises(ServerUnreachable, match=r"no answer from the server at here for 0\.01 s"):
            await waiting
    assert tries == 2
