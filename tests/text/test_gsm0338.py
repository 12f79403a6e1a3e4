"""The GSM 7-bit alphabet against the code points that 3GPP TS 23.038 prints, and against a foreign codec."""

import string
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib import gsm as smpplib_gsm

from gateway.text import gsm0338
from gateway.text.gsm0338 import NotEncodableError

# 3GPP TS 23.038 s6.2.1 as Unicode code points, a row for each value of b4..b1 = 0 to F of one column; ESC is left out (0x1B).
COLUMNS: list[list[int | None]] = [
    [0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5, 0xE5],
    [0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, None, 0xC6, 0xE6, 0xDF, 0xC9],
    [0x20, 0x21, 0x22, 0x23, 0xA4, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F],
    [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F],
    [0xA1, *range(0x41, 0x50)],
    [*range(0x50, 0x5B), 0xC4, 0xD6, 0xD1, 0xDC, 0xA7],
    [0xBF, *range(0x61, 0x70)],
    [*range(0x70, 0x7B), 0xE4, 0xF6, 0xF1, 0xFC, 0xE0],
]
# 3GPP TS 23.038 s6.2.1.1
EXTENSION = {
    0x0A: 0x0C,
    0x14: 0x5E,
    0x28: 0x7B,
    0x29: 0x7D,
    0x2F: 0x5C,
    0x3C: 0x5B,
    0x3D: 0x7E,
    0x3E: 0x5D,
    0x40: 0x7C,
    0x65: 0x20AC,
}
DEFAULT = {septet: chr(point) for septet, point in enumerate(point for column in COLUMNS for point in column) if point is not None}
GOLDEN = [(character, bytes([septet])) for septet, character in DEFAULT.items()]
GOLDEN += [(chr(point), bytes([0x1B, septet])) for septet, point in EXTENSION.items()]
CHARACTERS = "".join(character for character, _ in GOLDEN)


def test_the_golden_table_has_127_characters_and_ten_extensions() -> None:
    assert len(DEFAULT) == 127
    assert len(GOLDEN) == len(set(CHARACTERS)) == 137


@pytest.mark.parametrize(("character", "octets"), GOLDEN)
def test_each_character_of_the_standard_has_its_septet_both_ways(character: str, octets: bytes) -> None:
    assert gsm0338.encode(character) == octets
    assert gsm0338.decode(octets) == character


def test_no_other_character_of_unicode_is_encodable() -> None:
    accepted = {chr(point) for point in range(sys.maxunicode + 1) if gsm0338.encodable(chr(point))}
    assert accepted == set(CHARACTERS)


def test_extension_characters_count_two_septets() -> None:
    assert len(gsm0338.encode("€^{}[]~\\|")) == 18
    assert gsm0338.encode("a€@") == b"\x61\x1b\x65\x00"


@pytest.mark.parametrize("letter", "àéüÉÇ")
def test_the_alphabet_holds_a_few_portuguese_letters(letter: str) -> None:
    assert gsm0338.encodable(letter)


@pytest.mark.parametrize("letter", "áâãêíóôõúçÁÂÃÊÍÓÔÕÚÀ")
def test_the_alphabet_lacks_most_portuguese_letters(letter: str) -> None:
    assert not gsm0338.encodable(letter)
    with pytest.raises(NotEncodableError) as raised:
        gsm0338.encode(letter)
    assert raised.value.characters == (letter,)


@pytest.mark.parametrize("character", ["\0", "\x1b", "`", "\t", "\ufffe", "😀", "\udc00"])
def test_characters_that_the_tables_use_as_marks_are_not_let_through(character: str) -> None:
    with pytest.raises(NotEncodableError) as raised:
        gsm0338.encode(f"a{character}@€")
    assert raised.value.characters == (character,)


def test_the_error_lists_distinct_characters_in_code_point_order_and_shows_no_text() -> None:
    with pytest.raises(NotEncodableError) as raised:
        gsm0338.encode("segredo: não há pão\0")
    assert raised.value.characters == ("\0", "á", "ã")
    assert str(raised.value) == "3 characters are not in the alphabet: U+0000 U+00E1 U+00E3"


def test_the_error_names_every_character_that_a_portuguese_text_may_lack() -> None:
    lacking = "ÀÁÂÃÊÍÓÔÕÚáâãçêíóôõúªº–—‘’“”…"
    with pytest.raises(NotEncodableError) as raised:
        gsm0338.encode(lacking)
    assert str(raised.value).split(": ")[1] == " ".join(f"U+{ord(character):04X}" for character in sorted(lacking))


def test_the_error_names_forty_characters_and_counts_the_others() -> None:
    with pytest.raises(NotEncodableError) as raised:
        gsm0338.encode("".join(map(chr, range(0x4E00, 0x4E40))))
    assert len(raised.value.characters) == 64
    assert str(raised.value).count("U+") == 40
    assert str(raised.value).endswith("U+4E27 and 24 more")


def test_an_unknown_escape_sequence_gives_the_character_of_the_default_alphabet() -> None:
    assert gsm0338.decode(b"\x1ba\x1b\x00\x1b\x0d") == "a@\r"


def test_escape_twice_or_at_the_end_gives_a_space() -> None:
    assert gsm0338.decode(b"a\x1b\x1bb") == "a b"
    assert gsm0338.decode(b"\x1b\x1b\x1b\x65") == " €"
    assert gsm0338.decode(b"a\x1b") == "a "


def test_an_octet_that_is_no_septet_is_shown_as_a_replacement_character() -> None:
    assert gsm0338.decode(b"a\x80\xff\x1b\x80") == "a\ufffd\ufffd\ufffd"


def test_an_empty_text_is_empty_both_ways() -> None:
    assert gsm0338.encode("") == b""
    assert gsm0338.decode(b"") == ""


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=CHARACTERS))
def test_what_is_encoded_decodes_to_the_same_text(text: str) -> None:
    octets = gsm0338.encode(text)
    assert gsm0338.decode(octets) == text
    assert octets.isascii()
    assert len(octets) == len(text) + sum(character in "\f^{}\\[~]|€" for character in text)


@settings(deadline=None, max_examples=150)
@given(st.binary())
def test_any_octets_decode_to_no_more_characters_than_octets(octets: bytes) -> None:
    assert len(gsm0338.decode(octets)) <= len(octets)


@settings(deadline=None, max_examples=150)
@given(st.text())
def test_any_text_is_encoded_or_refused_and_encodable_foretells_it(text: str) -> None:
    lacking = tuple(sorted(set(text) - set(CHARACTERS)))
    assert gsm0338.encodable(text) is (not lacking)
    assert gsm0338.missing(text) == lacking
    if lacking:
        with pytest.raises(NotEncodableError) as raised:
            gsm0338.encode(text)
        assert raised.value.characters == lacking


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=sorted(set(CHARACTERS) - set("§\f"))))  # smpplib lacks these two
def test_smpplib_encodes_the_same_octets(text: str) -> None:
    assert gsm0338.encode(text) == smpplib_gsm.gsm_encode(text)


def test_printable_ascii_but_the_grave_accent_is_encodable() -> None:
    assert gsm0338.missing(string.printable) == ("\t", "\x0b", "`")
