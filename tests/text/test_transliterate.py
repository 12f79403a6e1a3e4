"""What stands in for what an alphabet lacks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.text import EncodingUnavailableError, NotEncodableError, TextStyle, compose
from gateway.text.gsm0338 import GSM
from gateway.text.transliterate import RULES, replacements

PLAINLY = TextStyle(transliterate=True)


def sent(text: str, style: TextStyle = PLAINLY) -> str:
    composed = compose(text, "auto", style)
    assert composed.encoding == "gsm7"
    return "".join(part.text for part in composed.parts)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("não é só ação", "nao e so acao"),
        ("Olé à vista, 10 €", "Olé à vista, 10 €"),  # GSM 03.38 holds all of it
        ("“Olé”, disse…", '"Olé", disse...'),  # quotes cost no accent
        ("ÁÂÃÀÇÉÊÍÓÔÕÚáâãàçéêíóôõú", "AAAACEEIOOOUaaaaceeiooou"),
        ("na\u0303o e\u0301", "nao e"),  # combining accents
        ("Muñoz, Ü e Ç: não", "Munoz, U e C: nao"),
        ("1º, 2ª, 3° lugar; nº 5", "1o, 2a, 3o lugar; no 5"),
        ("‘a’ «b» — c – d\u00a0e\u202ff", "'a' \"b\" - c - d e f"),
        ("R$ 5 → £ 1 × ½", "R$ 5 -> £ 1 x 1/2"),
        ("copo d´água e `crase`", "copo d'agua e 'crase'"),
        ("a\tb\u2028c\u200bd\u00ade\ufefff", "a b\ncdef"),
        ("Oi 🙂 te amo ❤️ 👍🏽 🔥 🇧🇷", "Oi :) te amo <3 :thumbsup: :fire: BR"),
        ("© ® ™ • item", "(C) (R) TM - item"),
        ("Привет, Ελλάδα, 東京", "Privet, Ellada, DongJing"),
        ("Øre og Æble", "Øre og Æble"),
    ],
)
def test_gsm_takes_it_as(text: str, instead: str) -> None:
    assert sent(text) == instead


def test_every_replacement_is_told() -> None:
    composed = compose("“não” é 👍🏽", "auto", PLAINLY)
    assert composed.replaced == {"“": '"', "”": '"', "ã": "a", "é": "e", "👍": ":thumbsup:", "🏽": ""}


def test_nothing_is_told_where_nothing_was_replaced() -> None:
    assert compose("Olé", "auto", PLAINLY).replaced == {}
    assert compose("não").replaced == {}


def test_auto_loses_nothing_where_something_has_no_stand_in() -> None:
    composed = compose("não\0", "auto", PLAINLY)
    assert (composed.encoding, composed.parts[0].text, composed.replaced) == ("ucs2", "não\0", {})


@pytest.mark.parametrize("text", ["\u200b", "🏽", "\u0301\u200d", "\ufe0f"])
def test_a_text_of_which_nothing_would_be_left_never_becomes_an_empty_message(text: str) -> None:
    composed = compose(text, "auto", PLAINLY)
    assert (composed.encoding, composed.parts[0].text, composed.replaced) == ("ucs2", text, {})
    with pytest.raises(NotEncodableError) as raised:
        compose(text, "gsm7", PLAINLY)
    assert raised.value.characters == tuple(sorted(text))
    assert sent(text + " ") == " "


def test_auto_loses_nothing_where_the_stand_ins_would_cost_more_parts() -> None:
    assert compose("🔥" * 26, "auto", PLAINLY).encoding == "gsm7"  # 156 septets, and 52 units: one part either way
    composed = compose("🔥" * 30, "auto", PLAINLY)
    assert (composed.encoding, composed.segments, composed.replaced) == ("ucs2", 1, {})
    assert compose("d'🔥" * 15, "auto", PLAINLY._replace(apostrophe="space")).replaced == {"'": " ", "🔥": ":fire:"}
    spaced = compose("d'🔥" * 30, "auto", PLAINLY._replace(apostrophe="space"))
    assert (spaced.encoding, spaced.replaced) == ("gsm7", {"'": " ", "🔥": ":fire:"})  # 240 septets, 120 units: two parts either way
    assert compose("d'" + "🔥" * 30, "auto", PLAINLY._replace(apostrophe="space")).replaced == {"'": " "}


def test_gsm7_names_only_what_has_no_stand_in() -> None:
    with pytest.raises(NotEncodableError) as raised:
        compose("não\0", "gsm7", PLAINLY)
    assert raised.value.characters == ("\0",)
    assert compose("não", "gsm7", PLAINLY).parts[0].text == "nao"


def test_latin1_keeps_its_accents_and_gets_what_it_lacks_replaced() -> None:
    composed = compose("“não” 10 €", "latin1", PLAINLY)
    assert (composed.encoding, composed.parts[0].octets) == ("latin1", '"não" 10 EUR'.encode("latin-1"))


def test_in_an_encoding_with_accents_one_that_is_lacking_costs_no_other() -> None:
    assert compose("não, ŝ", "latin1", PLAINLY).parts[0].text == "não, s"
    assert compose("não, ŝ", "gsm7-pt", TextStyle(transliterate=True, national_language=True)).parts[0].text == "não, s"


def test_gsm7_pt_keeps_its_accents_and_gets_what_it_lacks_replaced() -> None:
    composed = compose("“não” ñ 😀", "gsm7-pt", TextStyle(transliterate=True, national_language=True))
    assert (composed.encoding, composed.parts[0].text) == ("gsm7-pt", '"não" ñ :)')
    with pytest.raises(EncodingUnavailableError):
        compose("“não”", "gsm7-pt", PLAINLY)


def test_ucs2_needs_no_stand_in() -> None:
    assert compose("“não” 😀", "ucs2", PLAINLY).replaced == {}


def test_where_the_smsc_takes_ascii_what_ascii_lacks_is_replaced() -> None:
    assert sent("Olé, 10 €", TextStyle(default_alphabet="ascii", transliterate=True)) == "Ole, 10 EUR"
    assert sent("Olé, 10 €", TextStyle(default_alphabet="latin1", transliterate=True)) == "Olé, 10 EUR"


def test_an_apostrophe_becomes_a_space_where_the_setting_says_so() -> None:
    composed = compose("copo d'água", "auto", TextStyle(apostrophe="space"))
    assert (composed.parts[0].text, composed.replaced) == ("copo d água", {"'": " "})
    assert compose("copo", "auto", TextStyle(apostrophe="space")).replaced == {}
    assert compose("d'", "auto", TextStyle(apostrophe="keep")).parts[0].text == "d'"


def test_a_typographic_apostrophe_becomes_a_space_where_it_would_become_an_apostrophe() -> None:
    composed = compose("d’água d'água", "auto", TextStyle(apostrophe="space", transliterate=True))
    assert (composed.parts[0].text, composed.replaced) == ("d agua d agua", {"'": " ", "’": " ", "á": "a"})
    assert compose("d’água", "auto", TextStyle(apostrophe="space")).parts[0].text == "d’água"


def test_each_rule_ends_in_gsm_and_stands_for_one_character_that_is_not() -> None:
    for character, instead in RULES.items():
        assert GSM.holds(instead)
        assert len(character) == 1
        assert not GSM.holds(character)


@settings(deadline=None, max_examples=200)
@given(st.sets(st.characters(), max_size=40))
def test_what_stands_in_is_always_held_and_what_is_held_stays_unless_an_accent(characters: set[str]) -> None:
    lacking = characters - GSM.characters
    found = replacements(characters - lacking, lacking, GSM.characters.__contains__, together=True)
    assert all(GSM.holds(instead) for instead in found.values())
    assert found.keys() - lacking <= set("èéùìòÇÅåÉÄÖÑÜäöñüà")
    assert found.keys() <= characters
    assert not any(character in instead for character in found for instead in found.values())  # one may be replaced after the other


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=sorted(GSM.characters), max_size=40))
def test_a_text_that_fits_is_left_alone(text: str) -> None:
    assert compose(text, "auto", PLAINLY).replaced == {}


def test_an_apostrophe_within_a_stand_in_becomes_a_space_too() -> None:
    composed = compose("объект", "auto", TextStyle(apostrophe="space", transliterate=True))
    assert "'" not in composed.parts[0].text
    assert composed.replaced["ъ"] == compose("ъ", "auto", PLAINLY).parts[0].text.replace("'", " ")
