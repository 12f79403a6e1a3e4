"""`mensageiro sandbox`: a provider to try against: an SMSC, and where asked for an HTTP API and a web service. See `gateway.sandbox`."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from gateway import config, systemd
from gateway.cli.shared import PathType, one_line
from gateway.sandbox.settings import MultForm, SmscSettings, WebSettings
from gateway.sandbox.smsc import Smsc

Port = click.IntRange(0, 65535)

_OPTIONS = [
    click.option("--host", default="127.0.0.1", show_default=True),
    click.option("--port", default=9500, show_default=True, type=Port, metavar="PORT", help="Of the SMSC."),
    click.option("--system-id", default="", metavar="ID", help="The only one to accept."),
    click.option("--password-file", type=PathType, help="The only password to accept stands in it."),
    click.option("--response-delay", default=0.0, show_default=True, metavar="SECONDS", help="Of each way."),
    click.option("--receipt-delay", default=0.05, show_default=True, metavar="SECONDS", help="Of call-backs too."),
    click.option("--max-rate", default=0.0, metavar="RATE", help="submit_sm a second, else ESME_RTHROTTLED. 0 = any."),
    click.option("--reply-way", default="udh", type=click.Choice(["udh", "udh16", "sar"]), help="How a reply's parts are marked."),
    click.option("--http-port", type=Port, metavar="PORT", help="Serve HTTP API and web service there."),
    click.option("--webservice-port", type=Port, metavar="PORT", help="Serve the web service there."),
    click.option("--user", default="", help="The only integration user to accept."),
    click.option("--credits", default=1_000_000, metavar="NUMBER", type=click.IntRange(0), help="Of each kind."),
    click.option("--callback-url", default="", metavar="URL", help="Call back there."),
    click.option("--reply-url", default="", metavar="URL", help="Call back replies there."),
    click.option("--callback-tries", default=1, show_default=True, metavar="NUMBER", type=click.IntRange(1)),
    click.option(
        "--mult-form",
        default=MultForm.ECHO.value,
        metavar="FORM",
        type=click.Choice([each.value for each in MultForm]),
        help="Of a batch's answer: echo, order, shuffled, fewer.",
    ),
    click.option("--before-2020", is_flag=True, help="Answer what was withdrawn then."),
    click.option("--ledger", type=PathType, help="Append a JSON line for each message taken."),
]


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Run a provider to try against.")
@_options
def sandbox(password_file: Path | None, **given: Any) -> None:
    """Run a provider to try against; the last four digits of a destination choose what happens.

    Each way: 2001 no answer; 2002 taken, then cut; 2003 receipt before the answer; 2004 no receipt;
    2005 receipts twice; 2012 a reply; 2013 a long reply; 2015 answer after 5 s; others delivered.

    SMPP: 000N receipt with DLR code N; 1NNN refused with command_status NNN; 2006 delivered, then en
    route; 2007 id in hex, then decimal; 2008 receipt without TLVs; 2009 of TLVs alone; 2010 without
    text:; 2011 TLV and text disagree; 2014 generic_nack; 2016 unbind; 2017 garbage bytes.

    HTTP API and web service: 3NNN answered by code NNN; 2014 HTTP 500 or SOAP fault; 2016 connection
    closed; 2017 HTML; 2018 redirect; 2019 half a batch answered; 2020 answer breaks off; 2023
    call-backs without type; 2024 with 55; and the call-backs, s = status, d = DLR: 0000 s0 s1 d2;
    0001 s1 d2; 0002 d2; 0003 s3 s1 d2; 0004 s9; 0005 s2; 0006 s1 d5; 0007 s7 s1 d2; 0008 s5;
    0009 s1 d8; 2006 d2 s1; 2021 s1 d5 d2; 2022 s1 d4 d2; others s1 d2.
    """
    with one_line():
        password = config.secret("", str(password_file), "password") if password_file else ""
        asyncio.run(_serve(_smsc_settings(given, password), _web_settings(given)))


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
