"""The command line: parses, calls, prints.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration. Errors go to stderr, one line, no traceback. Commands that change the queue
speak to the running daemon; those that only read ask it too, and read the journal where no daemon runs.
"""

import asyncio
import contextlib
import http.client
import json
import os
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from click import shell_completion

import gateway
from gateway import account_commands, app, config, control, demo, logs, printing, privacy, producer, sandbox_command, schema, texting
from gateway.broker import topics
from gateway.config import Config, ConfigError
from gateway.control import CommandName, ControlError, Request, Verdict
from gateway.journal import sqlite
from gateway.journal.base import JournalVersionError, Selection
from gateway.message import EventType, QueueState
from gateway.msisdn import InvalidNumberError, Msisdn

DEFAULT_CONFIG = Path("/etc/mensageiro/gateway.toml")
HEALTH_DEADLINE = 3.0
COMPLETE_VARIABLE = "_MENSAGEIRO_COMPLETE"  # by which a shell asks; click makes it of the program's name
STATES = [state.name.lower() for state in QueueState]
WAITING = [state.name.lower() for state in QueueState if state is not QueueState.DONE]

PathType = click.Path(path_type=Path)
config_option = click.option(
    "--config",
    "-c",
    "path",
    envvar="MENSAGEIRO_CONFIG",
    type=PathType,
    default=DEFAULT_CONFIG,
    show_default=True,
    help="Configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class OneLineGroup(click.Group):
    """A group whose usage errors are one line, as all other errors are."""

    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help where no command is named."""
        if not args and not ctx.resilient_parsing:  # which is how completion looks at what stands before the cursor
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run, and exit."""
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except click.Abort:
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(gateway.__version__, prog_name="mensageiro")
def main() -> None:
    """SMPP gateway between an MQTT queue and a Brazilian SMS provider."""


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Turn what users can mend into one line on stderr and an exit code."""
    try:
        yield
    except (ConfigError, app.StartError, JournalVersionError) as error:
        _fail(str(error), 2)
    except (ControlError, demo.DemoError, producer.SendError, OSError, sqlite3.Error) as error:
        _fail(str(error) or type(error).__name__, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str, code: int) -> NoReturn:
    click.echo(f"mensageiro: {' '.join(text.split())}", err=True)
    sys.exit(code)


# --- The daemon -------------------------------------------------------------------------------------------------------------------


@main.command()
@config_option
def run(path: Path) -> None:
    """Run the gateway until SIGTERM or SIGINT. SIGHUP reads the configuration again."""
    with one_line():
        settings = config.load(path)
        config.check(settings)
        logs.configure(settings.log.level, settings.log.format)
        sys.exit(app.run(settings, path))


@main.command("check-config")
@config_option
@json_option
def check_config(path: Path, as_json: bool) -> None:
    """Check a configuration, and show what it comes to."""
    with one_line():
        settings = config.load(path)
        config.check(settings)
    if as_json:
        click.echo(json.dumps(config.public(settings), indent=2))
    else:
        carriers = ", ".join(f"{name} ({_where(each)})" for name, each in settings.carriers.items())
        click.echo(f"ok: {path}: instance {settings.gateway.instance}, broker {settings.broker.url}, carriers {carriers}")


def _where(carrier: config.Carrier) -> str:
    match carrier:
        case config.Smpp():
            return f"{carrier.host}:{carrier.port}"
        case config.Http():
            return carrier.base_url
        case config.Webservice():
            return carrier.url


@main.command()
@config_option
@click.option("--live", is_flag=True, help="Ask whether it is alive, not whether it is ready.")
@json_option
def healthcheck(path: Path, live: bool, as_json: bool) -> None:
    """Ask the running gateway whether it is ready. Exit code 0 = yes."""
    with one_line():
        state = _get(config.load(path).admin.listen, "/livez" if live else "/readyz")
    good = state.get("live" if live else "ready") is True
    lacking = [name for name in ("broker", "journal", "carrier") if state.get(name) is False]
    words = "ok" if good else "draining" if state.get("draining") else f"not ready: {', '.join(lacking)}"
    click.echo(json.dumps(state) if as_json else words)
    sys.exit(0 if good else 1)


def _get(listen: str, target: str) -> dict[str, Any]:
    """Ask the admin listener. Raises ControlError."""
    host, port = config.address(listen, "admin.listen")
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_DEADLINE)
    try:
        connection.request("GET", target)
        state = json.loads(connection.getresponse().read())
    except OSError as error:
        raise ControlError(f"{listen}: {error.strerror or error}") from None
    except (http.client.HTTPException, ValueError):
        state = None
    finally:
        connection.close()
    if not isinstance(state, dict):
        raise ControlError(f"{listen} is no gateway")
    return state


# --- To try -----------------------------------------------------------------------------------------------------------------------


@main.command("sandbox", short_help="Run a provider to try against.", help=sandbox_command.HELP)
@sandbox_command.options
def sandbox(**options: Any) -> None:
    """Run a provider to try against."""
    with one_line():
        sandbox_command.run(**options)


@main.command("demo", short_help="Broker, provider and gateway in one go, live.")
@click.option("--broker", "broker_url", default="", help="A broker of yours (mqtt://host:port) instead of the built-in one.")
@click.option("--smpp-down", is_flag=True, help="Show the fallback: SMPP is cut, the HTTP API too, and SMPP returns.")
@click.option("--seconds", default=60.0, show_default=True, help="Give up after.")
@json_option
def demo_command(broker_url: str, smpp_down: bool, seconds: float, as_json: bool) -> None:
    """Broker, provider and gateway on loopback: every outcome, live."""
    with one_line():
        sys.exit(demo.run(broker_url, seconds, smpp_down=smpp_down, as_json=as_json or not sys.stdout.isatty()))


@main.command()
@config_option
@click.option("--broker", "broker_url", default="", help="This broker (mqtt://host:port); no configuration is read.")
@click.option("--prefix", default="sms", show_default=True, help="Topic prefix at --broker.")
@click.option("--to", required=True, help="Brazilian number.")
@click.option("--text", required=True, help="- reads it from stdin.")
@click.option("--id", "id", default=lambda: uuid.uuid4().hex, show_default="random")
@click.option("--source", default="", help="Producer's name in the topic.")
@click.option("--from", "sender", default=None, help="Sender.")
@click.option("--kind", default=None, type=click.Choice(["common", "flash", "short_code", "short_code_flash"]))
@click.option("--schedule-at", default=None, help="RFC 3339 with zone.")
@click.option("--valid-for", default=None, type=float, help="Seconds.")
@click.option("--wait", default=0.0, help="Seconds to wait for the final event; its events are printed.")
@json_option
def send(path: Path, broker_url: str, prefix: str, source: str, wait: float, as_json: bool, **fields: Any) -> None:
    """Publish one message to the broker of the configuration.

    Without --wait it prints the id. With it, exit code 0 means: it ended well.
    """
    if source and not topics.SOURCE.fullmatch(source):
        raise click.BadParameter("needs 1 to 32 of a-z, 0-9 and -", param_hint="--source")
    if fields["text"] == "-":
        fields["text"] = sys.stdin.read().rstrip("\n")
    fields["from"] = fields.pop("sender")
    payload = {name: value for name, value in fields.items() if value is not None}
    with one_line():
        broker = _only_broker(broker_url, prefix) if broker_url else config.load(path).broker
        logs.configure("error", "auto")
        shown = _show_event_json if as_json else _show_event
        code = asyncio.run(producer.send(broker, payload, source, wait, shown))
    if not wait:
        click.echo(json.dumps({"id": payload["id"]}) if as_json else payload["id"])
    sys.exit(code)


def _only_broker(url: str, prefix: str) -> config.Broker:
    """Return the broker's settings for a producer without a configuration. Credentials come from the environment."""
    ours = {key: value for key, value in os.environ.items() if key.startswith("MENSAGEIRO_BROKER__")}
    return config.parse_broker({"url": url, "topic_prefix": prefix}, ours)


def _show_event_json(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False))


