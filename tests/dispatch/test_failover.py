"""Which carrier takes over, when, and when the first choice is back."""

from structlog.testing import capture_logs

from gateway.carriers.base import CarrierState
from gateway.message import (
    Deferred,
    InDoubt,
    Scope,
    Submitted,
)
from tests.dispatch.bench import BOTH, Bench


async def test_the_next_carrier_takes_over_only_after_a_while(bench: Bench) -> None:
    bench.start()
    await bench.look()
    bench.smpp.become(CarrierState.DOWN)
    await bench.look()
    await bench.queue("a")
    bench.monotonic += 29.9
    await bench.look()
    assert bench.http.submitted == []
    bench.monotonic += 0.1
    await bench.look()
    await bench.sends(bench.http, "a")


async def test_the_first_choice_is_back_at_once(bench: Bench) -> None:
    bench.smpp.become(CarrierState.DOWN)
    bench.http.widen(1)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    await bench.queue("a", "b", "c")
    await bench.sends(bench.http, "a")
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "b", "c")
    bench.http.answer(bench.http.submitted[0], Submitted(("1",)))
    await bench.queue("d")
    await bench.sends(bench.smpp, "b", "c", "d")
    assert bench.http.ids == ["a"]


async def test_a_carrier_that_only_seems_to_come_back_does_not_make_the_next_one_wait_anew(bench: Bench) -> None:
    bench.start()
    await bench.look()
    for _ in range(3):
        bench.smpp.become(CarrierState.DOWN)
        await bench.look()
        bench.monotonic += 29.0
        bench.smpp.become(CarrierState.READY)
        await bench.look()
        bench.monotonic += 1.0
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.DOWN)
    await bench.queue("a")
    await bench.sends(bench.http, "a")


async def test_a_carrier_that_is_throttled_or_full_is_waited_for(bench: Bench) -> None:
    bench.smpp.become(CarrierState.THROTTLED)
    bench.smpp.widen(0)
    bench.start()
    await bench.queue("a")
    bench.monotonic += 1000.0
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.widen(1)
    await bench.sends(bench.smpp, "a")


async def test_a_carrier_that_was_down_while_the_other_was_too_is_not_waited_for_anew(bench: Bench) -> None:
    bench.smpp.become(CarrierState.DOWN)
    bench.http.become(CarrierState.DOWN)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    await bench.queue("a")
    bench.http.become(CarrierState.READY)
    await bench.sends(bench.http, "a")


async def test_a_suspended_carrier_is_tried_with_one_message_while_the_other_goes_on(bench: Bench) -> None:
    bench.smpp.become(CarrierState.SUSPENDED)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    bench.http.widen(2)
    await bench.queue("a", "b")
    await bench.sends(bench.http, "a", "b")
    await bench.queue("c", "d")
    bench.smpp.probe()
    await bench.sends(bench.smpp, "c")
    bench.smpp.answer(bench.smpp.submitted[0], Deferred("code 93", Scope.CARRIER))
    bench.smpp.probing = False
    bench.http.widen(10)
    await bench.sends(bench.http, "a", "b", "c", "d")


async def test_a_suspended_carrier_is_tried_with_nothing_that_a_better_one_can_take(bench: Bench) -> None:
    bench.http.become(CarrierState.SUSPENDED)
    bench.http.probe()
    bench.smpp.widen(0)
    bench.start()
    await bench.queue("a")
    await bench.look()
    assert bench.http.submitted == []


async def test_every_switch_is_counted_once_and_logged_once(bench: Bench) -> None:
    with capture_logs() as entries:
        bench.start()
        await bench.look()
        bench.smpp.become(CarrierState.DOWN)
        await bench.look()
        bench.monotonic += 30.0
        await bench.queue("a", "b", "c")
        await bench.sends(bench.http, "a", "b", "c")
        bench.smpp.become(CarrierState.READY)
        await bench.queue("d")
        await bench.sends(bench.smpp, "d")
    switches = [(entry["instead_of"], entry["carrier"]) for entry in entries if entry["event"] == "carrier switch"]
    assert switches == [("smpp", "http"), ("http", "smpp")]
    for name in BOTH:
        assert bench.counted("carrier_switches", name) == 1


async def test_messages_without_credits_wait_as_long_as_the_carrier_says_and_never_run_out_of_attempts(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    for number in range(1, 4):
        await bench.sends(bench.smpp, *["a"] * number)
        assert bench.smpp.submitted[-1].deferrals == 0
        bench.smpp.answer(bench.smpp.submitted[-1], Deferred("code 97", Scope.ASIDE, 60.0, 97))
        await bench.settled()
        assert (await bench.journal.tick(bench.now + 59.9)).woken == 0
        bench.now += 60.0
        assert (await bench.journal.tick(bench.now)).woken == 1
        bench.bells.ring()
    await bench.sends(bench.smpp, "a", "a", "a", "a")


async def test_a_message_that_only_one_carrier_can_carry_waits_for_it(bench: Bench) -> None:
    bench.smpp.become(CarrierState.SUSPENDED)
    bench.start()
    await bench.queue("a", routes=("smpp",))
    bench.monotonic += 1e6
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "a")


async def test_a_message_with_an_order_of_its_own_goes_by_it(bench: Bench) -> None:
    await bench.queue("a", routes=("http", "smpp"))
    bench.start()
    await bench.look()
    await bench.sends(bench.http, "a")
    assert bench.smpp.submitted == []


async def test_a_message_in_doubt_with_one_carrier_never_goes_by_the_other(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", in_doubt="resubmit")
    await bench.sends(bench.smpp, "a")
    bench.smpp.become(CarrierState.DOWN)
    bench.smpp.answer(bench.smpp.submitted[0], InDoubt("connection lost"))
    await bench.until(lambda: bench.counted("in_doubt", "smpp", "resubmitted") == 1.0)
    bench.monotonic += 1000.0
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "a", "a")
    assert bench.smpp.submitted[1].possible_duplicate
