"""How ids and destinations are compared."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.base import Match
from gateway.journal.matching import key, keys, recorded_keys, rule, same_destination, tail, text_agrees

ids = st.integers(min_value=0, max_value=2**128)


@settings(deadline=None)
@given(ids)
def test_hex_in_the_response_and_decimal_in_the_receipt_meet(number: int) -> None:
    assert key(f"{number:X}") in keys(str(number), "auto")
    assert key(f"{number:X}") in keys(str(number), "hex-decimal")
    assert key(str(number)) in recorded_keys(f"{number:X}", "hex-decimal")
    assert key(str(number)) in keys(f"{number:x}", "decimal-hex")


@settings(deadline=None)
@given(st.text(max_size=70))
def test_any_text_has_keys_and_the_plain_one_is_first(text: str) -> None:
    assert keys(text, "auto")[0] == key(text)
    assert rule(text, text) is Match.EXACT


def test_numbers_are_compared_without_country_trunk_and_ninth_digit() -> None:
    assert same_destination("11987654321", "5511987654321")
    assert same_destination("11987654321", "551187654321")
    assert same_destination("11987654321", "87654321")
    assert same_destination("11987654321", "+55 (11) 98765-4321")
    assert not same_destination("11987654321", "5521987654321")
    assert not same_destination("11987654321", "")
    assert tail("1234") == ""


def test_an_excerpt_agrees_whatever_became_of_its_accents() -> None:
    assert text_agrees("Ol? Jo?o, seu c", "Olá João, seu código é 1") is True
    assert text_agrees("Ol? Maria, seu", "Olá João, seu código é 1") is False
    assert text_agrees("oi", "oi") is True
    assert text_agrees("oi", "oi, tudo bem com a senhora?") is False
