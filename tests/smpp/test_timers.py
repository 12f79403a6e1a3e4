"""SMPP 3.4 s7.2 as data: what is due when, and what moves it."""

from math import inf

from gateway.smpp.timers import SessionTimers, TimerAction


def timers(inactivity_timer: float = inf) -> SessionTimers:
    """Timers of a session that was bound at 0.0 s."""
    return opened(inactivity_timer).bound()


def opened(inactivity_timer: float = inf) -> SessionTimers:
    return SessionTimers(
        session_init_timer=10.0,
        enquire_link_timer=30.0,
        enquire_link_timeout=5.0,
        inactivity_timer=inactivity_timer,
        response_timer=20.0,
        last_received=0.0,
        opened=0.0,
    )


def test_nothing_is_due_before_the_deadline() -> None:
    t = timers()
    assert t.next_deadline() == 30.0
    assert t.tick(29.9) == (t, TimerAction.NONE)


def test_a_connection_without_a_bind_is_given_up() -> None:
    assert opened().next_deadline() == 10.0
    after, action = opened().tick(10.0)
    assert action is TimerAction.NOT_BOUND
    assert after.next_deadline() == inf


def test_the_bind_has_its_own_time_for_its_response() -> None:
    assert opened().bind_sent(9.0).next_deadline() == 19.0


def test_silence_brings_one_enquire_link_and_then_the_end() -> None:
    """Trap 6: one outstanding, with its own short deadline."""
    t, action = timers().tick(30.0)
    assert action is TimerAction.SEND_ENQUIRE_LINK
    assert t.tick(30.0) == (t, TimerAction.NONE)
    assert t.next_deadline() == 35.0
    t, action = t.tick(35.0)
    assert action is TimerAction.PEER_DEAD
    assert t.tick(1000.0)[1] is TimerAction.NONE


def test_what_arrives_puts_off_the_probe_and_the_verdict() -> None:
    t = timers().received(20.0)
    assert t.next_deadline() == 50.0
    t, _ = t.tick(50.0)
    assert t.received(53.0).next_deadline() == 58.0


def test_an_answered_probe_lets_the_next_one_go_out() -> None:
    t, _ = timers().tick(30.0)
    assert t.received(31.0).probe_answered().next_deadline() == 61.0


def test_an_idle_session_is_ended_after_the_inactivity_timer_but_not_while_messages_pass() -> None:
    t = timers(inactivity_timer=25.0)
    assert t.next_deadline() == 25.0
    assert t.received(20.0, message=False).next_deadline() == 25.0
    assert t.received(20.0, message=True).next_deadline() == 45.0
    assert t.tick(25.0)[1] is TimerAction.INACTIVE


def test_an_unbind_is_waited_for_only_so_long() -> None:
    """Trap 9."""
    t = timers().unbinding(3.0)
    assert t.next_deadline() == 23.0
    assert t.tick(23.0)[1] is TimerAction.NOT_UNBOUND
