"""A carrier of requests that runs, and what its tests share: the HTTP API and the web service are tested alike."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from structlog.testing import LogCapture

from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.requests import RequestCarrier
from gateway.carriers.wire import Wire
from gateway.message import Answer, CancelAnswer, Message, Outcome
from gateway.provider.answers import CreditRow
from tests.carriers.rawhttp import RawServer, Reply, Request
from tests.carriers.smsc import Signal, message
from tests.support.waiting import DEADLINE

USER = "126b114c"


class Recorder:
    """A RequestObserver that remembers."""

    def __init__(self) -> None:
        self.signal = Signal()
        self.states: list[CarrierState] = []
        self.rows: list[Sequence[CreditRow]] = []

    def state(self, state: CarrierState) -> None:
        self.states.append(state)
        self.signal.changed()

    def credits(self, rows: Sequence[CreditRow]) -> None:
        self.rows.append(rows)
        self.signal.changed()


class Rig:
    """A carrier with its observer and its log. Messages are handed over as the dispatcher does: as credit admits."""

    def __init__(self, wire: Wire, *, max_rate: float = 0.0, patience: float = 0.001, **options: Any) -> None:
        self.observer = Recorder()
        self.log = LogCapture()
        logger = structlog.wrap_logger(None, processors=[self.log], wrapper_class=structlog.make_filtering_bound_logger(0))
        self.carrier = RequestCarrier("http", wire, max_rate=max_rate, observer=self.observer, log=logger, patience=patience, **options)
        self._task = asyncio.create_task(self.carrier.run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ended(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._task

    async def until(self, state: CarrierState) -> None:
        await self.observer.signal.until(lambda: self.carrier.state is state)

    async def prove(self) -> None:
        """Send one message, so that several may follow at a time."""
        await self.send(message(9_999))
        await self.outcomes(1)

    async def send(self, *messages: Message) -> None:
        waiting = list(messages)
        async with asyncio.timeout(DEADLINE):
            while waiting:
                await self.carrier.wait_credit()
                number = self.carrier.credit()
                self.carrier.submit([(each, self.prepared(each)) for each in waiting[:number]])
                del waiting[:number]

    def prepared(self, message: Message) -> Prepared:
        prepared = self.carrier.prepare(message)
        assert isinstance(prepared, Prepared), prepared
        return prepared

    async def answers(self, number: int) -> list[Answer | CancelAnswer]:
        answers: list[Answer | CancelAnswer] = []
        async with asyncio.timeout(2 * DEADLINE):
            while len(answers) < number:
                taking = asyncio.ensure_future(self.carrier.outcomes())
                await asyncio.wait({taking, self._task}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    taking.cancel()
                    self._task.result()
                answers += await taking
        assert len(answers) == number
        return answers

    async def outcomes(self, number: int) -> list[Outcome]:
        """Return outcomes by the messages' rows."""
        answers = [answer for answer in await self.answers(number) if isinstance(answer, Answer)]
        return [answer.outcome for answer in sorted(answers, key=lambda answer: answer.row)]

    async def outcome(self, message: Message) -> Outcome:
        """Send one message and return what became of it."""
        await self.send(message)
        return (await self.outcomes(1))[0]


@asynccontextmanager
async def serving(answer: Callable[[Request], Reply]) -> AsyncIterator[RawServer]:
    """Run a server for a test."""
    server = RawServer(answer)
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def rigs() -> AsyncIterator[Callable[..., Rig]]:
    """Hand out rigs, and close them."""
    made: list[Rig] = []

    def make(wire: Wire, options: dict[str, Any] | None) -> Rig:
        made.append(Rig(wire, **(options or {})))
        return made[-1]

    yield make
    for rig in made:
        await rig.close()


def batch(number: int, **changes: Any) -> list[Message]:
    """Make messages that fit one batch: each to another number."""
    return [message(row, to=f"119876500{row:02d}", **changes) for row in range(1, number + 1)]
