"""Our stream bound to smpp34, a Rust stack, in both roles, over real loopback sockets."""

import asyncio

import smpp34

from gateway.demo.ports import free_port
from gateway.smpp import (
    BindTransceiver,
    Bound,
    CommandStatus,
    DeliverSm,
    EsmClass,
    RequestReceived,
    ResponseReceived,
    SessionEvent,
    SessionSettings,
    SubmitSm,
    Tag,
    parse_receipt,
)
from gateway.smpp.stream import EventsCallback, SmppStream, connect, serve
from tests.support.waiting import DEADLINE

RECEIPT = b"id:42 sub:001 dlvrd:001 submit date:2601151030 done date:2601151031 stat:DELIVRD err:000 text:oi"


async def test_an_esme_of_smpp34_submits_and_gets_its_receipt_from_our_smsc() -> None:
    streams: list[SmppStream] = []

    def on_session(stream: SmppStream) -> EventsCallback:
        streams.append(stream)

        def on_events(events: list[SessionEvent]) -> None:
            for event in events:
                if not isinstance(event, RequestReceived):
                    continue
                if isinstance(event.pdu, SubmitSm):
                    stream.respond(event.pdu, message_id="42")
                    tlvs = {int(Tag.RECEIPTED_MESSAGE_ID): b"42\0", int(Tag.MESSAGE_STATE): b"\x02"}
                    stream.send(DeliverSm(esm_class=EsmClass.DELIVERY_RECEIPT, short_message=RECEIPT, tlvs=tlvs))
                else:
                    stream.respond(event.pdu, CommandStatus.ESME_ROK, system_id="smsc")

        return on_events

    server = await serve("127.0.0.1", 0, session_settings=SessionSettings(), on_session=on_session)
    async with asyncio.timeout(DEADLINE):
        client = smpp34.Client("127.0.0.1", server.sockets[0].getsockname()[1], "esme", "secret")
        smsc = await client.connect()
        response = await smsc.submit_sm("5511987654321", b"oi", registered_delivery=1)
        delivered = await smsc.next()
        await smsc.unbind()
        await client.stop()
        await streams[0].wait_closed()
    server.close()
    assert response.message_id == "42"
    assert isinstance(delivered, smpp34.DeliverSmEvent)
    assert (delivered.short_message, len(delivered.tlvs)) == (RECEIPT, 2)


async def test_our_esme_submits_to_an_smsc_of_smpp34_and_gets_its_deliver_sm() -> None:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="smsc")
    events: asyncio.Queue[SessionEvent] = asyncio.Queue()

    def on_events(batch: list[SessionEvent]) -> None:
        for event in batch:
            events.put_nowait(event)

    async with asyncio.timeout(DEADLINE):
        await server.start()
        stream = await connect("127.0.0.1", port, session_settings=SessionSettings(), timeout=DEADLINE, on_events=on_events)
        stream.send(BindTransceiver(system_id="esme", password="secret", system_type="SMPP"))
        bound = await events.get()
        esme = await server.next()
        stream.send(SubmitSm(destination_addr="5511987654321", short_message=b"oi"), "row 17")
        submitted = await server.next()
        assert isinstance(submitted, smpp34.SubmitSmEvent)
        submitted.accept("42")
        response = await events.get()
        assert isinstance(esme, smpp34.Esme)
        pushed = asyncio.ensure_future(esme.deliver_sm("27000", RECEIPT, source_addr="5511987654321", esm_class=4))
        delivered = await events.get()
        assert isinstance(delivered, RequestReceived)
        stream.respond(delivered.pdu)
        acknowledged = await pushed
        await stream.close(DEADLINE)
        await server.stop()
    assert isinstance(bound, Bound)
    assert submitted.short_message == b"oi"
    assert isinstance(response, ResponseReceived)
    assert (getattr(response.pdu, "message_id", None), response.context) == ("42", "row 17")
    assert isinstance(delivered.pdu, DeliverSm)
    receipt = parse_receipt(delivered.pdu)
    assert receipt is not None
    assert (receipt.message_id, receipt.stat) == ("42", "DELIVRD")
    assert acknowledged.is_success
