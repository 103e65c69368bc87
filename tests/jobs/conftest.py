"""What the tests of our own jobs share.

| fixture | gives |
| --- | --- |
| `receivers` | the module of hostile receivers, from tests/http |
| `make_ctx` | `make_ctx(attempt=1, **webhooks)`: a context with a real client and real settings |
"""

import base64
import importlib.util
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

from runner.clock import FixedClock
from runner.context import Context
from runner.http import build_client
from runner.job import Attempt
from runner.settings import Settings

OLD = "whsec_" + base64.b64encode(b"the old key has 24 bytes").decode()
NEW = "whsec_" + base64.b64encode(b"the new key has 24 bytes").decode()
NOW_MS = 784_111_777_000
"""Sun, 06 Nov 1994 08:49:37 GMT."""


def _load() -> ModuleType:
    path = Path(__file__).parents[1] / "http" / "receivers.py"
    spec = importlib.util.spec_from_file_location("hostile_receivers_for_jobs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_RECEIVERS = _load()


@pytest.fixture
def receivers() -> ModuleType:
    return _RECEIVERS


MakeContext = Callable[..., Context]


@pytest.fixture
async def make_ctx(authorities: ssl.SSLContext) -> AsyncIterator[MakeContext]:
    """``make_ctx(attempt=1, **webhooks)``: a context with a real client and real settings."""
    clients = []

    def make(*, attempt=1, job_id="job-1", clock=None, **webhooks) -> Context:
        given = {
            "allow": ["127.0.0.0/8"],
            "timeout": 20,
            "secrets": {"shop": [NEW, OLD], "solo": [OLD]},
        } | webhooks
        settings = Settings.model_validate({"webhooks": given})
        client = build_client(
            allow=settings.webhooks.allow,
            connect_timeout_s=settings.webhooks.connect_timeout,
            max_connections=settings.webhooks.max_connections,
            ssl_context=authorities,
        )
        clients.append(client)
        running = Attempt(
            job_id=job_id,
            queue="q",
            number=attempt,
            token="t",
            fence=attempt,
            due_at_ms=0,
            payload=None,
            clock=clock or FixedClock(NOW_MS),
        )
        return Context({"http": client, "settings": settings}, running)

    yield make
    for client in clients:
        await client.aclose()
