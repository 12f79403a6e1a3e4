"""What the machines that watch are told: /metrics, /livez, /readyz."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from gateway.admin import Admin
from gateway.broker.base import Broker
from gateway.carriers.base import Carrier, CarrierState
from gateway.journal.base import Journal, Settlement, StateStats, Stats
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, InDoubt, Message, QueueState, Receipt
from gateway.metrics import Metrics

NOW = 1_800_000_000.0


class Switch:
    """A part that is on or off, as admin sees a broker, a journal or a carrier."""

    def __init__(self, *, on: bool = True) -> None:
        self.connected = self.available = on
        self.state = CarrierState.READY if on else CarrierState.DOWN

    def stats(self) -> Stats:
        return Stats({}, StateStats(0, None), 0, 0, 0, None)


def admin(broker: object, journal: object, metrics: Metrics, listen: tuple[str, int] = ("127.0.0.1", 0), **carriers: object) -> Admin:
    return Admin(
        listen,
        broker=cast("Broker", broker),
        journal=cast("Journal", journal),
        carriers=cast("dict[str, Carrier]", carriers),
        metrics=metrics,
        clock=lambda: NOW + 10.0,
    )


class Watch:
    """A listener, and a foreign client that asks it."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.port = 0

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        async with aiohttp.ClientSession() as session, session.request(method, f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, response.content_type, await response.text()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
            return response.status, await response.json()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db", Policies(instance="test", owner="test"), commit_interval=0.0, clock=lambda: NOW)
    await journal.open()
    yield journal
    await journal.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["smpp", "http"])


@pytest.fixture
async def watch(journal: SqliteJournal, metrics: Metrics) -> AsyncIterator[Watch]:
    watch = Watch(admin(Switch(), journal, metrics, smpp=Switch(), http=Switch(on=False)))
    watch.port = await watch.admin.start()
    yield watch
    await watch.admin.stop()


def message(id: str) -> Message:
    return Message(source="", id=id, to="11987654321", text="x", digest=b"d", received_at=NOW, expires_at=NOW + 60, routes=("smpp",))


async def test_it_is_alive_while_the_loop_turns(watch: Watch) -> None:
    assert await watch.get("/livez") == (200, "application/json", '{"live": true}')
    watch.admin.draining = True
    assert (await watch.get("/livez"))[0] == 200


async def test_it_is_ready_and_says_what_of(watch: Watch) -> None:
    status, body = await watch.readiness()
    assert status == 200
    assert body == {
        "ready": True, "draining": False, "broker": True, "journal": True, "carrier": True, "carriers": {"smpp": "ready", "http": "down"},
        "outbox": 0, "outbox_set_aside": 0,
    }  # fmt: skip


async def test_it_is_not_ready_while_it_drains(watch: Watch) -> None:
    watch.admin.draining = True
    status, body = await watch.readiness()
    assert (status, body["ready"], body["draining"]) == (503, False, True)


@pytest.mark.parametrize(("broker", "journal", "carrier"), list(itertools.product([True, False], repeat=3)))
def test_it_is_ready_exactly_while_broker_journal_and_a_carrier_are(metrics: Metrics, broker: bool, journal: bool, carrier: bool) -> None:
    found = admin(Switch(on=broker), Switch(on=journal), metrics, smpp=Switch(on=carrier), http=Switch(on=False)).readiness()
    assert found["ready"] is (broker and journal and carrier)
    assert (found["broker"], found["journal"], found["carrier"]) == (broker, journal, carrier)


@pytest.mark.parametrize(("state", "usable"), [("ready", True), ("throttled", True), ("suspended", False), ("down", False)])
def test_a_carrier_that_is_throttled_can_still_be_used(metrics: Metrics, state: str, usable: bool) -> None:
    carrier = Switch()
    carrier.state = CarrierState(state)
    assert admin(Switch(), Switch(), metrics, smpp=carrier).readiness()["carrier"] is usable


async def test_events_that_the_broker_refuses_show_in_readiness(watch: Watch, journal: SqliteJournal) -> None:
    await journal.append([message("a")])
    await journal.claim("smpp", [("smpp",)], 1, NOW + 100)  # expired
    (row,) = await journal.outbox(0, 10)
    for _ in range(100):
        if await journal.unpublished([row.row], [], NOW):
            break
    _, body = await watch.readiness()
    assert (body["outbox"], body["outbox_set_aside"], body["ready"]) == (1, 1, True)


