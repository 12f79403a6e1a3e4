"""A message becomes a submit_sm: sender, destination, octets, flash, validity; or the reason why it cannot."""

from typing import Any

import pytest

from gateway.carriers.base import Prepared
from gateway.carriers.smpp_submit import Part, SubmitBuilder, relative_period
from gateway.message import CancelOrder, Message, Reason, Rejected
from gateway.smpp.codec import decode, encode
from gateway.smpp.constants import Tag
from gateway.smpp.pdu import SubmitSm
from tests.carriers.smsc import message, settings

NOW = 1_800_000_000.0


def build(changes: dict[str, Any] | None = None, **fields: Any) -> SubmitSm:
    builder = SubmitBuilder(settings(1, **(changes or {})))
    wanted = message(**{"expires_at": NOW + 3600, **fields})
    prepared = builder.prepare(wanted)
    assert isinstance(prepared, Prepared), prepared
    (part,) = prepared.parts
    assert isinstance(part, Part)
    pdu = builder.submit_sm(wanted, part, NOW)
    assert decode(encode(pdu)) == pdu
    return pdu


def refusal(changes: dict[str, Any] | None = None, **fields: Any) -> Rejected:
    refused = SubmitBuilder(settings(1, **(changes or {}))).prepare(message(**fields))
    assert isinstance(refused, Rejected), refused
    return refused


def test_a_plain_message_is_one_submit_sm_with_what_the_account_says() -> None:
    pdu = build(row=0x12345, text="olá à mesa @", priority=2)
    assert (pdu.service_type, pdu.esm_class, pdu.protocol_id, pdu.priority_flag) == ("", 0, 0, 2)
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (1, 1, "1140001000")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (1, 1, "5511987654321")
    assert pdu.validity_period == "000000010000000R"
    assert pdu.registered_delivery == 1
    assert pdu.data_coding == 8  # á is not in GSM 03.38
    assert pdu.short_message == "olá à mesa @".encode("utf-16-be")
    assert pdu.tlvs == {Tag.USER_MESSAGE_REFERENCE: b"\x23\x45"}


def test_gsm_text_is_unpacked_septets_with_data_coding_0() -> None:
    pdu = build(text="oi @ é €")
    assert (pdu.data_coding, pdu.short_message) == (0, b"oi \x00 \x05 \x1be")


def test_no_receipt_is_asked_for_where_the_producer_wants_none() -> None:
    assert build(receipt=False).registered_delivery == 0


def test_a_national_account_gets_national_numbers_with_its_own_ton() -> None:
    pdu = build({"number_format": "national", "dest_ton": 2})
    assert (pdu.dest_addr_ton, pdu.destination_addr) == (2, "11987654321")


@pytest.mark.parametrize(
    ("sender", "expected"),
    [("27500", (3, 0, "27500")), ("EMPRESA", (5, 0, "EMPRESA")), ("(11) 4000-1000", (1, 1, "551140001000"))],
)
def test_the_messages_sender_goes_before_the_accounts(sender: str, expected: tuple[int, int, str]) -> None:
    pdu = build(sender=sender)
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "short_code"}, "kind"),
        ({"kind": "short_code_flash"}, "kind"),
        ({"cost_centre": 3}, "cost_centre"),
        ({"label": "campanha"}, "label"),
        ({"normalise": True}, "normalise"),
        ({"kind": "flash", "encoding": "latin1"}, "encoding"),
    ],
)
def test_what_smpp_cannot_carry_is_no_route_and_names_the_field(changes: dict[str, Any], field: str) -> None:
    refused = refusal(**changes)
    assert refused.reason is Reason.NO_ROUTE
    assert refused.detail.startswith(f"{field}: ")


def test_a_kind_that_the_settings_add_is_sent() -> None:
    assert build({"kinds": ("common", "short_code")}, kind="short_code").data_coding == 0


def test_a_text_by_short_code_has_140_characters_at_most() -> None:
    kinds = {"kinds": ("common", "short_code")}
    assert build(kinds, kind="short_code", text="a" * 140).short_message == b"a" * 140
    refused = refusal(kinds, kind="short_code", text="a" * 141)
    assert (refused.reason, refused.detail) == (Reason.TEXT_TOO_LONG, "text: 141 characters, the limit of short codes is 140")


def test_characters_outside_the_wanted_alphabet_are_named_by_code_point() -> None:
    refused = refusal(text="não dá", encoding="gsm7")
    assert refused.reason is Reason.NOT_ENCODABLE
    assert "U+00E3" in refused.detail
    assert "não" not in refused.detail


def test_a_sender_that_is_none_is_refused() -> None:
    assert refusal(sender="um nome longo demais").reason is Reason.INVALID_SENDER


@pytest.mark.parametrize(
    ("alphabet", "text", "data_coding", "octets"),
    [
        ("gsm0338", "oi @", 0x10, b"oi \x00"),
        ("gsm0338", "não", 0x18, "não".encode("utf-16-be")),
        ("latin1", "oi", 0x10, b"oi"),
        ("latin1", "oi @", 0x18, "oi @".encode("utf-16-be")),  # @ is 0x00 in GSM and 0x40 in Latin-1
        ("latin1", "não", 0x18, "não".encode("utf-16-be")),
        ("ascii", "oi", 0x10, b"oi"),
        ("ascii", "oi $", 0x18, "oi $".encode("utf-16-be")),
    ],
)
def test_flash_is_message_class_0_in_data_coding(alphabet: str, text: str, data_coding: int, octets: bytes) -> None:
    pdu = build({"default_alphabet": alphabet}, kind="flash", text=text)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)


def test_latin1_on_request_and_by_the_smscs_alphabet() -> None:
    asked = build(text="não", encoding="latin1")
    assert (asked.data_coding, asked.short_message) == (3, b"n\xe3o")
    default = build({"default_alphabet": "latin1"}, text="não")
    assert (default.data_coding, default.short_message) == (0, b"n\xe3o")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5.0, "000000000001000R"),
        (0.2, "000000000001000R"),
        (61.5, "000000000102000R"),
        (86399.0, "000000235959000R"),
        (172800.0, "000002000000000R"),
    ],
)
def test_validity_is_relative_rounded_up_and_never_zero(seconds: float, expected: str) -> None:
    assert relative_period(seconds) == expected


def test_a_cancel_names_the_addresses_of_the_submit() -> None:
    builder = SubmitBuilder(settings(1))
    wanted: Message = message(sender="27500")
    prepared = builder.prepare(wanted)
    assert isinstance(prepared, Prepared)
    submit = builder.submit_sm(wanted, prepared.parts[0], NOW)  # type: ignore[arg-type]
    cancel = builder.cancel_sm(CancelOrder(1, wanted.to, "27500", ("x",)), "x")
    for field in ("source_addr_ton", "source_addr_npi", "source_addr", "dest_addr_ton", "dest_addr_npi", "destination_addr"):
        assert getattr(cancel, field) == getattr(submit, field)
