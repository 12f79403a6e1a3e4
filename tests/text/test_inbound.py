"""Reading replies: which coding, which text, and what a phone may split."""

import base64
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text.encodings import DefaultAlphabet
from gateway.text.gsm0338 import GSM
from gateway.text.inbound import Coding, coding, decode, decode_inbound
from gateway.text.national_language import PORTUGUESE_PAIRS, Pair
from gateway.text.packing import fill_bits, unpack
from gateway.text.udh import UserDataHeader, concatenation, header, split_header

GSM7, UCS2, LATIN1, ASCII, BINARY = (Coding(name) for name in ("gsm7", "ucs2", "latin1", "ascii", "binary"))
ALPHABETS: list[DefaultAlphabet] = ["gsm0338", "latin1", "ascii"]


def pack(septets: bytes, fill: int = 0) -> bytes:
    bits = sum(septet << 7 * place for place, septet in enumerate(septets)) << fill
    return bits.to_bytes((len(septets) * 7 + fill + 7) // 8, "little")


# --- Which coding ---


@pytest.mark.parametrize(
    ("data_coding", "default_alphabet", "expected"),
    [
        (0, "gsm0338", GSM7),
        (0, "latin1", LATIN1),
        (0, "ascii", ASCII),
        (1, "gsm0338", ASCII),
        (2, "gsm0338", BINARY),
        (3, "gsm0338", LATIN1),
        (4, "gsm0338", BINARY),
        (7, "gsm0338", GSM7),  # Hebrew: not read here
        (8, "latin1", UCS2),
        (0x10, "gsm0338", GSM7),  # message class 0
        (0x12, "latin1", LATIN1),
        (0x14, "gsm0338", BINARY),
        (0x18, "gsm0338", UCS2),
        (0x1C, "gsm0338", GSM7),  # reserved alphabet
        (0x20, "gsm0338", BINARY),  # compressed
        (0x3F, "gsm0338", BINARY),
        (0x48, "gsm0338", UCS2),  # marked for deletion
        (0x51, "gsm0338", GSM7),  # likewise, message class 1
        (0x55, "gsm0338", BINARY),
        (0x59, "gsm0338", UCS2),
        (0x68, "gsm0338", BINARY),  # compressed
        (0x71, "gsm0338", BINARY),
        (0xC8, "gsm0338", GSM7),  # message waiting
        (0xD8, "latin1", LATIN1),
        (0xE0, "gsm0338", UCS2),
        (0xF1, "gsm0338", GSM7),
        (0xF5, "gsm0338", BINARY),
        (0x99, "gsm0338", GSM7),  # reserved
    ],
)
def test_data_coding_says_how_octets_are_read(data_coding: int, default_alphabet: DefaultAlphabet, expected: Coding) -> None:
    assert coding(data_coding, default_alphabet, {}, None) == expected


def test_the_setting_overrules_the_table() -> None:
    overrides = {0: "latin1", 8: "ucs2-le", 0xF1: "gsm7-packed"}
    assert coding(0, "gsm0338", overrides, None) == LATIN1
    assert coding(8, "gsm0338", overrides, None) == Coding("ucs2-le")
    assert coding(0xF1, "gsm0338", overrides, None) == Coding("gsm7-packed")
    assert coding(3, "gsm0338", overrides, None) == LATIN1


@pytest.mark.parametrize("data_coding", [7, 0x10, 0x51, 0xC8, 0xF1, 0x99])
def test_what_is_read_as_data_coding_0_is_so_by_the_setting_too(data_coding: int) -> None:
    packed = {0: "gsm7-packed"}
    assert coding(data_coding, "gsm0338", packed, UserDataHeader(None, 3, 0, 4)) == Coding("gsm7-packed", 3, 0, fill_bits(4))
    assert coding(data_coding, "gsm0338", packed | {data_coding: "latin1"}, None) == LATIN1
    assert coding(0x18, "gsm0338", packed, None) == UCS2


def test_the_header_names_the_languages_of_seven_bits_only() -> None:
    udh = UserDataHeader(None, 3, 2, 7)
    assert coding(0, "gsm0338", {}, udh) == Coding("gsm7", 3, 2)
    assert coding(8, "gsm0338", {}, udh) == UCS2
    assert coding(0, "latin1", {}, udh) == LATIN1
    assert coding(0, "gsm0338", {0: "gsm7-packed"}, udh) == Coding("gsm7-packed", 3, 2, fill_bits(7))


# --- One piece ---


@pytest.mark.parametrize(
    ("octets", "how", "decoded"),
    [
        (b"a\x00\x1b\x65", GSM7, ("a@€", "gsm7")),
        (b"n\x1b\x7bo", Coding("gsm7", single_shift=3), ("não", "gsm7-pt")),
        (b"n\x7bo\x04", Coding("gsm7", locking_shift=3), ("nãoê", "gsm7-pt")),
        (b"\x7b\x1b\x09", Coding("gsm7", 3, 3), ("ãç", "gsm7-pt")),
        (b"\x1b\x69\x1b\x61", Coding("gsm7", single_shift=2), ("íá", "gsm7-es")),
        (b"\x1b\x65\x04", Coding("gsm7", 99, 99), ("€è", "gsm7")),
        (b"a@b", ASCII, ("a@b", "ascii")),
        (b"n\xe3o", LATIN1, ("não", "latin1")),
        (bytes.fromhex("006e00e3006f"), UCS2, ("não", "ucs2")),
        (bytes.fromhex("6e00e3006f00"), Coding("ucs2-le"), ("não", "ucs2")),
        (bytes.fromhex("fffe 6100"), UCS2, ("a", "ucs2")),  # a byte order mark overrules
        (bytes.fromhex("feff 0061"), Coding("ucs2-le"), ("a", "ucs2")),
        (bytes.fromhex("6100"), UCS2, ("愀", "ucs2")),
        (b"\x00a\x00", UCS2, ("a\ufffd", "ucs2")),
        (bytes.fromhex("0061 d83d 0062"), UCS2, ("a\ufffdb", "ucs2")),
        (b"\x00\xff", BINARY, ("AP8=", "binary")),
        (b"n\xe3o", GSM7, ("não", "latin1")),  # no septets: read and named as what it is
        (b"n\xe3o", ASCII, ("não", "latin1")),
        (b"n\xe3o", Coding("gsm7", 3, 3), ("não", "latin1")),
        (bytes.fromhex("e8329bfd06"), Coding("gsm7-packed"), ("hello", "gsm7")),
        (b"", GSM7, ("", "gsm7")),
    ],
)
def test_a_piece_is_read_by_its_coding(octets: bytes, how: Coding, decoded: tuple[str, str]) -> None:
    assert decode([(octets, how)]) == decoded


def test_no_pieces_make_an_empty_text() -> None:
    assert decode([]) == ("", "gsm7")


def test_a_message_of_one_piece_is_read_in_one_go() -> None:
    concatenated = bytes.fromhex("050003 2a0201")
    assert decode_inbound(b"n\xe3o", 3) == ("não", "latin1")
    assert decode_inbound(b"a@", 0, "ascii") == ("a@", "ascii")
    assert decode_inbound(concatenated + b"oi", 0, udhi=True) == ("oi", "gsm7")
    assert decode_inbound(concatenated + b"\x00\xe3", 8, udhi=True) == ("ã", "ucs2")
    assert decode_inbound(header(PORTUGUESE_PAIRS[0].elements) + b"\x1b\x7b", 0, udhi=True) == ("ã", "gsm7-pt")
    assert decode_inbound(concatenated, 0, udhi=True) == decode_inbound(b"", 0, udhi=True) == ("", "gsm7")
    assert decode_inbound(b"oi", 0, udhi=True) == ("oi", "gsm7")  # a header longer than the data is none


# --- Several ---


def test_a_surrogate_pair_that_a_phone_split_survives() -> None:
    assert decode([(bytes.fromhex("0061 d83d"), UCS2), (bytes.fromhex("de00 0062"), UCS2)]) == ("a😀b", "ucs2")


def test_even_half_a_unit_survives() -> None:
    assert decode([(b"\x00a\x00", UCS2), (b"b", UCS2)]) == ("ab", "ucs2")


def test_an_escape_pair_that_a_phone_split_survives() -> None:
    assert decode([(b"a\x1b", GSM7), (b"\x65b", GSM7)]) == ("a€b", "gsm7")
    portuguese = Coding("gsm7", single_shift=3)
    assert decode([(b"n\x1b", portuguese), (b"\x7bo", portuguese)]) == ("não", "gsm7-pt")


def test_pieces_of_other_codings_are_read_each_in_its_own() -> None:
    assert decode([(b"a\x1b", GSM7), (b"\x00e", UCS2), (b"\x7b", Coding("gsm7", locking_shift=3))]) == ("a eã", "ucs2")
    assert decode([(b"a", GSM7), (b"\x7b", Coding("gsm7", locking_shift=3))]) == ("aã", "gsm7-pt")


def test_one_binary_piece_makes_all_of_it_binary() -> None:
    text, encoding = decode([(b"oi", GSM7), (b"\xff", BINARY)])
    assert (base64.b64decode(text), encoding) == (b"oi\xff", "binary")


# --- Packed septets ---


@pytest.mark.parametrize(("header_length", "fill"), [(0, 0), (6, 1), (7, 0), (4, 3), (9, 5), (12, 2)])
def test_the_fill_bits_reach_the_next_septets_boundary(header_length: int, fill: int) -> None:
    assert fill_bits(header_length) == fill
    assert (header_length * 8 + fill) % 7 == 0


def test_packed_parts_begin_anew_behind_their_headers() -> None:
    pieces = []
    for number, text in enumerate(["Quanto custa", " o produto? 10 \x1b", "\x65 ou mais @ loja"], 1):
        udh = header(concatenation(7, 3, number))
        septets = text.replace("@", "\0").encode()
        data = udh + pack(septets, fill_bits(len(udh)))
        read, octets = split_header(data)
        pieces.append((octets, coding(0, "gsm0338", {0: "gsm7-packed"}, read)))
    assert decode(pieces) == ("Quanto custa o produto? 10 € ou mais @ loja", "gsm7")


def test_seven_bits_of_padding_are_not_an_at_sign() -> None:
    assert unpack(pack(b"1234567")) == b"1234567"
    assert unpack(pack(b"12345678")) == b"12345678"


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=sorted(GSM.characters - {"@"})), st.integers(0, 6))
def test_what_is_packed_unpacks(text: str, fill: int) -> None:
    septets = GSM.encode(text)
    assert unpack(pack(septets, fill), fill) == septets


