"""How a carrier without a session stands: trouble, pauses that grow, one message to try with; by a clock that the tests move."""

import pytest

from gateway.carriers.base import CarrierState
from gateway.carriers.suspension import CREDIT, REACH, REST, SILENCES, STREAK, Purses, Standing

READY, SUSPENDED, DOWN = CarrierState.READY, CarrierState.SUSPENDED, CarrierState.DOWN


def proven(now: float = 0.0) -> Standing:
    standing = Standing(now)
    standing.taken(now)
    return standing


def test_it_begins_ready_but_with_one_message_at_a_time() -> None:
    standing = Standing(0.0)
    assert (standing.state, standing.proven, standing.may_send(0.0)) == (READY, False, True)
    standing.answered(0.0)
    assert standing.proven


def test_nothing_that_listens_is_down_until_a_probe_finds_it_and_then_one_message_is_tried() -> None:
    standing = proven()
    standing.unreachable(10.0, 9.0)
    assert (standing.state, standing.may_send(99.0)) == (DOWN, False)
    assert not standing.wants_probe(10.0)
    assert standing.rests(10.0) == REACH[0]
    assert standing.wants_probe(10.0 + REACH[0])
    standing.reached(10.0 + REACH[0])
    assert (standing.state, standing.proven, standing.rests(11.0)) == (READY, False, 0.0)


def test_pauses_double_up_to_their_longest_and_begin_anew_after_an_answer() -> None:
    standing = Standing(0.0)
    pauses, now = [], 0.0
    for _ in range(9):
        standing.refused(now, now)
        pauses.append(standing.rests(now))
        now += pauses[-1]
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0, 1800.0]
    standing.answered(now)
    standing.refused(now + 1, now + 1)
    assert standing.rests(now + 1) == REST[0]
    for at in (now + 100, now + 200):
        standing.unreachable(at, at)
    assert standing.rests(now + 200) == 2 * REACH[0]
    standing.answered(now + 300)
    standing.unreachable(now + 400, now + 400)
    assert standing.rests(now + 400) == REACH[0]


def test_a_refused_account_rests_and_then_sends_one_message_to_try_with() -> None:
    standing = proven()
    standing.refused(5.0, 4.0)
    assert (standing.state, standing.may_send(5.0), standing.proven) == (SUSPENDED, False, False)
    assert not standing.wants_probe(5.0)
    assert standing.wants_probe(5.0 + REST[0]), "perhaps no message comes"
    assert standing.may_send(5.0 + REST[0])
    assert standing.state is SUSPENDED, "other carriers go on meanwhile"
    standing.taken(5.0 + REST[0])
    assert (standing.state, standing.proven) == (READY, True)


def test_answers_to_what_was_written_before_a_trouble_neither_end_it_nor_make_it_worse() -> None:
    standing = proven()
    standing.refused(5.0, 4.0)
    for _ in range(10):
        standing.refused(5.5, 4.5)
        standing.silent(5.5, 4.5)
        standing.unreachable(5.5, 4.5)
        standing.taken(4.9)
    assert (standing.state, standing.rests(5.0)) == (SUSPENDED, REST[0])


def test_a_probe_that_finds_the_account_again_ends_a_suspension_but_not_its_growing_pauses() -> None:
    standing = proven()
    standing.refused(5.0, 4.0)
    standing.reached(4.9)
    assert standing.state is SUSPENDED, "asked before the trouble"
    standing.reached(5.0 + REST[0])
    assert (standing.state, standing.proven) == (READY, False)
    standing.refused(40.0, 39.0)
    assert (standing.state, standing.rests(40.0)) == (SUSPENDED, 2 * REST[0])


def test_silence_first_narrows_and_repeated_takes_it_down() -> None:
    standing = proven()
    for number in range(1, SILENCES):
        standing.silent(float(number), float(number) - 0.5)
        assert (standing.state, standing.proven) == (READY, False)
    standing.silent(9.0, 8.0)
    assert (standing.state, standing.rests(9.0)) == (DOWN, REST[0])


