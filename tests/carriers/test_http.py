"""The HTTP carrier against a server on loopback: requests, every class of answer, batches, silence, and what becomes of the carrier."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, cast
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.http import HttpWire, Part
from gateway.carriers.requests import CONNECTIONS, CREDITS_SOON, NEVER_SENT, STALL
from gateway.carriers.suspension import REST, SILENCES, STREAK
from gateway.carriers.wire import Load, Purse
from gateway.config import Http
from gateway.message import (
    Answer,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from gateway.provider.http import url_query
from tests.carriers.rawhttp import CLOSE, HANG, RawServer, Reply, Request, ok
from tests.carriers.requests_rig import USER, Rig, batch, rigs, serving
from tests.carriers.smsc import message
from tests.support.waiting import until

MD5 = "8eb339e2545a9e01d60e542d6798a4b5"
CREDITS = "1;1;0;0;5000;10;20;"
Start = Callable[..., Rig]


def settings(url: str = "http://127.0.0.1/sms", **changes: Any) -> Http:
    return Http(**{"base_url": url, "user": USER, "timeout": 10.0, **changes})


def md5_of(request: Request) -> str:
    return f"{int(request.query.get('id', 0)):032x}"


def line(item: str, code: int = 1) -> str:
    """Answer one message of a batch as the sandbox does."""
    number, _, id = item.split("|")
    return f"{code};{int(id):032x};{number};{id}" if code == 1 else f"{code};{number};{id}"


def items(request: Request) -> list[str]:
    return request.query["c"].split(";")


def decent(request: Request) -> Reply:
    """Answer as a provider does with whom all is well."""
    match request.function:
        case "send":
            return ok(f"1;{md5_of(request)}")
        case "mult":
            return ok("\r\n".join(line(item) for item in items(request)))
        case "crdtf":
            return ok(CREDITS)
        case _:
            return ok("", 404)


def answering(send: Reply | str, mult: Reply | str | None = None) -> Callable[[Request], Reply]:
    """Answer every `send`, or `mult`, the same way."""
    replies = {"send": send, "mult": send if mult is None else mult}

    def answer(request: Request) -> Reply:
        reply = replies.get(request.function)
        return decent(request) if reply is None else ok(reply) if isinstance(reply, str) else reply

    return answer


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serving(decent) as server:
        yield server


@pytest.fixture
async def start(server: RawServer) -> AsyncIterator[Start]:
    """Start a carrier; keyword arguments are settings, and `options` those of the rig."""
    async with rigs() as make:
        yield lambda options=None, **changes: make(HttpWire(settings(server.url, **changes), USER), options)


# --- One message ------------------------------------------------------------------------------------------------------------------


async def test_a_message_goes_by_send_with_its_surrogate_and_comes_back_with_its_protocol(server: RawServer, start: Start) -> None:
    rig = start(cost_centre=47)
    assert await rig.outcome(message(4_294_967_295 + 5, text="olá; tudo|bem")) == Submitted((f"{5:032x}",), "utf-8")
    (request,) = server.of("send")
    assert request.method == "GET"
    assert request.target.startswith(f"/sms/send?u={USER}&n=11987654321&m=")
    assert request.query == {"u": USER, "n": "11987654321", "m": "olá; tudo|bem", "c": "47", "id": "5"}


async def test_every_field_that_http_has_goes_along(server: RawServer, start: Start) -> None:
    rig = start(charset="latin-1")
    wishes = {"kind": "short_code_flash", "priority": 3, "cost_centre": 52, "label": "campanha", "normalise": True, "text": "não"}
    await rig.outcome(message(7, **wishes))
    (request,) = server.of("send")
    assert "m=n%E3o&" in request.target
    expected = {"f": "4", "z": "1", "c": "52", "id": "7", "fsd": "1", "arq": "campanha"}
    assert {name: request.query.get(name) for name in expected} == expected


@pytest.mark.parametrize("wish", [{"message": True}, {"settings": True}])
async def test_a_text_goes_in_plain_letters_where_that_is_asked_for_and_the_outcome_tells(
    server: RawServer, start: Start, wish: dict[str, bool]
) -> None:
    rig = start(transliterate=wish.get("settings", False))
    outcome = await rig.outcome(message(1, text="não é só…", transliterate=wish.get("message", False)))
    assert isinstance(outcome, Submitted)
    assert outcome.replaced == {"ã": "a", "é": "e", "ó": "o", "…": "..."}
    assert server.of("send")[0].query["m"] == "nao e so..."


async def test_stand_ins_go_by_http_even_where_they_are_many_since_its_charset_may_hold_nothing_else(
    server: RawServer, start: Start
) -> None:
    rig = start(transliterate=True, charset="windows-1252")
    assert isinstance(await rig.outcome(message(1, text="🔥" * 30)), Submitted)
    assert server.of("send")[0].query["m"] == ":fire:" * 30


CASES: list[tuple[Reply | str, Outcome]] = [
    (f"1;{MD5}", Submitted((MD5,), "utf-8")),
    (f"1;{MD5};\r\n", Submitted((MD5,), "utf-8")),
    ("1", Submitted((), "utf-8")),
    (f"61;{MD5}", Submitted((MD5,), "utf-8", under_review=True)),
    ("61", Submitted((), "utf-8", under_review=True)),
    ("0", Deferred("code 0: not concluded, to be tried again", Scope.MESSAGE, None, 0)),
    ("94", InDoubt("code 94: the credits could not be updated")),
    ("", InDoubt("the answer cannot be read")),
    ("<html><body>1</body></html>", InDoubt("the answer cannot be read")),
    ("OUT-OF-DATE", InDoubt("the answer cannot be read")),
    ("12", InDoubt("the answer cannot be read: code 12, which is none of send")),
    (ok(f"1;{MD5}", 500), InDoubt("HTTP status 500")),
    (ok(f"1;{MD5}", 302, "Location: /elsewhere"), InDoubt("HTTP status 302")),
    (ok(f"1;{MD5}", 201), InDoubt("HTTP status 201")),
    (CLOSE, InDoubt("the connection ended before the answer")),
    (Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n1;8eb3", close=True), InDoubt("the answer was cut")),
]


@pytest.mark.parametrize(("reply", "outcome"), CASES, ids=[repr(reply)[:40] for reply, _ in CASES])
async def test_an_answer_becomes_an_outcome(server: RawServer, start: Start, reply: Reply | str, outcome: Outcome) -> None:
    server.answer = answering(reply)
    assert await start().outcome(message()) == outcome
    assert len(server.of("send")) == 1


@pytest.mark.parametrize("code", [77, 78, 79, 84, 85, 86, 87, 88, 89, 90, 91, 92, 95, 96])
async def test_a_message_that_is_at_fault_is_rejected_and_the_carrier_goes_on(server: RawServer, start: Start, code: int) -> None:
    server.answer = answering(f"{code};em palavras")
    rig = start()
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (Reason.REFUSED_BY_PROVIDER, code)
    assert rig.carrier.state is CarrierState.READY


@pytest.mark.parametrize("code", [72, 76, 83])
async def test_a_message_that_may_not_go_this_way_has_no_route_here(server: RawServer, start: Start, code: int) -> None:
    server.answer = answering(str(code))
    rig = start()
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (Reason.NO_ROUTE, code)
    assert rig.carrier.state is CarrierState.READY


async def test_an_answer_in_time_is_not_waited_beyond_its_deadline(server: RawServer, start: Start) -> None:
    server.answer = answering(HANG)
    assert await start(timeout=0.2).outcome(message()) == InDoubt("no answer in time")


# --- What answers make of the carrier ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [73, 74, 93, 98, 99])
async def test_an_account_that_may_not_send_suspends_the_carrier_keeps_the_message_and_is_tried_with_one(
    server: RawServer, start: Start, code: int
) -> None:
    server.answer = answering(f"{code};CLIENTE INVALIDO")
    now = [1000.0]
    rig = start({"patience": 1.0, "monotonic": lambda: now[0]})
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Deferred)
    assert (outcome.scope, outcome.code) == (Scope.CARRIER, code)
    assert (rig.carrier.state, rig.carrier.credit()) == (CarrierState.SUSPENDED, 0)
    now[0] += REST[0]
    assert (rig.carrier.state, rig.carrier.credit()) == (CarrierState.SUSPENDED, 1)
    server.answer = decent
    assert isinstance(await rig.outcome(message()), Submitted)
    assert rig.carrier.state is CarrierState.READY
    assert rig.carrier.credit() > 1


async def test_a_suspended_carrier_whose_probe_is_not_concluded_rests_again(server: RawServer, start: Start) -> None:
    server.answer = answering("93")
    now = [1000.0]
    rig = start({"patience": 1.0, "monotonic": lambda: now[0]})
    await rig.outcome(message())
    now[0] += REST[0]
    server.answer = lambda request: ok("93" if request.function == "crdtf" else "0")
    assert isinstance(await rig.outcome(message()), Deferred)
    now[0] += 2 * REST[0] - 1
    assert (rig.carrier.state, rig.carrier.credit()) == (CarrierState.SUSPENDED, 0)


async def test_a_suspended_account_that_nobody_needs_is_asked_for_until_it_is_well_again(server: RawServer, start: Start) -> None:
    server.answer = lambda _: ok("93;CLIENTE INVALIDO")
    rig = start()
    await rig.outcome(message())
    await until(lambda: len(server.of("crdtf")) > 2, 10, "it is asked for, and refused")
    assert rig.carrier.state is CarrierState.SUSPENDED
    server.answer = decent
    await rig.until(CarrierState.READY)
    assert len(server.of("send")) == 1
    assert isinstance(await rig.outcome(message()), Submitted)


async def test_a_provider_that_fails_to_book_leaves_one_message_in_doubt_and_rests(server: RawServer, start: Start) -> None:
    server.answer = answering("94")
    rig = start({"patience": 1.0})
    assert isinstance(await rig.outcome(message()), InDoubt)
    assert rig.carrier.state is CarrierState.SUSPENDED


async def test_refusals_for_this_carrier_suspend_it_only_when_nothing_else_comes(server: RawServer, start: Start) -> None:
    server.answer = answering("83")
    rig = start({"patience": 1.0})
    await rig.until(CarrierState.READY)
    for row in range(STREAK):
        assert rig.carrier.state is CarrierState.READY
        await rig.outcome(message(row + 1))
    assert rig.carrier.state is CarrierState.SUSPENDED


async def test_nothing_is_lost_when_nobody_listens_and_the_carrier_comes_back_by_a_call_that_sends_nothing(
    server: RawServer, start: Start
) -> None:
    server.answer = lambda _: ok("1", 200, "Connection: close")._replace(close=True)
    rig = start()
    await rig.prove()
    await server.stop()
    server.answer = decent
    outcome = await rig.outcome(message(2))
    assert outcome == Deferred("no connection: Connection refused", Scope.CARRIER)
    assert (rig.carrier.state, rig.carrier.credit()) == (CarrierState.DOWN, 0)
    await server.start()
    await rig.until(CarrierState.READY)
    assert server.requests[-1].function == "crdtf"
    assert len(server.of("send")) == 1
    assert isinstance(await rig.outcome(message(2, attempt=2)), Submitted)


async def test_silence_takes_the_carrier_down_with_one_message_at_a_time_in_doubt(server: RawServer, start: Start) -> None:
    server.answer = lambda _: ok("<html>sorry</html>")
    rig = start()
    await rig.until(CarrierState.READY)
    for row in range(SILENCES):
        assert rig.carrier.credit() == 1
        assert isinstance(await rig.outcome(message(row + 1)), InDoubt)
    assert rig.carrier.state is CarrierState.DOWN
    await until(lambda: len(server.of("crdtf")) > 2, 10, "probes that find HTML")
    assert rig.carrier.state is CarrierState.DOWN
    server.answer = decent
    await rig.until(CarrierState.READY)
    assert isinstance(await rig.outcome(message(9)), Submitted)
    assert len(server.of("send")) == SILENCES + 1


async def test_a_probe_that_was_withdrawn_finds_the_provider_all_the_same(server: RawServer, start: Start) -> None:
    rig = start()
    await server.stop()
    await rig.outcome(message())
    server.answer = lambda request: ok("OUT-OF-DATE") if request.function == "crdtf" else decent(request)
    await server.start()
    await rig.until(CarrierState.READY)
    assert isinstance(await rig.outcome(message()), Submitted)


async def test_a_probe_that_finds_the_account_disabled_suspends_without_risking_a_message(server: RawServer, start: Start) -> None:
    rig = start({"patience": 0.01})
    await server.stop()
    await rig.outcome(message())
    server.answer = lambda _: ok("99;CLIENTE NAO ENCONTRADO")
    await server.start()
    await rig.until(CarrierState.SUSPENDED)
    assert server.of("send") == []


async def test_congestion_slows_the_carrier_down(server: RawServer, start: Start) -> None:
    server.answer = answering("0")
    rig = start()
    await rig.outcome(message())
    assert rig.carrier.state is CarrierState.THROTTLED


async def test_a_kind_without_credits_waits_and_the_others_go_on(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok("97") if request.query.get("f") == "1" else decent(request)
    rig = start({"patience": 0.02})
    await rig.prove()
    flash = [message(row, kind="flash") for row in (1, 2, 3)]
    first = await rig.outcome(flash[0])
    assert isinstance(first, Deferred)
    assert (first.scope, first.code) == (Scope.ASIDE, 97)
    assert first.retry_after is not None
    second = await rig.outcome(flash[1])
    assert isinstance(second, Deferred)
    assert second.scope is Scope.ASIDE
    assert len([request for request in server.of("send") if request.query.get("f") == "1"]) == 1, "the second was not sent"
    assert isinstance(await rig.outcome(message(4)), Submitted)
    assert isinstance(await rig.outcome(message(5, kind="flash", cost_centre=9)), Deferred), "another cost centre is asked for itself"
    assert len([request for request in server.of("send") if request.query.get("f") == "1"]) == 2
    assert rig.carrier.state is CarrierState.READY


async def test_a_kind_comes_back_as_soon_as_the_provider_tells_of_credits(server: RawServer, start: Start) -> None:
    def poor(request: Request) -> Reply:
        return ok("1;1;0;0;0;0;0;") if request.function == "crdtf" else ok("97")

    server.answer = poor
    rig = start({"patience": 0.005})
    await try_until(rig, lambda _: len(server.of("send")) == 3)  # then the pause is long
    server.answer = decent
    await try_until(rig, lambda outcome: isinstance(outcome, Submitted))
    assert len(server.of("send")) == 4
    assert "there are credits again" in [entry["event"] for entry in rig.log.entries]


async def test_while_a_kind_has_no_credits_they_are_looked_at_more_often(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok("97" if request.function == "send" else "1;1;0;0;0;0;0;")
    now, patience = [1000.0], 0.001
    rig = start({"patience": patience, "monotonic": lambda: now[0]})
    await until(lambda: len(server.of("crdtf")) == 1, 10, "the first look")
    await rig.outcome(message())
    for looks in (2, 3, 4):
        now[0] += patience * CREDITS_SOON
        await until(lambda looks=looks: len(server.of("crdtf")) == looks, 10, f"look {looks}")  # type: ignore[misc] # mypy #15459


async def test_after_its_pause_one_message_of_a_kind_tries_whether_there_are_credits(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok("97") if request.function != "crdtf" else ok("93")
    rig = start({"patience": 0.002})
    await rig.prove()
    sent = len(server.of("send"))
    await try_until(rig, lambda _: len(server.of("send")) == sent + 2)
    server.answer = decent
    await try_until(rig, lambda outcome: isinstance(outcome, Submitted))


async def try_until(rig: Rig, wanted: Callable[[Outcome], bool]) -> None:
    """Send one message again and again until what becomes of it is as wanted."""
    async with asyncio.timeout(10):
        while not wanted(await rig.outcome(message(2))):
            await asyncio.sleep(0.01)


async def test_credits_are_told_to_the_observer(server: RawServer, start: Start) -> None:
    rig = start()
    await rig.observer.signal.until(lambda: rig.observer.rows)
    assert [(row.long_code, row.flash, row.short_code) for row in rig.observer.rows[0]] == [(5000, 10, 20)]


@pytest.mark.parametrize(
    ("rows", "purse", "pays"),
    [
        ("1;1;0;0;5;0;0;", Purse("common", 0), True),
        ("1;1;0;0;5;0;0;", Purse("flash", 0), False),
        ("1;1;0;0;0;0;5;", Purse("short_code_flash", 0), True),
        ("1;1;2;38;6;0;0;", Purse("common", 38), True),
        ("1;1;2;38;6;0;0;", Purse("common", 22), False),
        ("1;1;1;10;6;0;0;", Purse("common", 10), False),
    ],
)
async def test_credits_pay_for_everybody_or_for_their_cost_centre(
    server: RawServer, start: Start, rows: str, purse: Purse, pays: bool
) -> None:
    server.answer = lambda _: ok(rows)
    rig = start()
    await rig.observer.signal.until(lambda: rig.observer.rows)
    assert HttpWire(settings(), USER).pays(rig.observer.rows[0], purse) is pays


# --- Batches ----------------------------------------------------------------------------------------------------------------------


async def test_work_that_has_gathered_goes_by_one_mult_and_each_message_gets_its_own_answer(server: RawServer, start: Start) -> None:
    codes = {2: 91, 3: 61}
    server.answer = lambda request: (
        ok("\n".join(reversed([line(item, codes.get(int(item.rpartition("|")[2]), 1)) for item in items(request)])))
        if request.function == "mult"
        else decent(request)
    )
    rig = start(cost_centre=47)
    await rig.prove()
    await rig.send(*batch(4))
    outcomes = await rig.outcomes(4)
    assert outcomes[0] == Submitted((f"{1:032x}",), "utf-8")
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[2] == Submitted((), "utf-8", under_review=True)
    assert outcomes[3] == Submitted((f"{4:032x}",), "utf-8")
    (request,) = server.of("mult")
    assert request.query["l"] == "1"
    assert (request.query["t"], "c" in request.query) == ("47", True)
    assert items(request)[0] == "11987650001|oi 1|1"


async def test_what_a_batch_shares_goes_along_once(server: RawServer, start: Start) -> None:
    rig = start()
    await rig.prove()
    await rig.send(*batch(3, kind="short_code", priority=3, cost_centre=52, label="campanha", normalise=True))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [Submitted] * 3
    (request,) = server.of("mult")
    expected = {"f": "2", "t": "52", "fsd": "1", "arq": "campanha", "z": "1"}
    assert {name: request.query.get(name) for name in expected} == expected


async def test_before_an_account_is_proven_one_message_goes_at_a_time(server: RawServer, start: Start) -> None:
    rig = start()
    await rig.send(*batch(3))
    await rig.outcomes(3)
    assert [request.function for request in server.requests if request.function != "crdtf"] == ["send", "mult"]


@pytest.mark.parametrize("code", [85, 86, 87, 88])
async def test_a_batch_refused_for_its_shape_goes_again_one_by_one(server: RawServer, start: Start, code: int) -> None:
    server.answer = lambda request: ok(f"{code};LAYOUT INESPERADO") if request.function == "mult" else decent(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [Submitted] * 3
    assert len(server.of("mult")) == 1
    assert sorted(request.query["id"] for request in server.of("send"))[:3] == ["1", "2", "3"]
    assert rig.carrier.state is CarrierState.READY


async def test_a_line_of_a_batch_that_complains_of_its_shape_lets_that_message_go_again_by_itself(server: RawServer, start: Start) -> None:
    def complains(request: Request) -> Reply:
        first, *others = items(request)
        return ok("\n".join([line(first, 85), *map(line, others)]))

    server.answer = lambda request: complains(request) if request.function == "mult" else decent(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [Submitted] * 3
    assert len(server.of("mult")) == 1


async def test_half_an_answer_leaves_exactly_the_other_half_in_doubt(server: RawServer, start: Start) -> None:
    server.answer = lambda request: (
        ok("\n".join(line(item) for item in items(request)[:2])) if request.function == "mult" else decent(request)
    )
    rig = start()
    await rig.prove()
    await rig.send(*batch(4))
    assert [type(outcome) for outcome in await rig.outcomes(4)] == [Submitted, Submitted, InDoubt, InDoubt]
    assert rig.carrier.credit() > 1, "a part of an answer is no silence"


async def test_a_zero_among_other_lines_is_not_believed(server: RawServer, start: Start) -> None:
    def zero_second(request: Request) -> Reply:
        return ok("\n".join("0" if place == 1 else line(item) for place, item in enumerate(items(request))))

    server.answer = lambda request: zero_second(request) if request.function == "mult" else decent(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [Submitted, InDoubt, Submitted]


@pytest.mark.parametrize("reply", ["", "<html/>", f"1;{MD5}", "91", CLOSE, ok("", 502)])
async def test_an_answer_that_says_nothing_of_the_messages_leaves_all_of_them_in_doubt(
    server: RawServer, start: Start, reply: Reply | str
) -> None:
    server.answer = lambda request: answering(decent(request), reply)(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [InDoubt] * 3
    assert len(server.of("mult")) == 1
    assert len(server.of("send")) == 1


@pytest.mark.parametrize(
    ("code", "outcome", "state"),
    [
        (93, Deferred, CarrierState.SUSPENDED),
        (94, InDoubt, CarrierState.SUSPENDED),
        (97, Deferred, CarrierState.READY),
        (0, Deferred, CarrierState.THROTTLED),
        (83, Rejected, CarrierState.READY),
    ],
)
async def test_a_code_alone_answers_the_whole_batch(
    server: RawServer, start: Start, code: int, outcome: type[Outcome], state: CarrierState
) -> None:
    server.answer = lambda request: ok(str(code)) if request.function == "mult" else decent(request)
    rig = start({"patience": 1.0})
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(each) for each in await rig.outcomes(3)] == [outcome] * 3
    assert rig.carrier.state is state


async def test_requests_go_side_by_side_and_credit_ends_where_they_do(server: RawServer, start: Start) -> None:
    server.answer = lambda request: decent(request) if len(server.of("send")) == 1 else HANG
    rig = start(batch=1, timeout=0.7)
    await rig.prove()
    assert rig.carrier.credit() == CONNECTIONS
    await rig.send(*batch(CONNECTIONS))
    assert rig.carrier.credit() == 0
    await until(lambda: len(server.of("send")) == CONNECTIONS + 1, 10, "all requests at once")
    assert len({request.connection for request in server.of("send")[1:]}) == CONNECTIONS
    await rig.outcomes(CONNECTIONS)


async def test_a_provider_that_hangs_takes_along_what_is_under_way_and_no_more(server: RawServer, start: Start) -> None:
    now = [1000.0]
    rig = start({"monotonic": lambda: now[0]}, timeout=1.0, batch=1)
    await rig.prove()
    server.answer = lambda _: HANG
    await rig.send(*batch(2))
    await until(lambda: len(server.of("send")) == 3, 10, "both")
    assert rig.carrier.credit() == CONNECTIONS - 2
    now[0] += STALL + 0.1
    assert rig.carrier.credit() == 0
    rig.carrier.submit([(message(3), rig.prepared(message(3)))])
    assert sorted(type(outcome).__name__ for outcome in await rig.outcomes(3)) == ["Deferred", "InDoubt", "InDoubt"]
    assert len(server.of("send")) == 3


async def test_what_waits_in_line_when_an_answer_cannot_be_read_does_not_leave_beside_others(server: RawServer, start: Start) -> None:
    rig = start(timeout=1.0)
    await rig.prove()
    server.answer = lambda request: ok("<html/>") if request.query.get("id") == "1" else HANG
    await rig.send(*[message(row) for row in range(1, 31)])  # to one number: each goes by itself
    assert Counter(map(type, await rig.outcomes(30))) == {InDoubt: CONNECTIONS, Deferred: 30 - CONNECTIONS}
    assert len(server.of("send")) == CONNECTIONS + 1


async def test_under_load_the_rate_is_handed_out_in_helpings(start: Start) -> None:
    now = [1000.0]
    rig = start({"max_rate": 20.0, "monotonic": lambda: now[0]})
    await rig.until(CarrierState.READY)
    await rig.prove()
    assert rig.carrier.credit() == 19
    await rig.send(*batch(19))
    await rig.outcomes(19)
    now[0] += 0.4
    assert rig.carrier.credit() == 0
    now[0] += 0.11
    assert rig.carrier.credit() == 10


def load(wire: HttpWire, each: Message) -> Load:
    prepared = wire.prepare(each)
    assert isinstance(prepared, Prepared)
    return Load(each.row, 1, Purse(each.kind, 0), prepared)


messages = st.builds(
    message,
    st.just(1),
    to=st.sampled_from([f"1198765{number:04d}" for number in range(12)]),
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    kind=st.sampled_from(["short_code", "short_code_flash"]),
    cost_centre=st.sampled_from([None, 7]),
    label=st.sampled_from([None, "x"]),
    priority=st.sampled_from([2, 3]),
    normalise=st.booleans(),
)


@given(st.lists(messages, max_size=30), st.integers(1, 6), st.integers(500, 900))
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_message_goes_in_one_request_and_every_batch_keeps_its_limits(wanted: list[Message], size: int, max_url_bytes: int) -> None:
    wire = HttpWire(settings(batch=size, max_url_bytes=max_url_bytes), USER)
    wanted = [msgspec.structs.replace(each, row=row) for row, each in enumerate(wanted, 1)]
    loads = [load(wire, each) for each in wanted if isinstance(wire.prepare(each), Prepared)]
    plan = wire.plan(loads)
    assert sorted(id(each) for request in plan for each in request) == sorted(id(each) for each in loads)
    firsts = [loads.index(request[0]) for request in plan]
    assert firsts == sorted(firsts)
    for request in plan:
        parts = [cast("Part", each.prepared.parts[0]) for each in request]
        assert len(parts) == len(request) <= size
        if len(parts) > 1:
            assert len({(part.send.kind, part.send.cost_centre, part.send.label) for part in parts}) == 1
            assert len({(part.send.priority, part.send.normalise) for part in parts}) == 1
            assert len({part.send.number for part in parts}) == len(parts)
            assert not any(set(part.send.text) & set(";|\r\n") for part in parts)
            content = quote(";".join(f"{part.send.number}|{part.send.text}|{part.send.id}" for part in parts), safe="")
            assert len(f"http://127.0.0.1/sms/mult?u={USER}&l=1&c={content}") <= max_url_bytes
        else:
            assert len(f"http://127.0.0.1/sms/send?{url_query(parts[0].send, USER)}") <= max_url_bytes


# --- What HTTP cannot carry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "config", "reason", "detail"),
    [
        ({"sender": "EMPRESA"}, {}, Reason.NO_ROUTE, "from: this carrier cannot carry a sender"),
        ({"encoding": "ucs2"}, {}, Reason.NO_ROUTE, "encoding: this carrier leaves it to the provider"),
        ({"text": "x" * 601}, {}, Reason.TEXT_TOO_LONG, "text: 601 characters, and this carrier takes 600"),
        ({"text": "x" * 141, "kind": "short_code"}, {}, Reason.TEXT_TOO_LONG, "text: 141 characters, and this carrier takes 140"),
        ({"text": "oi 😀"}, {"charset": "latin-1"}, Reason.NOT_ENCODABLE, "text: U+1F600 does not exist in latin-1"),
        ({"text": "€ 5"}, {"charset": "latin-1"}, Reason.NOT_ENCODABLE, "text: U+20AC does not exist in latin-1"),
        ({"label": "€"}, {"charset": "latin-1"}, Reason.NO_ROUTE, "label: latin-1 lacks U+20AC"),
        ({"text": "ã" * 200}, {"max_url_bytes": 500}, Reason.NO_ROUTE, "text: makes a URL of 1258 bytes, beyond max_url_bytes"),
    ],
)
def test_what_http_cannot_carry_is_not_eligible(changes: dict[str, Any], config: dict[str, Any], reason: Reason, detail: str) -> None:
    assert HttpWire(settings(**config), USER).prepare(message(**changes)) == Rejected(reason, detail)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "ã" * 600},
        {"text": "x" * 140, "kind": "short_code"},
        {"kind": "flash"},
        {"receipt": False},
        {"priority": 2},
        {"label": "a", "normalise": True},
        {"text": "linha\nlinha"},
    ],
)
def test_what_http_can_carry_goes_whole(changes: dict[str, Any]) -> None:
    prepared = HttpWire(settings(), USER).prepare(message(**changes))
    assert isinstance(prepared, Prepared)
    assert len(prepared.parts) == 1


# --- Cancel -----------------------------------------------------------------------------------------------------------------------


def order(row: int, *message_ids: str) -> CancelOrder:
    return CancelOrder(row, "11987654321", None, message_ids)


async def cancelled(rig: Rig, *orders: CancelOrder) -> list[object]:
    await rig.until(CarrierState.READY)
    rig.carrier.cancel(orders)
    answers = [answer for answer in await rig.answers(len(orders)) if isinstance(answer, CancelAnswer)]
    return [answer.outcome for answer in sorted(answers, key=lambda answer: answer.row)]


STATUSES = [
    (0, CancelFailed("refused")),
    (1, CancelFailed("too_late")),
    (2, CancelFailed("refused")),
    (3, CancelFailed("refused")),
    (5, CancelFailed("refused")),
    (9, Cancelled()),
    (255, CancelFailed("not_found")),
    (42, CancelFailed("unknown")),
]


async def test_cancels_go_by_one_cacl_and_only_a_nine_is_cancelled(server: RawServer, start: Start) -> None:
    rows = [f"{number:032x};{status};EM PALAVRAS;;11900000001;2016-09-23 16:30:39.571" for number, (status, _) in enumerate(STATUSES)]
    server.answer = lambda request: ok("\r\n".join(reversed(rows))) if request.function == "cacl" else decent(request)
    outcomes = await cancelled(start(), *(order(number, f"{number:032x}") for number in range(len(STATUSES))))
    assert outcomes == [outcome for _, outcome in STATUSES]
    (request,) = server.of("cacl")
    assert request.query["h"] == ";".join(f"{number:032x}" for number in range(len(STATUSES)))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (ok("93;USUARIO"), CancelFailed("refused")),
        (ok("86"), CancelFailed("refused")),
        (ok(""), CancelFailed("unknown")),
        (ok("<html>", 500), CancelFailed("unknown")),
        (CLOSE, CancelFailed("unknown")),
        (ok(f"{'a' * 32};9;CANCELADO;;;"), CancelFailed("unknown")),
        (ok(f"{MD5.upper()};9;CANCELADO"), Cancelled()),
    ],
)
async def test_a_cancel_that_is_not_answered_for_its_message_failed(server: RawServer, start: Start, reply: Reply, outcome: object) -> None:
    server.answer = lambda request: reply if request.function == "cacl" else decent(request)
    assert await cancelled(start(), order(1, MD5)) == [outcome]


async def test_an_id_in_capitals_is_the_same_id(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok(f"{request.query['h']};9;CANCELADO") if request.function == "cacl" else decent(request)
    assert await cancelled(start(), order(1, MD5.upper())) == [Cancelled()]


async def test_a_cancel_that_found_no_connection_is_not_answered_so_that_it_is_asked_for_again(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok(f"{request.query['h']};9;C") if request.function == "cacl" else decent(request)
    rig = start({"patience": 0.01})
    await rig.until(CarrierState.READY)
    await server.stop()
    rig.carrier.cancel([order(1, MD5)])
    await rig.until(CarrierState.DOWN)
    rig.carrier.cancel([order(1, MD5)])
    await server.start()
    assert await cancelled(rig, order(2, MD5)) == [Cancelled()]
    assert len(server.of("cacl")) == 1


async def test_an_order_without_ids_asks_nothing_and_one_of_several_is_cancelled_when_all_are(server: RawServer, start: Start) -> None:
    a, b = "a" * 32, "b" * 32
    server.answer = lambda request: ok(f"{a};9;C\n{b};1;E") if request.function == "cacl" else decent(request)
    outcomes = await cancelled(start(), order(1), order(2, ""), order(3, a), order(4, a, b))
    assert outcomes == [CancelFailed("unknown"), CancelFailed("unknown"), Cancelled(), CancelFailed("too_late")]
    assert len(server.of("cacl")) == 1


async def test_many_cancels_take_as_many_requests_as_their_urls_hold(server: RawServer, start: Start) -> None:
    server.answer = lambda request: (
        ok("\n".join(f"{md5};9;C" for md5 in request.query["h"].split(";"))) if request.function == "cacl" else decent(request)
    )
    outcomes = await cancelled(start(max_url_bytes=500), *(order(number, f"{number:032x}") for number in range(50)))
    assert outcomes == [Cancelled()] * 50
    assert len(server.of("cacl")) > 3
    assert all(len(f"http://127.0.0.1:{server.port}{request.target}") <= 500 for request in server.requests)


# --- Stop -------------------------------------------------------------------------------------------------------------------------


async def test_stopping_waits_for_answers_and_leaves_what_has_none_in_doubt(server: RawServer, start: Start) -> None:
    rig = start(batch=1)
    await rig.prove()
    server.answer = HANG_FOR_TWO
    await rig.send(*batch(4))
    await until(lambda: len(server.of("send")) == 5, 10, "four requests")
    await rig.carrier.stop(1.0)
    outcomes = await rig.outcomes(4)
    assert [type(outcome) for outcome in outcomes] == [InDoubt, InDoubt, Submitted, Submitted]
    assert rig.carrier.credit() == 0
    await rig.ended()


def HANG_FOR_TWO(request: Request) -> Reply:  # noqa: N802 - a reply like HANG
    return HANG if request.query.get("id") in {"1", "2"} else decent(request)


async def test_what_waits_in_line_when_it_stops_was_never_sent(server: RawServer, start: Start) -> None:
    rig = start(timeout=5.0)
    await rig.prove()
    server.answer = lambda _: HANG
    same_number = [message(row) for row in range(1, 31)]
    await rig.send(*same_number)
    await until(lambda: len(server.of("send")) == CONNECTIONS + 1, 10, "requests on every connection")
    await rig.carrier.stop(0.5)
    outcomes = await rig.outcomes(30)
    assert [type(outcome) for outcome in outcomes] == [InDoubt] * CONNECTIONS + [Deferred] * (30 - CONNECTIONS)
    assert len(server.of("send")) == CONNECTIONS + 1


async def test_what_was_claimed_while_it_stopped_was_never_sent(server: RawServer, start: Start) -> None:
    rig = start()
    await rig.prove()
    await rig.carrier.stop(1.0)
    await rig.ended()
    rig.carrier.submit([(message(1), rig.prepared(message(1)))])
    assert await rig.outcomes(1) == [NEVER_SENT]
    assert len(server.of("send")) == 1


async def test_a_carrier_that_does_not_run_admits_nothing(server: RawServer) -> None:
    rig = Rig(HttpWire(settings(server.url), USER))
    assert (rig.carrier.state, rig.carrier.credit(), rig.carrier.ready_to_cancel) == (CarrierState.DOWN, 0, False)
    await rig.close()


# --- Secrets ----------------------------------------------------------------------------------------------------------------------


async def test_no_log_line_and_no_outcome_tells_user_number_or_text(
    server: RawServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = {"send": "segredo meu", "number": "11912345678"}
    replies = [ok(f"1;{MD5}"), ok("93;segredo meu;11912345678"), CLOSE, ok("<html>segredo meu"), HANG, ok("91;11912345678;segredo meu")]
    rig = start(timeout=0.3)
    told: list[object] = []
    for row, reply in enumerate(replies, 1):
        server.answer = answering(reply)
        await rig.until(CarrierState.READY) if rig.carrier.state is CarrierState.DOWN else None
        told += await _answers(rig, message(row, to=texts["number"], text=texts["send"]))
    await server.stop()
    told += await _answers(rig, message(99, to=texts["number"], text=texts["send"]))
    for secret in (USER, *texts.values()):
        assert secret not in repr(told)
        assert secret not in repr(rig.log.entries)
        assert secret not in caplog.text


async def _answers(rig: Rig, each: Message) -> list[Answer | CancelAnswer]:
    await rig.send(each)
    return await rig.answers(1)
