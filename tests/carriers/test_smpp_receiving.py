"""What an SMSC sends to the SMPP carrier: answered once it is committed, and not before."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.carriers import smpp
from gateway.message import (
    Receipt,
    Reply,
)
from gateway.smpp.constants import CommandStatus, Tag
from gateway.smpp.pdu import (
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    SubmitSm,
)
from gateway.smpp.stream import SmppStream
from tests.carriers.smsc import Rig, Smsc, message, receipt, rows, write

Start = Callable[..., Rig]


async def test_a_receipt_is_read_and_answered_only_when_it_is_committed(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(receipt(tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x00\x07"}))
    (arrival,) = await rig.arrivals(1)
    item = arrival.item
    assert isinstance(item, Receipt)
    assert (item.message_id, item.code, item.final, item.to, item.reference) == ("id-1", 2, True, "5511987654321", 7)
    assert smsc.answers == []
    assert rig.carrier.acknowledge([arrival.token], committed=True) == [True]
    (response,) = await smsc.answered(1)
    assert isinstance(response, DeliverSmResp)
    assert response.command_status == 0


async def test_what_cannot_be_committed_is_answered_temporary_error(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(receipt())
    (arrival,) = await rig.arrivals(1)
    rig.carrier.acknowledge([arrival.token], committed=False)
    (response,) = await smsc.answered(1)
    assert response.command_status == CommandStatus.ESME_RX_T_APPN


async def test_a_reply_by_data_sm_is_decoded_and_answered_with_data_sm_resp(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    payload = "não".encode("utf-16-be")
    tlvs = {Tag.MESSAGE_PAYLOAD: payload}
    smsc.streams[0].send(DataSm(source_addr="+5511987654321", destination_addr="27500", data_coding=8, tlvs=tlvs))  # type: ignore[arg-type] # int keys beside Tags
    (arrival,) = await rig.arrivals(1)
    item = arrival.item
    assert isinstance(item, Reply)
    assert (item.sender, item.to, item.text, item.encoding) == ("11987654321", "27500", "não", "ucs2")
    rig.carrier.acknowledge([arrival.token], committed=True)
    assert isinstance((await smsc.answered(1))[0], DataSmResp)


async def test_a_receipt_in_the_same_segment_as_the_bind_resp_is_not_lost(smsc: Smsc, start: Start) -> None:
    def bind_and_deliver(stream: SmppStream, pdu: Any) -> None:
        stream.respond(pdu)
        stream.send(receipt())

    smsc.on_bind = bind_and_deliver
    rig = start()
    (arrival,) = await rig.arrivals(1)
    rig.carrier.acknowledge([arrival.token], committed=True)
    assert (await smsc.answered(1))[0].command_status == 0


async def test_a_receipt_before_its_response_wakes_the_answers_first(smsc: Smsc, start: Start) -> None:
    def answer_and_deliver(stream: SmppStream, pdu: SubmitSm) -> None:
        stream.respond(pdu, message_id="id-1")
        stream.send(receipt())

    smsc.on_submit = answer_and_deliver
    rig = start()
    await rig.ready()
    woken: list[str] = []
    arrivals = asyncio.create_task(rig.arrivals(1))
    answers = asyncio.create_task(rig.answers(1))
    arrivals.add_done_callback(lambda _: woken.append("arrivals"))
    answers.add_done_callback(lambda _: woken.append("answers"))
    rig.submit(message())
    await asyncio.gather(arrivals, answers)
    assert woken == ["answers", "arrivals"]


async def test_a_token_of_a_dead_session_is_ignored(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(receipt())
    (arrival,) = await rig.arrivals(1)
    smsc.streams[0].abort()
    await rig.ready(2)
    assert rig.carrier.acknowledge([arrival.token], committed=True) == [False]
    rig.submit(message())
    assert rows(await rig.answers(1)) == [1]
    assert smsc.answers == []


async def test_a_session_with_too_much_unacknowledged_is_not_read_until_it_is_acknowledged(
    smsc: Smsc, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "MAX_UNACKNOWLEDGED", 3)
    smsc.settings = type(smsc.settings)(window=1000, response_timeout=5.0)
    await smsc.stop()
    await smsc.start()
    rig = start()
    await rig.ready()
    for number in range(4):
        smsc.streams[-1].send(receipt(f"id-{number}"))
    arrivals = await rig.arrivals(4)
    smsc.streams[-1].send(receipt("id-4"))
    assert not reads(rig)
    rig.carrier.acknowledge([arrival.token for arrival in arrivals], committed=True)
    (last,) = await rig.arrivals(1)
    assert isinstance(last.item, Receipt)
    assert last.item.message_id == "id-4"


def reads(rig: Rig) -> bool:
    (link,) = rig.carrier._links
    assert link.connection is not None
    transport = link.connection.stream._transport
    return transport is not None and transport.is_reading()


async def test_an_undecodable_deliver_sm_is_refused_and_the_session_goes_on(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    body = b"\x00\x01\x015511"  # no end of source_addr
    write(smsc.streams[0], (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000077") + body)
    smsc.streams[0].send(DeliverSm(source_addr="5511987654321", destination_addr="27500", short_message=b"ok"))
    (arrival,) = await rig.arrivals(1)
    assert isinstance(arrival.item, Reply)
    assert arrival.item.text == "ok"