async def test_metrics_show_the_queue_as_it_is_now(watch: Watch, journal: SqliteJournal, metrics: Metrics) -> None:
    await journal.append([message("a"), message("b"), message("c")])
    claimed = await journal.claim("smpp", [("smpp",)], 1, NOW)
    await journal.settle([Settlement(Answer(claimed[0].row, 1, InDoubt("x"), NOW), "smpp")], NOW)
    await journal.match([Receipt(carrier="smpp", message_id="9", code=2, final=True, raw=b"r")], NOW, 5.0)
    await journal.tick(NOW)
    status, kind, text = await watch.get("/metrics")
    assert (status, kind) == (200, "text/plain")
    for line in (
        'mensageiro_queue_messages{state="queued"} 2.0',
        'mensageiro_queue_messages{state="in_doubt"} 1.0',
        'mensageiro_queue_messages{state="active"} 0.0',
        'mensageiro_queue_oldest_age_seconds{state="queued"} 10.0',
        "mensageiro_outbox_events 1.0",
        "mensageiro_outbox_oldest_age_seconds 10.0",
        "mensageiro_parked_receipts 1.0",
        "mensageiro_receipts_unmatched 1.0",
        "mensageiro_broker_connected 1.0",
        'mensageiro_carrier_state{carrier="smpp",state="ready"} 1.0',
        'mensageiro_carrier_state{carrier="http",state="down"} 1.0',
        'mensageiro_carrier_state{carrier="http",state="ready"} 0.0',
    ):
        assert line in text.splitlines()


async def test_metrics_show_readiness_and_what_it_is_made_of(metrics: Metrics) -> None:
    carrier, journal = Switch(), Switch()
    seen = admin(Switch(), journal, metrics, smpp=carrier)
    for part, name in ((None, "ready"), (carrier, "ready"), (journal, "journal_available")):
        if part is not None:
            part.available, part.state = part is not journal, CarrierState.DOWN if part is carrier else CarrierState.READY
        seen.refresh()
        assert metrics.registry.get_sample_value(f"mensageiro_{name}") == (1.0 if part is None else 0.0)
    assert metrics.registry.get_sample_value("mensageiro_ready") == 0.0


async def test_a_scrape_asks_the_database_nothing(watch: Watch, journal: SqliteJournal) -> None:
    asked: list[str] = []
    assert journal._connection is not None
    assert journal._reader is not None
    for connection in (journal._connection, journal._reader._connection):
        connection.set_trace_callback(asked.append)
    await journal.append([message("a")])
    assert asked, "the trace sees what is asked"
    asked.clear()
    text = (await watch.get("/metrics"))[2]
    assert 'mensageiro_queue_messages{state="queued"} 1.0' in text.splitlines()
    assert asked == []


async def test_a_state_that_empties_shows_zero_again(watch: Watch, journal: SqliteJournal) -> None:
    await journal.append([message("a")])
    await watch.get("/metrics")
    await journal.claim("smpp", [("smpp",)], 1, NOW)
    text = (await watch.get("/metrics"))[2]
    assert 'mensageiro_queue_messages{state="queued"} 0.0' in text
    assert {state.name.lower() for state in QueueState} - {"done"} == {
        line.split('"')[1] for line in text.splitlines() if line.startswith("mensageiro_queue_messages{")
    }


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/metrics/x", "GET", 404), ("/metrics", "POST", 405), ("/readyz", "DELETE", 405)]
)
async def test_nothing_else_is_served_and_nothing_can_be_changed(watch: Watch, path: str, method: str, status: int) -> None:
    assert (await watch.get(path, method))[0] == status


async def test_a_port_in_use_is_an_error_at_the_start(metrics: Metrics) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        second = admin(Switch(), Switch(), metrics, listen=taken.getsockname(), smpp=Switch())
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        await second.stop()


async def test_after_the_stop_nobody_listens(watch: Watch) -> None:
    await watch.admin.stop()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", watch.port)
