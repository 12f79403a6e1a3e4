"""From a text to its parts: which encoding, how many parts, and back again from parts in any order."""

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text import (
    Composed,
    DefaultAlphabet,
    Encoding,
    EncodingUnavailableError,
    LongMessages,
    NotEncodableError,
    TextStyle,
    TextTooLongError,
    WantedEncoding,
    compose,
)
from gateway.text.gsm0338 import GSM
from gateway.text.inbound import coding, decode
from gateway.text.udh import concatenation, header, split_header

PT = TextStyle(national_language=True)
L1 = TextStyle(latin1=True)
BOTH = TextStyle(national_language=True, latin1=True)
SENTENCE = "Olá! Seu pedido já saiu para entrega e chega até às 18h. Não é preciso fazer nada: a atenção é toda nossa. "
SIX_HUNDRED = (SENTENCE * 6)[:600]


def shape(composed: Composed) -> tuple[str, int, int]:
    return composed.encoding.value, composed.segments, composed.limit


# --- Which encoding ---


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("Olé à vista, 10 € [ok]", TextStyle(), "gsm7"),
        ("não", TextStyle(), "ucs2"),
        ("não", L1, "latin1"),
        ("não", PT, "gsm7-pt"),
        ("não", BOTH, "gsm7-pt"),
        ("Olé", BOTH, "gsm7"),
        ("não, señor", BOTH, "gsm7-pt"),
        ("não, þorn", BOTH, "latin1"),
        ("não 😀", BOTH, "ucs2"),
        ("Olé [ok]", TextStyle(default_alphabet="latin1"), "gsm7"),
        ("não", TextStyle(default_alphabet="latin1"), "latin1"),
        ("não", TextStyle(default_alphabet="latin1", national_language=True), "latin1"),  # its octets would not arrive as septets
        ("10 €", TextStyle(default_alphabet="latin1"), "ucs2"),
        ("ΔΩ", TextStyle(default_alphabet="latin1", latin1=True), "ucs2"),
        ("oi [ok]", TextStyle(default_alphabet="ascii"), "gsm7"),
        ("Olé", TextStyle(default_alphabet="ascii"), "ucs2"),
        ("Olé", TextStyle(default_alphabet="ascii", latin1=True), "latin1"),
        ("`", TextStyle(default_alphabet="ascii"), "ucs2"),
        ("não", TextStyle(flash=True, latin1=True), "ucs2"),
        ("", TextStyle(), "gsm7"),
    ],
)
def test_auto_picks_the_first_that_loses_nothing(text: str, style: TextStyle, expected: str) -> None:
    assert compose(text, "auto", style).encoding == expected


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("€" * 100, TextStyle(), ("gsm7", 2, 153)),
        ("€" * 100, PT, ("gsm7-pt", 1, 155)),  # one septet each in the locking table
        ("[" * 100, L1, ("latin1", 1, 140)),  # two septets each in GSM 03.38
        ("ã" * 140, L1, ("latin1", 1, 140)),
        ("ã" * 156, BOTH, ("gsm7-pt", 2, 149)),  # a tie of two parts: gsm7-pt comes first
        ("[" * 80 + "ã" * 60, BOTH, ("latin1", 1, 140)),
    ],
)
def test_auto_prefers_fewer_parts_to_its_order(text: str, style: TextStyle, expected: tuple[str, int, int]) -> None:
    assert shape(compose(text, "auto", style)) == expected


@pytest.mark.parametrize(
    ("text", "elements", "segments"),
    [
        ("não", "240103", 1),  # the single shift table first: a phone without it shows näo
        ("ã" * 78, "250103", 1),  # 156 septets by escapes
        ("Ã[ê" * 20, "240103", 1),
        ("ã" * 100 + "Γ" * 25, "240103250103", 1),  # Γ is in the single shift table alone
    ],
)
def test_the_cheapest_pair_of_portuguese_tables_is_picked(text: str, elements: str, segments: int) -> None:
    composed = compose(text, "auto", PT)
    assert (composed.encoding, composed.elements.hex(), composed.segments) == ("gsm7-pt", elements, segments)


def test_a_wanted_encoding_is_taken_as_it_is() -> None:
    assert compose("oi", "ucs2").encoding == "ucs2"
    assert compose("oi", "latin1").encoding == "latin1"
    assert compose("oi", "gsm7").encoding == "gsm7"
    assert compose("não", "gsm7-pt", PT).encoding == "gsm7-pt"


def test_a_wanted_gsm7_pt_goes_plainly_where_that_holds_it() -> None:
    assert compose("oi", "gsm7-pt", PT).encoding == "gsm7"
    assert compose("€" * 100, "gsm7-pt", PT).encoding == "gsm7-pt"