def test_an_answer_between_silences_begins_their_count_anew() -> None:
    standing = proven()
    for number in range(4 * SILENCES):
        standing.silent(number + 0.5, float(number))
        standing.answered(number + 0.5)
    assert standing.state is READY


def test_one_silence_after_a_trouble_is_enough_and_its_pause_grows() -> None:
    standing = proven()
    for _ in range(SILENCES):
        standing.silent(1.0, 1.0)
    standing.reached(40.0)
    standing.silent(40.0, 40.0)
    assert (standing.state, standing.rests(40.0)) == (DOWN, 2 * REST[0])


def test_messages_that_may_not_go_this_way_suspend_only_when_none_is_accepted_between() -> None:
    standing = proven()
    for number in range(3 * STREAK):
        standing.not_here(float(number), float(number))
        if number % (STREAK - 1) == 0:
            standing.taken(float(number))
    assert standing.state is READY
    standing.taken(100.0)
    for _ in range(STREAK):
        assert standing.state is READY
        standing.not_here(101.0, 101.0)
    assert standing.state is SUSPENDED
    standing.not_here(200.0, 200.0)
    assert standing.rests(200.0) == 2 * REST[0], "the message that was tried with was refused likewise"


def test_a_suspension_ends_with_any_answer_that_shows_the_account_at_work() -> None:
    standing = proven()
    standing.refused(1.0, 1.0)
    standing.not_here(40.0, 40.0)
    assert standing.state is READY


def test_an_empty_purse_makes_its_kind_alone_wait() -> None:
    purses: Purses[str] = Purses()
    assert not purses
    purses.empty("flash", 10.0, 9.0)
    assert purses
    assert purses.admit("flash", 10.0) == CREDIT[0]
    assert purses.admit("common", 10.0) == 0.0


def test_after_the_pause_one_message_tries_and_the_others_wait_for_it() -> None:
    purses: Purses[str] = Purses()
    purses.empty("flash", 10.0, 9.0)
    later = 10.0 + CREDIT[0]
    assert purses.admit("flash", later) == 0.0
    assert purses.admit("flash", later) > 0.0
    purses.ended("flash", later, paid=True)
    assert purses.admit("flash", later) == 0.0
    assert not purses


def test_a_try_that_finds_no_credits_doubles_the_pause_and_one_that_found_nothing_out_is_repeated() -> None:
    purses: Purses[str] = Purses()
    purses.empty("flash", 10.0, 9.0)
    later = 10.0 + CREDIT[0]
    assert purses.admit("flash", later) == 0.0
    purses.ended("flash", later, paid=False)
    assert purses.admit("flash", later) == 0.0
    purses.empty("flash", later + 1, later)
    assert purses.admit("flash", later + 1) == 2 * CREDIT[0]
    purses.empty("flash", later + 2, later)
    assert purses.admit("flash", later + 2) == pytest.approx(2 * CREDIT[0] - 1), "of the same batch: no news"


def test_news_from_before_credits_were_seen_does_not_take_the_place_of_the_message_that_tries() -> None:
    purses: Purses[str] = Purses()
    assert purses.empty("flash", 10.0, 9.0) == CREDIT[0]
    purses.filled(lambda _: True, 20.0)
    assert purses.empty("flash", 21.0, 9.0) == 0.0, "written before they ran out, and answered late"
    assert purses.admit("flash", 21.0) == 0.0


def test_credits_that_are_seen_let_a_kind_be_tried_at_once() -> None:
    purses: Purses[str] = Purses()
    purses.empty("flash", 10.0, 9.0)
    purses.empty("short_code", 10.0, 9.0)
    assert purses.filled(lambda kind: kind == "flash", 20.0) == ["flash"]
    assert purses.admit("flash", 20.0) == 0.0
    assert purses.admit("short_code", 20.0) > 0.0
