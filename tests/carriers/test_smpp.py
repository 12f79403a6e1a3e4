"""The SMPP carrier against a scripted SMSC on loopback: submits, answers, congestion, and the end."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.carriers import smpp
from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.smpp_submit import Part
from gateway.carriers.throttle import CLIMB, PAUSE
from gateway.message import (
    Answer,
    Deferred,
    InDoubt,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from gateway.msisdn import Sender
from gateway.smpp.codec import encode
from gateway.smpp.constants import CommandStatus, Tag
from gateway.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DeliverSmResp,
    GenericNack,
    SubmitSm,
)
from gateway.smpp.stream import SmppStream
from tests.carriers.smsc import Clock, Rig, Smsc, message, messages, receipt, rows, write
from tests.support.waiting import DEADLINE

Start = Callable[..., Rig]


# --- submitting ---


async def test_a_submitted_message_comes_back_with_the_smscs_message_id(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    rig.submit(message(row=7, attempt=3))
    (answer,) = await rig.answers(1)
    assert isinstance(answer, Answer)
    assert (answer.row, answer.attempt, answer.outcome) == (7, 3, Submitted(("id-1",), "gsm7"))
    assert answer.latency is not None
    assert 0 <= answer.latency < 5


async def test_a_start_and_a_stop_are_no_reason_to_warn_and_a_lost_session_is(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].abort()
    await rig.state(CarrierState.DOWN)
    await rig.state(CarrierState.READY)
    await rig.carrier.stop(1.0)
    await rig.ended()
    states = [(line["state"], line["log_level"]) for line in rig.log.entries if line["event"] == "carrier state"]
    assert states == [("down", "info"), ("ready", "info"), ("down", "warning"), ("ready", "info"), ("down", "info")]


async def test_the_bind_carries_the_settings(smsc: Smsc, start: Start) -> None:
    await start(system_type="SMPP").ready()
    ((_, bind),) = smsc.binds
    assert isinstance(bind, BindTransceiver)
    assert (bind.system_id, bind.password, bind.system_type, bind.interface_version) == ("conta", "segredo1", "SMPP", 0x34)
    assert (bind.addr_ton, bind.addr_npi) == (1, 1)


async def test_submits_are_pipelined_up_to_the_window_and_no_further(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(window=5)
    await rig.ready()
    assert rig.carrier.credit() == 5
    rig.submit(*messages(7))
    assert rig.carrier.credit() == 0
    beyond = await rig.answers(2)
    assert rows(beyond) == [6, 7]
    assert all(isinstance(each.outcome, Deferred) and each.outcome.scope is Scope.CARRIER for each in beyond)
    assert [pdu.short_message for _, pdu in await smsc.submitted(5)] == [b"oi 1", b"oi 2", b"oi 3", b"oi 4", b"oi 5"]


async def test_responses_out_of_order_settle_their_own_messages(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(*messages(3))
    for stream, pdu in reversed(await smsc.submitted(3)):
        stream.respond(pdu, message_id=f"of-{pdu.short_message.decode()}")
    answers = await rig.answers(3)
    assert {answer.row: answer.outcome for answer in answers} == {row: Submitted((f"of-oi {row}",), "gsm7") for row in (1, 2, 3)}


async def test_wait_credit_returns_when_a_response_frees_the_window(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(window=1)
    await rig.carrier.wait_credit()
    rig.submit(message())
    waiter = asyncio.create_task(rig.carrier.wait_credit())
    ((stream, pdu),) = await smsc.submitted(1)
    assert not waiter.done()
    stream.respond(pdu, message_id="x")
    async with asyncio.timeout(DEADLINE):
        await waiter
    assert rig.carrier.credit() == 1


async def test_a_changed_rate_frees_who_waits_for_credit(smsc: Smsc, start: Start) -> None:
    rig = start(max_rate=0.001)
    await rig.ready()
    rig.submit(message())
    waiter = asyncio.create_task(rig.carrier.wait_credit())
    await smsc.submitted(1)
    assert not waiter.done()
    rig.carrier.change_rate(0.0)
    async with asyncio.timeout(DEADLINE):
        await waiter


async def test_wait_credit_returns_when_the_rate_admits_the_next(smsc: Smsc, start: Start) -> None:
    rig = start(max_rate=50.0)
    await rig.ready()
    admitted = rig.carrier.credit()
    assert admitted in (1, 2)
    rig.submit(*messages(admitted))
    assert rig.carrier.credit() == 0
    async with asyncio.timeout(DEADLINE):
        await rig.carrier.wait_credit()
    assert rig.carrier.credit() >= 1


async def test_an_accepted_message_without_message_id_is_submitted_with_no_id(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = lambda stream, pdu: stream.respond(pdu)
    rig = start()
    await rig.ready()
    rig.submit(message())
    assert await rig.outcomes(1) == [Submitted((), "gsm7")]


@pytest.mark.parametrize(
    ("command_status", "expected"),
    [
        (CommandStatus.ESME_RINVDSTADR, Rejected(Reason.REFUSED_BY_PROVIDER, "ESME_RINVDSTADR: the destination address is invalid", 11)),
        (CommandStatus.ESME_RSYSERR, Deferred("ESME_RSYSERR: system error", Scope.MESSAGE, None, 8)),
        (0x412, Deferred("0x00000412: an error of the SMSC's vendor", Scope.MESSAGE, None, 0x412)),
    ],
)
async def test_a_refusal_becomes_its_outcome(smsc: Smsc, start: Start, command_status: int, expected: Rejected | Deferred) -> None:
    smsc.on_submit = smsc.refuse(command_status)
    rig = start()
    await rig.ready()
    rig.submit(message())
    assert await rig.outcomes(1) == [expected]


async def test_a_generic_nack_settles_the_message_by_its_status(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.on_submit = lambda stream, pdu: nack(stream, pdu, CommandStatus.ESME_RINVCMDID)
    rig.submit(message())
    (outcome,) = await rig.outcomes(1)
    assert isinstance(outcome, Rejected)
    assert outcome.code == CommandStatus.ESME_RINVCMDID


def nack(stream: SmppStream, pdu: SubmitSm, command_status: int) -> None:
    write(stream, encode(GenericNack(command_status=command_status, sequence_number=pdu.sequence_number)))


async def test_several_binds_share_the_messages_and_each_keeps_the_order(smsc: Smsc, start: Start) -> None:
    rig = start(binds=3, window=10)
    await rig.ready(3)
    assert rig.carrier.credit() == 30
    rig.submit(*messages(9))
    assert sorted(rows(await rig.answers(9))) == list(range(1, 10))
    by_stream: dict[int, list[bytes]] = {}
    for stream, pdu in smsc.submits:
        by_stream.setdefault(id(stream), []).append(pdu.short_message)
    assert sorted(by_stream.values()) == [[b"oi 1", b"oi 4", b"oi 7"], [b"oi 2", b"oi 5", b"oi 8"], [b"oi 3", b"oi 6", b"oi 9"]]


async def test_a_transmitter_and_a_receiver_are_one_bind(smsc: Smsc, start: Start) -> None:
    rig = start(bind="transmitter+receiver")
    await rig.ready()
    assert {type(bind) for _, bind in smsc.binds} == {BindTransmitter, BindReceiver}
    rig.submit(message())
    assert await rig.outcomes(1) == [Submitted(("id-1",), "gsm7")]
    receiver = next(stream for stream, bind in smsc.binds if isinstance(bind, BindReceiver))
    receiver.send(receipt())
    (arrival,) = await rig.arrivals(1)
    rig.carrier.acknowledge([arrival.token], committed=True)
    assert isinstance((await smsc.answered(1))[0], DeliverSmResp)


async def test_a_bind_whose_window_is_full_is_passed_over(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(binds=2, window=2)
    await rig.ready(2)
    rig.submit(*messages(2))
    busy, answering = [stream for stream, _ in await smsc.submitted(2)]
    smsc.on_submit = lambda stream, pdu: stream.respond(pdu, message_id="x") if stream is answering else None
    rig.submit(message(3), message(4))
    await rig.answers(1)
    assert rig.carrier.credit() == 1
    rig.submit(message(5), message(6))
    assert rows(await rig.answers(2)) == [6, 5]
    assert [stream for stream, _ in smsc.submits].count(busy) == 2


async def test_a_field_that_smpp_cannot_encode_is_refused_and_nothing_is_written(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    broken = Prepared((Part(Sender("1" * 30, 1, 1), "5511987654321", 0, b"oi"),), "gsm7")
    rig.carrier.submit([(message(1), broken), (message(2), rig.prepared(message(2)))])
    refused, sent = await rig.outcomes(2)
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.NO_ROUTE
    assert isinstance(sent, Submitted)


# --- no answer ---


async def test_a_message_without_response_is_in_doubt_and_a_late_response_gives_a_second_answer(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(response_timeout=0.05)
    await rig.ready()
    rig.submit(message(row=4, attempt=2))
    ((stream, pdu),) = await smsc.submitted(1)
    assert await rig.outcomes(1) == [InDoubt("no response in time")]
    stream.respond(pdu, message_id="late")
    (answer,) = await rig.answers(1)
    assert (answer.row, answer.outcome) == (4, Submitted(("late",), "gsm7"))


async def test_a_lost_session_leaves_what_was_written_in_doubt_and_binds_again(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(*messages(3))
    await smsc.submitted(3)
    smsc.streams[0].abort()
    assert await rig.outcomes(3) == [InDoubt("the session ended before the response")] * 3
    await rig.ready(2)
    assert rig.observer.bounds == [(0, True), (0, False), (0, True)]
    assert rig.observer.reconnects == [(0, "lost")]
    smsc.on_submit = smsc.accept
    rig.submit(message(row=9))
    assert rows(await rig.answers(1)) == [9]


async def test_without_a_bind_nothing_is_written_and_the_message_is_deferred(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = smsc.hold
    rig = start()
    await smsc.signal.until(lambda: smsc.binds)
    assert rig.carrier.credit() == 0
    assert rig.carrier.state is CarrierState.DOWN
    rig.submit(message())
    (outcome,) = await rig.outcomes(1)
    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.CARRIER
    assert smsc.submits == []


# --- congestion ---


async def test_a_message_that_is_throttled_again_and_again_stands_aside_until_it_is_taken(smsc: Smsc, start: Start) -> None:
    clock = Clock()
    rig = start({"monotonic": clock})
    await rig.ready()
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RTHROTTLED)
    scopes = []
    for _ in range(4):
        await rig.carrier.wait_credit()
        rig.submit(message(7))
        (outcome,) = await rig.outcomes(1)
        assert isinstance(outcome, Deferred)
        scopes.append(outcome.scope)
        clock.now += PAUSE + 1
    assert scopes == [Scope.CARRIER, Scope.CARRIER, Scope.ASIDE, Scope.ASIDE]
    rig.submit(message(8))
    (outcome,) = await rig.outcomes(1)
    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.CARRIER, "another message is not to blame"


async def test_throttling_halves_the_rate_once_pauses_and_climbs_back(smsc: Smsc, start: Start) -> None:
    clock = Clock()
    rig = start({"monotonic": clock}, max_rate=100.0, window=50)
    await rig.ready()
    assert rig.carrier.credit() == 5
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RTHROTTLED)
    rig.submit(*messages(5))
    outcomes = await rig.outcomes(5)
    assert all(isinstance(outcome, Deferred) and outcome.scope is Scope.CARRIER and outcome.retry_after == PAUSE for outcome in outcomes)
    await rig.state(CarrierState.THROTTLED)
    assert rig.observer.states[-2:] == [CarrierState.READY, CarrierState.THROTTLED]
    assert rig.observer.rates[-1] == 50.0
    assert rig.carrier.credit() == 0
    clock.now += PAUSE + 0.1
    assert rig.carrier.credit() >= 2
    clock.now += CLIMB
    await rig.state(CarrierState.READY)
    assert rig.carrier.credit() == 5


async def test_many_messages_with_a_temporary_refusal_in_a_row_slow_the_link_instead_of_using_attempts_up(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RSYSERR)
    rig = start()
    await rig.ready()
    rig.submit(*messages(smpp.STREAK + 2))
    scopes = [outcome.scope for outcome in await rig.outcomes(smpp.STREAK + 2) if isinstance(outcome, Deferred)]
    assert scopes == [Scope.MESSAGE] * (smpp.STREAK - 1) + [Scope.CARRIER] * 3
    assert rig.carrier.state is CarrierState.THROTTLED


async def test_one_message_that_is_refused_for_ever_does_not_slow_the_link(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RX_T_APPN)
    rig = start()
    await rig.ready()
    for deferrals in range(smpp.STREAK + 5):
        rig.submit(message(deferrals=deferrals))
        (outcome,) = await rig.outcomes(1)
        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MESSAGE
    assert rig.carrier.state is CarrierState.READY


# --- housekeeping ---


async def test_the_climb_back_is_noticed_and_disagreeing_receipts_are_told(
    smsc: Smsc, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "HOUSEKEEPING", 0.01)
    clock = Clock()
    rig = start({"monotonic": clock}, max_rate=100.0)
    await rig.ready()
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RMSGQFUL)
    rig.submit(message())
    await rig.state(CarrierState.THROTTLED)
    clock.now += PAUSE + CLIMB
    await rig.observer.signal.until(lambda: rig.observer.states[-2:] == [CarrierState.THROTTLED, CarrierState.READY])
    smsc.streams[0].send(receipt(stat="DELIVRD", tlvs={Tag.MESSAGE_STATE: b"\x05"}))
    await rig.observer.signal.until(lambda: any("disagree" in entry["event"] for entry in rig.log.entries))


# --- the end ---


async def test_stop_waits_for_responses_then_unbinds(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start(binds=2)
    await rig.ready(2)
    rig.submit(*messages(4))
    await smsc.submitted(4)
    stopping = asyncio.create_task(rig.carrier.stop(5.0))
    for stream, pdu in smsc.submits:
        stream.respond(pdu, message_id="x")
    async with asyncio.timeout(DEADLINE):
        await stopping
    assert await rig.outcomes(4) == [Submitted(("x",), "gsm7")] * 4
    await rig.ended()
    assert smsc.closed == ["unbound", "unbound"]
    assert rig.carrier.credit() == 0
    assert not rig.carrier.ready_to_cancel


async def test_stop_lets_what_arrived_be_acknowledged(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(receipt())
    (arrival,) = await rig.arrivals(1)
    stopping = asyncio.create_task(rig.carrier.stop(5.0))
    await asyncio.wait([stopping], timeout=0)
    rig.carrier.acknowledge([arrival.token], committed=True)
    await asyncio.wait_for(stopping, DEADLINE)
    assert [pdu.command_status for pdu in smsc.answers] == [0]


async def test_stop_is_bounded_and_leaves_what_has_no_answer_in_doubt(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(message())
    await smsc.submitted(1)
    async with asyncio.timeout(DEADLINE):
        await rig.carrier.stop(0.2)
    assert await rig.outcomes(1) == [InDoubt("the session ended before the response")]


async def test_stop_ends_a_carrier_that_waits_to_bind_again(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = smsc.refuse(CommandStatus.ESME_RINVPASWD)
    rig = start({"patience": 1.0}, binds=2)
    await rig.state(CarrierState.SUSPENDED)
    await rig.carrier.stop(1.0)
    await rig.ended()


async def test_a_cancelled_run_leaves_no_connection_and_tells_what_was_unanswered(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(message())
    await smsc.submitted(1)
    await rig.close()
    assert isinstance((await rig.outcomes(1))[0], InDoubt)
    await smsc.signal.until(lambda: smsc.closed)


async def test_pdus_are_counted_by_class(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    rig.submit(*messages(2))
    await rig.answers(2)
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RTHROTTLED)
    rig.submit(message())
    await rig.answers(1)
    await rig.carrier.stop(1.0)
    await rig.ended()
    assert {("out", "submit_sm", "ok", 3), ("in", "submit_sm_resp", "ok", 2), ("in", "submit_sm_resp", "throttled", 1)} <= set(
        rig.observer.pdus
    )
    assert rig.observer.windows[0] == (0, 0, 50)
