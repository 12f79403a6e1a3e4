"""A deliver_sm or data_sm becomes a Receipt or a Reply, whatever it holds."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.carriers.smpp_inbound import InboundReader, digits_of, national
from gateway.message import Receipt, Reply
from gateway.smpp.constants import Tag
from gateway.smpp.pdu import DataSm, DeliverSm
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
def test_codes_and_finality(stat: str, code: int | None, final: bool) -> None:
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
    assert (item.sender, item.to, item.encoding, item.parts, item.complete) == ("11987654321", None, "gsm7", 1, True)
    assert national("27500") == "27500"
    assert national("EMPRESA") == "EMPRESA"


def test_a_reply_in_the_accounts_alphabet() -> None:
    assert read_reply(DeliverSm(source_addr="1", short_message=b"n\xe3o @"), default_alphabet="latin1").text == "não @"
    assert read_reply(DeliverSm(source_addr="1", short_message=b"oi \x00")).text == "oi @"


def test_a_user_data_header_is_skipped() -> None:
    assert read_reply(DeliverSm(source_addr="1", esm_class=0x40, short_message=b"\x05\x00\x03\x01\x02\x01oi")).text == "oi"


def test_digits_of_an_address() -> None:
    assert digits_of("+55-11") == "5511"
    assert digits_of("²3") == "3"


octets = st.binary(max_size=80)
address = st.text(st.characters(max_codepoint=255), max_size=21)


@given(octets, address, address, st.integers(0, 255), st.integers(0, 255), st.dictionaries(st.sampled_from(list(map(int, Tag))), octets))
@hypothesis_settings(deadline=None, max_examples=200)
def test_no_input_raises(message: bytes, source: str, destination: str, esm_class: int, data_coding: int, tlvs: dict[int, bytes]) -> None:
    fields: dict[str, Any] = {"source_addr": source, "destination_addr": destination, "esm_class": esm_class, "data_coding": data_coding}
    item = reader().read(DeliverSm(short_message=message, tlvs=tlvs, **fields), NOW)
    assert isinstance(item, Receipt | Reply)
