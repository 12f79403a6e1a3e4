"""Fixtures of the carrier's tests: an SMSC on loopback, and carriers bound to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from tests.carriers.smsc import Rig, Smsc, settings


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of the HTTP client on both loops: connections end differently on them."""
    on_asyncio = {"asyncio": asyncio.new_event_loop}
    return on_asyncio | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_http_client.py" else on_asyncio


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    smsc = Smsc()
    await smsc.start()
    yield smsc
    await smsc.stop()


@pytest.fixture
async def start(smsc: Smsc) -> AsyncIterator[Callable[..., Rig]]:
    """Start a carrier; keyword arguments are settings, and `options` those of SmppCarrier."""
    rigs: list[Rig] = []

    def start(options: dict[str, Any] | None = None, **changes: Any) -> Rig:
        rigs.append(Rig(settings(smsc.port, **changes), **(options or {})))
        return rigs[-1]

    yield start
    for rig in rigs:
        await rig.close()
