"""The asyncio shell on real loopback sockets, under asyncio's own loop and under uvloop."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.smpp import (
    BindTransceiver,
    Bound,
    CommandStatus,
    DataSm,
    DeliverSm,
    EnquireLink,
    ProtocolViolation,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    SessionEvent,
    SessionSettings,
    SessionState,
    SubmitSm,
    Tag,
    Unbound,
    encode,
)
from gateway.smpp.stream import EventsCallback, SmppStream, connect, serve
from tests.support.waiting import DEADLINE

SETTINGS = SessionSettings(window=10_000, bind_timeout=5.0)
T = TypeVar("T")


class Inbox:
    """Gather the events of a stream, and wait for one of a kind."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, events: list[SessionEvent]) -> None:
        self.events += events
        self._changed.set()

    async def wait_for(self, kind: type[T], count: int = 1) -> list[T]:
        async with asyncio.timeout(DEADLINE):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)

    def of(self, kind: type[T]) -> list[T]:
        events: list[object] = [*self.events]
        return [event for event in events if isinstance(event, kind)]


class Smsc:
    """An SMSC that accepts every bind and answers every submit_sm, unless `silent`."""

    def __init__(self) -> None:
        self.streams: list[SmppStream] = []
        self.inbox = Inbox()
        self.silent = False
        self.port = 0

    def on_session(self, stream: SmppStream) -> EventsCallback:
        self.streams.append(stream)

        def on_events(events: list[SessionEvent]) -> None:
            for event in events:
                if isinstance(event, RequestReceived) and isinstance(event.pdu, BindTransceiver):
                    stream.respond(event.pdu, system_id="smsc")
                elif isinstance(event, RequestReceived) and not self.silent:
                    stream.respond(event.pdu, message_id="1")
            self.inbox(events)

        return on_events


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    smsc = Smsc()
    server = await serve("127.0.0.1", 0, session_settings=SETTINGS, on_session=smsc.on_session)
    smsc.port = server.sockets[0].getsockname()[1]
    yield smsc
    server.close()
    for stream in smsc.streams:
        stream.abort()
        await stream.wait_closed()


async def bound(smsc: Smsc, settings: SessionSettings = SETTINGS) -> tuple[SmppStream, Inbox]:
    inbox = Inbox()
    stream = await connect("127.0.0.1", smsc.port, session_settings=settings, timeout=DEADLINE, on_events=inbox)
    stream.send(BindTransceiver(system_id="esme"))
    await inbox.wait_for(Bound)
    return stream, inbox


async def closed(stream: SmppStream, inbox: Inbox) -> SessionClosed:
    async with asyncio.timeout(DEADLINE):
        await stream.wait_closed()
    (event,) = await inbox.wait_for(SessionClosed)
    assert inbox.events[-1] is event
    return event


def submit_sm() -> SubmitSm:
    return SubmitSm(destination_addr="5511987654321", short_message=b"oi")


