"""Who may call back: the secret path, the address list, the trusted proxies, and the limits."""

import hmac
from typing import Any

import pytest

from gateway.carriers.callback_guard import MAX_QUERY, Guard, Head

TOKEN = "s3cret-token-of-the-path"


def guard(**settings: Any) -> Guard:
    values: dict[str, Any] = {"token": TOKEN, "allow": (), "trusted_proxies": (), "max_rate": 0.0, "now": 0.0}
    return Guard(**(values | settings))


def head(**fields: Any) -> Head:
    values: dict[str, Any] = {"method": "GET", "path": f"/callback/{TOKEN}", "query": b"type=3", "peer": "203.0.113.7"}
    return Head(**(values | fields))


@pytest.mark.parametrize("word", ["callback", "resposta", "dlr", "x"])
def test_any_word_before_the_token_will_do(word: str) -> None:
    assert guard().refusal(head(path=f"/{word}/{TOKEN}"), 0.0) is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/callback",
        "/callback/",
        f"/{TOKEN}",
        f"//{TOKEN}",
        f"/callback/{TOKEN}/",
        f"/callback/{TOKEN}x",
        f"/callback/{TOKEN[:-1]}",
        f"/callback/{TOKEN.upper()}",
        f"/callback/x/{TOKEN}",
        f"/a%20b/{TOKEN}",
        f"/{'x' * 33}/{TOKEN}",
        "/callback/\udcff\u00e9",
    ],
)
def test_any_other_path_is_not_found(path: str) -> None:
    assert guard().refusal(head(path=path), 0.0) == 404


@pytest.mark.parametrize("path", [f"/callback/{TOKEN}", f"/callback/{TOKEN[:-1]}x", "/callback/x", f"/a b/{TOKEN}", f"/{TOKEN}"])
def test_how_long_a_refusal_takes_tells_nothing_of_the_token(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    constant_time = hmac.compare_digest

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return constant_time(given, wanted)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    guard().refusal(head(path=path), 0.0)
    assert [wanted for _, wanted in compared] == [TOKEN.encode()]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "get", "CONNECT"])
def test_only_get_is_allowed(method: str) -> None:
    assert guard().refusal(head(method=method), 0.0) == 405


def test_a_body_and_a_long_query_are_refused() -> None:
    assert guard().refusal(head(has_body=True), 0.0) == 413
    assert guard().refusal(head(query=b"x" * (MAX_QUERY + 1)), 0.0) == 414
    assert guard().refusal(head(query=b"x" * MAX_QUERY), 0.0) is None


def test_a_caller_without_the_token_learns_nothing_of_the_limits() -> None:
    wrong = {"path": "/callback/wrong-token-of-the-path"}
    bad: list[dict[str, Any]] = [{"method": "POST"}, {"has_body": True}, {"query": b"x" * 9000}]
    assert {guard().refusal(head(**wrong, **fields), 0.0) for fields in bad} == {404}


def test_its_repr_shows_no_token() -> None:
    assert TOKEN not in repr(guard())


# --- Addresses --------------------------------------------------------------------------------------------------------------------

ALLOW = ("203.0.113.0/24", "2001:db8::/32")
PROXIES = ("127.0.0.0/8", "10.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("peer", "forwarded", "passes"),
    [
        ("203.0.113.7", (), True),
        ("203.0.114.7", (), False),
        ("2001:db8::7", (), True),
        ("::ffff:203.0.113.7", (), True),  # an IPv4 connection to a socket of IPv6
        ("fe80::1%eth0", (), False),
        ("", (), False),
        ("203.0.113.7", ("198.51.100.1",), True),  # it is no proxy: what it forwards is not believed
        ("198.51.100.1", ("203.0.113.7",), False),
        ("127.0.0.1", ("203.0.113.7",), True),
        ("127.0.0.1", (), False),
        ("127.0.0.1", ("203.0.113.7, 198.51.100.1",), False),  # written by the caller himself
        ("127.0.0.1", ("198.51.100.1, 203.0.113.7",), True),
        ("127.0.0.1", ("198.51.100.1", "203.0.113.7"), True),  # two headers are one list
        ("127.0.0.1", ("203.0.113.7, 10.1.2.3",), True),  # two proxies
        ("127.0.0.1", ("203.0.113.7:51234",), True),
        ("127.0.0.1", ("[2001:db8::7]:443",), True),
        ("127.0.0.1", ("203.0.113.7, unknown",), False),
        ("127.0.0.1", ("",), False),
        ("127.0.0.1", ("203.0.113.7, 10.1.2.3, 10.1.2.4",), True),
        ("127.0.0.1", (f"{'10.1.2.3,' * 100} 203.0.113.7",), False),  # too long to be read
    ],
)
def test_the_caller_is_the_rightmost_address_that_is_no_trusted_proxy(peer: str, forwarded: tuple[str, ...], passes: bool) -> None:
    found = guard(allow=ALLOW, trusted_proxies=PROXIES).refusal(head(peer=peer, forwarded=forwarded), 0.0)
    assert found == (None if passes else 404)


def test_without_a_list_anybody_may_call_who_knows_the_token() -> None:
    assert guard().refusal(head(peer="198.51.100.1", forwarded=("nonsense",)), 0.0) is None


# --- Rate -------------------------------------------------------------------------------------------------------------------------


def test_more_than_the_rate_is_refused_until_time_has_passed() -> None:
    limited = guard(max_rate=10.0)
    assert [limited.refusal(head(), 0.0) for _ in range(12)] == [None] * 10 + [429] * 2
    assert [limited.refusal(head(), 0.25) for _ in range(3)] == [None, None, 429]
    assert [limited.refusal(head(), 100.0) for _ in range(11)] == [None] * 10 + [429]


def test_a_changed_rate_counts_at_once() -> None:
    changed = guard(max_rate=0.0)
    changed.change_rate(1.0)
    assert [changed.refusal(head(), 5.0) for _ in range(2)] == [None, 429]
    changed.change_rate(0.0)
    assert [changed.refusal(head(), 5.0) for _ in range(2)] == [None, None]


def test_who_has_no_token_takes_nothing_of_the_rate() -> None:
    limited = guard(max_rate=1.0)
    for _ in range(5):
        assert limited.refusal(head(path="/callback/wrong"), 0.0) == 404
    assert limited.refusal(head(), 0.0) is None


def test_a_rate_below_one_a_second_still_admits_one() -> None:
    limited = guard(max_rate=0.1)
    assert [limited.refusal(head(), now) for now in (0.0, 5.0, 10.1)] == [None, 429, None]
