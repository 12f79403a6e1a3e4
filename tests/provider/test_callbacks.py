"""Call-backs: one number, three meanings; and any query at all."""

from datetime import UTC, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.provider.callbacks import (
    Callback,
    DeliveryStatus,
    DlrCallback,
    Meaning,
    ReplyCallback,
    StatusCallback,
    Unknown,
    read,
)
from gateway.provider.dlr import DlrCode, is_final
from gateway.provider.results import MessageStatus

ZONE = ZoneInfo("America/Sao_Paulo")
MD5 = "12d609dddeccd59e392b8e2374f52d1a"
NOON = datetime(2026, 11, 24, 15, 0, tzinfo=UTC).timestamp()


def call(type_: int, status: object, rest: str = "") -> Callback:
    return read(f"msisdn=11900000001&status={status}&date=2026-11-24 12:00:00&type={type_}&md5={MD5}&uuid=544{rest}", ZONE)


def test_a_status_call_back_carries_everything_that_the_manual_names() -> None:
    called = call(2, 1)
    assert isinstance(called, StatusCallback)
    assert (called.phone, called.number, called.status, called.at, called.protocol, called.uuid, called.surrogate) == (
        "11900000001",
        1,
        MessageStatus.SENT,
        NOON,
        MD5,
        "544",
        544,
    )


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (1, Meaning(DlrCode.ENROUTE, final=False)),
        (2, Meaning(DlrCode.UNDELIVERABLE, final=True)),
        (5, Meaning(DlrCode.REJECTED, final=True)),
        (9, Meaning(DlrCode.DELETED, final=True)),
        (0, Meaning(None, final=False)),
        (3, Meaning(None, final=False)),
        (7, Meaning(None, final=False)),
    ],
)
def test_every_status_of_a_status_call_back_has_its_meaning(status: int, meaning: Meaning) -> None:
    called = call(2, status)
    assert isinstance(called, StatusCallback)
    assert (called.number, called.meaning) == (status, meaning)
    assert called.status is not None


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (2, Meaning(DlrCode.DELIVERED, final=True, confirmed=True)),
        (5, Meaning(DlrCode.DELIVERED, final=True, confirmed=False)),
        (8, Meaning(DlrCode.DELIVERED, final=True, confirmed=False)),
    ],
)
def test_every_status_of_a_dlr_call_back_is_a_delivery_confirmed_or_not(status: int, meaning: Meaning) -> None:
    called = call(3, status)
    assert isinstance(called, DlrCallback)
    assert (called.number, called.meaning) == (status, meaning)
    assert called.status == DeliveryStatus(status)


def test_the_three_tables_are_never_mixed() -> None:
    for number in range(-1, 300):
        status, dlr = call(2, number), call(3, number)
        assert isinstance(status, StatusCallback)
        assert isinstance(dlr, DlrCallback)
        assert (status.meaning.code is None) is (number not in {1, 2, 5, 9})
        assert (dlr.meaning.code is None) is (number not in {2, 5, 8})
        for called in (status, dlr):
            code = called.meaning.code
            assert called.number == number
            assert called.meaning.final is (code is not None and is_final(code))


@pytest.mark.parametrize("status", ["", "abc", "2.0", "²", "9" * 30])
@pytest.mark.parametrize("type_", [2, 3])
def test_a_status_that_is_no_number_says_nothing(type_: int, status: str) -> None:
    called = call(type_, quote(status))
    assert isinstance(called, StatusCallback | DlrCallback)
    assert (called.number, called.status, called.meaning) == (None, None, Meaning())


@pytest.mark.parametrize("type_", ["type=1&", ""])
def test_a_message_makes_it_a_reply(type_: str) -> None:
    called = read(f"msisdn=5511900000001&message=Ol%C3%A1+mundo&date=24/11/2026 12:00:00&{type_}md5={MD5}&uuid=544", ZONE)
    assert isinstance(called, ReplyCallback)
    assert (called.phone, called.text, called.encoding, called.at, called.protocol) == (
        "5511900000001",
        "Olá mundo",
        "utf-8",
        NOON,
        MD5,
    )


def test_a_reply_in_windows_1252_keeps_its_bytes() -> None:
    called = read("msisdn=1&message=n%E3o%80&type=1", ZONE)
    assert isinstance(called, ReplyCallback)
    assert (called.text, called.encoding, called.text_bytes) == ("não€", "windows-1252", b"n\xe3o\x80")


def test_blanks_around_a_replys_text_are_its_own() -> None:
    called = read("msisdn=1&message=+a%0A&type=1", ZONE)
    assert isinstance(called, ReplyCallback)
    assert called.text == " a\n"


def test_an_empty_reply_is_a_reply_where_the_type_says_so() -> None:
    assert isinstance(read("msisdn=1&message=&type=1", ZONE), ReplyCallback)
    assert isinstance(read("msisdn=1&message=", ZONE), ReplyCallback)


