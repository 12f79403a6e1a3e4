"""The table of transitions, and the names of events."""

import itertools

import pytest

from gateway.message import TRANSITIONS, EventType, IllegalTransitionError, QueueState, Trigger, advance, event_id, rfc3339


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(QueueState, Trigger)))
def test_a_pair_is_legal_exactly_where_the_table_says_so(state: QueueState, trigger: Trigger) -> None:
    if (state, trigger) in TRANSITIONS:
        assert advance(state, trigger) == TRANSITIONS[state, trigger]
    else:
        with pytest.raises(IllegalTransitionError, match=trigger.value):
            advance(state, trigger)


def test_what_is_done_stays_done() -> None:
    assert all(after.state is QueueState.DONE for (state, _), after in TRANSITIONS.items() if state is QueueState.DONE)


def test_every_state_but_the_first_two_is_reached_and_every_state_leads_to_done() -> None:
    reached = {after.state for after in TRANSITIONS.values()}
    assert reached | {QueueState.SCHEDULED} == set(QueueState)
    ends = {QueueState.DONE}
    for _ in QueueState:
        ends |= {state for (state, _), after in TRANSITIONS.items() if after.state in ends}
    assert ends == set(QueueState)


def test_no_message_ends_without_an_event() -> None:
    ending = [after for (state, _), after in TRANSITIONS.items() if after.state is QueueState.DONE and state is not QueueState.DONE]
    assert all(after.event is not None for after in ending)


def test_nothing_that_was_written_expires() -> None:
    expiring = {state for (state, trigger) in TRANSITIONS if trigger is Trigger.EXPIRE}
    assert expiring == {QueueState.SCHEDULED, QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD}


def test_every_event_type_but_a_reply_is_published_by_a_transition() -> None:
    assert {after.event for after in TRANSITIONS.values() if after.event} | {EventType.REPLY} == set(EventType)


def test_an_event_is_named_by_source_id_and_seq() -> None:
    assert event_id("shop", "order-1", 3) == "shop/order-1/3"
    assert event_id("", "order-1", 3) == "/order-1/3"


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1.9999, "1970-01-01T00:00:01.999Z"), (1795439304.5, "2026-11-23T13:08:24.500Z")],
)
def test_times_are_rfc3339_with_milliseconds(timestamp: float, text: str) -> None:
    assert rfc3339(timestamp) == text
