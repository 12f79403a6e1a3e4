"""The national language tables against the code points that 3GPP TS 23.038 Annex A prints, and against a foreign codec."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text.gsm0338 import GSM
from gateway.text.national_language import PORTUGUESE, PORTUGUESE_PAIRS, SPANISH, alphabet
from gateway.text.septets import SeptetAlphabet
from tests.text.test_gsm0338 import DEFAULT, EXTENSION

gsmcodecs: Any = pytest.importorskip("gsmcodecs")

# 3GPP TS 23.038 sA.3.3 as Unicode code points, a row for each value of b4..b1 = 0 to F of one column; ESC is left out (0x1B).
LOCKING_COLUMNS: list[list[int | None]] = [
    [0x40, 0xA3, 0x24, 0xA5, 0xEA, 0xE9, 0xFA, 0xED, 0xF3, 0xE7, 0x0A, 0xD4, 0xF4, 0x0D, 0xC1, 0xE1],
    [0x394, 0x5F, 0xAA, 0xC7, 0xC0, 0x221E, 0x5E, 0x5C, 0x20AC, 0xD3, 0x7C, None, 0xC2, 0xE2, 0xCA, 0xC9],
    [0x20, 0x21, 0x22, 0x23, 0xBA, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F],
    [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F],
    [0xCD, *range(0x41, 0x50)],
    [*range(0x50, 0x5B), 0xC3, 0xD5, 0xDA, 0xDC, 0xA7],
    [0x7E, *range(0x61, 0x70)],
    [*range(0x70, 0x7B), 0xE3, 0xF5, 0x60, 0xFC, 0xE0],
]
LOCKING = {septet: chr(point) for septet, point in enumerate(point for column in LOCKING_COLUMNS for point in column) if point is not None}
# sA.2.3 and sA.2.2, beside what the extension table of s6.2.1.1 has
PORTUGUESE_SINGLE = {septet: chr(point) for septet, point in EXTENSION.items()} | {
    0x05: "\u00ea",
    0x09: "\u00e7",
    0x0B: "\u00d4",
    0x0C: "\u00f4",
    0x0E: "\u00c1",
    0x0F: "\u00e1",
    0x12: "\u03a6",
    0x13: "\u0393",
    0x15: "\u03a9",
    0x16: "\u03a0",
    0x17: "\u03a8",
    0x18: "\u03a3",
    0x19: "\u0398",
    0x1F: "\u00ca",
    0x41: "\u00c0",
    0x49: "\u00cd",
    0x4F: "\u00d3",
    0x55: "\u00da",
    0x5B: "\u00c3",
    0x5C: "\u00d5",
    0x61: "\u00c2",
    0x69: "\u00ed",
    0x6F: "\u00f3",
    0x75: "\u00fa",
    0x7B: "\u00e3",
    0x7C: "\u00f5",
    0x7F: "\u00e2",
}
SPANISH_SINGLE = {septet: chr(point) for septet, point in EXTENSION.items()} | {
    0x09: "\u00e7",
    0x41: "\u00c1",
    0x49: "\u00cd",
    0x4F: "\u00d3",
    0x55: "\u00da",
    0x61: "\u00e1",
    0x69: "\u00ed",
    0x6F: "\u00f3",
    0x75: "\u00fa",
}
PAIRS = [
    (0, PORTUGUESE, DEFAULT, PORTUGUESE_SINGLE),
    (PORTUGUESE, 0, LOCKING, {septet: chr(point) for septet, point in EXTENSION.items()}),
    (PORTUGUESE, PORTUGUESE, LOCKING, PORTUGUESE_SINGLE),
    (0, SPANISH, DEFAULT, SPANISH_SINGLE),
]
IDS = ["portuguese single", "portuguese locking", "portuguese both", "spanish single"]
each_pair = pytest.mark.parametrize(("locking", "single", "base", "extension"), PAIRS, ids=IDS)


def test_the_golden_tables_are_whole() -> None:
    assert len(LOCKING) == len(set(LOCKING.values())) == 127
    assert len(PORTUGUESE_SINGLE) == len(set(PORTUGUESE_SINGLE.values())) == 37
    assert len(SPANISH_SINGLE) == 19


@each_pair
def test_each_septet_of_the_standard_reads_as_its_character(
    locking: int, single: int, base: dict[int, str], extension: dict[int, str]
) -> None:
    tables = alphabet(locking, single)
    assert {septet: tables.decode(bytes([septet])) for septet in base} == base
    assert {septet: tables.decode(bytes([0x1B, septet])) for septet in extension} == extension


@each_pair
def test_an_escaped_septet_that_the_table_leaves_out_reads_as_the_base_tables_character(
    locking: int, single: int, base: dict[int, str], extension: dict[int, str]
) -> None:
    for septet in base.keys() - extension.keys():
        assert alphabet(locking, single).decode(bytes([0x1B, septet])) == base[septet]


@each_pair
def test_each_character_is_written_by_its_cheapest_septets_and_nothing_else_is_held(
    locking: int, single: int, base: dict[int, str], extension: dict[int, str]
) -> None:
    tables = alphabet(locking, single)
    golden = {character: bytes([0x1B, septet]) for septet, character in extension.items()}
    golden |= {character: bytes([septet]) for septet, character in base.items()}
    assert {character: tables.encode(character) for character in golden} == golden
    assert tables.characters == golden.keys()
    assert {chr(point) for point in range(0x11000) if tables.try_encode(chr(point)) is not None} == golden.keys()


@each_pair
def test_a_foreign_codec_has_the_same_tables(locking: int, single: int, base: dict[int, str], extension: dict[int, str]) -> None:
    codec = f"gsm23.038-{locking}-{single}"
    tables = alphabet(locking, single)
    for octets in [*(bytes([septet]) for septet in base), *(bytes([0x1B, septet]) for septet in extension)]:
        assert octets.decode(codec) == tables.decode(octets)
    every = "".join(sorted(tables.characters))
    assert every.encode(codec) == tables.encode(every)


def test_a_foreign_codec_has_the_same_default_tables() -> None:
    every = "".join(sorted(GSM.characters))
    assert every.encode("gsm23.038-0-0") == GSM.encode(every)


@each_pair
def test_what_is_written_reads_the_same(locking: int, single: int, base: dict[int, str], extension: dict[int, str]) -> None:
    tables = alphabet(locking, single)

    @settings(deadline=None, max_examples=60)
    @given(st.text(alphabet=sorted(tables.characters)))
    def check(text: str) -> None:
        octets = tables.encode(text)
        assert octets.isascii()
        assert tables.decode(octets) == text

    check()


def test_all_letters_of_portuguese_fit_the_single_shift_tables_and_the_locking_ones() -> None:
    letters = "áàâãéêíóôõúçÁÀÂÃÉÊÍÓÔÕÚÇ"
    single, _, both = (pair.alphabet for pair in PORTUGUESE_PAIRS)
    assert single.missing(letters) == both.missing(letters) == ()
    assert len(both.encode(letters)) == len(letters)
    assert len(single.encode(letters)) == 2 * len(letters) - len("àéÉÇ")
    assert single.encode("não") == b"n\x1b\x7bo"


def test_a_phone_without_the_tables_shows_something_alike_of_the_single_shift() -> None:
    single = PORTUGUESE_PAIRS[0].alphabet
    assert GSM.decode(single.encode("não é só ação")) == "näo é so aÇäo"


def test_a_language_that_is_not_known_is_read_with_the_default_tables() -> None:
    assert alphabet(0, 0) is GSM
    assert alphabet(99, 99).decode(b"\x1b\x65\x05") == "€é"
    assert alphabet(SPANISH, 0).decode(b"\x04") == "è"  # Spanish has no locking shift table
    assert alphabet(99, PORTUGUESE).decode(b"\x1b\x7b") == "ã"


def test_the_elements_name_the_tables() -> None:
    assert [pair.elements.hex() for pair in PORTUGUESE_PAIRS] == ["240103", "250103", "240103250103"]
    assert all(isinstance(pair.alphabet, SeptetAlphabet) for pair in PORTUGUESE_PAIRS)
