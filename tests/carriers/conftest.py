"""Fixtures of the carrier's tests: an SMSC on loopback, and carriers bound to it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.carriers.smsc import Rig, Smsc, settings


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
