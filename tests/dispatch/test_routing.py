"""Which carrier may take which messages."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.routing import Health, chosen, noted, probing, routes_of, subsets

UP = Health(usable=True)


def down(since: float) -> Health:
    return Health(usable=False, unusable_since=since)


def test_the_first_choice_gets_everything_while_it_can_be_used() -> None:
    assert chosen(("smpp", "http"), {"smpp": UP, "http": UP}, 0.0, 30.0) == "smpp"


def test_the_next_one_takes_over_only_after_a_while() -> None:
    health = {"smpp": down(100.0), "http": UP}
    assert chosen(("smpp", "http"), health, 129.9, 30.0) is None
    assert chosen(("smpp", "http"), health, 130.0, 30.0) == "http"


def test_the_first_choice_is_back_at_once() -> None:
    assert chosen(("smpp", "http"), {"smpp": UP, "http": UP}, 500.0, 30.0) == "smpp"


def test_back_for_less_than_it_was_away_and_less_than_the_wait_is_not_back() -> None:
    away = down(100.0)
    brief = noted(noted(away, True, 150.0, 30.0), False, 160.0, 30.0)
    assert brief == Health(False, 100.0)
    assert noted(noted(away, True, 150.0, 30.0), False, 180.0, 30.0) == Health(False, 180.0), "back for as long as one waits"
    assert noted(noted(away, True, 101.0, 30.0), False, 110.0, 30.0) == Health(False, 110.0), "back for longer than it was away"
    assert noted(away, False, 150.0, 30.0) is away


def test_the_third_choice_waits_for_the_second_too() -> None:
    health = {"smpp": down(0.0), "http": down(100.0), "webservice": UP}
    route = ("smpp", "http", "webservice")
    assert chosen(route, health, 129.0, 30.0) is None
    assert chosen(route, health, 130.0, 30.0) == "webservice"


def test_without_a_wait_the_next_one_takes_over_at_once() -> None:
    assert chosen(("smpp", "http"), {"smpp": down(100.0), "http": UP}, 100.0, 0.0) == "http"


def test_each_carrier_may_claim_its_own_routes_alone() -> None:
    health = {"smpp": down(0.0), "http": UP}
    routes = [("smpp",), ("smpp", "http"), ("http",), ("http", "smpp")]
    assert routes_of("http", routes, health, 30.0, 30.0) == [("smpp", "http"), ("http",), ("http", "smpp")]
    assert routes_of("smpp", routes, health, 30.0, 30.0) == []
    assert routes_of("http", routes, health, 29.0, 30.0) == [("http",), ("http", "smpp")]


def test_a_message_that_only_one_carrier_can_carry_waits_for_it() -> None:
    assert chosen(("smpp",), {"smpp": down(0.0), "http": UP}, 1e9, 30.0) is None


def test_a_carrier_that_is_not_configured_any_more_is_skipped() -> None:
    assert chosen(("gone", "smpp"), {"smpp": UP}, 0.0, 30.0) == "smpp"
    assert chosen(("gone",), {"smpp": UP}, 0.0, 30.0) is None


def test_a_suspended_carrier_that_wants_a_message_to_try_with_gets_what_would_be_its_own() -> None:
    routes = [("smpp", "http"), ("http",)]
    health = {"smpp": down(0.0), "http": UP}
    assert routes_of("smpp", routes, probing("smpp", health), 60.0, 30.0) == [("smpp", "http")]
    assert routes_of("http", routes, health, 60.0, 30.0) == routes, "and the other one goes on"
    health = {"smpp": UP, "http": down(0.0)}
    assert routes_of("http", [("smpp", "http")], probing("http", health), 60.0, 30.0) == []


def test_subsets_keep_the_order_of_preference() -> None:
    assert subsets(("a", "b", "c")) == {("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")}


NAMES = ("a", "b", "c")
healths = st.fixed_dictionaries({name: st.one_of(st.just(UP), st.floats(0, 100).map(down)) for name in NAMES})


@given(st.permutations(NAMES).map(tuple), healths, st.floats(0, 200))
def test_a_route_never_has_two_carriers_and_never_an_early_change(route: tuple[str, ...], health: dict[str, Health], now: float) -> None:
    takers = [name for name in NAMES if routes_of(name, [route], health, now, 30.0)]
    assert len(takers) <= 1
    if takers:
        better = route[: route.index(takers[0])]
        assert health[takers[0]].usable
        assert all(not health[name].usable and now - health[name].unusable_since >= 30.0 for name in better)
    else:
        assert not health[route[0]].usable
