"""Every PDU there and back; strict on what is sent, tolerant on what is received."""

from contextlib import suppress
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.smpp as smpp
from gateway.smpp import (
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    CommandId,
    CommandStatus,
    DataSm,
    DecodeError,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EncodeError,
    EnquireLinkResp,
    FramingError,
    OptionalParameters,
    Pdu,
    PduHeader,
    QuerySmResp,
    SmeAddress,
    SmppError,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tag,
    UnknownPdu,
    UnsuccessSme,
    decode,
    encode,
)
from gateway.smpp.tlv import TLV_LENGTHS

PDU_TYPES = sorted(
    (t for t in vars(smpp).values() if isinstance(t, type) and issubclass(t, Pdu) and hasattr(t, "command_id")),
    key=lambda t: t.command_id,
)
HEADER_FIELDS = {"command_status", "sequence_number", "tlvs", "repeated_tlvs", "malformed_tail"}
TEXT_LENGTHS = {
    "service_type": 5,
    "system_id": 15,
    "password": 64,
    "system_type": 12,
    "address_range": 40,
    "message_id": 64,
}
LATIN1 = st.characters(min_codepoint=1, max_codepoint=255)
TIMES = st.sampled_from(["", "260115103000000+", "000002000000000R"])
ADDRESSES = st.text(LATIN1, max_size=20)
OCTETS = st.integers(0, 255)


def tlv() -> st.SearchStrategy[tuple[int, bytes]]:
    def of_tag(tag: int) -> st.SearchStrategy[tuple[int, bytes]]:
        lengths = TLV_LENGTHS.get(tag, range(300))
        return st.tuples(st.just(tag), st.binary(min_size=lengths[0], max_size=lengths[-1]))

    tags = st.sampled_from([int(tag) for tag in Tag if tag is not Tag.MESSAGE_PAYLOAD])
    return (tags | st.integers(0x1400, 0x3FFF)).flatmap(of_tag)


def value_of(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name == "short_message":
        return st.binary(max_size=254)
    if name == "dest_addresses":
        sme = st.builds(SmeAddress, OCTETS, OCTETS, ADDRESSES)
        return st.lists(sme | st.builds(DistributionList, ADDRESSES), min_size=1, max_size=254).map(tuple)
    if name == "unsuccess_smes":
        return st.lists(st.builds(UnsuccessSme, OCTETS, OCTETS, ADDRESSES, st.integers(0, 2**32 - 1))).map(tuple)
    if name in {"schedule_delivery_time", "validity_period", "final_date"}:
        return TIMES
    if hint is str:
        return st.text(LATIN1, max_size=TEXT_LENGTHS.get(name, 20))
    assert hint is int
    return OCTETS


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    pdu_type = draw(st.sampled_from(PDU_TYPES))
    hints = get_type_hints(pdu_type)
    values = {name: draw(value_of(name, hints[name])) for name in pdu_type.__struct_fields__ if name not in HEADER_FIELDS}
    if issubclass(pdu_type, OptionalParameters):
        values["tlvs"] = dict(draw(st.lists(tlv(), max_size=4)))
        known = list(values["tlvs"].items())
        values["repeated_tlvs"] = tuple(draw(st.lists(st.sampled_from(known), max_size=2))) if known else ()
    status, number = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))
    return pdu_type(command_status=status, sequence_number=number, **values)


def minimal(pdu_type: type[Pdu]) -> Pdu:
    if pdu_type is SubmitMulti:
        return SubmitMulti(dest_addresses=(SmeAddress(1, 1, "5511"),))
    return pdu_type()


def with_body(command_id: int, body: bytes, status: int = 0) -> bytes:
    header = (16 + len(body), command_id, status, 7)
    return b"".join(number.to_bytes(4, "big") for number in header) + body


# --- there and back ---


def test_every_command_id_has_a_class() -> None:
    assert {int(t.command_id) for t in PDU_TYPES} == {int(command) for command in CommandId}


@given(pdus())
@settings(deadline=None, max_examples=200)
def test_every_pdu_survives_the_wire(pdu: Pdu) -> None:
    assert decode(encode(pdu)) == pdu


@given(pdus())
@settings(deadline=None, max_examples=60)
def test_a_memoryview_decodes_like_bytes(pdu: Pdu) -> None:
    assert decode(memoryview(encode(pdu))) == pdu


