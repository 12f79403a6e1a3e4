"""What the sandbox makes of a message: its receipts in every form, and replies."""

import re

import pytest

from gateway.provider.dlr import DlrCode
from gateway.sandbox.messages import REPLY_ADDRESS, Taken, absolute_time, digest, receipt, reply, take
from gateway.sandbox.scenario import ORDINARY, Behaviour, PlannedReceipt, PlannedReply, ReceiptForm, behaviour
from gateway.smpp.constants import Tag
from gateway.smpp.pdu import DataSm, SubmitSm
from gateway.text import decode_inbound

AT = 1_760_000_000.0  # 2025-10-09 08:53:20 UTC, 05:53 in São Paulo


def submit_sm(text: bytes = b"Ola, mundo! Este texto tem mais de vinte letras", **fields: object) -> SubmitSm:
    given = {"source_addr": "27001", "destination_addr": "5511987654321", "registered_delivery": 1, "short_message": text} | fields
    return SubmitSm(**given)  # type: ignore[arg-type]  # fields by name


def taken(pdu: SubmitSm | DataSm, scenario: Behaviour = ORDINARY, number: int = 42) -> Taken:
    return take(pdu, number, "company", scenario, AT)


def text_of(message: Taken, form: ReceiptForm, code: DlrCode = DlrCode.DELIVERED) -> bytes:
    return receipt(message, PlannedReceipt(code, form), AT + 60).short_message


def test_a_full_receipt_says_everything_in_text_and_in_optional_parameters() -> None:
    message = taken(submit_sm(tlvs={Tag.USER_MESSAGE_REFERENCE: b"\x12\x34"}))
    pdu = receipt(message, PlannedReceipt(DlrCode.DELIVERED), AT + 60)
    assert pdu.short_message == (
        b"id:0000000042 sub:001 dlvrd:001 submit date:2510090553 done date:2510090554 stat:DELIVRD err:000 text:Ola, mundo! Este tex"
    )
    assert pdu.tlvs == {
        Tag.RECEIPTED_MESSAGE_ID: b"0000000042\0",
        Tag.MESSAGE_STATE: b"\x02",
        Tag.USER_MESSAGE_REFERENCE: b"\x12\x34",
    }
    assert pdu.esm_class == 0x04


def test_source_and_destination_are_swapped() -> None:
    pdu = receipt(taken(submit_sm()), PlannedReceipt(DlrCode.DELIVERED), AT)
    assert (pdu.source_addr, pdu.destination_addr) == ("5511987654321", "27001")


def test_a_receipt_of_text_only_has_no_optional_parameters() -> None:
    pdu = receipt(taken(submit_sm()), PlannedReceipt(DlrCode.DELIVERED, ReceiptForm.TEXT_ONLY), AT)
    assert pdu.tlvs == {}
    assert b"stat:DELIVRD" in pdu.short_message


def test_a_receipt_of_optional_parameters_only_has_no_text() -> None:
    pdu = receipt(taken(submit_sm()), PlannedReceipt(DlrCode.DELIVERED, ReceiptForm.TLV_ONLY), AT)
    assert pdu.short_message == b""
    assert pdu.tlvs[Tag.MESSAGE_STATE] == b"\x02"


def test_a_receipt_without_text_field_ends_at_err() -> None:
    assert text_of(taken(submit_sm()), ReceiptForm.WITHOUT_TEXT_FIELD).endswith(b" err:000")


def test_a_disagreement_is_right_in_message_state_and_wrong_in_stat() -> None:
    pdu = receipt(taken(submit_sm()), PlannedReceipt(DlrCode.DELIVERED, ReceiptForm.DISAGREEMENT), AT)
    assert pdu.tlvs[Tag.MESSAGE_STATE] == b"\x02"
    assert b"stat:UNDELIV err:005" in pdu.short_message


@pytest.mark.parametrize("code", DlrCode)
def test_every_code_has_its_word_its_octet_and_an_error_where_it_failed(code: DlrCode) -> None:
    pdu = receipt(taken(submit_sm()), PlannedReceipt(code), AT)
    match = re.search(rb"dlvrd:(\d{3}) .* stat:([A-Z]+) err:(\d{3})", pdu.short_message)
    assert match
    assert match[1] == (b"001" if code == DlrCode.DELIVERED else b"000")
    assert (int(match[3]) != 0) == (code in {3, 4, 5, 7, 8, 9})
    assert pdu.tlvs[Tag.MESSAGE_STATE] == bytes([code])


