"""Brazilian numbers and senders, checked against Google's libphonenumber."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.msisdn import InvalidNumberError, InvalidSenderError, Msisdn, Sender, parse, parse_sender

SECOND_DIGITS = {
    "1": "123456789",
    "2": "12478",
    "3": "1234578",
    "4": "123456789",
    "5": "1345",
    "6": "123456789",
    "7": "134579",
    "8": "123456789",
    "9": "123456789",
}
AREA_CODES = [first + second for first, seconds in SECOND_DIGITS.items() for second in seconds]

area_codes = st.sampled_from(AREA_CODES)
mobiles = st.builds("{}9{:08d}".format, area_codes, st.integers(0, 99_999_999))
landlines = st.builds("{}{}{:07d}".format, area_codes, st.integers(2, 5), st.integers(0, 9_999_999))
nationals = mobiles | landlines

FORMS = [
    "{n}",
    "55{n}",
    "+55{n}",
    "0055{n}",
    "0{n}",
    "021{n}",
    "055{n}",
    "+550{n}",
    "+55015{n}",
    "55031{n}",
    "002155{n}",
    "005555{n}",
    "({d}) {s}",
    "+55 ({d}) {s}",
    "+55 (0{d}) {s}",
    "(0xx{d})".replace("xx", "21") + "{s}",
    "0 41 {d} {s}",
    "+55.{d}.{s}",
    "55-{d}/{s}",
    "(+55) {d}\u00a0{s}",
    "\t+55\u2011{d}\u2013{s}",
]


def rendered(form: str, national: str) -> str:
    subscriber = f"{national[2:-4]}-{national[-4:]}"
    return form.format(n=national, d=national[:2], s=subscriber)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("national", ["11987654321", "1132654321", "55999887766", "5532211234"])
def test_every_usual_form_gives_the_same_number(form: str, national: str) -> None:
    assert parse(rendered(form, national)) == Msisdn(national)


@settings(deadline=None, max_examples=200)
@given(nationals, st.sampled_from(FORMS))
def test_no_form_is_taken_for_another(national: str, form: str) -> None:
    assert parse(rendered(form, national)).national == national


def test_there_are_67_area_codes() -> None:
    accepted = [f"{code:02d}" for code in range(100) if is_number(f"+55{code:02d}987654321")]
    assert accepted == AREA_CODES
    assert len(accepted) == 67


def is_number(raw: str) -> bool:
    try:
        parse(raw)
    except InvalidNumberError:
        return False
    return True


def test_a_mobile_is_rendered_for_each_carrier_and_for_logs() -> None:
    number = parse("(11) 98765-4321")
    assert (number.national, number.international, number.masked) == ("11987654321", "5511987654321", "55119****4321")


def test_a_landline_is_rendered_for_each_carrier_and_for_logs() -> None:
    number = parse("(11) 3265-4321")
    assert (number.national, number.international, number.masked) == ("1132654321", "551132654321", "5511****4321")


def test_the_repr_of_a_number_does_not_hold_it() -> None:
    assert repr(parse("11987654321")) == "Msisdn(55119****4321)"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" ()-", "empty"),
        ("+", "characters"),
        ("11 98765-432a", "characters"),
        ("11987654321\n", "characters"),
        ("55+11987654321", "characters"),
        ("++5511987654321", "characters"),
        ("١١٩٨٧٦٥٤٣٢١", "characters"),
        ("+1 415 555 2671", "not Brazilian"),
        ("+11987654321", "not Brazilian"),
        ("00351912345678", "not Brazilian"),
        ("0011987654321", "not Brazilian"),
        ("987654321", "too short"),
        ("5511", "too short"),
        ("+55 98765-4321", "too short"),
        ("119876543210", "too long"),
        ("551198765432100", "too long"),
        ("00551198765432100", "too long"),
        ("20987654321", "area code"),
        ("+55 (10) 98765-4321", "area code"),
        ("1187654321", "ninth digit"),
        ("+55 11 8765-4321", "ninth digit"),
        ("021 11 8765-4321", "ninth digit"),
        ("1112345678", "neither a mobile's"),
        ("11887654321", "neither a mobile's"),
        ("9" * 100_000, "too long"),
    ],
)
def test_what_is_no_brazilian_number_is_refused_with_its_reason(raw: str, reason: str) -> None:
    with pytest.raises(InvalidNumberError, match=reason) as raised:
        parse(raw)
    assert str(raised.value) == raised.value.reason


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789+() -") | st.text())
def test_any_text_is_a_number_or_refused_without_being_repeated(raw: str) -> None:
    reason = ""
    try:
        assert len(parse(raw).national) in (10, 11)
    except InvalidNumberError as error:
        reason = error.reason
    digits = "".join(character for character in raw if character.isdigit())
    assert len(digits) < 3 or digits not in reason


@settings(deadline=None, max_examples=200)
@given(nationals)
def test_libphonenumber_agrees_with_what_we_accept(national: str) -> None:
    number = parse(national)
    theirs = phonenumbers.parse("+" + number.international)
    assert phonenumbers.is_possible_number(theirs)
    assert phonenumbers.is_valid_number_for_region(theirs, "BR")
    is_mobile = phonenumbers.number_type(theirs) == phonenumbers.PhoneNumberType.MOBILE
    assert is_mobile is (len(number.national) == 11)


@settings(deadline=None, max_examples=200)
@given(nationals)
def test_what_libphonenumber_renders_is_read_back(national: str) -> None:
    theirs = phonenumbers.parse(national, "BR")
    for shape in (
        phonenumbers.PhoneNumberFormat.E164,
        phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        phonenumbers.PhoneNumberFormat.NATIONAL,
    ):
        assert parse(phonenumbers.format_number(theirs, shape)).national == national


@settings(deadline=None, max_examples=200)
@given(st.from_regex(r"\A(\+55|0|021|)[1-9][0-9]{9,10}\Z"))
def test_libphonenumber_finds_the_same_number_in_what_we_accept(raw: str) -> None:
    if is_number(raw):
        assert str(phonenumbers.parse(raw, "BR").national_number) == parse(raw).national


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        ("(11) 98765-4321", Sender("5511987654321", 1, 1)),
        ("+551132654321", Sender("551132654321", 1, 1)),
        ("123", Sender("123", 3, 0)),
        ("27182", Sender("27182", 3, 0)),
        ("12345678", Sender("12345678", 3, 0)),
        ("BANCO", Sender("BANCO", 5, 0)),
        (" Loja A&B ", Sender("Loja A&B", 5, 0)),
        ("a-b_c.d 123", Sender("a-b_c.d 123", 5, 0)),
    ],
)
def test_a_sender_has_the_type_of_number_of_its_kind(raw: str, sender: Sender) -> None:
    assert parse_sender(raw) == sender


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "the sender is empty"),
        ("   ", "the sender is empty"),
        ("12", "too short"),
        ("123456789", "too short"),
        ("+14155552671", "not Brazilian"),
        ("1187654321", "ninth digit"),
        ("LOJA DO JOAO", "at most 11"),
        ("loja@casa", "only letters without accents"),  # '@' is 0x00 in GSM 03.38 and ends a C-octet string
        ("AÇÃO", "only letters without accents"),
        ("R$ JA", "only letters without accents"),
        ("LOJA\0X", "only letters without accents"),
        ("LOJA\n", "only letters without accents"),
        ("!!", "characters"),
    ],
)
def test_what_cannot_be_a_sender_is_refused_with_its_reason(raw: str, reason: str) -> None:
    with pytest.raises(InvalidSenderError, match=reason) as raised:
        parse_sender(raw)
    assert str(raised.value) == raised.value.reason


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_every_accepted_sender_fits_the_source_addr_field(raw: str) -> None:
    try:
        sender = parse_sender(raw)
    except InvalidSenderError:
        return
    assert 1 <= len(sender.address) <= 20  # SMPP 3.4 s5.2.8: 21 with its NUL
    assert sender.address.isascii()
    assert sender.address.isprintable()
