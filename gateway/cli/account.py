"""The commands of `mensageiro account`: they ask `gateway.account` and print.

A user's password comes from a prompt that does not show it, or from a file; never from an argument, which others could read.
"""

import json
import re
import warnings
from collections.abc import Callable, Sequence
from getpass import GetPassWarning
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway import account, config, printing
from gateway.account import Via
from gateway.cli.shared import OneLineGroup, PathType, config_option, json_option, moment, one_line
from gateway.provider import http
from gateway.provider.answers import Added, Changed

LOGIN = re.compile("[0-9A-Za-z_.@-]+")
MAILS = "Mail address; may be given several times."
CENTRES = "Id of a cost centre that the user may use; may be given several times."
BOTH: tuple[Via, ...] = ("http", "webservice")

_carrier_option = click.option("--carrier", "carrier", default=None, metavar="NAME", help="Of which account, where several are configured.")
_via_option = click.option("--via", default=None, type=click.Choice(BOTH), help="Ask this way.")
_password_file_option = click.option("--password-file", type=PathType, help="The password stands in it.")
_active_option = click.option("--active/--inactive", default=None, help="Switch on or off.")


def _where(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say whom to ask, and how to print."""
    return _carrier_option(config_option(json_option(command)))


@click.group("account", cls=OneLineGroup, short_help="Ask the provider about the account.")
def account_group() -> None:
    """Ask the provider about the account by its HTTP API or web service, and change it."""


@account_group.group(short_help="The users of the provider's platform.")
def users() -> None:
    """List, add and change the users of the provider's platform."""


@account_group.group("cost-centres", short_help="The cost centres.")
def cost_centres() -> None:
    """List, add and change the cost centres."""


# --- Lists ------------------------------------------------------------------------------------------------------------------------


@account_group.command(short_help="What is left.")
@_where
def credits(**where: Any) -> None:
    """Show the credits that are left, by modality and distribution."""
    _list(http.AskCredits(), ("distribution", "id", "modality", "long_code", "flash", "short_code"), **where)


@account_group.command(short_help="The levels of access.")
@_where
def levels(**where: Any) -> None:
    """List the levels of access that users may have."""
    _list(http.ListLevels(), ("id", "name"), **where)


@account_group.command(short_help="The telephone operators.")
@_where
def operators(**where: Any) -> None:
    """List the telephone operators by Anatel's code."""
    _list(http.ListOperators(), ("code", "name"), **where)


@users.command("list", short_help="List them.")
@_where
def list_users(**where: Any) -> None:
    """List the users of the provider's platform."""
    _list(http.ListUsers(), ("id", "active", "login", "name", "level"), **where)


@cost_centres.command("list", short_help="List them.")
@_where
def list_cost_centres(**where: Any) -> None:
    """List the cost centres."""
    _list(http.ListCostCentres(), ("id", "active", "name", "mails"), **where)


@account_group.command(short_help="How far messages are.")
@click.argument("hashes", nargs=-1, required=True, metavar="HASH...")
@_via_option
@_where
def status(hashes: Sequence[str], via: Via | None, path: Path, carrier: str | None, as_json: bool) -> None:
    """Ask how far messages are, by the provider's hashes (message_ids). The provider withdrew this in 2020."""
    with one_line(account.AccountError):
        settings, chosen = _chosen(path, (via,) if via else BOTH, carrier)
        answers = account.ask(chosen, account.status_requests(chosen, hashes))
        found, strange = account.records(answers, ZoneInfo(settings.gateway.time_zone))
    if len(hashes) == len(found) == 1:
        found[0]["protocol"] = found[0]["protocol"] or hashes[0]
    _print(("protocol", "status", "state", "description", "at", "operator", "external_id", "number"), found, strange, as_json=as_json)


@account_group.command(short_help="Replies.")
@click.option("--from", "since", default=None, metavar="TIME", help="Since: RFC 3339. Default: today.")
@click.option("--to", "until", default=None, metavar="TIME", help="Until: RFC 3339. Default: today.")
@click.option("--again", is_flag=True, help="What was shown before, too.")
@_via_option
@_where
def inbox(since: str | None, until: str | None, again: bool, via: Via | None, path: Path, carrier: str | None, as_json: bool) -> None:
    """Read replies from the provider's inbox. The provider withdrew this in 2020."""
    span = moment(since, "--from"), moment(until, "--to")
    with one_line(account.AccountError):
        settings, chosen = _chosen(path, (via,) if via else BOTH, carrier)
        zone = ZoneInfo(settings.gateway.time_zone)
        found, strange = account.records(account.ask(chosen, [account.inbox_request(chosen, *span, zone, again=again)]), zone)
    _print(("at", "number", "text", "protocol", "external_id", "reference"), found, strange, as_json=as_json)


def _list(request: http.Request, names: Sequence[str], path: Path, carrier: str | None, *, as_json: bool) -> None:
    with one_line(account.AccountError):
        settings, chosen = _chosen(path, ("http",), carrier)
        found, strange = account.records(account.ask(chosen, [request]), ZoneInfo(settings.gateway.time_zone))
    _print(names, found, strange, as_json=as_json)


# --- Changes ----------------------------------------------------------------------------------------------------------------------


@users.command("add", short_help="Add one.")
@click.option("--name", required=True)
@click.option("--login", required=True, help="Only 0-9 A-Z a-z _ - . @")
@click.option("--level", default=None, type=int, help="Id of a level of access.")
@click.option("--cost-centre", "centres", multiple=True, type=int, metavar="ID", help=CENTRES)
@_password_file_option
@_where
def add_user(name: str, login: str, level: int | None, centres: tuple[int, ...], password_file: Path | None, **where: Any) -> None:
    """Add a user to the provider's platform. Without --password-file the password is asked for."""
    if not LOGIN.fullmatch(login):
        raise click.BadParameter("has only 0-9 A-Z a-z _ - . @", param_hint="--login")
    with one_line(account.AccountError):
        password = _password(password_file)
    _add(http.AddUser(name=name, login=login, password=password, level=level, cost_centres=centres), **where)


@users.command("change", short_help="Change one.")
@click.argument("id", type=int)
@click.option("--name", default=None)
@_active_option
@click.option("--level", default=None, type=int, help="Id of a level of access.")
@click.option("--cost-centre", "centres", multiple=True, type=int, metavar="ID", help=CENTRES)
@click.option("--password", "ask_password", is_flag=True, help="Ask for a new password.")
@_password_file_option
@_where
def change_user(
    id: int,
    name: str | None,
    active: bool | None,
    level: int | None,
    centres: tuple[int, ...],
    ask_password: bool,
    password_file: Path | None,
    **where: Any,
) -> None:
    """Change a user of the provider's platform; what is not named stays."""
    with one_line(account.AccountError):
        password = _password(password_file) if ask_password or password_file else None
    _change(http.ChangeUser(id=id, name=name, active=active, password=password, level=level, cost_centres=centres), **where)


@cost_centres.command("add", short_help="Add one.")
@click.argument("name")
@click.option("--mail", "mails", multiple=True, metavar="ADDRESS", help=MAILS)
@_where
def add_cost_centre(name: str, mails: tuple[str, ...], **where: Any) -> None:
    """Add a cost centre."""
    if not 0 < len(name) <= http.MAX_COST_CENTRE_NAME:
        raise click.BadParameter(f"needs 1 to {http.MAX_COST_CENTRE_NAME} characters", param_hint="NAME")
    _add(http.AddCostCentre(name=name, mails=_mails(mails)), **where)


@cost_centres.command("change", short_help="Change one.")
@click.argument("id", type=int)
@_active_option
@click.option("--mail", "mails", multiple=True, metavar="ADDRESS", help=MAILS)
@_where
def change_cost_centre(id: int, active: bool | None, mails: tuple[str, ...], **where: Any) -> None:
    """Change a cost centre; what is not named stays. The provider cannot rename one."""
    _change(http.ChangeCostCentre(id=id, active=active, mails=_mails(mails)), **where)


def _add(request: http.Request, path: Path, carrier: str | None, *, as_json: bool) -> None:
    with one_line(account.AccountError):
        _, chosen = _chosen(path, ("http",), carrier)
        added = account.one(account.ask(chosen, [request]), Added)
    detail = account.printable(added.text)
    if as_json:
        click.echo(json.dumps({"id": added.id, "detail": detail}, ensure_ascii=False))
    else:
        click.echo(f"added{'' if added.id is None else f': id {added.id}'}")


def _change(request: http.ChangeUser | http.ChangeCostCentre, path: Path, carrier: str | None, *, as_json: bool) -> None:
    if request == type(request)(id=request.id):
        raise click.UsageError("say what is to be different")
    with one_line(account.AccountError):
        _, chosen = _chosen(path, ("http",), carrier)
        changed = account.one(account.ask(chosen, [request]), Changed)
    detail = account.printable(changed.text)
    click.echo(json.dumps({"id": request.id, "detail": detail}, ensure_ascii=False) if as_json else f"changed: id {request.id}")


def _password(file: Path | None) -> str:
    """Read a password from a file, or ask for it twice without showing it."""
    if file is not None:
        return config.secret("", str(file), "password")
    with warnings.catch_warnings(action="ignore", category=GetPassWarning):  # where there is no terminal it says so itself, in words
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _mails(mails: tuple[str, ...]) -> str | None:
    joined = "|".join(mails)
    if len(joined) > http.MAX_COST_CENTRE_MAILS:
        raise click.BadParameter(f"all together have at most {http.MAX_COST_CENTRE_MAILS} characters", param_hint="--mail")
    return joined or None


# --- What all share ---------------------------------------------------------------------------------------------------------------


def _chosen(path: Path, kinds: Sequence[Via], name: str | None) -> tuple[config.Config, account.Account]:
    settings = config.load(path)
    return settings, account.choose(settings, kinds, name)


def _print(names: Sequence[str], found: list[account.Record], strange: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        printing.table([name.replace("_", " ") for name in names], [[record[name] for name in names] for record in found])
    if strange:
        click.echo(f"mensageiro: {strange} rows of the answer cannot be read and are left out", err=True)
