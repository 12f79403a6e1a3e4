"""The vocabulary against smpplib's, which was typed from the specification by somebody else."""

import smpplib.command_codes
import smpplib.consts

from gateway.smpp import CommandId, CommandStatus, MessageState, Npi, Tag, Ton, command_name, status_name


def test_every_command_id_is_smpplibs() -> None:
    theirs = smpplib.command_codes.commands
    ours = {command.name.lower(): int(command) for command in CommandId}
    missing_there = {"submit_multi_resp", "replace_sm", "replace_sm_resp", "cancel_sm", "cancel_sm_resp", "outbind"}
    assert {name: code for name, code in ours.items() if name in theirs} == theirs
    assert ours.keys() - theirs.keys() <= missing_there


def test_every_command_status_is_smpplibs() -> None:
    theirs = {name.removeprefix("SMPP_"): value for name, value in vars(smpplib.consts).items() if name.startswith("SMPP_ESME_R")}
    assert {status.name: int(status) for status in CommandStatus} == theirs


def test_every_optional_parameter_is_smpplibs() -> None:
    assert {tag.name.lower(): int(tag) for tag in Tag} == smpplib.consts.OPTIONAL_PARAMS


def test_states_and_number_types_are_smpplibs() -> None:
    for state in MessageState:
        if state not in {MessageState.SCHEDULED, MessageState.SKIPPED}:  # SMPP 5.0
            assert getattr(smpplib.consts, f"SMPP_MESSAGE_STATE_{state.name}") == state
    assert smpplib.consts.SMPP_TON_INTL == Ton.INTERNATIONAL
    assert smpplib.consts.SMPP_TON_ALNUM == Ton.ALPHANUMERIC
    assert smpplib.consts.SMPP_NPI_ISDN == Npi.ISDN
    assert smpplib.consts.SMPP_NPI_WAP == Npi.WAP_CLIENT_ID


def test_a_status_outside_the_enum_is_named_by_its_number() -> None:
    """Trap 15: 0x400 to 0x4FF belong to the vendor."""
    assert status_name(0x58) == "ESME_RTHROTTLED"
    assert status_name(0x412) == "0x00000412"


def test_a_command_is_named_as_the_specification_writes_it() -> None:
    assert command_name(0x80000004) == "submit_sm_resp"
    assert command_name(0xABCD) == "0x0000ABCD"
