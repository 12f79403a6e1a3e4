"""Two sessions wired together, with time as an argument: octets go over by `receive(other.data_to_send(), now)`."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from gateway.smpp import BindTransceiver, CommandStatus, RequestReceived, Role, Session, SessionSettings, SessionState

SETTINGS = SessionSettings(window=3, response_timeout=30.0, enquire_link_interval=60.0, enquire_link_timeout=5.0)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder that needs a loop under asyncio's own and under uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def open_pair() -> tuple[Session, Session]:
    """An ESME and an SMSC, connected at 0.0 s and not bound."""
    return Session(Role.ESME, SETTINGS, 0.0), Session(Role.SMSC, SETTINGS, 0.0)


@pytest.fixture
def bound_pair(open_pair: tuple[Session, Session]) -> tuple[Session, Session]:
    """An ESME and an SMSC, bound as transceiver at 0.0 s."""
    esme, smsc = open_pair
    esme.send(BindTransceiver(system_id="esme", password="secret"), 0.0)
    (event,) = smsc.receive(esme.data_to_send(), 0.0)
    assert isinstance(event, RequestReceived)
    smsc.respond(event.pdu, CommandStatus.ESME_ROK, system_id="smsc")
    esme.receive(smsc.data_to_send(), 0.0)
    assert (esme.state, smsc.state) == (SessionState.BOUND_TRX, SessionState.BOUND_TRX)
    return esme, smsc
