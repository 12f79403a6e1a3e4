"""The table of transitions, and the names of events."""

import itertools

import pytest

from gateway.events import event_id, rfc3339
from gateway.message import TRANSITIONS, EventType, IllegalTransitionError, Message, QueueState, Trigger, advance


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


def test_what_is_not_written_yet_can_be_cancelled_and_what_was_written_can_be_found_not_cancelled() -> None:
    waiting = {QueueState.SCHEDULED, QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD}
    assert {state for state, trigger in TRANSITIONS if trigger is Trigger.CANCELLED} == waiting | {
        QueueState.SUBMITTED,
        QueueState.IN_DOUBT,
    }
    assert all(
        TRANSITIONS[state, Trigger.CANCEL_FAILED].state is state for state, trigger in TRANSITIONS if trigger is Trigger.CANCEL_FAILED
    )


def test_only_what_is_queued_is_claimed_and_only_what_is_written_falls_in_doubt_anew() -> None:
    assert {state for state, trigger in TRANSITIONS if trigger is Trigger.CLAIM} == {QueueState.QUEUED}
    told = {state for (state, trigger), after in TRANSITIONS.items() if trigger is Trigger.DOUBT and after.event is EventType.IN_DOUBT}
    assert told == {QueueState.ACTIVE}


def test_no_way_into_a_state_of_waiting_publishes_anything() -> None:
    waiting = {QueueState.SCHEDULED, QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD}
    assert all(after.event is None for after in TRANSITIONS.values() if after.state in waiting)


def test_the_reference_of_a_message_is_the_low_sixteen_bits_of_its_row() -> None:
    message = Message(source="", id="a", to="", text="", digest=b"", received_at=0.0, expires_at=0.0, routes=(), row=0x12345)
    assert message.reference == 0x2345


def test_an_event_is_named_by_source_id_and_seq() -> None:
    assert event_id("shop", "order-1", 3) == "shop/order-1/3"
    assert event_id("", "order-1", 3) == "/order-1/3"


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795439304.5, "2026-11-23T13:08:24.500Z"),
        (1.001, "1970-01-01T00:00:01.001Z"),
        (1795439304.001, "2026-11-23T13:08:24.001Z"),
        (1.9999, "1970-01-01T00:00:02.000Z"),
        (59.99951, "1970-01-01T00:01:00.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
        (-0.0001, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_rfc3339_to_the_nearest_millisecond(timestamp: float, text: str) -> None:
    assert rfc3339(timestamp) == text
