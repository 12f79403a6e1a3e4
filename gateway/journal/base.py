"""What the stages know of the journal: the one place where they meet.

Every operation is put on one FIFO when it is called, before the returned awaitable is awaited, and is committed in that order in groups. A
stage that calls `settle` and then `match` knows that the response is settled before the receipt. The awaitable ends after the commit, so
whatever is acknowledged after it cannot be lost.

While the journal cannot commit (disk full, busy) it keeps the operations in order and tries again: `available` is False meanwhile. Two give
up after the `patience` they are called with, and raise JournalUnavailableError: `match`, since a carrier that waits for its answer can be
asked to come again, and `answered`, which nothing depends on. A failed fsync raises JournalBrokenError from every operation and from
`broken()`: the process must end.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Protocol

import msgspec

from gateway.events import AnyEvent
from gateway.message import Answer, Cancel, CancelAnswer, CancelOrder, Message, QueueState, Receipt, Refusal, Reply


class JournalUnavailableError(Exception):
    """The operation was not committed, and nothing of it remains. It may be tried again."""


class JournalBrokenError(Exception):
    """What is on disk is unknown until the journal is opened anew."""


class JournalLockedError(Exception):
    """Another process holds this journal. Says which."""


class JournalVersionError(Exception):
    """The journal was written by a newer version."""


class Bells:
    """What wakes the stages that wait for work in the journal. Rung after a commit; ringing too often is harmless."""

    def __init__(self) -> None:
        self.queue = asyncio.Event()
        self.outbox = asyncio.Event()

    def ring(self) -> None:
        """Say that messages or events may wait."""
        self.queue.set()
        self.outbox.set()


class Count(NamedTuple):
    """One thing that happened, to be counted by a metric: `name` and its label values in the order of the metric's labels."""

    name: Literal["messages", "receipts", "replies", "in_doubt", "duplicates"]
    labels: tuple[str, ...]


class Report(msgspec.Struct):
    """What an operation did, for metrics; made anew for each operation."""

    counts: Counter[Count] = msgspec.field(default_factory=Counter)
    receipt_latencies: list[tuple[str, float]] = msgspec.field(default_factory=list)  # carrier, s from response to final receipt


class Match(StrEnum):
    """By what a receipt found its message."""

    EXACT = "exact"
    CASE = "case"
    ZEROS = "zeros"
    HEX_DECIMAL = "hex_decimal"
    REFERENCE = "reference"
    PARKED = "parked"


class Settlement(msgspec.Struct, frozen=True):
    """An answer, and what the retry policy makes of it."""

    answer: Answer
    carrier: str
    retry_at: float | None = None  # for Deferred: when to try again; None = at once, in its old place
    counts: bool = False  # whether this deferral counts against max_attempts


class Plan(NamedTuple):
    """How a carrier makes parts of a message, after its settings were changed."""

    row: int
    parts: int
    cut: int


class OutboxRow(NamedTuple):
    """One event for one topic."""

    row: int
    type: str
    source: str
    payload: bytes  # JSON
    topic: str | None  # None: the event topic of type and source; else the Response Topic
    correlation: bytes | None


class StateStats(NamedTuple):
    """How many, and since when the oldest waits."""

    number: int
    oldest: float | None  # wall time


class Stats(NamedTuple):
    """Counts that are kept, not scanned: cheap at any size."""

    queue: Mapping[QueueState, StateStats]  # all states but DONE
    outbox: StateStats
    set_aside: int  # outbox rows that the broker refused, or that are suspected of ending connections
    parked: int
    unmatched: int  # receipts that matched nothing when they came, since the journal was opened
    last_commit: float | None  # wall time


class Tick(NamedTuple):
    """What became due, and when to ask again."""

    report: Report
    woken: int  # messages that can be claimed now
    next_due: float | None  # wall time


MOST = 1_000_000_000  # messages that one may ask for


class Selection(msgspec.Struct, kw_only=True, frozen=True):
    """Which messages an operator means. All given conditions must hold; none given means none, but `all`."""

    ids: tuple[str, ...] = ()  # message ids, of any source unless `source` is given
    source: str | None = None
    state: str | None = None  # name of a QueueState, lower case
    carrier: str | None = None
    type: str | None = None  # of events, for replay
    since: float | None = None
    until: float | None = None
    all: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 1000


Stage = Literal["messages", "replies", "receipts", "unread", "refused", "fragments"]


class Place(msgspec.Struct, frozen=True):
    """Where a number is being forgotten: what kind of thing, and the row after which to go on."""

    stage: Stage = "messages"
    after: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0


class Left(NamedTuple):
    """Something about a number that was not erased since it is under way."""

    kind: Literal["message", "reply", "receipts", "refused", "fragments"]
    what: str  # source/id, an event_id, or how many
    why: str


class Forgotten(msgspec.Struct):
    """What one slice erased and left, and where to go on; None = that was all."""

    erased: dict[str, int] = msgspec.field(default_factory=lambda: {"messages": 0, "replies": 0, "receipts": 0, "refused": 0})
    left: list[Left] = []
    next: Place | None = None
    busy: bool = False  # nothing was done: too many events wait for the broker


