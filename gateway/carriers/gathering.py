"""How messages are gathered into batches. Pure.

A batch has each number once, since an answer may name its message by the number alone, and only messages with the same `shared`.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Fit(NamedTuple):
    """How a message would fit a batch."""

    shared: Hashable  # what all messages of a batch have in common
    number: str  # the phone's
    size: int = 0  # of its room that it takes
    room: int = 0  # that a batch of such messages has


class _Batch(Generic[T]):
    """A batch that is still being gathered, begun by its first message."""

    def __init__(self, item: T, fit: Fit, most: int) -> None:
        self.items = [item]
        self._places, self._room = most - 1, fit.room - fit.size
        self._numbers = {fit.number}

    def take(self, item: T, fit: Fit) -> bool:
        """Add a message if there is room."""
        if not self._places or fit.size > self._room or fit.number in self._numbers:
            return False
        self.items.append(item)
        self._places -= 1
        self._room -= fit.size
        self._numbers.add(fit.number)
        return True


def gather(items: Sequence[T], fit_of: Callable[[T], Fit | None], most: int) -> list[tuple[T, ...]]:
    """Gather items, at most `most` a batch; an item without a Fit goes alone. Batches stand in the order of their first items."""
    batches: list[Sequence[T]] = []
    growing: dict[Hashable, _Batch[T]] = {}
    for item in items:
        fit = fit_of(item)
        if fit is None:
            batches.append([item])
        elif fit.shared not in growing or not growing[fit.shared].take(item, fit):
            growing[fit.shared] = _Batch(item, fit, most)
            batches.append(growing[fit.shared].items)
    return [tuple(batch) for batch in batches]