@pytest.mark.parametrize(
    ("text", "wanted", "style", "lacking"),
    [
        ("não é ação", "gsm7", TextStyle(), ("ã", "ç")),
        ("não", "gsm7", BOTH, ("ã",)),
        ("10 €", "gsm7", TextStyle(default_alphabet="latin1"), ("€",)),
        ("Olé`", "gsm7", TextStyle(default_alphabet="ascii"), ("`", "é")),
        ("a@", "gsm7", TextStyle(default_alphabet="latin1", flash=True), ("@",)),  # 0x10 would say it is GSM's ¡
        ("não 10 € 😀", "latin1", TextStyle(), ("€", "😀")),
        ("não ½", "gsm7-pt", PT, ("½",)),
        ("a\ud83d", "ucs2", TextStyle(), ("\ud83d",)),
        ("a\ud83d", "auto", TextStyle(), ("\ud83d",)),
    ],
)
def test_what_cannot_be_encoded_as_asked_is_named(text: str, wanted: WantedEncoding, style: TextStyle, lacking: tuple[str, ...]) -> None:
    with pytest.raises(NotEncodableError) as raised:
        compose(text, wanted, style)
    assert raised.value.characters == lacking


@pytest.mark.parametrize(
    ("wanted", "style"),
    [
        ("gsm7-pt", TextStyle()),
        ("gsm7-pt", TextStyle(national_language=True, default_alphabet="latin1")),
        ("gsm7-pt", TextStyle(national_language=True, long_messages="sar")),  # a header beside TLVs
        ("gsm7-pt", TextStyle(national_language=True, long_messages="payload")),
        ("latin1", TextStyle(flash=True)),
    ],
)
def test_what_this_carrier_does_not_send_is_refused_by_name(wanted: WantedEncoding, style: TextStyle) -> None:
    with pytest.raises(EncodingUnavailableError, match=f"{wanted} is not available") as raised:
        compose("oi", wanted, style)
    assert raised.value.characters == ()
    assert isinstance(raised.value, NotEncodableError)


def test_the_encodings_bear_the_wire_names_of_the_queue_interface() -> None:
    assert [str(encoding) for encoding in Encoding] == ["gsm7", "gsm7-pt", "latin1", "ucs2"]
    assert set(get_args(WantedEncoding)) == {"auto", *Encoding}


# --- Octets and data_coding ---


@pytest.mark.parametrize(
    ("text", "wanted", "style", "data_coding", "octets", "units"),
    [
        ("a@€", "auto", TextStyle(), 0, b"\x61\x00\x1b\x65", 4),
        ("@é{", "auto", TextStyle(default_alphabet="latin1"), 0, b"@\xe9{", 4),
        ("@{", "auto", TextStyle(default_alphabet="ascii"), 0, b"@{", 3),
        ("não", "latin1", TextStyle(), 3, b"n\xe3o", 3),
        ("não", "latin1", TextStyle(default_alphabet="ascii"), 3, b"n\xe3o", 3),
        ("não", "latin1", TextStyle(default_alphabet="latin1"), 0, b"n\xe3o", 3),
        ("ã😀", "auto", TextStyle(), 8, bytes.fromhex("00e3 d83d de00"), 3),
        ("não", "auto", PT, 0, b"n\x1b\x7bo", 4),
        ("a@", "auto", TextStyle(flash=True), 0x10, b"a\x00", 2),
        ("ab", "auto", TextStyle(flash=True, default_alphabet="latin1"), 0x10, b"ab", 2),
        ("a@", "auto", TextStyle(flash=True, default_alphabet="latin1"), 0x18, b"\0a\0@", 2),
        ("ã", "auto", TextStyle(flash=True), 0x18, b"\x00\xe3", 1),
        ("ã", "auto", TextStyle(flash=True, national_language=True), 0x10, b"\x1b\x7b", 2),
    ],
)
def test_a_text_goes_in_these_octets(
    text: str, wanted: WantedEncoding, style: TextStyle, data_coding: int, octets: bytes, units: int
) -> None:
    composed = compose(text, wanted, style)
    (part,) = composed.parts
    assert (composed.data_coding, part.octets, part.units, part.text) == (data_coding, octets, units, text)


def test_a_portuguese_text_of_two_parts_in_golden_bytes() -> None:
    text = "Atenção: " + "x" * 150 + " não"
    composed = compose(text, "auto", PT)
    assert [part.text for part in composed.parts] == ["Atenção: " + "x" * 138, "x" * 12 + " não"]
    assert composed.parts[0].octets == b"Aten\x1b\x09\x1b\x7bo: " + b"x" * 138
    assert composed.parts[1].octets == b"x" * 12 + b" n\x1b\x7bo"
    assert header(concatenation(5, 2, 1), composed.elements).hex() == "080003050201240103"