def _show_event(event: dict[str, Any]) -> None:
    told = event.get("state") or event.get("reason") or event.get("carrier") or ""
    click.echo(f"{event['time']} {event['type']:<13} {told}{'  (final)' if event['final'] else ''}")


main.add_command(texting.text_command)


# --- The shell --------------------------------------------------------------------------------------------------------------------


@main.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    \b
    bash: mensageiro completion bash > /etc/bash_completion.d/mensageiro
    zsh:  mensageiro completion zsh > "${fpath[1]}/_mensageiro"
    fish: mensageiro completion fish > ~/.config/fish/completions/mensageiro.fish
    """
    writer = shell_completion.get_completion_class(shell)
    assert writer is not None  # the argument admits none but click's own
    click.echo(writer(main, {}, "mensageiro", COMPLETE_VARIABLE).source())


# --- The queue interface ----------------------------------------------------------------------------------------------------------


@main.command("schema")
@click.argument("name", required=False)
@click.option("--asyncapi", is_flag=True, help="The AsyncAPI 3 document of the whole interface.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write every schema into this folder.")
@click.option("--prefix", default="sms", show_default=True, help="Topic prefix in the AsyncAPI document.")
def schema_command(name: str | None, asyncapi: bool, out: Path | None, prefix: str) -> None:
    """Print the JSON Schema of a payload or event, or their names."""
    documents = schema.schemas()
    if out is not None:
        with one_line():
            for each, text in schema.files(prefix).items():
                out.mkdir(parents=True, exist_ok=True)
                (out / each).write_text(text, encoding="utf-8")
        click.echo(f"written to {out}")
    elif asyncapi:
        click.echo(json.dumps(schema.asyncapi(prefix), indent=2))
    elif name is None:
        click.echo("\n".join(documents))
    elif name in documents:
        click.echo(json.dumps(documents[name], indent=2))
    else:
        _fail(f"no schema named {name}; there are {', '.join(documents)}", 2)


# --- The queue --------------------------------------------------------------------------------------------------------------------


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which messages are meant."""
    for option in reversed(
        [
            click.argument("ids", nargs=-1),
            click.option("--source", default=None, help="Only this producer's."),
            click.option("--state", default=None, metavar="STATE", type=click.Choice(STATES), help=f"{', '.join(STATES)}."),
            click.option("--carrier", default=None, help="Only this carrier's."),
            click.option("--since", default=None, help="Received (or told, for replay) since: RFC 3339."),
            click.option("--until", default=None, help="Until: RFC 3339."),
            click.option("--all", "all", is_flag=True, help="All."),
            click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="At most."),
        ]
    ):
        command = option(command)
    return command