@given(pdus(), st.data())
@settings(deadline=None, max_examples=200)
def test_a_damaged_pdu_raises_nothing_but_declared_errors(pdu: Pdu, data: st.DataObject) -> None:
    frame = bytearray(encode(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(OCTETS)
    with suppress(SmppError):
        decode(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


@given(st.sampled_from([int(command) for command in CommandId]), st.binary(max_size=120), st.integers(0, 2))
@settings(deadline=None, max_examples=200)
def test_a_random_body_raises_nothing_but_decode_error_and_only_for_requests(command_id: int, body: bytes, status: int) -> None:
    outcome: object
    try:
        outcome = decode(with_body(command_id, body, status))
    except DecodeError as error:
        outcome = error.header
    assert isinstance(outcome, Pdu | PduHeader)
    assert (outcome.command_id, outcome.sequence_number) == (command_id, 7)
    assert isinstance(outcome, Pdu) or not command_id & 0x80000000


def test_an_unknown_command_id_is_kept_as_it_came() -> None:
    pdu = decode(with_body(0x00010203, b"body", 3))
    assert pdu == UnknownPdu(0x00010203, 3, 7, b"body")
    assert encode(pdu) == with_body(0x00010203, b"body", 3)


# --- golden octets ---

SPECIFICATION_SAMPLE = (  # SMPP 3.4 s3.2.2 "A sample PDU"
    "0000002F 00000002 00000000 00000001 534D50503354455354 00 7365637265743038 00 5355424D495431 00 00 01 01 00"
)


def test_the_specifications_sample_pdu() -> None:
    frame = bytes.fromhex(SPECIFICATION_SAMPLE)
    pdu = BindTransmitter("SMPP3TEST", "secret08", "SUBMIT1", 0, 1, 1, "", sequence_number=1)
    assert decode(frame) == pdu
    assert encode(pdu) == frame


def test_a_submit_sm_by_hand_from_the_tables_of_the_specification() -> None:
    """Composed field by field from SMPP 3.4 s4.4.1 and s5.3.2.17."""
    frame = bytes.fromhex(
        "0000004B 00000004 00000000 0000000A"
        "00 01 01 3237303030 00 01 01 35353131393837363534333231 00 40 00 00"
        "00 3030303030323030303030303030305200 01 00 08 00 02 00E3 0204 0002 002A".replace(" ", "")
    )
    pdu = SubmitSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="27000",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="5511987654321",
        esm_class=0x40,
        validity_period="000002000000000R",
        registered_delivery=1,
        data_coding=8,
        short_message=b"\x00\xe3",
        tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x00\x2a"},
        sequence_number=10,
    )
    assert encode(pdu).hex() == frame.hex()
    assert decode(frame) == pdu


def test_a_submit_multi_to_a_number_and_a_list() -> None:
    """SMPP 3.4 s4.5.1.1: the flag, then an address or a name."""
    pdu = SubmitMulti(dest_addresses=(SmeAddress(1, 1, "55"), DistributionList("all")), short_message=b"x")
    assert encode(pdu)[16:].hex(" ") == "00 00 00 00 02 01 01 01 35 35 00 02 61 6c 6c 00 00 00 00 00 00 00 00 00 00 01 78"
    assert decode(encode(pdu)) == pdu


def test_the_failures_of_a_submit_multi_have_statuses_of_four_octets() -> None:
    """SMPP 3.4 s4.5.2.1."""
    pdu = SubmitMultiResp("id", (UnsuccessSme(1, 1, "55", 0x0000000B),))
    assert encode(pdu)[16:].hex(" ") == "69 64 00 01 01 01 35 35 00 00 00 00 0b"
    assert decode(encode(pdu)) == pdu


# --- strict on what is sent ---


@pytest.mark.parametrize(
    ("pdu", "field"),
    [
        (BindTransceiver(system_id="x" * 16), "system_id"),
        (BindTransceiver(password="x" * 65), "password"),
        (BindTransceiver(system_type="x" * 13), "system_type"),
        (BindTransceiver(address_range="x" * 41), "address_range"),
        (SubmitSm(service_type="x" * 6), "service_type"),
        (SubmitSm(source_addr="x" * 21), "source_addr"),
        (SubmitSm(destination_addr="1\0002"), "destination_addr"),
        (SubmitSm(destination_addr="€"), "destination_addr"),
        (SubmitSm(short_message=b"x" * 255), "short_message"),
        (SubmitSm(validity_period="000002"), "validity_period"),
        (SubmitSm(priority_flag=256), "priority_flag"),
        (SubmitSm(dest_addr_npi=-1), "dest_addr_npi"),
        (SubmitSm(short_message=b"x", tlvs={Tag.MESSAGE_PAYLOAD: b"y"}), "short_message"),
        (SubmitSm(tlvs={Tag.USER_MESSAGE_REFERENCE: b"1"}), "tlvs"),
        (SubmitSm(tlvs={0x10000: b"1"}), "tlvs"),
        (SubmitSm(tlvs={0x1400: b"x" * 65536}), "tlvs"),
        (SubmitSmResp(message_id="x" * 65), "message_id"),
        (SubmitSm(sequence_number=2**32), "header"),
        (SubmitMulti(), "dest_addresses"),
        (SubmitMulti(dest_addresses=(DistributionList("x"),) * 255), "dest_addresses"),
        (SubmitMulti(dest_addresses=(SmeAddress(1, 300, "55"),)), "dest_addresses"),
        (SubmitMultiResp(unsuccess_smes=(UnsuccessSme(1, 1, "x" * 21, 0),)), "unsuccess_smes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_specification_forbids_is_not_sent_and_the_field_is_named(pdu: Pdu, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(pdu)
    assert caught.value.field == field


def test_a_password_longer_than_the_specifications_is_sent() -> None:
    """Trap 12: providers exceed 8 characters."""
    pdu = BindTransceiver(system_id="x" * 15, password="p" * 64)
    assert decode(encode(pdu)) == pdu


def test_an_error_never_carries_the_value_it_complains_of() -> None:
    with pytest.raises(EncodeError) as caught:
        encode(BindTransceiver(password="hunter2\0"))
    assert "hunter2" not in str(caught.value)


def test_a_pdu_and_its_repr_show_no_text_number_or_password() -> None:
    pdu = SubmitSm(destination_addr="5511987654321", short_message=b"oi", sequence_number=9)
    assert repr(pdu) == "<submit_sm #9 ESME_ROK>"
    assert "secret" not in repr(BindTransceiver(password="secret"))
    assert "body" not in repr(UnknownPdu(5000, body=b"body"))


def test_an_error_response_with_nothing_to_say_is_sent_without_a_body() -> None:
    """SMPP 3.4 s4.4.2."""
    assert len(encode(SubmitSmResp(command_status=0x58))) == 16
    assert len(encode(SubmitSmResp(message_id="1", command_status=0x58))) == 18
    assert len(encode(BindTransceiverResp(command_status=0x0D))) == 16


def test_deliver_sm_resp_and_data_sm_resp_keep_their_body_on_error() -> None:
    """Trap 17; SMPP 3.4 s4.6.2 leaves message_id there, unused."""
    assert len(encode(DeliverSmResp(command_status=0x64))) == 17


# --- tolerant on what is received ---


@pytest.mark.parametrize("status", [0, 0x58, 0x412])
@pytest.mark.parametrize(("body", "message_id"), [(b"", ""), (b"\0", ""), (b"abc\0", "abc"), (b"abc", "abc")])
def test_a_submit_sm_resp_may_have_no_body_an_empty_or_a_full_one(status: int, body: bytes, message_id: str) -> None:
    """Traps 15 and 16."""
    pdu = decode(with_body(CommandId.SUBMIT_SM_RESP, body, status))
    assert isinstance(pdu, SubmitSmResp)
    assert (pdu.command_status, pdu.message_id) == (status, message_id)


def test_a_response_that_ends_early_is_read_as_far_as_it_goes() -> None:
    pdu = decode(with_body(CommandId.QUERY_SM_RESP, b"abc\0\0\x02"))
    assert isinstance(pdu, QuerySmResp)
    assert (pdu.message_id, pdu.message_state, pdu.error_code) == ("abc", 2, 0)
    assert pdu.malformed_tail == b"abc\0\0\x02"


def test_a_submit_multi_resp_that_promises_more_than_it_has_keeps_its_body() -> None:
    pdu = decode(with_body(CommandId.SUBMIT_MULTI_RESP, b"abc\0\xff"))
    assert isinstance(pdu, SubmitMultiResp)
    assert pdu.malformed_tail == b"abc\0\xff"


def test_octets_behind_a_pdu_without_tlvs_are_ignored() -> None:
    assert decode(with_body(CommandId.ENQUIRE_LINK_RESP, b"\0\0")) == EnquireLinkResp(sequence_number=7)


def test_a_message_id_of_any_length_is_taken() -> None:
    """Trap 27."""
    pdu = decode(with_body(CommandId.SUBMIT_SM_RESP, b"x" * 200 + b"\0"))
    assert isinstance(pdu, SubmitSmResp)
    assert pdu.message_id == "x" * 200


@pytest.mark.parametrize("tail", ["1E", "001E00", "001E000A 6162", "04270001"])
def test_a_truncated_tlv_at_the_end_costs_nothing_but_itself(tail: str) -> None:
    """Trap 18."""
    whole = encode(DeliverSm(source_addr="1", short_message=b"oi", tlvs={0x0204: b"\0\1"}, sequence_number=7))
    pdu = decode(with_body(CommandId.DELIVER_SM, whole[16:] + bytes.fromhex(tail)))
    assert isinstance(pdu, DeliverSm)
    assert (pdu.short_message, pdu.tlvs, pdu.malformed_tail) == (b"oi", {0x0204: b"\0\1"}, bytes.fromhex(tail))


def test_vendor_tags_wrong_lengths_and_repetitions_pass_raw() -> None:
    """Trap 18."""
    tlvs = bytes.fromhex("1400 0001 FF 0427 0000 0381 0001 31 0381 0001 32")
    pdu = decode(with_body(CommandId.DATA_SM, encode(DataSm())[16:] + tlvs))
    assert isinstance(pdu, DataSm)
    assert pdu.tlvs == {0x1400: b"\xff", 0x0427: b"", 0x0381: b"1"}
    assert pdu.repeated_tlvs == ((0x0381, b"2"),)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", CommandStatus.ESME_RINVCMDLEN),
        (b"\0\1\1", CommandStatus.ESME_RINVCMDLEN),
        (b"\0\1\1no NUL", CommandStatus.ESME_RINVCMDLEN),
        (encode(DeliverSm())[16:-1], CommandStatus.ESME_RINVCMDLEN),
        (encode(DeliverSm())[16:-1] + b"\x05four", CommandStatus.ESME_RINVMSGLEN),
    ],
    ids=["empty", "ends early", "no NUL", "no sm_length", "sm_length too long"],
)
def test_a_request_without_its_mandatory_part_keeps_the_header_and_a_status(body: bytes, status: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(with_body(CommandId.DELIVER_SM, body))
    assert caught.value.header == (16 + len(body), CommandId.DELIVER_SM, 0, 7)
    assert caught.value.command_status_to_answer == status


def test_an_unknown_dest_flag_is_named() -> None:
    body = encode(SubmitMulti(dest_addresses=(DistributionList("x"),)))[16:].replace(b"\x01\x02x\0", b"\x01\x09x\0")
    with pytest.raises(DecodeError) as caught:
        decode(with_body(CommandId.SUBMIT_MULTI, body))
    assert caught.value.command_status_to_answer == CommandStatus.ESME_RINVDESTFLAG


def test_a_frame_that_is_not_as_long_as_it_says_is_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(with_body(CommandId.SUBMIT_SM, b"")[:3] + b"\x20" + with_body(CommandId.SUBMIT_SM, b"")[4:])
    assert caught.value.command_status_to_answer == CommandStatus.ESME_RINVCMDLEN
    with pytest.raises(FramingError):
        decode(b"\0\0\0\x10")


@pytest.mark.parametrize("pdu_type", PDU_TYPES, ids=lambda t: t.__name__)
def test_the_smallest_pdu_of_each_kind_survives_one_octet_cut_off_at_every_place(pdu_type: type[Pdu]) -> None:
    body = encode(minimal(pdu_type))[16:]
    for end in range(len(body)):
        frame = with_body(int(pdu_type.command_id), body[:end])
        if pdu_type.command_id & 0x80000000:
            assert type(decode(frame)) is pdu_type
        else:
            with pytest.raises(DecodeError):
                decode(frame)


def test_fields_stand_in_wire_order() -> None:
    assert SubmitSm.__struct_fields__[:17] == DeliverSm.__struct_fields__[:17]
    assert msgspec.structs.astuple(SubmitSm())[16] == b""
