"""The command line: parses, calls, prints. `main` knows its commands by a table, and loads a command's module when it is used.

Loading the daemon takes half a second, which `--help`, completion and a health check every few seconds must not cost. So nothing here
imports a command's module, each of them imports at its top what it needs, and none imports another: what several share is in `shared`.
A command that shall start fast has a module of its own. What the commands do lies below this package (`account`, `privacy`, `demo`, ...).

Exit codes: 0 done, 1 failed, 2 bad usage or configuration. Errors go to stderr, one line, no traceback. Commands that change the queue
speak to the running daemon; those that only read ask it too, and read the journal where no daemon runs.
"""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

import gateway
from gateway.cli.shared import OneLineGroup


class Entry(NamedTuple):
    """Where a command is, and what lists of commands say about it (its short help: a test compares them)."""

    module: str  # of this package
    attribute: str
    help: str


COMMANDS = {
    "account": Entry("account", "account_group", "Ask the provider about the account."),
    "check-config": Entry("check_config", "check_config", "Check a configuration, and show what it comes to."),
    "completion": Entry("completion", "completion", "Print the completion script of a shell."),
    "demo": Entry("demo", "demo_command", "Broker, provider and gateway in one go, live."),
    "healthcheck": Entry("healthcheck", "healthcheck", "Ask the running gateway whether it is ready."),
    "privacy": Entry("privacy", "privacy_group", "Forget a number, or tell what is kept about it (LGPD)."),
    "queue": Entry("queue", "queue_group", "Look at the queue, and change it."),
    "run": Entry("run", "run", "Run the gateway until SIGTERM or SIGINT."),
    "sandbox": Entry("sandbox", "sandbox", "Run a provider to try against."),
    "schema": Entry("schema", "schema_command", "Print the JSON Schema of a payload or event, or their names."),
    "send": Entry("send", "send", "Publish one message to the broker of the configuration."),
    "show": Entry("queue", "show", "Tell the story of a message."),
    "text": Entry("text", "text_command", "Show how a text would be sent, and what it costs."),
}


class TableGroup(OneLineGroup):
    """A group whose commands are in modules that are imported when a command is used, not when it is listed."""

    def __init__(self, *args: Any, table: Mapping[str, Entry], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None where there is none of this name."""
        if cmd_name not in self.table:
            return None
        entry = self.table[cmd_name]
        command = getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name].help) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name, from the table alone, or an option's."""
        found = [CompletionItem(name, help=self.table[name].help) for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=TableGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(gateway.__version__, prog_name="mensageiro")
def main() -> None:
    """SMPP gateway between an MQTT queue and a Brazilian SMS provider."""
