"""The user data header: golden bytes, round trips, and any bytes at all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.text.udh import (
    NO_HEADER,
    Concatenation,
    UserDataHeader,
    concatenation,
    concatenation_length,
    header,
    national_language,
    split_header,
)

octet = st.integers(0, 255)
elements = st.lists(st.tuples(octet, st.binary(max_size=6)), max_size=6)


def test_a_header_is_its_length_and_its_elements() -> None:
    assert header(concatenation(0x2A, 3, 2)) == bytes.fromhex("05 0003 2a 03 02")
    assert header(concatenation(0x12345, 3, 2, wide=True)) == bytes.fromhex("06 0804 2345 03 02")
    assert header(national_language(single_shift=3), concatenation(1, 2, 1)) == bytes.fromhex("08 240103 0003 01 02 01")
    assert header(national_language(single_shift=2, locking_shift=3)) == bytes.fromhex("06 240102 250103")


def test_no_elements_make_no_header() -> None:
    assert header() == header(b"") == header(national_language()) == b""


def test_a_narrow_reference_keeps_the_low_octet() -> None:
    assert concatenation(0x1FF, 2, 1)[2] == 0xFF


@pytest.mark.parametrize("wide", [False, True])
def test_the_length_of_a_concatenation_is_foretold(wide: bool) -> None:
    assert len(concatenation(7, 2, 1, wide=wide)) == concatenation_length(wide=wide)


@given(st.integers(0, 0xFFFF), st.integers(1, 255), st.data(), st.booleans(), octet, octet, st.binary())
def test_what_is_built_reads_the_same(
    reference: int, total: int, data: st.DataObject, wide: bool, single: int, locking: int, text: bytes
) -> None:
    number = data.draw(st.integers(1, total))
    parts = [concatenation(reference, total, number, wide=wide), national_language(single_shift=single, locking_shift=locking)]
    built = header(*data.draw(st.permutations(parts)))
    read, rest = split_header(built + text)
    expected = Concatenation(reference if wide else reference & 0xFF, total, number, wide)
    assert read == UserDataHeader(expected, single, locking, len(built))
    assert rest == text


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("0b 0504 15811581 0003 2a 02 01", Concatenation(0x2A, 2, 1)),  # ports first
        ("0b 0003 2a 02 01 0504 15811581", Concatenation(0x2A, 2, 1)),
        ("0c 0804 002a 02 01 0504 15811581", Concatenation(0x2A, 2, 1, True)),
        ("05 0003 00 02 02", Concatenation(0, 2, 2)),  # reference 0 is legal
        ("0a 0003 2a 02 01 0003 2b 02 01", Concatenation(0x2B, 2, 1)),  # the last counts
        ("0b 0003 2a 02 01 0804 002b 02 01", Concatenation(0x2B, 2, 1, True)),
        ("0a 0003 2a 02 01 0003 2b 02 03", Concatenation(0x2A, 2, 1)),  # that one cannot be
        ("05 0003 2a 02 00", None),
        ("05 0003 2a 02 03", None),
        ("05 0003 2a 00 00", None),
        ("06 0004 2a 02 01 ff", None),  # not its length
        ("05 0803 2a 02 01", None),
        ("04 0003 2a 02", None),  # cut off
        ("01 00", None),
        ("00", None),
    ],
)
def test_the_concatenation_is_found_anywhere_if_it_can_be(octets: str, expected: Concatenation | None) -> None:
    data = bytes.fromhex(octets)
    read, rest = split_header(data + b"oi")
    assert (read.concatenation, read.length, rest) == (expected, len(data), b"oi")


def test_a_header_longer_than_the_data_is_none_and_all_is_text() -> None:
    assert split_header(b"oi") == (NO_HEADER, b"oi")
    assert split_header(b"") == (NO_HEADER, b"")


@given(st.binary(max_size=40))
@example(b"\x03\x24\x01")
def test_any_octets_have_a_result_and_none_is_lost(data: bytes) -> None:
    read, rest = split_header(data)
    assert data[read.length :] == rest
    if read.concatenation is not None:
        assert 1 <= read.concatenation.number <= read.concatenation.total <= 255


@given(elements)
def test_elements_of_any_kind_are_walked_over(each: list[tuple[int, bytes]]) -> None:
    others = b"".join(bytes([identifier, len(value)]) + value for identifier, value in each if identifier not in {0, 8, 0x24, 0x25})
    read, rest = split_header(header(others, concatenation(9, 2, 2), national_language(single_shift=3)) + b"oi")
    assert (read.concatenation, read.single_shift, rest) == (Concatenation(9, 2, 2), 3, b"oi")
