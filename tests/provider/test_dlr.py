"""The DLR table: reading a code from a receipt, and which of two codes stays."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.provider.dlr import DlrCode, DlrReading, description, dlr_code, is_final, state_name, supersedes

NOT_FINAL = {DlrCode.SCHEDULED, DlrCode.ENROUTE, DlrCode.ACCEPTED}
STATES = [
    "scheduled",
    "enroute",
    "delivered",
    "expired",
    "deleted",
    "undeliverable",
    "accepted",
    "unknown",
    "rejected",
    "skipped",
]


def test_the_codes_are_the_manuals_and_their_names_the_interfaces() -> None:
    assert [state_name(DlrCode(code)) for code in range(10)] == STATES


def test_every_code_has_a_description_of_its_own() -> None:
    assert len({description(code) for code in DlrCode}) == 10


def test_scheduled_enroute_and_accepted_are_not_final_and_all_else_is() -> None:
    assert {code for code in DlrCode if not is_final(code)} == NOT_FINAL


@pytest.mark.parametrize("code", DlrCode)
def test_the_tlv_alone_gives_the_code(code: DlrCode) -> None:
    assert dlr_code(int(code), None) == DlrReading(code, False)


@pytest.mark.parametrize(
    ("stat", "code"),
    [
        ("SCHEDULED", 0),
        ("ENROUTE", 1),
        ("DELIVRD", 2),
        ("DELIVERED", 2),
        ("EXPIRED", 3),
        ("DELETED", 4),
        ("UNDELIV", 5),
        ("UNDELIVERABLE", 5),
        ("ACCEPTD", 6),
        ("ACCEPTED", 6),
        ("UNKNOWN", 7),
        ("REJECTD", 8),
        ("REJECTED", 8),
        ("SKIPPED", 9),
        ("FAILED", 5),
        ("ACKED", 6),
        ("BUFFRED", 1),
        ("BUFFERD", 1),
    ],
)
def test_a_mnemonic_gives_the_code_in_any_letter_case(stat: str, code: int) -> None:
    for written in (stat, stat.lower(), stat.title(), f" {stat} "):
        assert dlr_code(None, written) == DlrReading(DlrCode(code), False)


@pytest.mark.parametrize("code", DlrCode)
def test_a_digit_in_stat_gives_the_code_with_or_without_leading_zeros(code: DlrCode) -> None:
    for written in (f"{code:d}", f"0{code:d}", f"00{code:d}"):
        assert dlr_code(None, written) == DlrReading(code, False)


@pytest.mark.parametrize("stat", [None, "", "LOST", "10", "0010", "-1", "²", "２", "DELIVRD stat", "9" * 5000])
def test_an_unknown_word_gives_no_code_and_is_no_failure(stat: str | None) -> None:
    assert dlr_code(None, stat) == DlrReading(None, False)


def test_the_tlv_goes_before_the_text_and_a_disagreement_is_told() -> None:
    assert dlr_code(2, "UNDELIV") == DlrReading(DlrCode.DELIVERED, True)
    assert dlr_code(2, "5") == DlrReading(DlrCode.DELIVERED, True)
    assert dlr_code(7, "DELIVRD") == DlrReading(DlrCode.UNKNOWN, True)


def test_agreement_is_about_the_code_and_not_the_word() -> None:
    assert dlr_code(5, "FAILED") == DlrReading(DlrCode.UNDELIVERABLE, False)
    assert dlr_code(0, "0") == DlrReading(DlrCode.SCHEDULED, False)


def test_a_word_that_is_not_known_does_not_disagree_with_the_tlv() -> None:
    assert dlr_code(2, "LOST") == DlrReading(DlrCode.DELIVERED, False)


@pytest.mark.parametrize("state", [10, 255, -1])
def test_a_tlv_value_outside_the_table_leaves_the_word_to_the_text(state: int) -> None:
    assert dlr_code(state, "DELIVRD") == DlrReading(DlrCode.DELIVERED, False)
    assert dlr_code(state, None) == DlrReading(None, False)


@settings(deadline=None, max_examples=150)
@given(st.none() | st.integers(), st.none() | st.text())
def test_any_tlv_and_any_text_are_read(state: int | None, stat: str | None) -> None:
    reading = dlr_code(state, stat)
    assert reading.code is not None or not reading.disagreement


@pytest.mark.parametrize("code", DlrCode)
def test_the_first_code_is_always_taken(code: DlrCode) -> None:
    assert supersedes(None, code)


@pytest.mark.parametrize(("old", "new"), list(product(DlrCode, DlrCode)))
def test_a_final_code_is_sticky_but_unknown_yields_to_what_is_known(old: DlrCode, new: DlrCode) -> None:
    if old is DlrCode.UNKNOWN:
        assert supersedes(old, new) is (new in {2, 3, 5, 8})
    elif old in NOT_FINAL:
        assert supersedes(old, new) is (new is not old)
    else:
        assert not supersedes(old, new)