# --- Anything ---

pieces_of_anything = st.lists(
    st.tuples(
        st.binary(max_size=60),
        st.builds(
            coding,
            st.integers(0, 255),
            st.sampled_from(ALPHABETS),
            st.dictionaries(st.just(0), st.sampled_from(["gsm7", "gsm7-packed", "ascii", "latin1", "ucs2", "ucs2-le", "binary"])),
            st.one_of(st.none(), st.binary(max_size=20).map(lambda data: split_header(data)[0])),
        ),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=300)
@given(pieces_of_anything)
def test_any_octets_under_any_coding_have_a_text_that_an_event_can_hold(pieces: Sequence[tuple[bytes, Coding]]) -> None:
    text, encoding = decode(pieces)
    assert encoding in {"gsm7", "gsm7-pt", "gsm7-es", "ascii", "latin1", "ucs2", "binary"}
    text.encode()  # no lone surrogate
    if encoding == "binary":
        assert base64.b64decode(text) == b"".join(octets for octets, _ in pieces)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60), st.lists(st.integers(1, 119), max_size=3))
def test_utf16_may_be_split_anywhere(text: str, cuts: list[int]) -> None:
    text = text.lstrip("\ufeff")  # a byte order mark is not text
    octets = text.encode("utf-16-be")
    if octets.startswith(b"\xff\xfe"):  # U+FFFE, no character, looks like the other mark
        return
    places = [0, *sorted(cuts), len(octets)]
    pieces = [(octets[start:end], UCS2) for start, end in pairwise(places)]
    assert decode(pieces)[0] == text


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(PORTUGUESE_PAIRS), st.data(), st.lists(st.integers(1, 119), max_size=3))
def test_septets_may_be_split_anywhere(pair: Pair, data: st.DataObject, cuts: list[int]) -> None:
    text = data.draw(st.text(alphabet=sorted(pair.alphabet.characters), max_size=60))
    septets = pair.alphabet.encode(text)
    how = coding(0, "gsm0338", {}, split_header(header(pair.elements))[0])
    places = [0, *sorted(cuts), len(septets)]
    assert decode([(septets[start:end], how) for start, end in pairwise(places)])[0] == text