# --- How many parts ---


@pytest.mark.parametrize(
    ("unit", "wanted", "style", "alone", "several"),
    [
        ("a", "auto", TextStyle(), 160, 153),
        ("a", "auto", TextStyle(long_messages="udh16"), 160, 152),
        ("a", "auto", TextStyle(long_messages="sar"), 160, 153),
        ("a", "auto", TextStyle(default_alphabet="latin1"), 160, 153),
        ("ã", "latin1", TextStyle(), 140, 134),
        ("ã", "latin1", TextStyle(long_messages="udh16"), 140, 133),
        ("ã", "ucs2", TextStyle(), 70, 67),
        ("ã", "ucs2", TextStyle(long_messages="udh16"), 70, 66),
        ("ã", "auto", PT, 155, 149),
        ("ã", "auto", PT._replace(long_messages="udh16"), 155, 148),
    ],
)
def test_one_unit_more_than_fits_makes_two_parts_of_fewer_units(
    unit: str, wanted: WantedEncoding, style: TextStyle, alone: int, several: int
) -> None:
    one = compose(unit * alone, wanted, style)
    assert (one.segments, one.limit, one.parts[0].units) == (1, alone, alone)
    two = compose(unit * (alone + 1), wanted, style)
    assert (two.segments, two.limit, [part.units for part in two.parts]) == (2, several, [several, alone + 1 - several])


def test_both_portuguese_tables_leave_152_septets_and_146_a_part() -> None:
    text = "ã" * 90 + "Γ" * 31  # 152 septets
    assert (compose(text, "gsm7-pt", PT).segments, compose(text, "gsm7-pt", PT).limit) == (1, 152)
    assert shape(compose(text * 3, "gsm7-pt", PT)) == ("gsm7-pt", 4, 146)
    assert compose(text * 3, "gsm7-pt", PT._replace(long_messages="udh16")).limit == 145


@pytest.mark.parametrize(
    ("wanted", "style", "expected"),
    [
        ("auto", TextStyle(), ("ucs2", 9, 67)),
        ("auto", TextStyle(long_messages="udh16"), ("ucs2", 10, 66)),
        ("auto", L1, ("latin1", 5, 134)),
        ("auto", PT, ("gsm7-pt", 5, 149)),
        ("auto", TextStyle(transliterate=True), ("gsm7", 4, 153)),
    ],
)
def test_six_hundred_characters_of_portuguese_cost_so_much(
    wanted: WantedEncoding, style: TextStyle, expected: tuple[str, int, int]
) -> None:
    assert shape(compose(SIX_HUNDRED, wanted, style)) == expected


def test_a_payload_is_one_part_and_tells_what_the_phone_gets() -> None:
    cut = compose(SIX_HUNDRED, "auto", L1)
    whole = compose(SIX_HUNDRED, "auto", L1._replace(long_messages="payload"))
    assert [part.text for part in whole.parts] == [SIX_HUNDRED]
    assert whole.parts[0].octets == b"".join(part.octets for part in cut.parts)
    assert (whole.segments, whole.limit, whole.elements) == (cut.segments, cut.limit, cut.elements)
    assert whole.parts[0].units == sum(part.units for part in cut.parts)


@pytest.mark.parametrize("carried", get_args(LongMessages))
def test_more_than_255_parts_are_too_long_and_the_error_shows_no_text(carried: LongMessages) -> None:
    style = TextStyle(long_messages=carried)
    limit = 152 if carried == "udh16" else 153
    assert compose("s" * 255 * limit, "auto", style).segments == 255
    with pytest.raises(TextTooLongError, match=rf"^{255 * limit + 1} units of gsm7, the limit is {255 * limit}$"):
        compose("s" * (255 * limit + 1), "auto", style)


# --- There and back ---

