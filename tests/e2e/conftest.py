"""End to end: real processes of mosquitto, the sandbox and the gateway, and one audit for every run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack

StartStack = Callable[..., Awaitable[Stack]]


@pytest.fixture
async def start_stack(tmp_path: Path) -> AsyncIterator[StartStack]:
    """Start a whole installation; `sections` overrides the configuration, `options` are those of Stack."""
    stacks: list[Stack] = []

    async def start(sections: Mapping[str, Mapping[str, Any]] = {}, **options: Any) -> Stack:
        folder = tmp_path / f"stack{len(stacks)}"
        folder.mkdir()
        stack = Stack(folder, sections, **options)
        stacks.append(stack)
        await stack.start()
        return stack

    yield start
    for stack in stacks:
        await stack.close()
