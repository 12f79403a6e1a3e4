"""A provider on loopback, and HTTP carriers that send to it."""

from collections.abc import AsyncIterator

import pytest

from gateway.carriers.http import HttpWire
from tests.carriers.http.provider import Start, decent, settings
from tests.carriers.rawhttp import RawServer
from tests.carriers.requests_rig import USER, rigs, serving


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serving(decent) as server:
        yield server


@pytest.fixture
async def start(server: RawServer) -> AsyncIterator[Start]:
    """Start a carrier; keyword arguments are settings, and `options` those of the rig."""
    async with rigs() as make:
        yield lambda options=None, **changes: make(HttpWire(settings(server.url, **changes), USER), options)