portuguese = st.sampled_from([*"abcdeioxyz ABCÃÇÉ.,!?12", *"áàâãéêíóôõúç", "€", "[", "\r", "\n", "ª", "º", "Γ", "@"])
anything = st.characters(exclude_categories=["Cs"])
signs = st.sampled_from(["😀", "👍🏽", "👨\u200d👩\u200d👧", "🇧🇷", "a\u0303", "“", "…"])
texts = st.one_of(
    st.lists(portuguese, max_size=500).map("".join),
    st.lists(st.one_of(portuguese, signs), max_size=200).map("".join),
    st.text(anything, max_size=200),
    st.text(sorted(GSM.characters), max_size=500),
).filter(lambda text: not text.startswith(("\ufeff", "\ufffe")))  # a receiver takes them for a byte order mark
styles = st.builds(
    TextStyle,
    default_alphabet=st.sampled_from(get_args(DefaultAlphabet)),
    latin1=st.booleans(),
    national_language=st.booleans(),
    transliterate=st.just(False),
    apostrophe=st.just("keep"),
    long_messages=st.sampled_from(get_args(LongMessages)),
    flash=st.booleans(),
)
wishes: st.SearchStrategy[WantedEncoding] = st.sampled_from(get_args(WantedEncoding))


def with_headers(composed: Composed, carried: LongMessages) -> list[bytes]:
    """Make of each part what a phone gets: the SMSC makes the headers that `sar` asks for, and leaves a payload whole here."""
    total = len(composed.parts)
    if total == 1:
        return [header(composed.elements) + composed.parts[0].octets]
    return [
        header(composed.elements, concatenation(0x1234, total, number, wide=carried == "udh16")) + part.octets
        for number, part in enumerate(composed.parts, 1)
    ]


def joined(received: list[bytes], composed: Composed, style: TextStyle) -> tuple[str, str]:
    """Join what came, in any order and perhaps twice."""
    pieces = {}
    for data in received:
        udh, octets = split_header(data) if composed.elements or len(composed.parts) > 1 else (None, data)
        number = udh.concatenation.number if udh is not None and udh.concatenation is not None else 1
        pieces[number] = octets, coding(composed.data_coding, style.default_alphabet, {}, udh)
    return decode([pieces[number] for number in sorted(pieces)])


def attempt(make: Callable[[], Composed]) -> Composed | None:
    try:
        return make()
    except NotEncodableError:
        return None


@settings(deadline=None, max_examples=250)
@given(texts, wishes, styles, st.data())
def test_parts_in_any_order_and_number_join_to_the_text(text: str, wanted: WantedEncoding, style: TextStyle, data: st.DataObject) -> None:
    composed = attempt(lambda: compose(text, wanted, style))
    if composed is None:
        assert wanted != "auto"
        return
    sent = with_headers(composed, style.long_messages)
    again = data.draw(st.lists(st.sampled_from(sent), max_size=3))
    received = data.draw(st.permutations(sent + again))
    read, encoding = joined(received, composed, style)
    assert read == text
    assert "".join(part.text for part in composed.parts) == text
    if style.default_alphabet == "gsm0338" and text:
        assert encoding == composed.encoding


@settings(deadline=None, max_examples=250)
@given(texts, wishes, styles)
def test_no_part_exceeds_140_octets_on_the_radio(text: str, wanted: WantedEncoding, style: TextStyle) -> None:
    composed = attempt(lambda: compose(text, wanted, style))
    if composed is None or style.long_messages == "payload":
        return
    for part, data in zip(composed.parts, with_headers(composed, style.long_messages), strict=True):
        udh = len(data) - len(part.octets)
        assert part.units <= composed.limit
        if composed.encoding in (Encoding.GSM7, Encoding.GSM7_PT):
            assert part.units == len(GSM.encode(part.text)) if composed.encoding == Encoding.GSM7 else len(part.octets)
            assert udh * 8 + -udh * 8 % 7 + part.units * 7 <= 140 * 8
        else:
            assert len(data) <= 140


@settings(deadline=None, max_examples=120)
@given(texts, styles)
def test_auto_never_makes_more_parts_than_a_wanted_encoding_that_it_may_pick(text: str, style: TextStyle) -> None:
    chosen = compose(text, "auto", style)
    may_pick: list[WantedEncoding] = ["gsm7", "gsm7-pt", "ucs2", *(["latin1"] if style.latin1 else [])]  # type: ignore[list-item]
    for wanted in may_pick:
        other = attempt(lambda wanted=wanted: compose(text, wanted, style))  # type: ignore[misc] # mypy #15459
        assert other is None or chosen.segments <= other.segments


@settings(deadline=None, max_examples=120)
@given(texts, wishes, styles, st.booleans())
def test_what_is_told_of_replacements_makes_the_text_that_went(text: str, wanted: WantedEncoding, style: TextStyle, spaced: bool) -> None:
    style = style._replace(transliterate=True, apostrophe="space" if spaced else "keep")
    composed = attempt(lambda: compose(text, wanted, style))
    if composed is None:
        return
    went = "".join(part.text for part in composed.parts)
    assert went == "".join(composed.replaced.get(character, character) for character in text)
    assert composed.replaced.keys() <= set(text)
    assert not spaced or "'" not in went
