"""Optional parameters by type: reading never raises."""

import pytest

from gateway.smpp import (
    DataSm,
    DeliverSm,
    Tag,
    message_octets,
    message_payload,
    tlv_from_int,
    tlv_from_text,
    tlv_int,
    tlv_text,
)


@pytest.mark.parametrize(("value", "number"), [(b"\x02", 2), (b"\x01\x00", 256), (b"", None), (b"x" * 9, None)])
def test_a_number_is_read_at_whatever_length_it_comes(value: bytes, number: int | None) -> None:
    assert tlv_int(DeliverSm(tlvs={Tag.MESSAGE_STATE: value}), Tag.MESSAGE_STATE) == number


def test_what_is_absent_is_none() -> None:
    assert tlv_int(DeliverSm(), Tag.MESSAGE_STATE) is None
    assert tlv_text(DeliverSm(), Tag.RECEIPTED_MESSAGE_ID) is None
    assert message_payload(DeliverSm()) is None


@pytest.mark.parametrize(("value", "text"), [(b"abc\0", "abc"), (b"abc", "abc"), (b"a\0b", "a"), (b"", ""), (b"\xff", "ÿ")])
def test_a_text_ends_at_its_nul_which_may_be_missing(value: bytes, text: str) -> None:
    assert tlv_text(DeliverSm(tlvs={Tag.RECEIPTED_MESSAGE_ID: value}), Tag.RECEIPTED_MESSAGE_ID) == text


def test_the_message_stands_in_short_message_unless_that_is_empty() -> None:
    """Traps 17 and 38."""
    payload = {int(Tag.MESSAGE_PAYLOAD): b"payload"}
    assert message_octets(DeliverSm(short_message=b"short", tlvs=payload)) == b"short"
    assert message_octets(DeliverSm(tlvs=payload)) == b"payload"
    assert message_octets(DataSm(tlvs=payload)) == b"payload"
    assert message_octets(DataSm()) == b""


def test_values_are_written_in_the_octets_of_the_specification() -> None:
    assert tlv_from_int(Tag.USER_MESSAGE_REFERENCE, 7) == b"\0\x07"
    assert tlv_from_int(Tag.MESSAGE_STATE, 2) == b"\x02"
    assert tlv_from_int(Tag.QOS_TIME_TO_LIVE, 1) == b"\0\0\0\1"
    assert tlv_from_int(0x1400, 1) == b"\x01"
    assert tlv_from_text("abc") == b"abc\0"
    with pytest.raises(OverflowError):
        tlv_from_int(Tag.MESSAGE_STATE, 256)
