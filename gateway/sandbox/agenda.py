"""Things to do later on an event loop: one heap and one timer, however many wait.

`gateway.sandbox.smsc` puts every delayed response and every receipt here. A task or a loop timer a message would cost more than the
message. What is due within the same `GRAIN` runs together, in the order of its time, then of its entry.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

GRAIN = 0.002
"""Seconds that an entry may run late so that others run with it."""


class Agenda:
    """Run callbacks at their time; times are `loop.time()`. Needs a running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = count()
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0  # uvloop's handles do not all know theirs

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._heap)

    def after(self, delay: float, callback: Callable[..., None], *arguments: object) -> None:
        """Call `callback(*arguments)` in `delay` seconds."""
        due = self._loop.time() + delay
        heappush(self._heap, (due, next(self._order), callback, arguments))
        if self._timer is None:
            self._set(due)
        elif due < self._timer_due:
            self._timer.cancel()
            self._set(due)

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, due: float) -> None:
        self._timer_due = due
        self._timer = self._loop.call_at(due + GRAIN, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            _, _, callback, arguments = heappop(self._heap)
            callback(*arguments)
        if self._heap and self._timer is None:
            self._set(self._heap[0][0])
