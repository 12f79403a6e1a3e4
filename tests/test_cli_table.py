"""The table that the command line knows its commands by: it is whole, and says of each what the command says of itself."""

import importlib
import pkgutil

import click
import pytest
from click.testing import CliRunner

import gateway.cli
from gateway.cli import COMMANDS, Entry, main, shared


def modules() -> list[str]:
    return [each.name for each in pkgutil.iter_modules(gateway.cli.__path__) if each.name != "shared"]


def loose(module: str) -> set[str]:
    """Name the commands of a module that no group of it has."""
    found = {
        id(each): (name, each)
        for name, each in vars(importlib.import_module(f"gateway.cli.{module}")).items()
        if isinstance(each, click.Command)
    }
    held = {id(below) for _, each in found.values() if isinstance(each, click.Group) for below in each.commands.values()}
    return {name for key, (name, _) in found.items() if key not in held}


def test_every_command_of_every_module_is_in_the_table_once() -> None:
    there = [(module, attribute) for module in modules() for attribute in loose(module)]
    assert sorted((entry.module, entry.attribute) for entry in COMMANDS.values()) == sorted(there)


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items(), ids=COMMANDS.keys())
def test_an_entry_leads_to_its_command_and_says_what_that_says(name: str, entry: Entry) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command is getattr(importlib.import_module(f"gateway.cli.{entry.module}"), entry.attribute)
    assert command.name == name
    assert command.get_short_help_str(100) == entry.help
    assert not command.hidden


def test_groups_below_tell_bad_usage_in_one_line_too() -> None:
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert not isinstance(command, click.Group) or isinstance(command, shared.OneLineGroup)


def test_names_and_options_are_completed() -> None:
    context = click.Context(main)
    assert [item.value for item in main.shell_complete(context, "s")] == ["sandbox", "schema", "send", "show"]
    (item,) = main.shell_complete(context, "he")
    assert (item.value, item.help) == ("healthcheck", COMMANDS["healthcheck"].help)
    assert [item.value for item in main.shell_complete(context, "--v")] == ["--version"]
    assert main.shell_complete(context, "nothing") == []


def test_a_name_that_is_in_no_table_is_bad_usage() -> None:
    result = CliRunner().invoke(main, ["helthcheck"])
    assert result.exit_code == 2
    assert "No such command 'helthcheck'" in result.stderr
