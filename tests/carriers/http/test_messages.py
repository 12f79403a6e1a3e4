"""The HTTP carrier against a server on loopback: single messages, every class of answer, and what becomes of the carrier."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.http import HttpWire
from gateway.carriers.requests import CREDITS_SOON
from gateway.carriers.suspension import REST, SILENCES, STREAK
from gateway.carriers.wire import Purse
from gateway.message import (
    Answer,
    CancelAnswer,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from tests.carriers.http.provider import MD5, Start, answering, decent, settings
from tests.carriers.rawhttp import CLOSE, HANG, RawServer, Reply, Request, ok
from tests.carriers.requests_rig import USER, Rig
from tests.carriers.smsc import message
from tests.support.waiting import DEADLINE, until

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


async def test_an_apostrophe_goes_as_a_space_where_the_setting_says_so_and_the_outcome_tells(server: RawServer, start: Start) -> None:
    outcome = await start(apostrophe="space").outcome(message(1, text="copo d'água"))
    assert isinstance(outcome, Submitted)
    assert outcome.replaced == {"'": " "}
    assert server.of("send")[0].query["m"] == "copo d água"


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
    await until(lambda: len(server.of("crdtf")) > 2, "it is asked for, and refused")
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
    await until(lambda: len(server.of("crdtf")) > 2, "probes that find HTML")
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
    rig.carrier.refilled()
    server.answer = decent
    await until(rig.carrier.refilled, "the news that what waits may go")
    await try_until(rig, lambda outcome: isinstance(outcome, Submitted))
    assert len(server.of("send")) == 4
    assert rig.carrier.refilled(), "that one got through is news for the others"
    assert not rig.carrier.refilled(), "told once"
    assert "there are credits again" in [entry["event"] for entry in rig.log.entries]


async def test_at_the_start_what_an_earlier_run_put_aside_may_be_tried(server: RawServer, start: Start) -> None:
    rig = start()
    await until(rig.carrier.refilled, "the first look at the credits")
    assert not rig.carrier.refilled()


async def test_while_a_kind_has_no_credits_they_are_looked_at_more_often(server: RawServer, start: Start) -> None:
    server.answer = lambda request: ok("97" if request.function == "send" else "1;1;0;0;0;0;0;")
    now, patience = [1000.0], 0.001
    rig = start({"patience": patience, "monotonic": lambda: now[0]})
    await until(lambda: len(server.of("crdtf")) == 1, "the first look")
    await rig.outcome(message())
    for looks in (2, 3, 4):
        now[0] += patience * CREDITS_SOON
        await until(lambda looks=looks: len(server.of("crdtf")) == looks, f"look {looks}")  # type: ignore[misc] # mypy #15459


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
    async with asyncio.timeout(DEADLINE):
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
