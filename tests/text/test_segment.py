"""Cutting: the limits, and what is never or seldom split."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text.graphemes import last_cut, may_cut
from gateway.text.gsm0338 import GSM
from gateway.text.national_language import PORTUGUESE_PAIRS
from gateway.text.segment import RADIO_OCTETS, cut_octets, cut_septets, cut_ucs2, octets_beside, septets_beside, ucs2_beside

FAMILY = "👨\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("header", "septets", "octets", "units"),
    [(0, 160, 140, 70), (6, 153, 134, 67), (7, 152, 133, 66), (4, 155, 136, 68), (9, 149, 131, 65), (12, 146, 128, 64), (13, 145, 127, 63)],
)
def test_a_header_leaves_so_much(header: int, septets: int, octets: int, units: int) -> None:
    assert (septets_beside(header), octets_beside(header), ucs2_beside(header)) == (septets, octets, units)
    fill = -header * 8 % 7
    assert header * 8 + fill + septets * 7 <= RADIO_OCTETS * 8 < header * 8 + fill + (septets + 1) * 7


def test_an_escape_pair_is_not_split() -> None:
    text = "a" * 152 + "€b"
    first, second = cut_septets(text, GSM.encode(text), 153)
    assert (first.text, first.units) == ("a" * 152, 152)
    assert (second.text, second.octets) == ("€b", b"\x1b\x65b")


def test_a_pair_of_the_portuguese_tables_is_not_split() -> None:
    text = "a" * 148 + "ção"
    first, second = cut_septets(text, PORTUGUESE_PAIRS[0].alphabet.encode(text), 149)
    assert (first.text, second.text, second.octets) == ("a" * 148, "ção", b"\x1b\x09\x1b\x7bo")


def test_a_surrogate_pair_is_not_split() -> None:
    text = "a" * 66 + "😀b"
    first, second = cut_ucs2(text, text.encode("utf-16-be"), 67)
    assert (first.text, first.units, second.text, second.units) == ("a" * 66, 66, "😀b", 3)
    assert second.octets == bytes.fromhex("d83d de00 0062")


@pytest.mark.parametrize("sign", ["a\u0303", FAMILY, "👍🏽", "❤\ufe0f", "🇧🇷", "1\ufe0f\u20e3", "각", "\u1100\u1161", "\r\n", "नि"])
def test_a_sign_of_several_characters_is_not_split_where_it_fits(sign: str) -> None:
    sign = unicodedata.normalize("NFD", sign)
    for before in range(60, 67):
        text = "x" * before + sign + "y" * 10
        parts = cut_ucs2(text, text.encode("utf-16-be"), 67)
        assert any(sign in part.text for part in parts)


def test_cr_and_lf_stay_together_in_septets_too() -> None:
    text = "a" * 152 + "\r\nb"
    assert [part.text for part in cut_septets(text, GSM.encode(text), 153)] == ["a" * 152, "\r\nb"]


def test_a_carriage_return_that_ends_the_last_full_part_stays_there() -> None:
    text = "a" * 305 + "\r"
    assert [part.text for part in cut_septets(text, GSM.encode(text), 153)] == ["a" * 153, "a" * 152 + "\r"]


def test_two_flags_in_a_row_are_parted_between_the_flags() -> None:
    text = "🇧🇷" * 20
    assert [part.text for part in cut_ucs2(text, text.encode("utf-16-be"), 67)] == ["🇧🇷" * 16, "🇧🇷" * 4]


def test_a_sign_longer_than_a_part_is_split_between_characters() -> None:
    text = "a" + "\u0303" * 100
    parts = cut_ucs2(text, text.encode("utf-16-be"), 67)
    assert [part.units for part in parts] == [67, 34]
    assert "".join(part.text for part in parts) == text


def test_letters_beside_letters_may_be_cut_anywhere() -> None:
    assert all(may_cut("ação ñ ÀΩ中문", at) for at in range(1, 11))
    assert last_cut("abc", 0, 2) == 2


texts_of_gsm = st.text(alphabet=sorted(GSM.characters), max_size=500)
texts = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("a😀\u0303\u200d👍🏽🇧🇷\r\n\ufe0f")), max_size=300
)


@settings(deadline=None, max_examples=150)
@given(texts_of_gsm, st.sampled_from([145, 149, 152, 153]))
def test_parts_in_septets_join_to_the_text_and_each_stands_alone(text: str, limit: int) -> None:
    parts = cut_septets(text, GSM.encode(text), limit)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert part.octets == GSM.encode(part.text)
        assert 0 < part.units == len(part.octets) <= limit
    assert all(part.units >= limit - 1 for part in parts[:-1])


@settings(deadline=None, max_examples=150)
@given(texts, st.sampled_from([63, 66, 67]))
def test_parts_in_ucs2_join_to_the_text_and_each_stands_alone(text: str, limit: int) -> None:
    parts = cut_ucs2(text, text.encode("utf-16-be"), limit)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert part.octets == part.text.encode("utf-16-be")
        assert 0 < part.units == len(part.octets) // 2 <= limit


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=400), st.sampled_from([127, 133, 134]))
def test_parts_in_octets_join_to_the_text_and_each_stands_alone(text: str, limit: int) -> None:
    parts = cut_octets(text, text.encode("latin-1"), limit)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert part.octets == part.text.encode("latin-1")
        assert 0 < part.units == len(part.octets) <= limit
