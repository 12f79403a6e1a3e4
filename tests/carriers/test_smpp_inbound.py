"""A deliver_sm or data_sm becomes a Receipt or a Reply, whatever it holds."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.carriers.smpp_inbound import InboundReader, digits_of, national
from gateway.message import Fragment, Receipt, Reply
from gateway.smpp.constants import Tag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.text.inbound import Coding, decode
from tests.carriers.smsc import SAO_PAULO, receipt, settings

NOW = 1_800_000_000.0


def reader(**changes: Any) -> InboundReader:
    return InboundReader("smpp", settings(1, **changes), SAO_PAULO)


def read_receipt(pdu: DeliverSm | DataSm) -> Receipt:
    item = reader().read(pdu, NOW)
    assert isinstance(item, Receipt)
    return item


def read_reply(pdu: DeliverSm | DataSm, **changes: Any) -> Reply:
    item = reader(**changes).read(pdu, NOW)
    assert isinstance(item, Reply)
    return item


def test_a_receipt_with_local_dates() -> None:
    item = read_receipt(receipt("ABC"))
    assert item == Receipt(
        carrier="smpp",
        message_id="ABC",
        code=2,
        final=True,
        to="5511987654321",
        text="oi",
        error_code="000",
        submitted_at=datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp(),
        done_at=datetime(2026, 11, 23, 15, 1, tzinfo=UTC).timestamp(),
        received_at=NOW,
        raw=receipt("ABC").short_message,
    )


@pytest.mark.parametrize(
    ("stat", "code", "final"), [("ENROUTE", 1, False), ("UNDELIV", 5, True), ("7", 7, True), ("NONSENSE", None, False)]
)
def test_a_stat_gives_its_code_and_whether_it_is_final(stat: str, code: int | None, final: bool) -> None:
    item = read_receipt(receipt(stat=stat))
    assert (item.code, item.final) == (code, final)


def test_an_intermediate_notification_is_never_final() -> None:
    assert not read_receipt(receipt(esm_class=0x20)).final


def test_the_tlv_goes_before_the_text_and_a_disagreement_is_counted() -> None:
    subject = reader()
    item = subject.read(receipt(stat="DELIVRD", tlvs={Tag.MESSAGE_STATE: b"\x05"}), NOW)
    assert isinstance(item, Receipt)
    assert (item.code, subject.disagreements) == (5, 1)


def test_a_receipt_by_tlvs_alone_with_network_error_code() -> None:
    tlvs: dict[int, bytes] = {
        Tag.RECEIPTED_MESSAGE_ID: b"77\0",
        Tag.MESSAGE_STATE: b"\x05",
        Tag.NETWORK_ERROR_CODE: b"\x03\x00\x1b",
    }
    item = read_receipt(DataSm(source_addr="+55 (11) 98765-4321", esm_class=4, tlvs=tlvs))
    assert (item.message_id, item.code, item.error_code, item.to, item.text) == ("77", 5, "27", "5511987654321", None)


def test_a_receipt_without_anything_is_still_handed_on() -> None:
    item = read_receipt(DeliverSm(esm_class=4))
    assert (item.message_id, item.code, item.final, item.to, item.submitted_at) == ("", None, False, "", None)


def test_text_that_looks_like_a_receipt_is_a_reply() -> None:
    item = read_reply(DeliverSm(source_addr="5511987654321", destination_addr="27500", short_message=b"id:1 stat:DELIVRD"))
    assert item.text == "id:1 stat:DELIVRD"


def test_a_reply_names_national_numbers_and_leaves_other_addresses_alone() -> None:
    item = read_reply(DeliverSm(source_addr="+5511987654321", destination_addr="", short_message=b"ok"))
    assert (item.sender, item.to, item.text, item.encoding, item.fragment) == ("11987654321", None, "ok", "gsm7", None)
    assert national("27500") == "27500"
    assert national("EMPRESA") == "EMPRESA"


def test_a_reply_in_the_accounts_alphabet() -> None:
    assert read_reply(DeliverSm(source_addr="1", short_message=b"n\xe3o @"), default_alphabet="latin1").text == "não @"
    assert read_reply(DeliverSm(source_addr="1", short_message=b"oi \x00")).text == "oi @"


@pytest.mark.parametrize(
    ("data_coding", "octets", "text", "encoding"),
    [
        (0x00, b"oi \x00", "oi @", "gsm7"),
        (0x01, b"a@b", "a@b", "ascii"),
        (0x03, b"n\xe3o", "não", "latin1"),
        (0x08, "não 🦜".encode("utf-16-be"), "não 🦜", "ucs2"),
        (0x04, b"\x00\xff", "AP8=", "binary"),
        (0x10, b"\x00", "@", "gsm7"),  # message class 0
        (0x15, b"\x00", "AA==", "binary"),  # message class 1, 8 bits
        (0x18, "é".encode("utf-16-be"), "é", "ucs2"),
        (0xF1, b"\x00", "@", "gsm7"),
        (0xF5, b"\x00", "AA==", "binary"),
    ],
)
def test_data_coding_says_how_a_reply_is_read(data_coding: int, octets: bytes, text: str, encoding: str) -> None:
    item = read_reply(DeliverSm(source_addr="1", data_coding=data_coding, short_message=octets))
    assert (item.text, item.encoding) == (text, encoding)


@pytest.mark.parametrize(
    ("overrides", "data_coding", "octets", "text"),
    [
        ({"0": "latin1"}, 0, b"n\xe3o", "não"),
        ({"0": "gsm7-packed"}, 0, bytes.fromhex("c8329bfd06"), "Hello"),
        ({"0x08": "ucs2-le"}, 8, "ção".encode("utf-16-le"), "ção"),
        ({"008": "ascii"}, 8, b"oi", "oi"),
        ({"0xF0": "binary"}, 0xF0, b"\x00", "AA=="),
    ],
)
def test_the_accounts_overrides_come_first(overrides: dict[str, Any], data_coding: int, octets: bytes, text: str) -> None:
    assert read_reply(DeliverSm(source_addr="1", data_coding=data_coding, short_message=octets), data_coding_in=overrides).text == text


def test_a_national_language_of_the_header_is_heeded() -> None:
    single_shift = b"\x03\x24\x01\x03"
    item = read_reply(DeliverSm(source_addr="1", esm_class=0x40, short_message=single_shift + b"n\x1b\x7bo"))
    assert (item.text, item.encoding, item.fragment) == ("não", "gsm7-pt", None)


def sar(reference: bytes = b"\x01\x02", total: bytes = b"\x03", number: bytes = b"\x02") -> dict[int, bytes]:
    return {Tag.SAR_MSG_REF_NUM: reference, Tag.SAR_TOTAL_SEGMENTS: total, Tag.SAR_SEGMENT_SEQNUM: number}


@pytest.mark.parametrize(
    ("fields", "fragment"),
    [
        ({"esm_class": 0x40, "short_message": b"\x05\x00\x03\x07\x03\x02oi"}, Fragment("udh8", 7, 3, 2, b"oi", Coding("gsm7"))),
        ({"esm_class": 0x40, "short_message": b"\x05\x00\x03\x00\x03\x02oi"}, Fragment("udh8", 0, 3, 2, b"oi", Coding("gsm7"))),
        (
            {"esm_class": 0xC0, "short_message": b"\x05\x00\x03\x07\x03\x02oi"},
            Fragment("udh8", 7, 3, 2, b"oi", Coding("gsm7")),
        ),  # reply path
        ({"esm_class": 0x40, "short_message": b"\x06\x08\x04\x01\x02\x03\x02oi"}, Fragment("udh16", 258, 3, 2, b"oi", Coding("gsm7"))),
        (
            {"esm_class": 0x40, "short_message": b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x07\x03\x02oi"},
            Fragment("udh8", 7, 3, 2, b"oi", Coding("gsm7")),
        ),
        (
            {"esm_class": 0x40, "data_coding": 8, "tlvs": {Tag.MESSAGE_PAYLOAD: b"\x05\x00\x03\x07\x02\x01\0o"}},
            Fragment("udh8", 7, 2, 1, b"\0o", Coding("ucs2")),
        ),
        ({"short_message": b"oi", "tlvs": sar()}, Fragment("sar", 258, 3, 2, b"oi", Coding("gsm7"))),
        (
            {"esm_class": 0x40, "short_message": b"\x05\x00\x03\x07\x03\x01oi", "tlvs": sar()},
            Fragment("udh8", 7, 3, 1, b"oi", Coding("gsm7")),
        ),
        (
            {"esm_class": 0x40, "short_message": b"\x03\x24\x01\x03oi", "tlvs": sar()},
            Fragment("sar", 258, 3, 2, b"oi", Coding("gsm7", single_shift=3)),
        ),
    ],
)
def test_a_part_of_a_reply_is_handed_on_as_octets(fields: dict[str, Any], fragment: Fragment) -> None:
    item = read_reply(DeliverSm(source_addr="1", **fields))
    assert (item.fragment, item.text, item.encoding) == (fragment, "", "")


def test_a_part_by_data_sm_is_one_too() -> None:
    item = read_reply(DataSm(source_addr="1", tlvs=sar() | {Tag.MESSAGE_PAYLOAD: b"oi"}))
    assert item.fragment == Fragment("sar", 258, 3, 2, b"oi", Coding("gsm7"))


@pytest.mark.parametrize(
    "fields",
    [
        {"esm_class": 0x40, "short_message": b"\x05\x00\x03\x07\x01\x01oi"},  # 1 of 1
        {"esm_class": 0x40, "short_message": b"\x05\x00\x03\x07\x03\x04oi"},  # 4 of 3
        {"esm_class": 0x40, "short_message": b"\x05\x00\x03\x07\x03\x00oi"},  # 0 of 3
        {"esm_class": 0x40, "short_message": b"\x04\x05\x02\x0b\x84oi"},  # a header of another kind
        {"short_message": b"oi", "tlvs": sar(total=b"\x01", number=b"\x01")},
        {"short_message": b"oi", "tlvs": sar(number=b"\x04")},
        {"short_message": b"oi", "tlvs": sar(number=b"\x00")},
        {"short_message": b"oi", "tlvs": sar(total=b"")},
        {"short_message": b"oi", "tlvs": sar(total=b"\x01\x00")},
        {"short_message": b"oi", "tlvs": {Tag.SAR_TOTAL_SEGMENTS: b"\x03", Tag.SAR_SEGMENT_SEQNUM: b"\x01"}},
    ],
)
def test_what_cannot_be_a_part_is_a_whole_reply(fields: dict[str, Any]) -> None:
    item = read_reply(DeliverSm(source_addr="1", **fields))
    assert (item.fragment, item.text) == (None, "oi")


def test_packed_septets_of_a_part_begin_behind_the_fill_bits_of_its_header() -> None:
    header, text = b"\x05\x00\x03\x07\x02\x01", "Hello"
    bits = sum(ord(letter) << 7 * place for place, letter in enumerate(text)) << 1
    octets = bits.to_bytes(5, "little")
    item = read_reply(DeliverSm(source_addr="1", esm_class=0x40, short_message=header + octets), data_coding_in={"0": "gsm7-packed"})
    assert item.fragment is not None
    assert decode([(item.fragment.octets, item.fragment.coding)]) == ("Hello", "gsm7")


def test_a_receipt_with_a_user_data_header_is_a_receipt() -> None:
    pdu = receipt("ABC", esm_class=0x44)
    pdu.short_message = b"\x05\x00\x03\x07\x01\x01" + pdu.short_message
    assert read_receipt(pdu).code == 2


def test_a_reply_tells_the_session_that_it_came_by() -> None:
    item = reader().read(DeliverSm(source_addr="1", short_message=b"oi"), NOW, 77)
    assert isinstance(item, Reply)
    assert item.session == 77


def test_digits_of_an_address() -> None:
    assert digits_of("+55-11") == "5511"
    assert digits_of("²3") == "3"


octets = st.binary(max_size=80)
address = st.text(st.characters(max_codepoint=255), max_size=21)


@given(octets, address, address, st.integers(0, 255), st.integers(0, 255), st.dictionaries(st.sampled_from(list(map(int, Tag))), octets))
@hypothesis_settings(deadline=None, max_examples=200)
def test_no_deliver_sm_makes_the_reader_raise(
    message: bytes, source: str, destination: str, esm_class: int, data_coding: int, tlvs: dict[int, bytes]
) -> None:
    fields: dict[str, Any] = {"source_addr": source, "destination_addr": destination, "esm_class": esm_class, "data_coding": data_coding}
    item = reader().read(DeliverSm(short_message=message, tlvs=tlvs, **fields), NOW)
    assert isinstance(item, Receipt | Reply)
