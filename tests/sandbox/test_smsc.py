"""The SMSC over real sockets: each magic number a sentence, then binds, receipts, queries, limits and the ledger."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.ports import free_port
from gateway.sandbox import ledger
from gateway.sandbox.smsc import SmscSettings, run
from gateway.smpp import (
    BindFailed,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    Bound,
    CancelSm,
    CommandStatus,
    DataSm,
    DataSmResp,
    DeliverSm,
    EnquireLink,
    GenericNack,
    ProtocolViolation,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    RequestReceived,
    ResponseReceived,
    SmeAddress,
    SubmitMulti,
    SubmitSmResp,
    Tag,
    Unbound,
    message_octets,
    parse_receipt,
    tlv_text,
)
from gateway.text import decode_inbound
from gateway.text.udh import concatenation, header


def stat(pdu: DeliverSm) -> str | None:
    receipt = parse_receipt(pdu)
    assert receipt is not None
    return receipt.stat


def state(pdu: DeliverSm) -> int | None:
    receipt = parse_receipt(pdu)
    assert receipt is not None
    return receipt.tlv_state


async def accepted_id(esme: Any, digits: str) -> str:
    response = await esme.response(esme.submit(digits))
    assert isinstance(response, SubmitSmResp)
    assert response.command_status == CommandStatus.ESME_ROK
    return response.message_id


# --- the magic numbers ------------------------------------------------------------------------------------------------------------


async def test_an_ordinary_number_is_accepted_and_its_receipt_names_the_message(esme: Any) -> None:
    message_id = await accepted_id(esme, "4321")
    (pdu,) = await esme.delivered()
    assert len(message_id) == 10
    assert message_id.isdigit()
    assert tlv_text(pdu, Tag.RECEIPTED_MESSAGE_ID) == message_id
    assert (state(pdu), stat(pdu)) == (2, "DELIVRD")


@pytest.mark.parametrize("code", [2, 3, 4, 5, 7, 8, 9])
async def test_000n_brings_a_receipt_with_dlr_code_n(esme: Any, code: int) -> None:
    esme.submit(f"000{code}")
    (pdu,) = await esme.delivered()
    assert state(pdu) == code


@pytest.mark.parametrize("code", [0, 1, 6])
async def test_000n_with_a_code_that_is_not_final_is_delivered_in_the_end(esme: Any, code: int) -> None:
    esme.submit(f"000{code}")
    assert [state(pdu) for pdu in await esme.delivered(2)] == [code, 2]


async def test_1nnn_is_refused_with_command_status_nnn_and_not_taken(smsc: Any, esme: Any) -> None:
    assert (await esme.response(esme.submit("1088"))).command_status == CommandStatus.ESME_RTHROTTLED
    assert (await esme.response(esme.submit("1011"))).command_status == CommandStatus.ESME_RINVDSTADR
    assert smsc.taken == []


async def test_2001_is_never_answered_and_not_taken(smsc: Any, esme: Any) -> None:
    swallowed = esme.submit("2001")
    await esme.response(esme.submit("4321"))
    await esme.delivered()
    assert swallowed not in [event.pdu.sequence_number for event in esme.of(ResponseReceived)]
    assert len(smsc.taken) == 1


async def test_2002_is_taken_loses_its_response_and_brings_its_receipt_on_the_next_bind(smsc: Any, esme: Any, bind_esme: Any) -> None:
    esme.submit("2002")
    closed = await esme.closed()
    assert [request.destination_addr[-4:] for request, _ in closed.unanswered] == ["2002"]
    again = await bind_esme(smsc)
    (pdu,) = await again.delivered()
    assert tlv_text(pdu, Tag.RECEIPTED_MESSAGE_ID) == smsc.taken[0].message_id


async def test_2003_brings_the_receipt_before_the_response(esme: Any) -> None:
    sequence_number = esme.submit("2003")
    await esme.response(sequence_number)
    kinds = [type(event) for event in esme.log if isinstance(event, RequestReceived | ResponseReceived)]
    assert kinds == [RequestReceived, ResponseReceived]


async def test_2004_is_delivered_without_a_receipt(smsc: Any, esme: Any) -> None:
    message_id = await accepted_id(esme, "2004")
    await accepted_id(esme, "4321")
    await esme.delivered()
    response = await esme.ask(QuerySm(message_id=message_id))
    assert response.message_state == 2
    assert len(esme.deliveries) == 1


async def test_2005_brings_the_receipt_twice(esme: Any) -> None:
    esme.submit("2005")
    first, second = await esme.delivered(2)
    assert first.short_message == second.short_message


async def test_2006_is_delivered_then_en_route(esme: Any) -> None:
    esme.submit("2006")
    assert [state(pdu) for pdu in await esme.delivered(2)] == [2, 1]


async def test_2007_says_its_id_in_hex_then_in_decimal(esme: Any) -> None:
    message_id = await accepted_id(esme, "2007")
    (pdu,) = await esme.delivered()
    assert tlv_text(pdu, Tag.RECEIPTED_MESSAGE_ID) == str(int(message_id, 16))


async def test_2008_brings_a_receipt_without_optional_parameters(esme: Any) -> None:
    esme.submit("2008")
    (pdu,) = await esme.delivered()
    assert pdu.tlvs == {}
    assert stat(pdu) == "DELIVRD"


async def test_2009_brings_a_receipt_with_optional_parameters_alone(esme: Any) -> None:
    esme.submit("2009")
    (pdu,) = await esme.delivered()
    assert pdu.short_message == b""
    assert state(pdu) == 2


async def test_2010_brings_a_receipt_without_a_text_field(esme: Any) -> None:
    esme.submit("2010")
    (pdu,) = await esme.delivered()
    assert pdu.short_message.endswith(b"err:000")


async def test_2011_says_delivered_and_undeliv(esme: Any) -> None:
    esme.submit("2011")
    (pdu,) = await esme.delivered()
    assert (state(pdu), stat(pdu)) == (2, "UNDELIV")


async def test_2012_brings_a_reply_from_the_phone(esme: Any) -> None:
    esme.submit("2012")
    _, pdu = await esme.delivered(2)
    assert (pdu.esm_class, pdu.source_addr, pdu.destination_addr) == (0, "5511987652012", "27001")
    assert decode_inbound(pdu.short_message, pdu.data_coding)[0].startswith("Sim")


@pytest.mark.parametrize("marked", ["header", "sar"])
async def test_a_message_of_three_parts_is_answered_once_by_its_phone(esme: Any, marked: str) -> None:
    for number in (1, 2, 3):
        if marked == "header":
            esme.submit("2012", esm_class=0x40, short_message=header(concatenation(0, 3, number)) + b"hello")
        else:
            esme.submit("2012", tlvs={Tag.SAR_MSG_REF_NUM: b"\0\7", Tag.SAR_TOTAL_SEGMENTS: b"\3", Tag.SAR_SEGMENT_SEQNUM: bytes([number])})
    delivered = await esme.delivered(4)
    assert [parse_receipt(pdu) is None for pdu in delivered] == [False, False, False, True]


async def test_2013_brings_three_parts_out_of_order(esme: Any) -> None:
    esme.submit("2013")
    parts = (await esme.delivered(4))[1:]
    assert [pdu.short_message[5] for pdu in parts] == [3, 1, 2]
    whole = "".join(decode_inbound(pdu.short_message, 0, udhi=True)[0] for pdu in sorted(parts, key=lambda pdu: pdu.short_message[5]))
    assert whole == "Primeira parte, segunda parte, terceira."


async def test_2014_is_answered_by_generic_nack_with_its_sequence_number(smsc: Any, esme: Any) -> None:
    response = await esme.response(esme.submit("2014"))
    assert isinstance(response, GenericNack)
    assert response.command_status == CommandStatus.ESME_RINVCMDID
    assert smsc.taken == []


async def test_2015_is_answered_late_and_the_others_are_not_held_up(esme: Any) -> None:
    late = esme.submit("2015")
    prompt = esme.submit("4321")
    await esme.response(late)
    assert [event.pdu.sequence_number for event in esme.of(ResponseReceived)] == [prompt, late]


async def test_2016_is_answered_then_the_smsc_unbinds_and_the_receipt_comes_on_the_next_bind(smsc: Any, esme: Any, bind_esme: Any) -> None:
    sequence_number = esme.submit("2016")
    await esme.closed()
    assert (await esme.response(sequence_number)).command_status == CommandStatus.ESME_ROK
    assert [event.by_peer for event in esme.of(Unbound)] == [True]
    await (await bind_esme(smsc)).delivered()


async def test_2017_is_answered_then_garbage_ends_the_session_and_the_receipt_comes_on_the_next_bind(
    smsc: Any, esme: Any, bind_esme: Any
) -> None:
    sequence_number = esme.submit("2017")
    await esme.closed()
    assert (await esme.response(sequence_number)).command_status == CommandStatus.ESME_ROK
    assert esme.of(ProtocolViolation)
    await (await bind_esme(smsc)).delivered()


# --- binds ------------------------------------------------------------------------------------------------------------------------


async def test_a_bind_is_answered_with_the_name_and_the_version_of_the_smsc(esme: Any) -> None:
    (bound,) = esme.of(Bound)
    assert (bound.system_id, bound.sc_interface_version) == ("MENSAGEIRO", 0x34)


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [("stranger", "right", CommandStatus.ESME_RINVSYSID), ("company", "wrong", CommandStatus.ESME_RINVPASWD)],
)
async def test_wrong_credentials_are_refused(start_smsc: Any, bind_esme: Any, system_id: str, password: str, status: int) -> None:
    smsc = await start_smsc(system_id="company", password="right")
    esme = await bind_esme(smsc, BindTransceiver(system_id=system_id, password=password))
    assert esme.log == [BindFailed(status)]
    assert smsc.statistics.binds_refused == 1


async def test_a_system_id_with_all_its_binds_is_told_that_it_is_bound_until_one_ends(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(max_binds=1)
    first = await bind_esme(smsc)
    refused = await bind_esme(smsc)
    assert refused.log == [BindFailed(CommandStatus.ESME_RALYBND)]
    await first.stream.close(5.0)
    assert (await bind_esme(smsc)).of(Bound)


async def test_receipts_of_a_transmitter_come_over_the_receiver_of_the_same_system_id(smsc: Any, bind_esme: Any) -> None:
    transmitter = await bind_esme(smsc, BindTransmitter(system_id="company"))
    stranger = await bind_esme(smsc, BindReceiver(system_id="other"))
    receiver = await bind_esme(smsc, BindReceiver(system_id="company"))
    transmitter.submit()
    await receiver.delivered()
    assert transmitter.deliveries == stranger.deliveries == []


async def test_receipts_go_over_every_session_in_turn(smsc: Any, bind_esme: Any) -> None:
    first, second = await bind_esme(smsc), await bind_esme(smsc)
    for _ in range(4):
        first.submit()
    await first.delivered(2)
    await second.delivered(2)


async def test_enquire_link_is_answered(esme: Any) -> None:
    assert (await esme.ask(EnquireLink())).command_status == CommandStatus.ESME_ROK


# --- receipts ---------------------------------------------------------------------------------------------------------------------


async def test_a_message_that_asks_for_no_receipt_gets_none(esme: Any) -> None:
    esme.submit(registered_delivery=0)
    esme.submit("0005", registered_delivery=2)
    (pdu,) = await esme.delivered()
    assert state(pdu) == 5


@pytest.mark.parametrize("status", [CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_RMSGQFUL])
async def test_a_receipt_that_is_refused_for_the_moment_comes_again(smsc: Any, esme: Any, status: int) -> None:
    esme.deliver_status = status
    esme.submit()
    await esme.delivered(2)
    esme.deliver_status = CommandStatus.ESME_ROK
    count = len(esme.deliveries)
    deliveries = await esme.delivered(count + 1)
    assert len({pdu.short_message for pdu in deliveries}) == 1
    await esme.ask(EnquireLink())
    assert smsc.statistics.delivered == 1


async def test_a_receipt_is_given_up_after_max_tries(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(max_tries=3)
    esme = await bind_esme(smsc)
    esme.deliver_status = CommandStatus.ESME_RX_T_APPN
    esme.submit()
    await esme.delivered(3)
    await esme.ask(EnquireLink())
    assert smsc.statistics.dropped == 1


async def test_a_receipt_that_is_refused_for_good_is_dropped(smsc: Any, esme: Any) -> None:
    esme.deliver_status = CommandStatus.ESME_RX_R_APPN
    esme.submit()
    await esme.delivered()
    await esme.ask(EnquireLink())
    assert (smsc.statistics.dropped, smsc.statistics.repeated) == (1, 0)


async def test_a_receipt_that_is_not_answered_comes_again_after_its_time_out(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(deliver_timeout=0.05)
    esme = await bind_esme(smsc)
    esme.deliver_status = None
    esme.submit()
    first, second, *_ = await esme.delivered(2)
    assert first.short_message == second.short_message
    assert first.sequence_number != second.sequence_number


async def test_receipts_that_a_lost_session_left_unanswered_come_again_in_order(smsc: Any, esme: Any, bind_esme: Any) -> None:
    esme.deliver_status = None
    for _ in range(3):
        esme.submit()
    unanswered = [pdu.short_message for pdu in await esme.delivered(3)]
    esme.stream.abort()
    again = await bind_esme(smsc)
    assert [pdu.short_message for pdu in await again.delivered(3)] == unanswered


async def test_no_more_receipts_are_unanswered_than_the_settings_allow(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(max_unacked_receipts=2)
    esme = await bind_esme(smsc)
    esme.deliver_status = None
    for _ in range(5):
        esme.submit("2003")
    await esme.response(esme.submit("4321"))
    assert len(esme.deliveries) == 2
    esme.deliver_status = CommandStatus.ESME_ROK
    for pdu in esme.deliveries:
        esme.stream.respond(pdu)
    await esme.delivered(6)


async def test_a_backlog_is_bounded(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(backlog=1)
    transmitter = await bind_esme(smsc, BindTransmitter(system_id="company"))
    for _ in range(3):
        transmitter.submit("2003")
    await transmitter.ask(EnquireLink())
    assert smsc.statistics.dropped == 2


# --- other requests ---------------------------------------------------------------------------------------------------------------


async def test_data_sm_is_taken_like_submit_sm(smsc: Any, esme: Any) -> None:
    pdu = DataSm(destination_addr="5511987654321", registered_delivery=1, tlvs={Tag.MESSAGE_PAYLOAD: b"hello"})
    response = await esme.ask(pdu)
    assert isinstance(response, DataSmResp)
    (receipt,) = await esme.delivered()
    assert tlv_text(receipt, Tag.RECEIPTED_MESSAGE_ID) == response.message_id == smsc.taken[0].message_id
    assert message_octets(receipt).endswith(b"text:hello")


async def test_query_sm_tells_en_route_then_the_final_state_and_its_date(start_smsc: Any, bind_esme: Any) -> None:
    esme = await bind_esme(await start_smsc(receipt_delay=0.05))
    message_id = await accepted_id(esme, "0005")
    before = await esme.ask(QuerySm(message_id=message_id))
    await esme.delivered()
    after = await esme.ask(QuerySm(message_id=message_id))
    assert isinstance(before, QuerySmResp)
    assert isinstance(after, QuerySmResp)
    assert (before.message_state, before.final_date) == (1, "")
    assert (after.message_state, len(after.final_date)) == (5, 16)


async def test_a_cancelled_message_ends_with_dlr_code_4_alone(start_smsc: Any, bind_esme: Any) -> None:
    esme = await bind_esme(await start_smsc(receipt_delay=0.05))
    message_id = await accepted_id(esme, "0001")
    response = await esme.ask(CancelSm(message_id=message_id, source_addr="27001"))
    assert response.command_status == CommandStatus.ESME_ROK
    (pdu,) = await esme.delivered()
    assert state(pdu) == 4
    late = await esme.ask(CancelSm(message_id=message_id, source_addr="27001"))
    assert late.command_status == CommandStatus.ESME_RCANCELFAIL


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"message_id": "404", "source_addr": "27001"}, CommandStatus.ESME_RINVMSGID),
        ({"message_id": "", "source_addr": "27001"}, CommandStatus.ESME_RINVMSGID),
        ({"source_addr": "99999"}, CommandStatus.ESME_RINVSRCADR),
        ({"source_addr": "27001", "destination_addr": "5511900000000"}, CommandStatus.ESME_RINVDSTADR),
    ],
)
async def test_a_cancel_that_fits_no_message_is_refused(esme: Any, fields: dict[str, Any], status: int) -> None:
    message_id = await accepted_id(esme, "4321")
    assert (await esme.ask(CancelSm(**{"message_id": message_id} | fields))).command_status == status


async def test_another_account_can_neither_query_nor_cancel(smsc: Any, esme: Any, bind_esme: Any) -> None:
    message_id = await accepted_id(esme, "4321")
    other = await bind_esme(smsc, BindTransceiver(system_id="other"))
    for pdu in (QuerySm(message_id=message_id), CancelSm(message_id=message_id, source_addr="27001")):
        assert (await other.ask(pdu)).command_status == CommandStatus.ESME_RINVMSGID


async def test_only_the_last_messages_are_remembered(start_smsc: Any, bind_esme: Any) -> None:
    esme = await bind_esme(await start_smsc(remember=1))
    first, second = await accepted_id(esme, "4321"), await accepted_id(esme, "4321")
    assert (await esme.ask(QuerySm(message_id=first))).command_status == CommandStatus.ESME_RINVMSGID
    assert (await esme.ask(QuerySm(message_id=second))).command_status == CommandStatus.ESME_ROK


@pytest.mark.parametrize(
    "pdu", [ReplaceSm(message_id="1", short_message=b"x"), SubmitMulti(dest_addresses=(SmeAddress(1, 1, "5511987654321"),))]
)
async def test_submit_multi_and_replace_sm_are_refused(esme: Any, pdu: Any) -> None:
    assert (await esme.ask(pdu)).command_status == CommandStatus.ESME_RINVCMDID


# --- limits -----------------------------------------------------------------------------------------------------------------------


async def test_above_max_rate_submit_sm_is_throttled(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(max_rate=2.0)
    esme = await bind_esme(smsc)
    statuses = [(await esme.response(number)).command_status for number in [esme.submit() for _ in range(4)]]
    assert statuses == [0, 0, CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RTHROTTLED]
    assert (smsc.statistics.taken, smsc.statistics.throttled) == (2, 2)


async def test_more_unanswered_messages_than_the_window_are_throttled(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc(window=2, response_delay=0.02)
    esme = await bind_esme(smsc)
    numbers = [esme.submit() for _ in range(3)]
    assert (await esme.response(numbers[2])).command_status == CommandStatus.ESME_RTHROTTLED
    assert (await esme.response(numbers[0])).command_status == CommandStatus.ESME_ROK
    assert (await esme.response(esme.submit())).command_status == CommandStatus.ESME_ROK


# --- accounting -------------------------------------------------------------------------------------------------------------------


async def test_message_ids_are_unique(esme: Any) -> None:
    responses = [await esme.response(number) for number in [esme.submit() for _ in range(200)]]
    assert len({response.message_id for response in responses}) == 200


async def test_the_ledger_has_a_message_before_the_esme_hears_of_it(start_smsc: Any, bind_esme: Any, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    esme = await bind_esme(await start_smsc(ledger_path=path))
    response = await esme.response(esme.submit(tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x01\x02"}))
    await esme.response(esme.submit("1088"))
    (entry,) = ledger.read(path)
    assert (entry.to, entry.reference, entry.message_id) == ("5511987654321", 0x102, response.message_id)


async def test_a_ledger_is_appended_to_and_a_torn_last_line_is_skipped(start_smsc: Any, bind_esme: Any, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for _ in range(2):
        esme = await bind_esme(await start_smsc(ledger_path=path))
        await esme.response(esme.submit())
    with path.open("ab") as file:
        file.write(b'{"to":"55')
    assert len(ledger.read(path)) == 2


async def test_a_stop_with_grace_unbinds(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc()
    esme = await bind_esme(smsc)
    await smsc.stop(grace=5.0)
    assert (await esme.closed()).reason == "unbound"
    assert smsc.sessions == 0


async def test_a_stop_without_grace_drops(start_smsc: Any, bind_esme: Any) -> None:
    smsc = await start_smsc()
    esme = await bind_esme(smsc)
    await smsc.stop()
    assert (await esme.closed()).reason != "unbound"


async def test_a_port_in_use_is_an_error(start_smsc: Any, smsc: Any) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await start_smsc(port=smsc.port)


async def test_run_serves_until_it_is_cancelled(unbound_esme: Any) -> None:
    port = free_port()
    task = asyncio.create_task(run(SmscSettings(port=port)))
    esme = unbound_esme
    for _ in range(100):  # turns of the loop until it listens
        try:
            await esme.bind(port)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0)
    assert esme.of(Bound)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await esme.closed()).reason == "unbound"
