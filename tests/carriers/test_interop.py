"""Our carrier bound to SMSCs that are not ours: smpp34 (PyPI, a Rust stack) and npm's `smpp`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.ports import free_port
from gateway.message import Deferred, Receipt, Rejected, Reply, Submitted
from gateway.smpp.constants import CommandStatus
from tests.carriers.smsc import Rig, message, messages, settings
from tests.support import npm
from tests.support.waiting import DEADLINE

smpp34: Any = pytest.importorskip("smpp34")

StartAt = Callable[..., Rig]


@pytest.fixture
async def start_at() -> AsyncIterator[StartAt]:
    """Start a carrier against a port."""
    rigs: list[Rig] = []

    def start(port: int, **changes: Any) -> Rig:
        rigs.append(Rig(settings(port, **changes)))
        return rigs[-1]

    yield start
    for rig in rigs:
        await rig.close()


# --- smpp34 ---


@pytest.fixture
async def rust() -> AsyncIterator[tuple[Any, int]]:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="rust")
    await server.start()
    yield server, port
    server.stop()


async def next_event(server: Any) -> Any:
    return await asyncio.wait_for(server.next(), DEADLINE)


async def test_smpp34_reads_our_submits_and_we_read_its_answers(rust: tuple[Any, int], start_at: StartAt) -> None:
    server, port = rust
    rig = start_at(port)
    esme = await next_event(server)
    await rig.ready()
    assert (esme.system_id, esme.can_receive) == ("conta", True)
    rig.submit(message(row=0x102, text="olá", sender="EMPRESA"), message(row=2, text="oi @"), message(row=3))
    submits = {each.short_message: each for each in [await next_event(server) for _ in range(3)]}  # in any order
    assert set(submits) == {"olá".encode("utf-16-be"), b"oi \x00", b"oi 3"}
    first = submits["olá".encode("utf-16-be")]
    assert (first.data_coding, first.registered_delivery) == (8, 1)
    assert (first.source_addr_ton, first.source_addr, first.dest_addr_ton, first.destination_addr) == (5, "EMPRESA", 1, "5511987654321")
    assert [(tlv.tag, tlv.as_int()) for tlv in first.tlvs] == [(smpp34.TLV_USER_MESSAGE_REFERENCE, 0x102)]
    submits[b"oi 3"].reject(smpp34.ESME_RMSGQFUL)
    submits[b"oi \x00"].reject(smpp34.ESME_RINVDSTADR)
    first.accept("0aF3")
    outcomes = {answer.row: answer.outcome for answer in await rig.answers(3)}
    assert outcomes[0x102] == Submitted(("0aF3",), "ucs2")
    assert isinstance(outcomes[2], Rejected)
    assert isinstance(outcomes[3], Deferred)


async def test_smpp34_delivers_and_takes_our_acknowledgements(rust: tuple[Any, int], start_at: StartAt) -> None:
    server, port = rust
    rig = start_at(port)
    esme = await next_event(server)
    text = b"id:0aF3 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:oi"
    tlvs = [smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, b"0aF3\0"), smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x02")]
    for committed, status in ((True, 0), (False, CommandStatus.ESME_RX_T_APPN)):
        delivery = asyncio.ensure_future(esme.deliver_sm("1140001000", text, source_addr="5511987654321", esm_class=4, tlvs=tlvs))
        (arrival,) = await rig.arrivals(1)
        assert isinstance(arrival.item, Receipt)
        assert (arrival.item.message_id, arrival.item.code, arrival.item.final) == ("0aF3", 2, True)
        rig.carrier.acknowledge([arrival.token], committed=committed)
        response = await asyncio.wait_for(delivery, DEADLINE)
        assert response.command_status == status


async def test_smpp34_sees_us_unbind(rust: tuple[Any, int], start_at: StartAt) -> None:
    server, port = rust
    rig = start_at(port)
    esme = await next_event(server)
    await rig.ready()
    await rig.carrier.stop(5.0)
    await rig.ended()
    gone = await next_event(server)
    assert isinstance(gone, smpp34.Unbound)
    assert gone.session_id == esme.session_id


# --- npm smpp ---

NODE = Path(__file__).parent / "node"


@pytest.fixture
async def node() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    process = await asyncio.create_subprocess_exec("node", "smsc.js", cwd=npm.folder(NODE), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    yield process.stdout, (await line(process.stdout))["port"]
    process.terminate()
    await process.wait()


async def line(stream: asyncio.StreamReader) -> Any:
    return json.loads(await asyncio.wait_for(stream.readline(), DEADLINE))


async def test_npm_smpp_reads_our_submits_and_we_read_its_receipts_and_replies(
    node: tuple[asyncio.StreamReader, int], start_at: StartAt
) -> None:
    output, port = node
    rig = start_at(port)
    await rig.ready()
    rig.submit(message(row=0x203, text="olá"))
    seen = await line(output)
    assert (seen["source"], seen["to"], seen["text"], seen["reference"], seen["receipt"]) == (
        "1140001000",
        "5511987654321",
        "olá",
        0x203,
        1,
    )
    (outcome,) = await rig.outcomes(1)
    assert isinstance(outcome, Submitted)
    receipt, reply = await rig.arrivals(2)
    assert isinstance(receipt.item, Receipt)
    assert ((receipt.item.message_id,), receipt.item.code) == (outcome.message_ids, 2)
    assert isinstance(reply.item, Reply)
    assert (reply.item.text, reply.item.encoding) == ("não", "latin1")
    rig.carrier.acknowledge([receipt.token, reply.token], committed=True)
    assert await line(output) == {"answer": 0}
    await rig.carrier.stop(5.0)
    await rig.ended()


async def test_npm_smpp_answers_a_full_window(node: tuple[asyncio.StreamReader, int], start_at: StartAt) -> None:
    _, port = node
    rig = start_at(port, window=50)
    await rig.ready()
    rig.submit(*messages(50))
    assert {type(outcome) for outcome in await rig.outcomes(50)} == {Submitted}
    arrivals = await rig.arrivals(100)
    rig.carrier.acknowledge([arrival.token for arrival in arrivals], committed=True)


async def test_npm_smpp_refuses_a_wrong_password(node: tuple[asyncio.StreamReader, int]) -> None:
    _, port = node
    rig = Rig(settings(port), password="errada")
    await rig.observer.signal.until(lambda: (0, "credentials") in rig.observer.reconnects)
    await rig.close()