def test_2007_has_its_id_in_hex_first_and_in_decimal_without_zeros_then() -> None:
    message = taken(submit_sm(), behaviour("2007"), number=0xBEEF)
    assert message.message_id == "beef"
    assert b"id:48879 " in text_of(message, ReceiptForm.FULL)


def test_ucs2_is_quoted_in_gsm_with_a_question_mark_for_what_gsm_lacks() -> None:
    message = taken(submit_sm("Não é à toa".encode("utf-16-be"), data_coding=8))
    pdu = receipt(message, PlannedReceipt(DlrCode.DELIVERED), AT)
    assert decode_inbound(pdu.short_message, pdu.data_coding)[0].endswith("text:N?o é à toa")


def test_latin1_is_quoted_as_it_is() -> None:
    pdu = receipt(taken(submit_sm("ação".encode("latin-1"), data_coding=3)), PlannedReceipt(DlrCode.DELIVERED), AT)
    assert decode_inbound(pdu.short_message, pdu.data_coding)[0].endswith("text:ação")


def test_a_quote_has_no_user_data_header_and_no_half_escape() -> None:
    assert text_of(taken(submit_sm(b"\x05\x00\x03\x01\x02\x01part one", esm_class=0x40)), ReceiptForm.FULL).endswith(b"text:part one")
    assert text_of(taken(submit_sm(b"x" * 19 + b"\x1be")), ReceiptForm.FULL).endswith(b"text:" + b"x" * 19)


def test_a_data_sm_is_quoted_and_digested_from_its_payload() -> None:
    pdu = DataSm(destination_addr="5511987654321", tlvs={Tag.MESSAGE_PAYLOAD: b"hello"})
    assert text_of(taken(pdu), ReceiptForm.FULL).endswith(b"text:hello")
    assert digest(pdu) == digest(submit_sm(b"hello"))


def test_a_reply_of_one_part_has_no_header() -> None:
    pdu = reply(taken(submit_sm(source_addr="")), PlannedReply("Até à vista"))
    assert (pdu.esm_class, pdu.destination_addr) == (0, REPLY_ADDRESS)
    assert decode_inbound(pdu.short_message, 0) == ("Até à vista", "gsm7")


def test_a_reply_of_several_parts_has_a_header_with_one_reference() -> None:
    message = taken(submit_sm())
    parts = [reply(message, part) for part in behaviour("2013").replies]
    assert [pdu.short_message[:6].hex() for pdu in parts] == ["0500032a0303", "0500032a0301", "0500032a0302"]
    assert {pdu.esm_class for pdu in parts} == {0x40}


def test_a_replys_parts_are_marked_as_asked() -> None:
    message, planned = taken(submit_sm(), number=0x1234), PlannedReply("oi", 2, 3)
    wide, sar = reply(message, planned, "udh16"), reply(message, planned, "sar")
    assert (wide.esm_class, wide.short_message.hex()) == (0x40, "060804123403026f69")
    assert (sar.esm_class, sar.short_message) == (0, b"oi")
    assert sar.tlvs == {Tag.SAR_MSG_REF_NUM: b"\x12\x34", Tag.SAR_TOTAL_SEGMENTS: b"\x03", Tag.SAR_SEGMENT_SEQNUM: b"\x02"}


def test_a_reply_that_gsm_cannot_carry_goes_as_ucs2() -> None:
    pdu = reply(taken(submit_sm()), PlannedReply("não", 1, 2))
    assert (pdu.data_coding, pdu.short_message) == (8, bytes.fromhex("0500032a0201") + "não".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("registered_delivery", "code", "wanted"), [(0, 2, False), (1, 2, True), (1, 1, True), (2, 2, False), (2, 5, True), (2, 1, False)]
)
def test_registered_delivery_decides_which_receipts_are_told(registered_delivery: int, code: int, wanted: bool) -> None:
    assert taken(submit_sm(registered_delivery=registered_delivery)).wants(DlrCode(code)) is wanted


def test_a_final_state_stays() -> None:
    message = taken(submit_sm())
    message.turn(DlrCode.DELIVERED, AT)
    message.turn(DlrCode.ENROUTE, AT + 1)
    assert (message.state, message.final_at) == (DlrCode.DELIVERED, AT)


def test_absolute_time_is_local_and_says_so() -> None:
    assert absolute_time(AT) == "251009055320012-"
