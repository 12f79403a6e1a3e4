"""The bench, closed after each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.dispatch.retry import RetryPolicy
from tests.dispatch.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, getattr(request, "param", RetryPolicy(5.0, 600.0, 20)))
    await bench.journal.open()
    yield bench
    await bench.stop()
