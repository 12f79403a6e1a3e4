"""The table of command_status: complete, and read the same way everywhere."""

import pytest

from gateway.carriers.smpp_status import (
    TABLE,
    BindRefusal,
    Effect,
    bind_refusal_of,
    cancel_outcome_of,
    detail_of,
    meaning_of,
    refusal_of,
)
from gateway.message import CancelFailed, Cancelled, Deferred, Reason, Rejected, Scope
from gateway.smpp.constants import CommandStatus


@pytest.mark.parametrize("status", CommandStatus)
def test_every_command_status_of_smpp_3_4_has_a_row(status: CommandStatus) -> None:
    assert status in TABLE
    assert meaning_of(status).text
    assert detail_of(status).startswith(f"{status.name}: ")


def test_the_table_holds_nothing_but_the_specification() -> None:
    assert set(TABLE) == set(map(int, CommandStatus))


def test_only_rok_is_acceptance() -> None:
    assert [status for status, meaning in TABLE.items() if meaning.effect is Effect.ACCEPTED] == [0]


@pytest.mark.parametrize("status", [s for s in CommandStatus if s])
def test_every_refusal_has_an_outcome_that_names_it(status: CommandStatus) -> None:
    outcome = refusal_of(status, pause=1.0)
    assert isinstance(outcome, Rejected | Deferred)
    assert outcome.code == status
    assert status.name in outcome.detail


@pytest.mark.parametrize(
    ("status", "effect"),
    [
        (CommandStatus.ESME_RTHROTTLED, Effect.CONGESTED),
        (CommandStatus.ESME_RMSGQFUL, Effect.CONGESTED),
        (CommandStatus.ESME_RX_T_APPN, Effect.TEMPORARY),
        (CommandStatus.ESME_RSYSERR, Effect.TEMPORARY),
        (CommandStatus.ESME_RSUBMITFAIL, Effect.TEMPORARY),
        (CommandStatus.ESME_RINVDSTADR, Effect.PERMANENT),
        (CommandStatus.ESME_RINVMSGLEN, Effect.PERMANENT),
        (CommandStatus.ESME_RX_P_APPN, Effect.PERMANENT),
        (CommandStatus.ESME_RX_R_APPN, Effect.PERMANENT),
        (CommandStatus.ESME_RINVCMDID, Effect.PERMANENT),
        (CommandStatus.ESME_RINVBNDSTS, Effect.SESSION),
        (CommandStatus.ESME_RINVPASWD, Effect.ACCOUNT),
    ],
)
def test_the_effects_that_matter_most(status: CommandStatus, effect: Effect) -> None:
    assert meaning_of(status).effect is effect


@pytest.mark.parametrize("status", [0x400, 0x4FF, 0x100, 0x00000009, 0xFFFFFFFF])
def test_vendor_and_unknown_statuses_defer_the_message_so_that_max_attempts_bounds_them(status: int) -> None:
    outcome = refusal_of(status, pause=1.0)
    assert isinstance(outcome, Deferred)
    assert (outcome.scope, outcome.retry_after, outcome.code) == (Scope.MESSAGE, None, status)


def test_what_is_the_links_trouble_waits_for_the_link() -> None:
    for status in (CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RALYBND, CommandStatus.ESME_RINVSYSID):
        outcome = refusal_of(status, pause=2.5)
        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.retry_after) == (Scope.CARRIER, 2.5)


def test_a_permanent_refusal_is_the_providers() -> None:
    outcome = refusal_of(CommandStatus.ESME_RINVDSTADR, pause=1.0)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.REFUSED_BY_PROVIDER


def test_each_answer_to_a_cancel_sm_has_its_outcome() -> None:
    assert cancel_outcome_of(0) == Cancelled()
    assert cancel_outcome_of(CommandStatus.ESME_RINVMSGID) == CancelFailed("not_found")
    assert cancel_outcome_of(CommandStatus.ESME_RCANCELFAIL) == CancelFailed("too_late")
    assert cancel_outcome_of(0x412) == CancelFailed("refused")


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (CommandStatus.ESME_RALYBND, BindRefusal.ALREADY_BOUND),
        (CommandStatus.ESME_RINVPASWD, BindRefusal.CREDENTIALS),
        (CommandStatus.ESME_RINVSYSID, BindRefusal.CREDENTIALS),
        (CommandStatus.ESME_RBINDFAIL, BindRefusal.CREDENTIALS),
        (CommandStatus.ESME_RSYSERR, BindRefusal.OTHER),
        (0x412, BindRefusal.OTHER),
    ],
)
def test_each_refusal_of_a_bind_says_what_to_do_next(status: int, refusal: BindRefusal) -> None:
    assert bind_refusal_of(status) is refusal
