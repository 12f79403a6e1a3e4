"""What the stages know of a carrier: a provider reached by one protocol and one account.

`dispatch` prepares and submits within `credit`, reads outcomes in batches, and asks for cancels; `receipts` reads what the provider reports
and acknowledges it once it is committed. No exception stands for an expected failure: see `message.Outcome`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.message import Answer, CancelAnswer, CancelOrder, Message, Receipt, Rejected, Reply


class CarrierState(StrEnum):
    """Whether a carrier can be used. READY and THROTTLED can."""

    READY = "ready"
    THROTTLED = "throttled"
    SUSPENDED = "suspended"  # refused for a reason that only waiting or a human ends: credentials, account
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message as this carrier will send it."""

    parts: tuple[object, ...]  # the carrier's own; `submit` sends the one that `Message.part` names
    encoding: str
    replaced: dict[str, str] = field(default_factory=dict)  # what transliteration replaced
    cut: int = 0  # tells one way of making these parts from any other: parts made in two ways are no message


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the provider reported, and the token that acknowledges it."""

    item: Receipt | Reply
    token: object


class Reporter(Protocol):
    """What hands on what the provider reports: every carrier, and the listener for call-backs."""

    @property
    def name(self) -> str:
        """Its configured name: the scope of message ids, and a metric label."""
        ...

    async def inbound(self) -> list[Arrival]:
        """Wait for the next receipts and replies, in order of arrival."""
        ...

    def acknowledge(self, tokens: Sequence[object], *, committed: bool) -> list[bool]:
        """Answer the provider: taken, or "try again later". Return for each token whether there was a session left to say it in."""
        ...


class Carrier(Reporter, Protocol):
    """A provider reached by one protocol and one account."""

    @property
    def state(self) -> CarrierState:
        """Whether it can be used now."""
        ...

    @property
    def ready_to_cancel(self) -> bool:
        """Whether cancels can be sent now."""
        ...

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how this carrier would send a message, or why it cannot. Pure."""
        ...

    def credit(self) -> int:
        """How many messages, of each one part, window and rate admit now."""
        ...

    async def wait_credit(self) -> None:
        """Return when credit() is above 0."""
        ...

    def submit(self, batch: Sequence[tuple[Message, Prepared]]) -> None:
        """Write each message's part whose turn it is. Each comes back in outcomes() once, and once more should its answer come late."""
        ...

    def cancel(self, orders: Sequence[CancelOrder]) -> None:
        """Ask the provider to cancel. Each order comes back in outcomes(), but those that it cannot be asked for now."""
        ...

    def change_rate(self, max_rate: float) -> None:
        """Send at most so many a second from now on; 0 = no limit."""
        ...

    def refilled(self) -> bool:
        """Tell once that what was put aside (`Scope.ASIDE`) may be tried now."""
        ...

    async def outcomes(self) -> list[Answer | CancelAnswer]:
        """Wait for the next answers, in order of arrival."""
        ...

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        ...

    async def stop(self, timeout: float) -> None:
        """Submit nothing more, wait for answers, leave in order; within `timeout` seconds every submitted message has come back."""
        ...
