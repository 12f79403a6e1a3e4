"""The magic numbers: each row of the table of `interfaces.md` is a sentence here."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.sandbox import sandbox
from gateway.provider.dlr import DlrCode
from gateway.sandbox import scenario
from gateway.sandbox.scenario import (
    ORDINARY,
    WEB_ORDINARY,
    Aftermath,
    Behaviour,
    CallbackType,
    IdFormat,
    PlannedReceipt,
    Reaction,
    ReceiptForm,
    WebBehaviour,
    WebReaction,
    behaviour,
    web_behaviour,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "sandbox.md"
DELIVERED = PlannedReceipt(DlrCode.DELIVERED)


def to(digits: str) -> Behaviour:
    return behaviour("551198765" + digits)


@pytest.mark.parametrize("code", [2, 3, 4, 5, 7, 8, 9])
def test_000n_with_a_final_code_ends_with_that_receipt(code: int) -> None:
    assert to(f"000{code}").receipts == (PlannedReceipt(DlrCode(code)),)


@pytest.mark.parametrize("code", [0, 1, 6])
def test_000n_with_a_code_that_is_not_final_is_delivered_afterwards(code: int) -> None:
    assert to(f"000{code}").receipts == (PlannedReceipt(DlrCode(code)), DELIVERED)


def test_1nnn_is_refused_with_command_status_nnn_in_decimal_and_leads_to_nothing() -> None:
    throttled = to("1088")
    assert throttled.command_status == 0x58
    assert throttled.receipts == ()
    assert not throttled.takes
    assert to("1999").command_status == 999


def test_1000_is_a_refusal_with_esme_rok_hence_none() -> None:
    assert to("1000") == ORDINARY


def test_2001_is_swallowed() -> None:
    assert to("2001").reaction is Reaction.SILENCE
    assert not to("2001").takes


def test_2002_is_taken_and_drops_the_connection() -> None:
    assert to("2002").reaction is Reaction.DROP
    assert to("2002").takes
    assert to("2002").receipts == (DELIVERED,)


def test_2003_tells_the_receipt_before_the_response() -> None:
    assert to("2003").reaction is Reaction.RECEIPT_FIRST


def test_2005_tells_the_receipt_twice() -> None:
    assert to("2005").receipts == (DELIVERED, DELIVERED)


def test_2006_is_delivered_then_en_route() -> None:
    assert to("2006").receipts == (DELIVERED, PlannedReceipt(DlrCode.ENROUTE))


def test_2007_answers_with_a_hexadecimal_id() -> None:
    assert to("2007").id_format is IdFormat.HEX


@pytest.mark.parametrize(
    ("digits", "form"),
    [
        ("2004", ReceiptForm.UNTOLD),
        ("2008", ReceiptForm.TEXT_ONLY),
        ("2009", ReceiptForm.TLV_ONLY),
        ("2010", ReceiptForm.WITHOUT_TEXT_FIELD),
        ("2011", ReceiptForm.DISAGREEMENT),
    ],
)
def test_2004_and_2008_to_2011_choose_the_form_of_the_receipt(digits: str, form: ReceiptForm) -> None:
    assert to(digits).receipts == (PlannedReceipt(DlrCode.DELIVERED, form),)


def test_2012_brings_one_reply_and_2013_three_parts_out_of_order() -> None:
    assert [(reply.part, reply.parts) for reply in to("2012").replies] == [(1, 1)]
    assert [(reply.part, reply.parts) for reply in to("2013").replies] == [(3, 3), (1, 3), (2, 3)]


def test_2014_is_nacked_and_2015_answered_late() -> None:
    assert to("2014").reaction is Reaction.NACK
    assert not to("2014").takes
    assert to("2015").reaction is Reaction.RESPOND_LATE


def test_2016_unbinds_and_2017_sends_garbage_after_the_response() -> None:
    assert to("2016").aftermath is Aftermath.UNBIND
    assert to("2017").aftermath is Aftermath.GARBAGE


@pytest.mark.parametrize("digits", ["4321", "0010", "2018", "2000", "3001"])
def test_any_other_number_is_accepted_and_delivered(digits: str) -> None:
    assert to(digits) == ORDINARY
    assert to(digits).takes


@pytest.mark.parametrize("destination", ["", "88", "+5511987654321"])
def test_a_number_of_any_length_has_a_behaviour(destination: str) -> None:
    assert behaviour(destination) == ORDINARY


# --- the HTTP API and the web service ---


def by_web(digits: str) -> WebBehaviour:
    return web_behaviour("1198765" + digits)


@pytest.mark.parametrize("digits", ["4321", "1088", "2007", "2008", "2009", "2010", "2011", "2025", "4000", "0010"])
def test_by_web_any_other_number_is_accepted_sent_and_delivered(digits: str) -> None:
    assert by_web(digits) == WEB_ORDINARY
    assert by_web(digits).takes


def test_by_web_every_status_and_dlr_of_the_manual_is_told_by_some_number() -> None:
    told = {(planned.type, planned.code) for digits in range(10000) for planned in by_web(f"{digits:04d}").callbacks if planned.told}
    statuses = {(CallbackType.STATUS, code) for code in (0, 1, 2, 3, 5, 7, 9)}
    assert told == statuses | {(CallbackType.DLR, code) for code in (2, 4, 5, 8)}  # 4 is the one that the manual does not know


def test_by_web_3nnn_is_answered_by_its_code_and_few_codes_take_the_message() -> None:
    assert [by_web(f"3{code:03d}").code for code in range(1000)] == list(range(1000))
    assert {code for code in range(1000) if by_web(f"3{code:03d}").takes} == {1, 61, 94, 200}
    assert all(bool(by_web(f"3{code:03d}").callbacks) == by_web(f"3{code:03d}").takes for code in range(1000))


@pytest.mark.parametrize(
    ("digits", "reaction", "takes"),
    [
        ("2001", WebReaction.SILENCE, False),
        ("2002", WebReaction.DROP, True),
        ("2003", WebReaction.CALL_BACK_FIRST, True),
        ("2014", WebReaction.ERROR, False),
        ("2015", WebReaction.SLOW, True),
        ("2016", WebReaction.CLOSE, True),
        ("2017", WebReaction.HTML, True),
        ("2018", WebReaction.REDIRECT, False),
        ("2019", WebReaction.HALF, True),
        ("2020", WebReaction.CUT, True),
    ],
)
def test_by_web_numbers_of_2nnn_break_the_answer(digits: str, reaction: WebReaction, takes: bool) -> None:
    assert (by_web(digits).reaction, by_web(digits).takes) == (reaction, takes)
    assert bool(by_web(digits).callbacks) == takes


def test_by_each_way_2012_and_2013_bring_the_same_replies() -> None:
    assert by_web("2012").replies == (to("2012").replies[0].text,)
    assert by_web("2013").replies == ("".join(part.text for part in sorted(to("2013").replies, key=lambda each: each.part)),)


def test_by_each_way_a_message_ends() -> None:
    ends = {(CallbackType.STATUS, code) for code in (2, 5, 9)} | {(CallbackType.DLR, code) for code in (2, 5, 8)}
    numbers = {f"{digits:04d}" for digits in range(10000)} - {"2004"}
    assert all(ends & {planned[:2] for planned in by_web(digits).callbacks} for digits in numbers if by_web(digits).takes)


def test_every_number_is_explained_by_the_command() -> None:
    special = {f"{digits:04d}" for digits in range(3000) if by_web(f"{digits:04d}") != WEB_ORDINARY}
    special |= {f"2{digits:03d}" for digits in range(1000) if to(f"2{digits:03d}") != ORDINARY}
    shown = CliRunner().invoke(sandbox, ["--numbers"])
    assert shown.exit_code == 0
    assert {digits for digits in special if not re.search(rf"^{digits}  ", shown.output, re.MULTILINE)} == set()
    assert {digits for digits in special if f"`{digits}`" not in (scenario.__doc__ or "")} == set()


def test_the_documentation_has_the_table_of_the_numbers() -> None:
    table = [line for line in (scenario.__doc__ or "").splitlines() if line.startswith("|")]
    assert "\n".join(table) in DOCUMENT.read_text(encoding="utf-8")
