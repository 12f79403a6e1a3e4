"""A list that one task waits for: what a carrier hands to a stage in batches, without a task or a future an item."""

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Gather items until the one reader takes them all. The owner bounds how much can gather."""

    __slots__ = ("_items", "_reader", "add")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._reader: asyncio.Future[None] | None = None
        self.add = self._items.append
        """Put one item, without waking the reader: `wake` does, once a batch."""

    def put(self, items: Iterable[T]) -> None:
        """Put items and wake the reader."""
        self._items.extend(items)
        self.wake()

    def wake(self) -> None:
        """Let the reader take what is there; free when there is nothing."""
        if self._items and self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def take(self) -> list[T]:
        """Wait for items and take them all, oldest first. One reader at a time."""
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        items = self._items.copy()
        self._items.clear()
        return items
