"""Reading the file and what the environment puts over it, and checking what only this machine can tell."""

import contextlib
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from gateway.config.checks import NOT_VISIBLE, TOKEN, TOKEN_FAULT
from gateway.config.sections import (
    C_OCTETS,
    CARRIER_KINDS,
    IN_WORDS,
    NAME,
    SECRETS,
    SECTIONS,
    VISIBLE,
    Broker,
    Carrier,
    Config,
    Http,
    Section,
    Smpp,
    Webservice,
)

ENVIRONMENT_PREFIX = "MENSAGEIRO_"
T = TypeVar("T")


class ConfigError(Exception):
    """The configuration cannot be used. Its text is one line and begins with the path of the key."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else " " for letter in text))


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error.reason}") from None
    except ValueError as error:  # TOMLDecodeError, and an integer of thousands of digits
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    return parse(document, environment)


def parse(document: dict[str, Any], environment: Mapping[str, str] = {}) -> Config:
    """Check a configuration that was read from TOML. Raises ConfigError."""
    _overridden(document, environment)
    sections: dict[str, Any] = {}
    for name, value in document.items():
        if name == "carriers":
            sections[name] = {key: _carrier(key, table) for key, table in _table(value, name).items()}
        elif name in SECTIONS:
            sections[name] = _convert(value, SECTIONS[name], name)
        else:
            raise ConfigError(f"{name}: is no section; there are {', '.join(SECTIONS)} and carriers.<name>")
    try:
        return Config(**sections)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def parse_broker(table: dict[str, Any], environment: Mapping[str, str]) -> Broker:
    """Check the settings of a broker alone, for a producer. Raises ConfigError."""
    document = {"broker": table}
    _overridden(document, environment)
    return _convert(document["broker"], Broker, "broker")


def public(config: Config) -> dict[str, Any]:
    """Return the settings as plain data, without secrets."""
    sections: dict[str, Any] = msgspec.to_builtins(config)
    for section in (sections["broker"], sections["callbacks"], *sections["carriers"].values()):
        section.update({name: "***" for name in SECRETS if section.get(name)})
    return sections


def secret(value: str, file: str, path: str) -> str:
    """Return a secret that stands in the configuration or in a file. Raises ConfigError."""
    if not file:
        return value
    try:
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}_file: cannot read {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if not text:
        raise ConfigError(f"{path}_file: {file} is empty")
    if "\n" in text:
        raise ConfigError(f"{path}_file: {file} has more than one line")
    return text


def user(carrier: Http | Webservice, name: str) -> str:
    """Return the integration user of the carrier `name`. Raises ConfigError."""
    found = secret(carrier.user, carrier.user_file, f"carriers.{name}.user")
    if not re.fullmatch(VISIBLE, found):
        raise ConfigError(f"carriers.{name}.user_file: {carrier.user_file} {NOT_VISIBLE}")
    return found


def check(config: Config) -> None:
    """Check what only the machine can tell: that the files exist and the secrets can be read. Raises ConfigError."""
    with contextlib.suppress(PermissionError):  # others than the gateway's user may not see it, and check all the same
        if (state_dir := Path(config.gateway.state_dir)).exists() and not state_dir.is_dir():
            raise ConfigError(f"gateway.state_dir: {state_dir} is no folder")
    secret(config.broker.password, config.broker.password_file, "broker.password")
    _pem(config.broker.ca_file, "broker.ca_file")
    token = secret(config.callbacks.token, config.callbacks.token_file, "callbacks.token")
    if token and not TOKEN.fullmatch(token):
        raise ConfigError(f"callbacks.{TOKEN_FAULT}")
    for name, carrier in config.carriers.items():
        if isinstance(carrier, Smpp):
            _check_smpp(carrier, f"carriers.{name}")
        else:
            user(carrier, name)


def _check_smpp(carrier: Smpp, path: str) -> None:
    password = secret(carrier.password, carrier.password_file, f"{path}.password")
    if len(password) > 64:
        raise ConfigError(f"{path}.password: is longer than 64 characters")
    if not re.fullmatch(C_OCTETS, password):
        raise ConfigError(f"{path}.password: has a character that SMPP cannot carry")
    for key in ("ca_file", "cert_file", "key_file"):
        _pem(getattr(carrier, key), f"{path}.{key}")


def _pem(file: str, path: str) -> None:
    if not file:
        return
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read {file}: {error.strerror}") from None
    if b"-----BEGIN " not in content:
        raise ConfigError(f"{path}: {file} is no PEM file")


def _refuse_secret_in_environment(environment: Mapping[str, str]) -> None:
    for key in environment:
        if key.startswith(ENVIRONMENT_PREFIX) and "__" in key and key.rsplit("__", 1)[1].lower() in SECRETS:
            raise ConfigError(f"{key}: a secret must not stand in the environment; use {key}_FILE")


def _overridden(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put what the environment says into the document."""
    _refuse_secret_in_environment(environment)
    for key, value in sorted(environment.items()):
        if key.startswith(ENVIRONMENT_PREFIX) and "__" in key:
            _override(document, key.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), value)


