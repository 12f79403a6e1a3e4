"""The SMPP carrier binds, and binds again, whatever the SMSC does to its sessions."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from gateway.carriers.base import CarrierState
from gateway.message import (
    Deferred,
    InDoubt,
    Scope,
    Submitted,
)
from gateway.smpp.constants import CommandStatus
from gateway.smpp.pdu import (
    AlertNotification,
    EnquireLink,
    EnquireLinkResp,
    Unbind,
)
from tests.carriers.smsc import Rig, Smsc, message, rows, write

Start = Callable[..., Rig]


async def test_already_bound_waits_and_tries_again(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = lambda stream, pdu: stream.respond(pdu, 5 if len(smsc.binds) < 2 else 0)
    rig = start({"patience": 0.02})
    await rig.ready()
    assert rig.observer.reconnects == [(0, "already_bound")]
    first, second = smsc.bind_times
    assert second - first >= 0.1  # 5 s scaled by patience


async def test_a_wrong_password_suspends_the_carrier_and_is_not_hammered_by_any_bind(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = smsc.refuse(CommandStatus.ESME_RINVPASWD)
    rig = start({"patience": 0.001}, binds=4)
    await rig.state(CarrierState.SUSPENDED)
    await smsc.signal.until(lambda: len(smsc.binds) >= 4)
    pauses = [later - earlier for earlier, later in pairwise(smsc.bind_times[:4])]
    assert all(pause >= least for pause, least in zip(pauses, (0.06, 0.12, 0.24), strict=True)), pauses
    smsc.on_bind = lambda stream, pdu: stream.respond(pdu)
    await rig.ready(4)
    assert rig.carrier.state is CarrierState.READY
    errors = [entry for entry in rig.log.entries if entry["log_level"] == "error"]
    assert len({entry["bind"] for entry in errors}) == len(errors) > 0
    assert all("segredo1" not in str(entry) for entry in rig.log.entries)
    assert rig.observer.states == [CarrierState.DOWN, CarrierState.SUSPENDED, CarrierState.READY]


async def test_a_refused_bind_and_a_dead_port_are_tried_again(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = lambda stream, pdu: stream.respond(pdu, 8 if len(smsc.binds) < 2 else 0)
    rig = start()
    await rig.ready()
    await smsc.stop()
    await rig.observer.signal.until(lambda: (0, "connect") in rig.observer.reconnects)
    assert rig.observer.reconnects[0] == (0, "refused")
    assert rig.carrier.state is CarrierState.DOWN
    await smsc.start()
    await rig.ready(2)


async def test_repeated_failures_are_logged_once(smsc: Smsc, start: Start) -> None:
    await smsc.stop()
    rig = start()
    await rig.observer.signal.until(lambda: len(rig.observer.reconnects) >= 5)
    assert len([entry for entry in rig.log.entries if entry["event"] == "not bound"]) == 1


async def test_a_peers_unbind_is_answered_in_flight_messages_settle_and_the_carrier_binds_again(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(message())
    ((stream, pdu),) = await smsc.submitted(1)
    stream.send(Unbind())
    await rig.observer.signal.until(lambda: (0, False) in rig.observer.bounds)
    assert rig.carrier.credit() == 0
    stream.respond(pdu, message_id="after-unbind")
    assert await rig.outcomes(1) == [Submitted(("after-unbind",), "gsm7")]
    await rig.ready(2)
    assert rig.observer.reconnects == [(0, "unbound")]


async def test_a_session_that_the_smsc_calls_not_bound_is_bound_again(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.refuse(CommandStatus.ESME_RINVBNDSTS)
    rig = start()
    await rig.ready()
    rig.submit(message())
    (outcome,) = await rig.outcomes(1)
    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.CARRIER
    await rig.ready(2)


async def test_a_silent_smsc_is_probed_given_up_and_bound_anew(smsc: Smsc, start: Start) -> None:
    rig = start(enquire_link_interval=0.05, response_timeout=0.05)
    await rig.ready()
    smsc.streams[0].pause_reading()
    await rig.ready(2)
    assert rig.observer.reconnects == [(0, "timeout")]


async def test_the_smscs_enquire_link_is_answered(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(EnquireLink(), "probe")
    assert isinstance((await smsc.answered(1))[0], EnquireLinkResp)
    assert rig.carrier.state is CarrierState.READY


async def test_garbage_from_the_smsc_ends_the_session_and_the_carrier_binds_again(smsc: Smsc, start: Start) -> None:
    smsc.on_submit = smsc.hold
    rig = start()
    await rig.ready()
    rig.submit(message())
    await smsc.submitted(1)
    write(smsc.streams[0], b"\x00\x00\x00\x05garbage")
    assert isinstance((await rig.outcomes(1))[0], InDoubt)
    await rig.ready(2)
    assert rig.observer.reconnects == [(0, "protocol")]
    assert [entry["event"] for entry in rig.log.entries if "header" in entry] == ["the SMSC broke the protocol"]


async def test_a_bind_without_answer_is_given_up(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = lambda stream, pdu: None if len(smsc.binds) < 2 else stream.respond(pdu)
    rig = start(bind_timeout=0.05)
    await rig.ready()
    assert rig.observer.reconnects == [(0, "timeout")]


async def test_a_connection_that_drops_at_the_bind_is_tried_again(smsc: Smsc, start: Start) -> None:
    smsc.on_bind = lambda stream, pdu: stream.abort() if len(smsc.binds) < 2 else stream.respond(pdu)
    rig = start()
    await rig.ready()
    assert rig.observer.reconnects == [(0, "lost")]


@pytest.mark.parametrize(("options", "changes"), [({}, {"host": "a..b"}), ({"password": "€"}, {})])
async def test_settings_that_cannot_work_are_told_and_do_not_end_the_carrier(
    smsc: Smsc, start: Start, options: dict[str, Any], changes: dict[str, Any]
) -> None:
    rig = start(options, **changes)
    await rig.observer.signal.until(lambda: len(rig.observer.reconnects) >= 2)
    assert {reason for _, reason in rig.observer.reconnects} == {"connect"}
    assert len([entry for entry in rig.log.entries if entry["event"] == "not bound"]) == 1
    assert "€" not in str(rig.log.entries)


async def test_an_alert_notification_is_ignored(smsc: Smsc, start: Start) -> None:
    rig = start()
    await rig.ready()
    smsc.streams[0].send(AlertNotification(source_addr="5511987654321"))
    rig.submit(message())
    assert rows(await rig.answers(1)) == [1]
