"""Receipts in every variant that is known, and in none that is not one."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smpp import (
    DataCoding,
    DataSm,
    DeliverSm,
    EsmClass,
    MessageIdSource,
    RawReceipt,
    Tag,
    parse_receipt,
    parse_receipt_date,
)

SPECIFICATION = (  # SMPP 3.4 appendix B
    b"id:0123456789 sub:001 dlvrd:001 submit date:2601151030 done date:2601151031 stat:DELIVRD err:000 Text:Ola mundo"
)


def receipt(text: bytes = SPECIFICATION, **fields: object) -> RawReceipt:
    pdu = DeliverSm(source_addr="5511987654321", destination_addr="27000", esm_class=4, short_message=text)
    for name, value in fields.items():
        setattr(pdu, name, value)
    found = parse_receipt(pdu)
    assert found is not None
    return found


def test_the_specifications_receipt_is_read_whole() -> None:
    r = receipt()
    assert (r.message_id, r.message_id_source) == ("0123456789", MessageIdSource.TEXT)
    assert (r.sub, r.dlvrd, r.stat, r.err, r.text) == ("001", "001", "DELIVRD", "000", "Ola mundo")
    assert (r.submit_date, r.done_date) == ("2601151030", "2601151031")
    assert (r.source_addr, r.dest_addr, r.raw) == ("5511987654321", "27000", SPECIFICATION)
    assert (r.tlv_state, r.network_error_code, r.user_message_reference, r.intermediate) == (None, None, None, False)


@pytest.mark.parametrize(("esm_class", "intermediate"), [(0x04, False), (0x44, False), (0x07, False), (0x20, True), (0x24, True)])
def test_esm_class_makes_a_receipt_also_with_udhi(esm_class: int, intermediate: bool) -> None:
    """Trap 19."""
    text = b"\x00" + SPECIFICATION if esm_class & EsmClass.UDHI else SPECIFICATION
    assert receipt(text, esm_class=esm_class).intermediate is intermediate
    assert receipt(text, esm_class=esm_class).message_id == "0123456789"


def test_a_udhi_bit_over_a_plain_text_costs_nothing() -> None:
    """Trap 19."""
    assert receipt(esm_class=0x44).message_id == "0123456789"


@pytest.mark.parametrize("esm_class", [0x00, 0x03, 0x40, 0x08, 0x10, 0x18])
def test_a_text_that_looks_like_a_receipt_is_none(esm_class: int) -> None:
    """Trap 20."""
    assert parse_receipt(DeliverSm(esm_class=esm_class, short_message=SPECIFICATION)) is None


def test_tlvs_and_text_are_kept_side_by_side() -> None:
    """Trap 21."""
    r = receipt(tlvs={Tag.RECEIPTED_MESSAGE_ID: b"9f0a\0", Tag.MESSAGE_STATE: b"\x05"})
    assert (r.message_id, r.message_id_source) == ("9f0a", MessageIdSource.TLV)
    assert (r.tlv_state, r.stat) == (5, "DELIVRD")


def test_tlvs_alone_are_enough() -> None:
    """Trap 21."""
    r = receipt(b"", tlvs={Tag.RECEIPTED_MESSAGE_ID: b"9f0a", Tag.MESSAGE_STATE: b"\x02"})
    assert (r.message_id, r.tlv_state, r.stat, r.text) == ("9f0a", 2, None, None)


def test_an_id_tlv_without_a_state_leaves_the_state_to_the_text() -> None:
    """Trap 21."""
    r = receipt(tlvs={Tag.RECEIPTED_MESSAGE_ID: b"9f0a\0"})
    assert (r.message_id, r.tlv_state, r.stat) == ("9f0a", None, "DELIVRD")


def test_an_empty_id_tlv_is_no_id() -> None:
    assert receipt(tlvs={Tag.RECEIPTED_MESSAGE_ID: b"\0"}).message_id == "0123456789"


def test_a_receipt_may_sit_in_message_payload_of_either_pdu() -> None:
    """Traps 17 and 21."""
    tlvs = {int(Tag.MESSAGE_PAYLOAD): SPECIFICATION}
    assert receipt(b"", tlvs=tlvs).message_id == "0123456789"
    found = parse_receipt(DataSm(esm_class=4, tlvs=tlvs))
    assert found is not None
    assert found.stat == "DELIVRD"


@pytest.mark.parametrize("state", [0, 9])
def test_the_states_of_smpp_5_are_read_as_they_come(state: int) -> None:
    """Trap 23."""
    assert receipt(tlvs={Tag.MESSAGE_STATE: bytes([state])}).tlv_state == state


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id:1 sub:001 dlvrd:001 submit date:2601151030 done date:2601151031 stat:DELIVRD err:000", None),
        ("stat:DELIVRD err:000 id:1", None),
        ("ID:1 STAT:DELIVRD ERR:000 TEXT:oi", "oi"),
        ("id: 1 stat: DELIVRD err: 000 text: oi", "oi"),
        ("id : 1 stat : DELIVRD err : 000 text : oi", "oi"),
        ("id:1sub:001dlvrd:001submit date:2601151030done date:2601151031stat:DELIVRDerr:000text:oi", "oi"),
        ("id:1,stat:DELIVRD,err:000,text:oi", "oi"),
        ("id:1\r\nstat:DELIVRD\nerr:000\0", None),
        ("id:1 submitdate:2601151030 done_date:2601151031 stat:DELIVRD err:000 text:", ""),
        ("id:1 stat:DELIVRD err:000 text:id:2 stat:UNDELIV err:999", "id:2 stat:UNDELIV err:999"),
    ],
)
def test_fields_may_be_missing_reordered_in_any_case_and_spacing(text: str, expected: str | None) -> None:
    """Trap 22: also the Brazilian form that ends at err:."""
    r = receipt(text.encode())
    assert (r.message_id, r.stat, r.err, r.text) == ("1", "DELIVRD", "000", expected)


def test_dates_are_found_however_their_names_are_written() -> None:
    for text in ("submit date:1 done date:2", "submitdate:1 donedate:2", "Submit_Date: 1 Done-Date: 2"):
        r = receipt(text.encode())
        assert (r.submit_date, r.done_date) == ("1", "2")


@pytest.mark.parametrize("stat", ["FAILED", "ACKED", "BUFFRED", "2", "delivrd", "SKIPPED"])
def test_any_word_may_stand_in_stat(stat: str) -> None:
    """Trap 23."""
    assert receipt(b"id:1 stat:" + stat.encode() + b" err:0").stat == stat


@pytest.mark.parametrize("err", ["0001", "0032", "a1f", "-1", "EC_UNKNOWN"])
def test_err_is_kept_whole_and_raw(err: str) -> None:
    """Trap 25."""
    assert receipt(b"id:1 stat:UNDELIV err:" + err.encode()).err == err


@pytest.mark.parametrize("message_id", ["0e999f21", "E999F21", "00042", "x" * 64, "1e2f-4b_5.6", "id-id", "substatus"])
def test_a_message_id_is_text_and_kept_as_it_came(message_id: str) -> None:
    """Trap 27."""
    assert receipt(b"id:" + message_id.encode() + b" stat:DELIVRD").message_id == message_id


def test_a_word_that_ends_in_id_is_no_id() -> None:
    assert receipt(b"paid:7 stat:DELIVRD").message_id is None


@pytest.mark.parametrize(("value", "code"), [(b"\x03\x00\x08", (3, 8)), (b"008", (None, 8)), (b"\x03\x00", None), (b"", None)])
def test_a_network_error_code_may_be_three_digits(value: bytes, code: tuple[int | None, int] | None) -> None:
    """Trap 26."""
    assert receipt(tlvs={Tag.NETWORK_ERROR_CODE: value}).network_error_code == code


def test_our_own_reference_comes_back() -> None:
    assert receipt(tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x01\x02"}).user_message_reference == 0x0102


def test_a_receipt_in_ucs2_is_read() -> None:
    r = receipt("id:1 stat:DELIVRD text:não".encode("utf-16-be"), data_coding=DataCoding.UCS2)
    assert (r.message_id, r.stat, r.text) == ("1", "DELIVRD", "não")


def test_a_letter_that_grows_in_lower_case_moves_nothing() -> None:
    r = receipt("id:İİ stat:DELIVRD".encode("utf-16-be"), data_coding=DataCoding.UCS2)
    assert (r.message_id, r.stat) == ("İİ", "DELIVRD")


def test_the_repr_shows_nothing_of_the_subscriber() -> None:
    assert repr(receipt()) == "<RawReceipt stat='DELIVRD' tlv_state=None err='000'>"


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 255), st.dictionaries(st.sampled_from(Tag), st.binary()))
@settings(deadline=None, max_examples=200)
def test_no_octets_make_it_raise(text: bytes, esm_class: int, coding: int, tlvs: dict[int, bytes]) -> None:
    pdu = DeliverSm(esm_class=esm_class, data_coding=coding, short_message=text, tlvs=tlvs)
    found = parse_receipt(pdu)
    assert (found is None) is (esm_class & 0x3C not in {0x04, 0x20, 0x24})


@given(st.lists(st.sampled_from(["id:", "stat:", "text:", "Err:", "submit date:", "DONE DATE:", " ", "a", ":", "1"])))
@settings(deadline=None, max_examples=200)
def test_no_mix_of_field_names_makes_it_raise(words: list[str]) -> None:
    receipt("".join(words).encode())


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2601151030", datetime(2026, 1, 15, 10, 30)),  # noqa: DTZ001  # naive is what the function promises
        ("260115103059", datetime(2026, 1, 15, 10, 30, 59)),  # noqa: DTZ001 - a receipt names no zone
        ("20260115103059", datetime(2026, 1, 15, 10, 30, 59)),  # noqa: DTZ001 - a receipt names no zone
        ("202601151030", datetime(2026, 1, 15, 10, 30)),  # noqa: DTZ001 - a receipt names no zone
        ("2613151030", None),
        ("26011510", None),
        ("", None),
        ("26-01-15 10", None),
        ("٢٦٠١١٥١٠٣٠", None),
        ("0000000000", None),
    ],
)
def test_dates_of_ten_twelve_and_fourteen_digits(value: str, moment: datetime | None) -> None:
    """Trap 24."""
    assert parse_receipt_date(value) == moment