def _override(document: dict[str, Any], path: list[str], value: str) -> None:
    """Put `value` at `path`, read as TOML ("20", "true", '["a"]') unless the key holds text."""
    table = document
    for step in path[:-1]:
        table = table.setdefault(_as_written(table, step), {})
        if not isinstance(table, dict):
            raise ConfigError(f"{'.'.join(path)}: {step} is no section")
    table[path[-1]] = value if _holds_text(path) else _literal(value)


def _as_written(table: dict[str, Any], step: str) -> str:
    """Find a carrier whose name has capitals: names in the environment have lost theirs."""
    return next((key for key in table if key.lower() == step), step)


def _holds_text(path: list[str]) -> bool:
    sections: Collection[type[Section]] = (
        CARRIER_KINDS.values() if path[0] == "carriers" else [SECTIONS[path[0]]] if path[0] in SECTIONS else []
    )
    hints = [hint for section in sections if (hint := get_type_hints(section).get(path[-1])) is not None]
    return all(hint is str or get_origin(hint) is Literal for hint in hints)


def _literal(value: str) -> Any:
    try:
        found = tomllib.loads(f"value = {value}")
    except ValueError:
        return value
    return found["value"] if len(found) == 1 else value


def _table(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: is no section")
    return value


def _carrier(name: str, value: Any) -> Carrier:
    path = f"carriers.{name}"
    if not re.fullmatch(NAME, name):
        raise ConfigError(f"{path}: a name has 1 to 32 letters, digits, - and _")
    kind = str(_table(value, path).get("kind"))
    if kind not in CARRIER_KINDS:
        raise ConfigError(f"{path}.kind: must be one of {', '.join(CARRIER_KINDS)}")
    return _convert(value, CARRIER_KINDS[kind], path)


def _convert(value: Any, type_: type[T], path: str) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ConfigError(_one_line(str(error), path, type_)) from None


def _one_line(text: str, path: str, type_: type[Any]) -> str:
    """Turn "Expected `int` - at `$.window`" into "carriers.smpp.window: expected `int`", and "password: why" likewise."""
    what, _, where = text.partition(" - at `$")
    path += where.removesuffix("`")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if unknown:
        return f"{path}.{unknown[1]}: is no key that this section knows"
    if what.startswith("Invalid enum value"):
        return f"{path}: {what.removeprefix('Invalid enum value ')} is not one of {', '.join(_allowed(type_, where))}"
    if what.startswith("Expected `str` matching regex"):
        what = next(words for pattern, words in IN_WORDS.items() if repr(pattern) in what)
    if re.match(r"[a-z_]+: ", what):
        return f"{path}.{what}"
    return f"{path}: {what[0].lower()}{what[1:]}"


def _allowed(type_: type[Any], where: str) -> tuple[str, ...]:
    """List what a key of a section may hold, out of its type; it may be a member of an array or of a table."""
    hint = get_type_hints(type_)[re.findall(r"[a-z_0-9]+", where)[0]]
    while get_origin(hint) is not Literal:
        hint = next(each for each in reversed(get_args(hint)) if each is not Ellipsis)
    return get_args(hint)
