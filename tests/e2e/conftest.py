"""A whole installation for a test, and what must hold after every run: no log line tells a number, a text or a password."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import SMPP_PASSWORD, Sections, Stack

MakeStack = Callable[..., Awaitable[Stack]]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[MakeStack]:
    """Make a Stack; `start=False` leaves it to the test to start its parts. Other keyword arguments are Stack's."""
    made: list[Stack] = []

    async def make(sections: Sections | None = None, *, start: bool = True, **options: Any) -> Stack:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Stack(folder, sections, **options))
        if start:
            await made[-1].start()
        return made[-1]

    yield make
    for each in made:
        await each.close()
    for each in made:
        assert each.traffic.leaks(each.gateway.output) == []
        assert SMPP_PASSWORD not in each.gateway.output
        assert "Traceback" not in each.gateway.output, each.gateway.output[-4000:]
