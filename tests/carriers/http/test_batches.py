"""The HTTP carrier against a server on loopback: batches, cancels, and what is left when it stops."""

from collections import Counter
from typing import cast
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.http import HttpWire, Part
from gateway.carriers.requests import CONNECTIONS, NEVER_SENT, STALL
from gateway.carriers.wire import Load, Purse
from gateway.message import (
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Rejected,
    Submitted,
)
from gateway.provider.http import url_query
from tests.carriers.http.provider import MD5, Start, answering, decent, items, line, settings
from tests.carriers.rawhttp import CLOSE, HANG, RawServer, Reply, Request, ok
from tests.carriers.requests_rig import USER, Rig, batch
from tests.carriers.smsc import message
from tests.support.waiting import until

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
    await until(lambda: len(server.of("send")) == CONNECTIONS + 1, "all requests at once")
    assert len({request.connection for request in server.of("send")[1:]}) == CONNECTIONS
    await rig.outcomes(CONNECTIONS)


async def test_a_provider_that_hangs_takes_along_what_is_under_way_and_no_more(server: RawServer, start: Start) -> None:
    now = [1000.0]
    rig = start({"monotonic": lambda: now[0]}, timeout=1.0, batch=1)
    await rig.prove()
    server.answer = lambda _: HANG
    await rig.send(*batch(2))
    await until(lambda: len(server.of("send")) == 3, "both")
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


async def test_a_changed_rate_counts_at_once(start: Start) -> None:
    now = [100.0]
    rig = start({"max_rate": 1.0, "monotonic": lambda: now[0]})
    assert isinstance(await rig.outcome(message()), Submitted)
    assert rig.carrier.credit() == 0
    rig.carrier.change_rate(0.0)
    assert rig.carrier.credit() > 1


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


async def test_a_carrier_that_may_not_send_cancels_all_the_same(server: RawServer, start: Start) -> None:
    def answer(request: Request) -> Reply:
        return ok(f"{request.query['h']};9;C") if request.function == "cacl" else answering("94")(request)

    server.answer = answer
    rig = start({"patience": 1.0})
    await rig.outcome(message(1))
    assert (rig.carrier.state, rig.carrier.ready_to_cancel) == (CarrierState.SUSPENDED, True)
    rig.carrier.cancel([order(1, MD5)])
    (told,) = await rig.answers(1)
    assert isinstance(told, CancelAnswer)
    assert told.outcome == Cancelled()


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
    await until(lambda: len(server.of("send")) == 5, "four requests")
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
    await until(lambda: len(server.of("send")) == CONNECTIONS + 1, "requests on every connection")
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
