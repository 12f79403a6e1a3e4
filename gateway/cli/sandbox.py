"""`mensageiro sandbox`: a provider to try against: an SMSC, and where asked for an HTTP API and a web service. See `gateway.sandbox`."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import click

from gateway import config, printing, systemd
from gateway.cli.shared import PathType, Seconds, Within, one_line
from gateway.sandbox import scenario
from gateway.sandbox.settings import MultForm, ReplyWay, SmscSettings, WebSettings
from gateway.sandbox.smsc import Smsc

Port = Within("port", int, most=65535)
Number = Within("number", int)


class Dense(click.Command):
    """A command whose many options leave no room for empty lines, on a screen of 24."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it does right below its usage."""
        with formatter.indentation():
            formatter.write_text(self.help or "")


def _url(_ctx: click.Context, _option: click.Parameter, value: str) -> str:
    with contextlib.suppress(ValueError):
        if not value or ((parts := urlsplit(value)).scheme in {"http", "https"} and parts.hostname):
            return value
    raise click.BadParameter("needs http://host[:port]/path")


def _show_numbers(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        heads, *rows = scenario.table()
        printing.table(heads, rows)
        ctx.exit()


_OPTIONS = [
    click.option("--host", default="127.0.0.1", show_default=True),
    click.option("--port", default=9500, show_default=True, type=Port, help="Of the SMSC."),
    click.option("--system-id", default="", metavar="ID", help="The only one to accept."),
    click.option("--password-file", type=PathType, help="The only password to accept stands in it."),
    click.option("--response-delay", default=0.0, show_default=True, type=Seconds, help="Of each way."),
    click.option("--receipt-delay", default=0.05, show_default=True, type=Seconds, help="Of call-backs too."),
    click.option("--max-rate", default=0.0, type=Within("rate", float), help="submit_sm a second, else throttled; 0 = any."),
    click.option(
        "--reply-way",
        default="udh",
        metavar="WAY",
        type=click.Choice(get_args(ReplyWay)),
        help=f"Marks of a reply's parts: {', '.join(get_args(ReplyWay))}.",
    ),
    click.option("--http-port", type=Port, help="Serve HTTP API and web service there."),
    click.option("--webservice-port", type=Port, help="Serve the web service there."),
    click.option("--user", default="", help="The only integration user to accept."),
    click.option("--credits", default=1_000_000, type=Number, help="Of each kind."),
    click.option("--callback-url", default="", metavar="URL", callback=_url, help="Call back there."),
    click.option("--reply-url", default="", metavar="URL", callback=_url, help="Call back replies there."),
    click.option("--callback-tries", default=1, show_default=True, type=Within("number", int, least=1), help="Times that each is tried."),
    click.option(
        "--mult-form",
        default=MultForm.ECHO.value,
        metavar="FORM",
        type=click.Choice([each.value for each in MultForm]),
        help=f"A batch's answer: {', '.join(each.value for each in MultForm)}.",
    ),
    click.option("--before-2020", is_flag=True, help="Answer what was withdrawn then."),
    click.option("--ledger", type=PathType, help="Append a JSON line for each message taken."),
    click.option(
        "--numbers",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_numbers,
        help="Show what the last digits of a number choose.",
    ),
]


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=Dense, short_help="Run a provider to try against.")
@_options
def sandbox(password_file: Path | None, **given: Any) -> None:
    """Run a provider to try against; where one sends to chooses what happens."""
    with one_line():
        password = config.secret("", str(password_file), "password") if password_file else ""
        _check_ways(given)
        asyncio.run(_serve(_smsc_settings(given, password), _web_settings(given)))


def _check_ways(given: dict[str, Any]) -> None:
    if given["http_port"] is None and given["webservice_port"] is None:
        for name in ("callback_url", "reply_url"):
            if given[name]:
                raise click.UsageError(
                    f"--{name.replace('_', '-')}: what comes by SMPP is not called back: say --http-port or --webservice-port too"
                )


def _smsc_settings(given: dict[str, Any], password: str) -> SmscSettings:
    names = ("host", "port", "system_id", "response_delay", "receipt_delay", "max_rate", "reply_way")
    return SmscSettings(**{name: given[name] for name in names}, password=password, ledger_path=given["ledger"])


def _web_settings(given: dict[str, Any]) -> WebSettings:
    names = ("host", "http_port", "user", "callback_url", "reply_url", "callback_tries")
    return WebSettings(
        **{name: given[name] for name in names},
        webservice_port=given["http_port"] if given["webservice_port"] is None else given["webservice_port"],
        credits=(given["credits"],) * 3,
        answer_delay=given["response_delay"],
        sending_delay=given["receipt_delay"],
        step_delay=given["receipt_delay"],
        mult_form=MultForm(given["mult_form"]),
        out_of_date=not given["before_2020"],
        ledger_path=given["ledger"],
    )


async def _serve(smsc_settings: SmscSettings, web_settings: WebSettings) -> None:
    stop = asyncio.Event()
    systemd.on_stop(stop.set)  # before anybody can know that we listen
    async with AsyncExitStack() as stack:
        smsc = Smsc(smsc_settings)
        await smsc.start()
        stack.push_async_callback(smsc.stop)
        click.echo(f"sandbox SMSC on {smsc_settings.host}:{smsc.port}")
        if web_settings.http_port is not None or web_settings.webservice_port is not None:
            await _serve_web(web_settings, stack)
        await stop.wait()


async def _serve_web(settings: WebSettings, stack: AsyncExitStack) -> None:
    from gateway.sandbox.web import WebProvider  # half a second of imports, most of it aiohttp

    web = WebProvider(settings)
    stack.push_async_callback(web.stop)
    await web.start()
    for line in web.told:
        click.echo(f"sandbox {line}")
