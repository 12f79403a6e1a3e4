"""Characters, lines, numbers and dates of the provider."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.provider.fields import date_time, decode, lines, local_text, plain_words, whole_number

ZONE = ZoneInfo("America/Sao_Paulo")
EVENING = datetime(2013, 9, 3, 0, 51, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2013-09-02 21:51:00", 0.0),
        ("2013-09-02 21:51:00.112", 0.112),
        ("2013-09-02 21:51:00,112", 0.112),
        ("2013-09-02T21:51:00", 0.0),
        ("2013-09-02 21:51", 0.0),
        ("02/09/2013 21:51:00", 0.0),
        ("2/9/2013 21:51:00", 0.0),
        ("02/09/2013T21:51:07.5", 7.5),
        ("  2013-09-02  21:51:00 ", 0.0),
    ],
)
def test_a_date_is_read_in_the_providers_zone(written: str, seconds: float) -> None:
    assert date_time(written, ZONE) == pytest.approx(EVENING + seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "hoje",
        "2013-13-02 21:51:00",
        "31/02/2013 10:00:00",
        "2013-09-02",
        "2013-09-02 25:00:00",
        "2013-09-02 21:51:00Z",
        "٢٠١٣-09-02 21:51",
    ],
)
def test_what_is_no_date_is_none(written: str) -> None:
    assert date_time(written, ZONE) is None


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_as_a_date_or_as_none(written: str) -> None:
    date_time(written, ZONE)


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - local by intent
def test_a_date_that_we_write_is_read_back(local: datetime) -> None:
    at = local.replace(microsecond=0, tzinfo=ZoneInfo("America/Recife")).timestamp()
    zone = ZoneInfo("America/Recife")
    assert date_time(local_text(at, zone), zone) in {at, at - 3600, at + 3600}  # an hour that the clock went through twice
    assert date_time(local_text(at, zone, "T"), zone) == date_time(local_text(at, zone), zone)


def test_local_time_is_written_as_the_manual_has_it() -> None:
    assert local_text(EVENING, ZONE) == "2013-09-02 21:51:00"
    assert local_text(EVENING, ZONE, "T") == "2013-09-02T21:51:00"


def test_text_is_utf_8_where_it_is_that_strictly_and_windows_1252_else() -> None:
    assert decode("não".encode()) == ("não", "utf-8")
    assert decode("não €".encode("windows-1252")) == ("não €", "windows-1252")
    assert decode(b"\x81\xff") == ("\x81ÿ", "latin-1")


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_text_and_none_is_lost(raw: bytes) -> None:
    text, charset = decode(raw)
    assert text.encode(charset) == raw


def test_lines_end_at_line_ends_only() -> None:
    assert lines("a\r\nb\rc\n\n  \nd\x85e\x0bf") == ["a", "b", "c", "d\x85e\x0bf"]


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-6", -6), ("007", 7), ("", None), ("1.0", None), ("²", None), ("9" * 19, None)])
def test_a_whole_number_has_ascii_digits(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_words_are_compared_without_accents_and_case() -> None:
    assert plain_words(" Requisição não concluída ") == "REQUISICAO NAO CONCLUIDA"