async def test_a_submit_sm_goes_there_and_its_response_comes_back(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    stream.send(submit_sm(), "row 17")
    (event,) = await inbox.wait_for(ResponseReceived)
    assert event.context == "row 17"
    assert stream.peername == f"127.0.0.1:{smsc.port}"
    await stream.close(DEADLINE)


async def test_what_is_sent_in_one_turn_arrives_and_is_answered_in_one_batch(smsc: Smsc) -> None:
    batches: list[int] = []
    stream, inbox = await bound(smsc)

    def on_events(events: list[SessionEvent]) -> None:
        batches.append(len(events))
        inbox(events)

    stream._on_events = on_events
    for _ in range(20):
        stream.send(submit_sm())
    await inbox.wait_for(ResponseReceived, 20)
    assert batches == [20]
    await stream.close(DEADLINE)


async def test_a_deliver_sm_is_answered_when_the_application_says_so(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    smsc.streams[0].send(DeliverSm(short_message=b"oi"))
    (event,) = await inbox.wait_for(RequestReceived)
    stream.respond(event.pdu, CommandStatus.ESME_RX_T_APPN)
    (answer,) = await smsc.inbox.wait_for(ResponseReceived)
    assert answer.pdu.command_status == CommandStatus.ESME_RX_T_APPN
    await stream.close(DEADLINE)


async def test_close_waits_for_what_is_in_flight_and_ends_both_sides_in_order(smsc: Smsc) -> None:
    """Trap 9."""
    stream, inbox = await bound(smsc)
    stream.send(submit_sm())
    await stream.close(DEADLINE)
    kinds = [type(event) for event in inbox.events]
    assert kinds == [Bound, ResponseReceived, Unbound, SessionClosed]
    (last,) = await inbox.wait_for(SessionClosed)
    assert last == SessionClosed("unbound", [])
    assert await closed(smsc.streams[0], smsc.inbox) == SessionClosed("unbound", [])
    assert stream.state is SessionState.CLOSED


async def test_close_is_bounded_where_the_peer_answers_nothing(smsc: Smsc) -> None:
    """Trap 9: the unbind_resp may never come."""
    stream, inbox = await bound(smsc)
    smsc.streams[0].pause_reading()
    stream.send(submit_sm(), "row 17")
    await stream.close(0.05)
    end = await closed(stream, inbox)
    assert end.reason == "not unbound in time"
    assert [context for _, context in end.unanswered] == ["row 17"]


async def test_closing_twice_and_after_the_end_returns(smsc: Smsc) -> None:
    stream, _ = await bound(smsc)
    await asyncio.gather(stream.close(DEADLINE), stream.close(DEADLINE))
    await stream.close(DEADLINE)
    stream.pause_reading()
    stream.resume_reading()
    stream.abort()


async def test_an_abort_hands_back_what_was_unanswered_once(smsc: Smsc) -> None:
    smsc.silent = True
    stream, inbox = await bound(smsc)
    stream.send(submit_sm(), "row 17")
    await smsc.inbox.wait_for(RequestReceived, 2)
    stream.abort("no longer wanted")
    stream.abort()
    end = await closed(stream, inbox)
    assert end.reason == "no longer wanted"
    assert [context for _, context in end.unanswered] == ["row 17"]
    await closed(smsc.streams[0], smsc.inbox)


async def test_what_was_never_written_is_handed_back_too(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    stream.send(submit_sm(), "row 17")
    stream.abort()
    end = await closed(stream, inbox)
    assert [context for _, context in end.unanswered] == ["row 17"]


async def test_a_connection_that_the_peer_drops_is_reported(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    smsc.streams[0].abort()
    end = await closed(stream, inbox)
    assert end.reason
    assert not stream.writable
    stream.respond(DeliverSm(sequence_number=1))


async def test_an_unbind_of_the_peer_closes_the_connection(smsc: Smsc) -> None:
    """Trap 9."""
    stream, inbox = await bound(smsc)
    smsc.streams[0].unbind()
    assert (await closed(stream, inbox)).reason == "unbound"
    assert await inbox.wait_for(Unbound) == [Unbound(by_peer=True)]


async def test_garbage_ends_the_connection_with_the_evidence(smsc: Smsc) -> None:
    """Trap 14."""
    reader, writer = await asyncio.open_connection("127.0.0.1", smsc.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        assert len(await reader.read()) == 16  # one generic_nack, then the end
    writer.close()
    await writer.wait_closed()
    assert (await closed(smsc.streams[0], smsc.inbox)).reason.startswith("framing lost")
    assert len(await smsc.inbox.wait_for(ProtocolViolation)) == 1


async def test_a_peer_that_says_nothing_is_probed_and_then_left(smsc: Smsc) -> None:
    """Trap 6."""
    settings = SessionSettings(enquire_link_interval=0.03, enquire_link_timeout=0.03)
    stream, inbox = await bound(smsc, settings)
    await smsc.inbox.wait_for(RequestReceived)
    smsc.streams[0].pause_reading()
    assert (await closed(stream, inbox)).reason == "no sign of life from the peer"


async def test_probes_keep_a_quiet_session_alive(smsc: Smsc) -> None:
    settings = SessionSettings(enquire_link_interval=0.01, enquire_link_timeout=DEADLINE, response_timeout=0.1)
    stream, inbox = await bound(smsc, settings)
    smsc.silent = True
    stream.send(submit_sm())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            await stream.wait_closed()
    assert stream.state is SessionState.BOUND_TRX
    assert [type(event).__name__ for event in inbox.events] == ["Bound", "RequestTimedOut"]
    stream.abort()
    await stream.wait_closed()


async def test_reading_can_be_paused(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    stream.pause_reading()
    smsc.streams[0].send(DeliverSm(short_message=b"oi"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await stream.wait_closed()
    assert len(inbox.events) == 1
    stream.resume_reading()
    await inbox.wait_for(RequestReceived)
    stream.abort()
    await stream.wait_closed()


async def test_a_peer_that_does_not_read_stops_the_writer_and_is_cut_off_at_last(smsc: Smsc) -> None:
    stream, inbox = await bound(smsc)
    smsc.streams[0].pause_reading()
    assert stream.writable
    unwritable = False
    async with asyncio.timeout(DEADLINE):
        while stream.state is SessionState.BOUND_TRX:
            for _ in range(20):
                stream.send(DataSm(tlvs={Tag.MESSAGE_PAYLOAD: bytes(60_000)}))
            await asyncio.sleep(0)
            unwritable = unwritable or not stream.writable
    assert unwritable
    end = await closed(stream, inbox)
    assert end.reason == "the peer does not read"
    assert end.unanswered


async def test_a_refused_connection_is_an_os_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"refused|Connect"):
            await connect("127.0.0.1", taken.getsockname()[1], session_settings=SETTINGS, timeout=DEADLINE, on_events=Inbox())


async def test_nagle_is_off(smsc: Smsc) -> None:
    stream, _ = await bound(smsc)
    assert stream._transport is not None
    sock = stream._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await stream.close(DEADLINE)


async def test_an_smsc_may_be_probed_before_the_bind(smsc: Smsc) -> None:
    """Trap 7."""
    reader, writer = await asyncio.open_connection("127.0.0.1", smsc.port)
    writer.write(encode(EnquireLink(sequence_number=5)))
    async with asyncio.timeout(DEADLINE):
        answer = await reader.readexactly(16)
    assert answer.hex() == "00000010800000150000000000000005"
    writer.close()
    await writer.wait_closed()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
async def test_tls_is_verified(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=smsc", "-addext", "subjectAltName=DNS:smsc.example"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(cert, key)
    smsc = Smsc()
    server = await serve("127.0.0.1", 0, session_settings=SETTINGS, on_session=smsc.on_session, ssl=server_context)
    smsc.port = server.sockets[0].getsockname()[1]
    inbox = Inbox()
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(
            "127.0.0.1",
            smsc.port,
            session_settings=SETTINGS,
            timeout=DEADLINE,
            on_events=inbox,
            ssl=ssl.create_default_context(),
            server_hostname="smsc.example",
        )
    stream = await connect(
        "127.0.0.1",
        smsc.port,
        session_settings=SETTINGS,
        timeout=DEADLINE,
        on_events=inbox,
        ssl=ssl.create_default_context(cafile=cert),
        server_hostname="smsc.example",
    )
    stream.send(BindTransceiver())
    await inbox.wait_for(Bound)
    await stream.close(DEADLINE)
    server.close()
    for other in smsc.streams:
        await other.wait_closed()
