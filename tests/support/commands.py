"""The commands of the command line, found as click finds them."""

from collections.abc import Iterator, Sequence

import click

from gateway.cli import main


def find(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words begin with, and the words after its name. Fails where there is none."""
    found: click.Command = main
    rest = list(words)
    while isinstance(found, click.Group):
        below = found.get_command(click.Context(found), rest[0])
        assert below is not None, f"no command: {' '.join(words)}"
        found, rest = below, rest[1:]
    return found, rest


def every(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name each command and group, from `main`, which has no name, downwards."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every(below, (*path, name))
