"""Choosing an encoding, making the octets of one short_message, and decoding replies."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text import (
    DefaultAlphabet,
    EncodedText,
    Encoding,
    EncodingUnavailableError,
    NotEncodableError,
    TextTooLongError,
    WantedEncoding,
    choose,
    decode_inbound,
    encode,
    gsm0338,
)

ALPHABETS: list[DefaultAlphabet] = ["gsm0338", "latin1", "ascii"]
any_alphabet = st.sampled_from(ALPHABETS)


@pytest.mark.parametrize(
    ("text", "default_alphabet", "latin1", "chosen"),
    [
        ("Olé à vista, 10 € [ok]", "gsm0338", False, Encoding.GSM7),
        ("não", "gsm0338", False, Encoding.UCS2),
        ("não", "gsm0338", True, Encoding.LATIN1),
        ("😀", "gsm0338", True, Encoding.UCS2),
        ("Olé [ok]", "latin1", False, Encoding.GSM7),
        ("não", "latin1", False, Encoding.LATIN1),
        ("10 €", "latin1", False, Encoding.UCS2),
        ("ΔΩ", "latin1", True, Encoding.UCS2),
        ("oi [ok]", "ascii", False, Encoding.GSM7),
        ("Olé", "ascii", False, Encoding.UCS2),
        ("Olé", "ascii", True, Encoding.LATIN1),
        ("`", "ascii", False, Encoding.UCS2),
        ("", "gsm0338", False, Encoding.GSM7),
    ],
)
def test_auto_picks_the_cheapest_encoding_that_loses_nothing(
    text: str, default_alphabet: DefaultAlphabet, latin1: bool, chosen: Encoding
) -> None:
    assert choose(text, default_alphabet=default_alphabet, latin1=latin1) is chosen


def test_a_wanted_encoding_is_taken_as_it_is() -> None:
    assert choose("oi", "ucs2") is Encoding.UCS2
    assert choose("oi", "latin1") is Encoding.LATIN1
    assert choose("oi", "gsm7") is Encoding.GSM7


def test_a_wanted_gsm7_is_refused_where_gsm_lacks_a_character() -> None:
    with pytest.raises(NotEncodableError) as raised:
        choose("não", "gsm7", default_alphabet="latin1")
    assert raised.value.characters == ("ã",)


def test_a_wanted_gsm7_goes_another_way_where_only_the_default_alphabet_lacks_a_character() -> None:
    assert choose("10 €", "gsm7", default_alphabet="latin1") is Encoding.UCS2
    assert choose("Olé", "gsm7", default_alphabet="ascii", latin1=True) is Encoding.LATIN1


def test_gsm7_pt_is_refused_by_name() -> None:
    with pytest.raises(EncodingUnavailableError, match="gsm7-pt is not available") as raised:
        choose("oi", "gsm7-pt")
    assert raised.value.characters == ()
    assert isinstance(raised.value, NotEncodableError)
    with pytest.raises(EncodingUnavailableError):
        encode("oi", Encoding.GSM7_PT)


def test_the_encodings_bear_the_wire_names_of_the_queue_interface() -> None:
    assert [str(encoding) for encoding in Encoding] == ["gsm7", "gsm7-pt", "latin1", "ucs2"]


def test_gsm7_goes_unpacked_under_data_coding_0() -> None:
    assert encode("a@€", Encoding.GSM7) == EncodedText(Encoding.GSM7, 0, b"\x61\x00\x1b\x65", 4, 160)


def test_gsm7_goes_in_the_octets_of_the_smscs_default_alphabet_but_is_counted_in_septets() -> None:
    assert encode("@é{", Encoding.GSM7, "latin1") == EncodedText(Encoding.GSM7, 0, b"@\xe9{", 4, 160)
    assert encode("@{", Encoding.GSM7, "ascii") == EncodedText(Encoding.GSM7, 0, b"@{", 3, 160)


@pytest.mark.parametrize(("text", "alphabet", "lacking"), [("10 €", "latin1", "€"), ("Olé", "ascii", "é"), ("`", "ascii", "`")])
def test_gsm7_never_becomes_a_question_mark_in_the_default_alphabet(text: str, alphabet: DefaultAlphabet, lacking: str) -> None:
    with pytest.raises(NotEncodableError) as raised:
        encode(text, Encoding.GSM7, alphabet)
    assert raised.value.characters == (lacking,)


def test_latin1_goes_under_data_coding_3() -> None:
    assert encode("não", Encoding.LATIN1) == EncodedText(Encoding.LATIN1, 3, b"n\xe3o", 3, 140)
    assert encode("não", Encoding.LATIN1, "ascii").data_coding == 3


def test_latin1_goes_under_data_coding_0_where_that_is_the_default_alphabet() -> None:
    assert encode("não", Encoding.LATIN1, "latin1") == EncodedText(Encoding.LATIN1, 0, b"n\xe3o", 3, 140)


def test_latin1_names_what_it_lacks() -> None:
    with pytest.raises(NotEncodableError) as raised:
        encode("não custa 10 € 😀", Encoding.LATIN1)
    assert raised.value.characters == ("€", "😀")


def test_ucs2_is_big_endian_and_counts_a_surrogate_pair_as_two() -> None:
    encoded = encode("ã😀", Encoding.UCS2)
    assert encoded == EncodedText(Encoding.UCS2, 8, bytes.fromhex("00e3 d83d de00"), 3, 70)


def test_a_lone_surrogate_is_not_encodable() -> None:
    with pytest.raises(NotEncodableError) as raised:
        encode("a\ud83d", choose("a\ud83d"))
    assert raised.value.characters == ("\ud83d",)


@pytest.mark.parametrize(
    ("unit", "encoding", "limit"),
    [("a", Encoding.GSM7, 160), ("ã", Encoding.LATIN1, 140), ("ã", Encoding.UCS2, 70)],
)
def test_a_text_of_just_the_limit_fits_and_one_unit_more_does_not(unit: str, encoding: Encoding, limit: int) -> None:
    assert encode(unit * limit, encoding).units == limit
    with pytest.raises(TextTooLongError) as raised:
        encode(unit * (limit + 1), encoding)
    assert (raised.value.units, raised.value.limit, raised.value.encoding) == (limit + 1, limit, encoding)


def test_extension_characters_and_surrogate_pairs_use_up_the_limit_twice_as_fast() -> None:
    assert encode("€" * 80, Encoding.GSM7).units == 160
    assert encode("😀" * 35, Encoding.UCS2).units == 70
    with pytest.raises(TextTooLongError):
        encode("€" * 80 + "a", Encoding.GSM7)
    with pytest.raises(TextTooLongError):
        encode("😀" * 35 + "a", Encoding.UCS2)
    with pytest.raises(TextTooLongError):
        encode("{" * 81, Encoding.GSM7, "latin1")


def test_the_too_long_error_shows_counts_and_no_text() -> None:
    with pytest.raises(TextTooLongError, match=r"^161 units of gsm7, the limit is 160$"):
        encode("s" * 161, Encoding.GSM7)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=35), any_alphabet, st.booleans())
def test_what_auto_chooses_comes_back_unchanged(text: str, alphabet: DefaultAlphabet, latin1: bool) -> None:
    encoding = choose(text, default_alphabet=alphabet, latin1=latin1)
    if encoding is Encoding.UCS2 and text.startswith("\ufeff"):
        return  # the receiver reads it as a byte order mark
    encoded = encode(text, encoding, alphabet)
    assert decode_inbound(encoded.octets, encoded.data_coding, alphabet)[0] == text


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=gsm0338.DEFAULT_ALPHABET.replace("\x1b", "") + "€{}", max_size=60), any_alphabet)
def test_a_wanted_gsm7_always_finds_a_way_for_gsm_text(text: str, alphabet: DefaultAlphabet) -> None:
    wanted: WantedEncoding = "gsm7"
    encoded = encode(text, choose(text, wanted, default_alphabet=alphabet), alphabet)
    assert decode_inbound(encoded.octets, encoded.data_coding, alphabet)[0] == text


@pytest.mark.parametrize(
    ("octets", "data_coding", "alphabet", "decoded"),
    [
        (b"a\x00\x1b\x65", 0, "gsm0338", ("a@€", "gsm7")),
        (b"n\xe3o", 0, "latin1", ("não", "latin1")),
        (b"nao", 0, "ascii", ("nao", "ascii")),
        (b"a@b", 1, "gsm0338", ("a@b", "ascii")),
        (b"n\xe3o", 3, "gsm0338", ("não", "latin1")),
        (bytes.fromhex("006e00e3006f"), 8, "gsm0338", ("não", "ucs2")),
        (b"\x00\xff", 4, "gsm0338", ("AP8=", "binary")),
        (b"\x00\xff", 2, "gsm0338", ("AP8=", "binary")),
        (b"\x00", 0x10, "gsm0338", ("@", "gsm7")),  # class 0
        (b"\x00", 0x14, "gsm0338", ("AA==", "binary")),
        (b"\x00\xe3", 0x18, "gsm0338", ("ã", "ucs2")),
        (b"\x00", 0x1C, "gsm0338", ("@", "gsm7")),  # reserved alphabet
        (b"\x00", 0x20, "gsm0338", ("AA==", "binary")),  # compressed
        (b"\x00\xe3", 0x48, "gsm0338", ("ã", "ucs2")),  # marked for deletion
        (b"\x00", 0xC8, "gsm0338", ("@", "gsm7")),  # message waiting
        (b"\x00", 0xD0, "gsm0338", ("@", "gsm7")),
        (b"\x00\xe3", 0xE0, "gsm0338", ("ã", "ucs2")),
        (b"\x00", 0xF1, "gsm0338", ("@", "gsm7")),
        (b"\x00", 0xF5, "gsm0338", ("AA==", "binary")),
        (b"\x00", 0x99, "gsm0338", ("@", "gsm7")),  # reserved
        (b"\x00", 7, "gsm0338", ("@", "gsm7")),  # Hebrew: not read here
    ],
)
def test_a_reply_is_decoded_by_its_data_coding(
    octets: bytes, data_coding: int, alphabet: DefaultAlphabet, decoded: tuple[str, str]
) -> None:
    assert decode_inbound(octets, data_coding, alphabet) == decoded


@pytest.mark.parametrize(("data_coding", "alphabet"), [(0, "gsm0338"), (0, "ascii"), (1, "gsm0338")])
def test_octets_that_cannot_be_gsm_or_ascii_are_read_and_named_as_latin1(data_coding: int, alphabet: DefaultAlphabet) -> None:
    assert decode_inbound(b"n\xe3o", data_coding, alphabet) == ("não", "latin1")


def test_ucs2_of_odd_length_keeps_what_is_whole() -> None:
    assert decode_inbound(b"\x00a\x00", 8) == ("a\ufffd", "ucs2")


def test_ucs2_keeps_a_lone_surrogate_from_breaking_the_text() -> None:
    assert decode_inbound(bytes.fromhex("0061 d83d 0062"), 8) == ("a\ufffdb", "ucs2")


def test_ucs2_is_read_little_endian_only_where_a_byte_order_mark_says_so() -> None:
    assert decode_inbound(bytes.fromhex("fffe 6100"), 8) == ("a", "ucs2")
    assert decode_inbound(bytes.fromhex("feff 0061"), 8) == ("a", "ucs2")
    assert decode_inbound(bytes.fromhex("6100"), 8) == ("愀", "ucs2")


def test_a_user_data_header_is_skipped() -> None:
    header = bytes.fromhex("050003 2a0201")
    assert decode_inbound(header + b"oi", 0, udhi=True) == ("oi", "gsm7")
    assert decode_inbound(header + b"\x00\xe3", 8, udhi=True) == ("ã", "ucs2")
    assert decode_inbound(header, 0, udhi=True) == ("", "gsm7")
    assert decode_inbound(b"", 0, udhi=True) == ("", "gsm7")


def test_a_user_data_header_longer_than_the_data_is_kept_as_text() -> None:
    assert decode_inbound(b"oi", 0, udhi=True) == ("oi", "gsm7")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.integers(-1, 300), any_alphabet, st.booleans())
def test_any_octets_under_any_data_coding_decode(octets: bytes, data_coding: int, alphabet: DefaultAlphabet, udhi: bool) -> None:
    text, encoding = decode_inbound(octets, data_coding, alphabet, udhi=udhi)
    assert encoding in {"gsm7", "ascii", "latin1", "ucs2", "binary"}
    text.encode()  # no lone surrogate: an event can hold it
    if encoding == "binary":
        assert octets.endswith(base64.b64decode(text))
