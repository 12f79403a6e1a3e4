"""What the stages know of a message broker.

`ingest` takes batches of `Inbound` and hands their tokens back once they are committed; `publish` hands over `Outbound` within `credit` and
reads `PublishResult`s. A token dies with the connection it came from: acknowledging it later does nothing, and the broker sends it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CONNECTION_LOST = -1
"""`PublishResult.reason` of a PUBLISH that was in flight when its connection died."""

NO_MATCHING_SUBSCRIBERS = 0x10
"""PUBACK reason code of a PUBLISH that nobody subscribes to: success all the same. MQTT 5 s3.4.2.1"""

REFUSED_FROM = 0x80
"""PUBACK reason codes from here on mean that the broker did not take the message. MQTT 5 s2.4"""


class SessionTakenOverError(Exception):
    """Another client connected with our client id (DISCONNECT 0x8E): going on would fight over the session."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One PUBLISH that the broker handed over."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    expiry: int | None  # Message Expiry Interval, s
    response_topic: str | None
    correlation: bytes | None
    content_type: str | None
    token: object  # for acknowledge()


@dataclass(frozen=True, slots=True)
class Outbound:
    """One PUBLISH at QoS 1 of ours."""

    token: int  # comes back in PublishResult
    topic: str
    payload: bytes
    properties: Sequence[tuple[str, str]] = ()  # user properties
    content_type: str | None = None
    correlation: bytes | None = None
    retain: bool = False


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of an `Outbound`: its PUBACK's reason code, or CONNECTION_LOST."""

    token: int
    reason: int


class Broker(Protocol):
    """A connection that is kept up, its inbound PUBLISHes and its outbound window."""

    @property
    def connected(self) -> bool:
        """Whether we are subscribed and reading."""
        ...

    @property
    def credit(self) -> int:
        """How many PUBLISHes may be sent now; 0 while not connected."""
        ...

    async def run(self) -> None:
        """Connect and reconnect until cancelled. Raises SessionTakenOverError."""
        ...

    async def inbound(self) -> list[Inbound]:
        """Wait for the next batch, in order of arrival."""
        ...

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Send PUBACKs, in order of arrival; tokens of a dead connection are ignored."""
        ...

    def publish(self, messages: Sequence[Outbound]) -> None:
        """Put PUBLISHes on the wire, at most `credit` of them. Each comes back in results() exactly once."""
        ...

    async def results(self) -> list[PublishResult]:
        """Wait for the next results."""
        ...

    async def wait_credit(self) -> None:
        """Return when `credit` is above 0."""
        ...

    async def stop_taking(self, timeout: float) -> None:
        """Hand over no more inbound PUBLISHes; what is not acknowledged stays with the broker."""
        ...

    async def close(self, timeout: float) -> None:
        """Say "down", disconnect cleanly and keep the session, within `timeout` seconds."""
        ...
