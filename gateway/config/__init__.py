"""Typed settings: one TOML file, overridden by the environment, checked whole before anything starts.

`load()` reads the file that `--config` or MENSAGEIRO_CONFIG names. A key is overridden by MENSAGEIRO_<SECTION>__<KEY>, as in
MENSAGEIRO_CARRIERS__SMPP__WINDOW=20: as it stands where the key holds text, else read as TOML. Secrets never come from the environment:
they stand in the file, or in a file that `<key>_file` names (which may come from the environment). Every mistake is a `ConfigError` of one
line that begins with the key's path.

`sections` has the keys with their defaults and meanings; `config/gateway.example.toml` is generated from it. `checks` says what values
must be beyond their types, `loading` reads.
"""

from gateway.config.checks import address
from gateway.config.loading import ConfigError, check, load, parse, parse_broker, public, secret, user
from gateway.config.sections import (
    CARRIER_KINDS,
    HOT,
    SECRETS,
    SECTIONS,
    Admin,
    Broker,
    Callbacks,
    Carrier,
    Config,
    Endpoint,
    Gateway,
    Http,
    Journal,
    Log,
    Section,
    Smpp,
    Webservice,
)

__all__ = [
    "CARRIER_KINDS",
    "HOT",
    "SECRETS",
    "SECTIONS",
    "Admin",
    "Broker",
    "Callbacks",
    "Carrier",
    "Config",
    "ConfigError",
    "Endpoint",
    "Gateway",
    "Http",
    "Journal",
    "Log",
    "Section",
    "Smpp",
    "Webservice",
    "address",
    "check",
    "load",
    "parse",
    "parse_broker",
    "public",
    "secret",
    "user",
]