class Journal(Protocol):
    """Durable messages, attempts, parts, parked receipts and the outbox."""

    @property
    def available(self) -> bool:
        """Whether the last commit succeeded."""
        ...

    async def open(self) -> None:
        """Take the lock, migrate, start. Raises JournalLockedError, JournalVersionError."""
        ...

    async def close(self) -> None:
        """Commit what is queued, checkpoint, release the lock."""
        ...

    async def broken(self) -> None:
        """Never return; raise JournalBrokenError once the journal is broken."""
        ...

    # The way of a message.

    def append(self, items: Sequence[Message | Refusal | Cancel]) -> Awaitable[Report]:
        """Take what the broker handed over, in order. Idempotent by (source, id) and digest."""
        ...

    def claim(self, carrier: str, routes: Sequence[tuple[str, ...]], limit: int, now: float) -> Awaitable[list[Message]]:
        """Open an attempt by `carrier` for the next part of at most `limit` messages QUEUED on one of `routes`: priority, then arrival.

        What has expired or was cancelled ends here instead of being claimed.
        """
        ...

    def replan(self, carrier: str, plans: Sequence[Plan], now: float) -> Awaitable[list[Message]]:
        """Record that `carrier` makes other parts of messages that it has claimed, and of which nothing has left. Return them so."""
        ...

    def settle(self, settlements: Sequence[Settlement], now: float) -> Awaitable[Report]:
        """Record what carriers answered; for a message_id, apply the receipts that are parked for it."""
        ...

    def match(self, items: Sequence[Receipt | Reply], now: float, patience: float) -> Awaitable[Report]:
        """Apply receipts to their messages or park them; join and publish replies. Raises JournalUnavailableError after `patience` s."""
        ...

    def answered(self, replies: Sequence[Reply], patience: float) -> Awaitable[None]:
        """Record that the provider was answered these replies: the same again is another one. Raises JournalUnavailableError."""
        ...

    def routes(self) -> Awaitable[list[tuple[str, ...]]]:
        """List the distinct routes of messages that are QUEUED or may be again."""
        ...

    def recover(self, now: float) -> Awaitable[Report]:
        """Put what this owner left open, and what any owner's lease has run out on, in doubt."""
        ...

    def tick(self, now: float, *, expire: bool = True) -> Awaitable[Tick]:
        """Do what time demands, in a bounded step: wake, expire (unless the clock is suspected), deadlines, tombstones, retention."""
        ...

    # Cancels at the provider.

    def cancels(self, carrier: str, limit: int, now: float) -> Awaitable[list[CancelOrder]]:
        """Take the cancels that wait for `carrier`; each is handed out once in a while until it is settled."""
        ...

    def settle_cancels(self, answers: Sequence[CancelAnswer], carrier: str, now: float) -> Awaitable[Report]:
        """Record what the provider said of cancels."""
        ...

    # The outbox.

    def outbox(self, after: int, limit: int) -> Awaitable[list[OutboxRow]]:
        """Read rows above `after` in order, without those set aside."""
        ...

    def published(self, rows: Sequence[int]) -> Awaitable[None]:
        """Delete rows that the broker has taken."""
        ...

    def unpublished(self, refused: Sequence[int], cut: Sequence[int], now: float) -> Awaitable[list[int]]:
        """Count refusals and disconnects of rows that stay. Return the rows that are set aside from now on."""
        ...

    def retry_set_aside(self) -> Awaitable[int]:
        """Put rows that were set aside back in line. Return how many."""
        ...

    # Operators.

    def hold(self, selection: Selection) -> Awaitable[int]:
        """Keep waiting messages from being claimed."""
        ...

    def release(self, selection: Selection) -> Awaitable[int]:
        """Let held messages be claimed."""
        ...

    def retry(self, selection: Selection, now: float) -> Awaitable[int]:
        """Make deferred messages due now."""
        ...

    def resolve(self, selection: Selection, verdict: Literal["submitted", "rejected", "resubmit"], now: float) -> Awaitable[Report]:
        """End the doubt of messages by an operator's word."""
        ...

    def replay(self, selection: Selection) -> Awaitable[int]:
        """Put events that were published before in the outbox again, with their old event_ids."""
        ...

    # Privacy.

    def forget(self, number: str, place: Place) -> Awaitable[Forgotten]:
        """Erase what is kept about a national number, a bounded slice; go on with `next` until it is None."""
        ...

    # Reading, also from another process: see reader.read_only().

    def stats(self) -> Stats:
        """Return the kept counts. Synchronous and cheap."""
        ...

    def select(self, selection: Selection) -> Awaitable[list[dict[str, object]]]:
        """List messages, newest first: fields for people, no text, numbers masked."""
        ...

    def show(self, source: str | None, id: str) -> Awaitable[list[dict[str, object]]]:
        """Tell all about the messages with this id: fields, attempts, parts, events."""
        ...


def encode_event(event: AnyEvent) -> bytes:
    """Write an event as the JSON that is published."""
    return _encoder.encode(event)


_encoder = msgspec.json.Encoder()