def _selection(options: dict[str, Any]) -> Selection:
    for name in ("since", "until"):
        options[name] = _moment(options[name], name)
    return Selection(**{**options, "ids": tuple(options.pop("ids", ()))})


def _moment(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise click.BadParameter("needs a time like 2026-11-23T12:00:00-03:00", param_hint=f"--{name}") from None


@main.group()
def queue() -> None:
    """Look at the queue, and change it."""


@main.command(short_help="Tell the story of a message.")
@click.argument("id")
@click.option("--source", default=None, help="Only this producer's.")
@config_option
@json_option
def show(id: str, source: str | None, path: Path, as_json: bool) -> None:
    """Tell the story of a message: its state, attempts, parts and events."""
    with one_line():
        found = _ask(path, Request(command="show", selection=Selection(ids=(id,), source=source)))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        _fail(f"no message with id {id}", 1)
    else:
        for message in found:
            printing.story(message)
    sys.exit(0 if found else 1)


@queue.command()
@config_option
@json_option
def stats(path: Path, as_json: bool) -> None:
    """Count what waits, and since when."""
    with one_line():
        found = _ask(path, Request(command="stats"))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [(state, number, printing.age(oldest)) for state, (number, oldest) in found["queue"].items()]
    rows += [("outbox", found["outbox"][0], printing.age(found["outbox"][1])), ("outbox set aside", found["set_aside"], "")]
    rows += [("parked receipts", found["parked"], ""), ("unmatched receipts", found["unmatched"], "")]
    printing.table(("", "number", "oldest"), rows)


@queue.command("list", short_help="List messages.")
@selection_options
@config_option
@json_option
def list_command(path: Path, as_json: bool, **options: Any) -> None:
    """List messages, newest first; without a condition, all that have not ended."""
    selection = _selection(options)
    with one_line():
        found = _waiting(path, selection) if _names_nothing(selection) else _ask(path, Request(command="list", selection=selection))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    printing.records(("source", "id", "state", "to", "carrier", "attempt", "received_at", "last_error"), found)


def _waiting(path: Path, selection: Selection) -> list[dict[str, Any]]:
    """List what has not ended, newest first: state by state, so that no limit is used up by what has."""
    found: dict[int, dict[str, Any]] = {}  # by row: one may change its state between two questions
    for state in WAITING:
        for message in _ask(path, Request(command="list", selection=msgspec.structs.replace(selection, state=state))):
            found[message["row"]] = message
    return [found[row] for row in sorted(found, reverse=True)][: selection.limit]


def _changing(name: CommandName, help: str) -> click.Command:
    """Add a command that changes what is selected."""

    @queue.command(name, help=help)
    @selection_options
    @config_option
    @json_option
    def change(path: Path, as_json: bool, **options: Any) -> None:
        _change(path, Request(command=name, selection=_selection(options)), as_json)

    return change


_changing("hold", "Keep waiting messages from being sent.")
_changing("release", "Let held messages be sent.")
_changing("retry", "Make deferred messages due now.")
_replay = _changing("replay", "Publish events again, with their old event_ids.")
click.option(
    "--type", "type", default=None, type=click.Choice([each.value for each in EventType]), metavar="TYPE", help="Only such events."
)(_replay)


@queue.command()
@selection_options
@click.option("--as", "verdict", required=True, type=click.Choice(["submitted", "rejected", "resubmit"]), help="What became of them.")
@config_option
@json_option
def resolve(path: Path, as_json: bool, verdict: Verdict, **options: Any) -> None:
    """End the doubt of messages in doubt by your word."""
    _change(path, Request(command="resolve", selection=_selection(options), verdict=verdict), as_json)


@queue.command("retry-set-aside")
@config_option
@json_option
def retry_set_aside(path: Path, as_json: bool) -> None:
    """Publish again the events that were set aside."""
    with one_line():
        number = _ask_daemon(path, Request(command="retry-set-aside"))
    printing.number(number, as_json)


@main.group("privacy")
def privacy_group() -> None:
    """Forget a number, or tell what is kept about it (LGPD).

    Without NUMBER it is asked for, or read from stdin with -: what is an argument shows in lists of processes and in a shell's history.
    """


def _number(written: str | None) -> str:
    """Return national digits, asked for where they are not given."""
    if written == "-":
        written = sys.stdin.readline()
    try:
        return privacy.national(written or click.prompt("Number", err=True))
    except InvalidNumberError as error:
        raise click.BadParameter(str(error), param_hint="NUMBER") from None


@privacy_group.command(short_help="Erase what is kept about a number.")
@click.argument("number", required=False)
@click.option("--yes", is_flag=True, help="Do not ask whether to.")
@config_option
@json_option
def forget(number: str | None, yes: bool, path: Path, as_json: bool) -> None:
    """Erase text and number of what has ended, and what producers gave with it. Counts and ids stay. Needs the running gateway.

    Exit code 1: something is under way and was left; run it again when that has ended.
    """
    if number == "-" and not yes:
        raise click.UsageError("a number from stdin needs --yes")
    digits = _number(number)
    if not yes and not click.confirm(f"Erase all that has ended about {Msisdn(digits).masked}, for good?", err=True):
        _fail("nothing was erased", 1)
    with one_line():
        summary = asyncio.run(privacy.forget(config.load(path).control_path, digits, printing.progress))
    printing.forgotten(summary.erased, summary.left, as_json)
    sys.exit(1 if summary.left else 0)


@privacy_group.command(short_help="Tell all that is kept about a number.")
@click.argument("number", required=False)
@click.option("--out", type=PathType, help="A new file for it, readable by you alone, instead of stdout.")
@config_option
def export(number: str | None, out: Path | None, path: Path) -> None:
    """Write all that is kept about a number as JSON: messages with text and events, replies, receipts, refused payloads."""
    digits = _number(number)
    with one_line():
        privacy.write(privacy.export(config.load(path).journal_path, digits), out)


def _change(path: Path, request: Request, as_json: bool) -> None:
    if _names_nothing(request.selection):
        raise click.UsageError("say which: ids, --state, --carrier, --source, --since, --until or --all")
    with one_line():
        number = _ask_daemon(path, request)
    printing.number(number, as_json)
    if number >= request.selection.limit:
        click.echo(f"mensageiro: that is the limit (--limit {number}): there may be more", err=True)


def _names_nothing(selection: Selection) -> bool:
    return selection == Selection(limit=selection.limit)


def _ask_daemon(path: Path, request: Request) -> Any:
    socket = config.load(path).control_path
    try:
        return asyncio.run(control.ask(socket, request))
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no gateway runs on {socket}") from None


def _ask(path: Path, request: Request) -> Any:
    """Ask the daemon, or read the journal where none runs. Both answer in the same shapes."""
    settings = config.load(path)
    try:
        return asyncio.run(control.ask(settings.control_path, request))
    except (FileNotFoundError, ConnectionRefusedError):
        return asyncio.run(_read(settings, request))


async def _read(settings: Config, request: Request) -> Any:
    if not settings.journal_path.exists():
        raise ControlError(f"no gateway runs, and there is no journal at {settings.journal_path}")
    journal = sqlite.read_only(settings.journal_path)
    try:
        return msgspec.to_builtins(await control.read(journal, request), str_keys=True)
    finally:
        journal.close()


# --- The account at the provider --------------------------------------------------------------------------------------------------

account_commands.register(main, config_option, json_option)
