"""What `requests.RequestCarrier` knows of a way of sending by requests, and what it hands over. `http` and `webservice` are such ways."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

import aiohttp
import msgspec

from gateway.carriers.base import Prepared
from gateway.carriers.http_client import NeverWritten, Unanswered
from gateway.carriers.verdicts import Effect, Verdict
from gateway.message import CancelOutcome, Deferred, InDoubt, Kind, Message, Rejected, Scope
from gateway.provider.answers import CreditRow


class Purse(NamedTuple):
    """Which credits a message is paid from."""

    kind: Kind
    cost_centre: int  # 0 = none named


class Load(msgspec.Struct, frozen=True, gc=False):
    """A message on its way: what the journal knows it by, who pays, and how it goes: `prepared.parts` is one, the wire's own."""

    row: int
    attempt: int
    purse: Purse
    prepared: Prepared


class Probe(NamedTuple):
    """What a call that sends nothing found out."""

    effect: Effect  # ANSWERED, REFUSED, SILENT or UNREACHABLE
    detail: str = ""


class Wire(Protocol):
    """One way of sending by requests."""

    @property
    def batch(self) -> int:
        """How many messages a request may take at most."""
        ...

    @property
    def default_cost_centre(self) -> int:
        """What a message is paid by that names none; 0 = none."""
        ...

    @property
    def knows_account(self) -> bool:
        """Whether a probe tells of the account, too."""
        ...

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how a message would go, or why it cannot. Pure."""
        ...

    def plan(self, loads: Sequence[Load]) -> list[tuple[Load, ...]]:
        """Gather messages into requests, in their order. Pure."""
        ...

    def connect(self, connections: int) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Open what requests go over."""
        ...

    async def submit(self, session: aiohttp.ClientSession, loads: Sequence[Load]) -> Sequence[Verdict]:
        """Make one request of these messages, and tell what became of each."""
        ...

    async def cancel(self, session: aiohttp.ClientSession, message_ids: Sequence[str]) -> Mapping[str, CancelOutcome]:
        """Ask to cancel, in as many requests as it takes; of an id that could not be asked for nothing is told."""
        ...

    async def probe(self, session: aiohttp.ClientSession) -> Probe:
        """Find out whether the provider can be reached, without sending anything."""
        ...

    async def credits(self, session: aiohttp.ClientSession) -> Sequence[CreditRow] | None:
        """Ask what is left; None = not told."""
        ...

    def pays(self, rows: Sequence[CreditRow], purse: Purse) -> bool:
        """Tell whether these credits pay for such messages. Pure."""
        ...


def verdict_without_answer(exchange: NeverWritten | Unanswered) -> Verdict:
    """Tell what was never written from what nobody knows about."""
    if isinstance(exchange, NeverWritten):
        return Verdict(Deferred(exchange.detail, Scope.CARRIER), Effect.UNREACHABLE)
    return Verdict(InDoubt(exchange.detail), Effect.SILENT)
