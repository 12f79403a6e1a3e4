"""The window: numbers, slots, time-outs, and what is remembered of them."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smpp import SubmitSm, WindowFullError
from gateway.smpp.constants import MAX_SEQUENCE_NUMBER
from gateway.smpp.window import MEMORY_SECONDS, MEMORY_SLOTS, UNCOUNTED_LIMIT, Window


def test_numbers_start_at_one_and_wrap_at_the_highest() -> None:
    """Trap 5."""
    window = Window(10, 30.0, first_sequence_number=MAX_SEQUENCE_NUMBER - 1)
    numbers = [window.register(SubmitSm(), None, 0.0, counted=True) for _ in range(4)]
    assert numbers == [MAX_SEQUENCE_NUMBER - 1, MAX_SEQUENCE_NUMBER, 1, 2]
    assert Window(1, 30.0).register(SubmitSm(), None, 0.0, counted=True) == 1


def test_a_number_in_use_or_remembered_is_skipped_after_a_wrap() -> None:
    window = Window(10, 30.0, first_sequence_number=1)
    first = [window.register(SubmitSm(), None, 0.0, counted=True) for _ in range(2)]
    window.expire(30.0)
    window.register(SubmitSm(), None, 31.0, counted=True)
    window._next_sequence_number = MAX_SEQUENCE_NUMBER
    assert first == [1, 2]
    assert [window.register(SubmitSm(), None, 31.0, counted=True) for _ in range(2)] == [MAX_SEQUENCE_NUMBER, 4]


def test_only_counted_requests_fill_the_window() -> None:
    window = Window(1, 30.0)
    window.register(SubmitSm(), None, 0.0, counted=False)
    assert window.free == 1
    window.register(SubmitSm(), None, 0.0, counted=True)
    with pytest.raises(WindowFullError):
        window.register(SubmitSm(), None, 0.0, counted=True)
    assert len(window) == 2


def test_uncounted_requests_are_bounded_too() -> None:
    window = Window(1, 30.0)
    for _ in range(UNCOUNTED_LIMIT):
        window.register(SubmitSm(), None, 0.0, counted=False)
    with pytest.raises(WindowFullError):
        window.register(SubmitSm(), None, 0.0, counted=False)


def test_requests_time_out_in_order_and_free_their_slots() -> None:
    window = Window(3, 30.0)
    for moment in (0.0, 1.0, 2.0):
        window.register(SubmitSm(), moment, moment, counted=True)
    assert window.next_deadline() == 30.0
    assert [pending.context for pending in window.expire(31.0)] == [0.0, 1.0]
    assert (window.used, window.next_deadline()) == (1, 32.0)
    assert window.expire(31.0) == []


def test_a_late_response_finds_its_request_once() -> None:
    """Trap 4."""
    window = Window(3, 30.0)
    number = window.register(SubmitSm(), "mine", 0.0, counted=True)
    window.expire(30.0)
    pending = window.find(number)
    assert pending is not None
    assert pending.context == "mine"
    assert window.settle(number) is True
    assert window.find(number) is None


def test_what_timed_out_is_forgotten_after_a_while() -> None:
    window = Window(3, 30.0)
    number = window.register(SubmitSm(), None, 0.0, counted=True)
    window.expire(30.0)
    window.expire(30.0 + MEMORY_SECONDS - 1)
    assert window.find(number) is not None
    window.expire(30.0 + MEMORY_SECONDS)
    assert window.find(number) is None


def test_the_memory_of_what_timed_out_is_bounded() -> None:
    window = Window(MEMORY_SLOTS + 100, 30.0)
    for _ in range(MEMORY_SLOTS + 100):
        window.register(SubmitSm(), None, 0.0, counted=True)
    assert len(window.expire(30.0)) == MEMORY_SLOTS + 100
    assert window.find(100) is None
    assert window.find(101) is not None


def test_draining_hands_back_everything_oldest_first() -> None:
    window = Window(3, 30.0)
    for context in "abc":
        window.register(SubmitSm(), context, 0.0, counted=True)
    assert [pending.context for pending in window.drain()] == ["a", "b", "c"]
    assert (len(window), window.used, window.next_deadline()) == (0, 0, inf)


@given(st.lists(st.sampled_from(["send", "answer oldest", "answer newest", "tick"]), max_size=60))
@settings(deadline=None, max_examples=100)
def test_used_is_always_the_number_of_counted_requests_that_wait(steps: list[str]) -> None:
    window, waiting, now = Window(5, 3.0), [], 0.0
    for step in steps:
        now += 1.0
        if step == "send" and window.free:
            waiting.append((window.register(SubmitSm(), None, now, counted=True), now))
        elif step == "tick":
            window.expire(now)
            waiting = [(number, sent) for number, sent in waiting if sent + 3.0 > now]
        elif step.startswith("answer") and waiting:
            assert window.settle(waiting.pop(0 if step.endswith("oldest") else -1)[0]) is False
        assert (window.used, len(window)) == (len(waiting), len(waiting))
