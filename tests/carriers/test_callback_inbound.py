"""Call-backs read for the stages: any query gives something that the journal can keep, or nothing."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.callback_inbound import CallbackReader
from gateway.message import Receipt, Reply
from gateway.metrics import CALLBACK_KINDS

READER = CallbackReader(ZoneInfo("America/Sao_Paulo"))
NOW = 1_800_000_000.0

NAMES = st.sampled_from(["msisdn", "status", "date", "type", "md5", "uuid", "message", "MD5", "x", ""])
VALUES = st.one_of(st.sampled_from(["", "1", "2", "3", "5", "8", "11987654321", "99999999999999999999"]), st.text(max_size=8))
QUERIES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.tuples(NAMES, VALUES), max_size=8).map(
        lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "replace")
    ),
)


@given(QUERIES)
def test_any_query_is_read(query: bytes) -> None:
    reading = READER.read(query, NOW)
    assert reading.kind in CALLBACK_KINDS
    assert not isinstance(reading.item, Receipt | Reply) or reading.item.carrier == ""
    if isinstance(reading.item, Receipt):
        assert (reading.item.received_at, reading.item.raw) == (NOW, query)
    assert (reading.kind == "other") == (not reading.valid)


@pytest.mark.parametrize(
    ("type", "status", "expected"),
    [
        *((2, status, expected) for status, expected in {1: (1, False), 2: (5, True), 5: (8, True), 9: (4, True)}.items()),
        *((2, status, (None, False)) for status in (0, 3, 7, 4, 99)),
        *((3, status, (2, True)) for status in (2, 5, 8)),
        *((3, status, (None, False)) for status in (0, 1, 3, 9)),
    ],
)
def test_the_same_number_means_what_its_type_says(type: int, status: int, expected: tuple[int | None, bool]) -> None:
    item = READER.read(f"msisdn=11987654321&status={status}&type={type}&md5=a".encode(), NOW).item
    assert isinstance(item, Receipt)
    assert (item.code, item.final, item.confirmed) == (*expected, (type, status) not in {(3, 5), (3, 8)})


def test_a_date_that_cannot_be_read_leaves_the_time_of_arrival() -> None:
    item = READER.read(b"msisdn=11987654321&message=sim&date=ontem&type=1", NOW).item
    assert isinstance(item, Reply)
    assert item.received_at == NOW


def test_an_id_that_is_none_of_ours_is_no_number() -> None:
    for uuid in ("order-7", "0", "4294967296", "-1", "1.5"):
        item = READER.read(f"status=1&type=2&md5=a&uuid={uuid}".encode(), NOW).item
        assert isinstance(item, Receipt)
        assert item.surrogate is None