def test_one_url_for_all_may_name_what_a_call_leaves_empty() -> None:
    assert isinstance(read(f"msisdn=1&status=2&message=&type=3&md5={MD5}", ZONE), DlrCallback)
    assert isinstance(read(f"msisdn=1&status=2&message=&type=2&md5={MD5}", ZONE), StatusCallback)
    assert isinstance(read(f"msisdn=1&status=&message=sim&type=1&md5={MD5}", ZONE), ReplyCallback)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("msisdn=11900000001&status=2&date=2026-11-24 12:00:00", "no type"),
        (f"msisdn=11900000001&status=2&md5={MD5}&type=", "no type"),
        ("msisdn=1&status=2&message=", "no type"),
        ("msisdn=1&status=2&type=4", "a type that the manual does not know"),
        ("msisdn=1&status=2&type=dlr", "a type that the manual does not know"),
        ("msisdn=1&type=1", "a reply without message"),
        ("", "no type"),
    ],
)
def test_what_has_no_type_is_kept_and_never_guessed(query: str, reason: str) -> None:
    called = read(query, ZONE)
    assert isinstance(called, Unknown)
    assert (called.reason, called.raw) == (reason, query.encode())


def test_what_is_unknown_still_tells_what_could_be_read() -> None:
    called = read(f"msisdn=11900000001&status=2&md5={MD5}&uuid=544", ZONE)
    assert isinstance(called, Unknown)
    assert (called.phone, called.number, called.protocol, called.surrogate) == ("11900000001", 2, MD5, 544)


def test_names_have_any_letter_case_and_any_order() -> None:
    called = read(f"?UUID=544&MD5={MD5}&Type=3&DATE=2026-11-24%2012%3A00%3A00.000&Status=2&MsIsDn=11900000001", ZONE)
    assert isinstance(called, DlrCallback)
    assert (called.phone, called.number, called.at, called.protocol, called.uuid) == ("11900000001", 2, NOON, MD5, "544")


def test_of_a_name_that_comes_twice_the_first_that_says_something_counts() -> None:
    called = read("status=&status=2&status=5&type=3&Type=2", ZONE)
    assert isinstance(called, DlrCallback)
    assert called.number == 2


@pytest.mark.parametrize("date", ["", "ontem", "2026-11-24", "31/02/2026 10:00:00"])
def test_a_date_that_is_none_is_kept_as_it_came(date: str) -> None:
    called = read(f"status=2&type=3&date={quote(date)}", ZONE)
    assert (called.at, called.at_text) == (None, date)


@pytest.mark.parametrize(
    ("uuid", "surrogate"),
    [("1", 1), ("4294967295", 4294967295), ("4294967296", None), ("0", None), ("-1", None), ("abc", None), ("", None)],
)
def test_a_uuid_is_a_number_of_ours_only_where_it_can_be_one(uuid: str, surrogate: int | None) -> None:
    assert read(f"status=2&type=3&uuid={uuid}", ZONE).surrogate == surrogate


def test_bytes_and_text_are_read_alike() -> None:
    query = "msisdn=1&message=n%E3o&type=1"
    assert read(query, ZONE) == read(query.encode(), ZONE)
    assert isinstance(read("message=a\udce3o\ud800&type=1", ZONE), ReplyCallback)
    called = read("message=a\udce3o&type=1", ZONE)
    assert isinstance(called, ReplyCallback)
    assert called.text == "aão"


NAMES = st.sampled_from(["msisdn", "status", "date", "type", "md5", "uuid", "message", "MESSAGE", "Type", "x", ""])
VALUES = st.sampled_from(["", "1", "2", "3", "5", "8", "9", "%", "%zz", "%E3", "2026-11-24 12:00:00", "9" * 400, "+", "²"]) | st.text()
QUERIES = st.lists(st.tuples(NAMES, VALUES), max_size=10).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@settings(deadline=None)
@given(query=st.binary() | st.text() | QUERIES)
def test_any_query_is_read_and_kept(query: bytes | str) -> None:
    called = read(query, ZONE)
    if isinstance(query, bytes):
        assert called.raw == query
    if not isinstance(called, ReplyCallback | Unknown):
        assert called.meaning.final is False or called.meaning.code is not None
    repr(called)


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_of_a_reply_comes_through(text: str) -> None:
    called = read(f"msisdn=1&message={quote(text)}&type=1", ZONE)
    assert isinstance(called, ReplyCallback)
    assert called.text == text


def test_no_repr_shows_a_number_or_a_text() -> None:
    shown = repr([call(2, 1), call(3, 2), read("msisdn=11900000001&message=segredo", ZONE), read("msisdn=11900000001&x=segredo", ZONE)])
    assert "1190000" not in shown
    assert "segredo" not in shown
