"""What the HTTP tests share: receivers on the wire, and the client as a worker builds it.

| fixture | gives |
| --- | --- |
| `receivers` | the module of hostile receivers |
| `client` | a client that may call loopback |
| `guarded` | a client that may not |
| `make_client` | `make_client(**options)`: a client of the test's own that may call loopback |
"""

import importlib.util
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from runner.http import build_client


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "hostile_receivers", Path(__file__).with_name("receivers.py")
    )
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


@pytest.fixture
async def client(authorities: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with build_client(allow=["127.0.0.0/8", "::1/128"], ssl_context=authorities) as client:
        yield client


@pytest.fixture
async def guarded(authorities: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with build_client(ssl_context=authorities) as client:
        yield client


@pytest.fixture
async def make_client(authorities: ssl.SSLContext) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:

        def make(**options) -> httpx.AsyncClient:
            given = {"allow": ["127.0.0.0/8", "::1/128"], "ssl_context": authorities} | options
            client = build_client(**given)
            stack.push_async_callback(client.aclose)
            return client

        yield make
