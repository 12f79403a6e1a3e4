"""The configuration: one mistake, one line that names the key."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway import config, schema
from gateway.config import ConfigError

GOOD = '[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\npassword = "hunter22"\n'


def parse(text: str, environment: dict[str, str] | None = None) -> config.Config:
    return config.parse(tomllib.loads(text), environment or {})


MISTAKES = {
    "no carrier": ("", "carriers: at least one"),
    "an unknown section": (GOOD + "[brokr]\n", "brokr: is no section"),
    "an unknown key": (GOOD + "windw = 3\n", "carriers.smpp.windw: is no key"),
    "a wrong type": (GOOD + 'window = "3"\n', "carriers.smpp.window: expected `int`"),
    "a value out of range": (GOOD + "window = 0\n", "carriers.smpp.window: expected `int` >= 1"),
    "a port out of range": (GOOD + "port = 70000\n", "carriers.smpp.port: expected `int` <= 65535"),
    "no secret": ('[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\n', "carriers.smpp.password: a secret is required"),
    "two secrets": (GOOD + 'password_file = "/x"\n', "carriers.smpp.password: set password or password_file, not both"),
    "no system_id": ('[carriers.smpp]\nkind = "smpp"\npassword = "x"\n', "carriers.smpp.system_id: is required"),
    "a system_id that SMPP cannot carry": (GOOD.replace("user", "u" * 16), "carriers.smpp.system_id: expected `str` of length <= 15"),
    "another kind": ('[carriers.x]\nkind = "fax"\n', "carriers.x.kind: must be one of smpp"),
    "no kind": ('[carriers.x]\nsystem_id = "u"\n', "carriers.x.kind: must be one of smpp"),
    "a carrier's name that is no label": ('[carriers."a b"]\nkind = "smpp"\n', "carriers.a b: a name has"),
    "routes without a carrier": (GOOD + '[gateway]\nroutes = ["http"]\n', "gateway.routes: names no carrier"),
    "a zone that is none": (GOOD + '[gateway]\ntime_zone = "Mars/Base"\n', "gateway.time_zone: is no time zone"),
    "an empty zone": (GOOD + '[gateway]\ntime_zone = ""\n', "gateway.time_zone: is no time zone"),
    "retries that shrink": (GOOD + "[gateway]\nretry_min = 10\nretry_max = 5\n", "gateway.retry_max: must not be below retry_min"),
    "reconnects that shrink": (GOOD + "reconnect_min = 10.0\nreconnect_max = 5.0\n", "carriers.smpp.reconnect_max: must not be below"),
    "a policy that is none": (GOOD + '[gateway]\nin_doubt = "guess"\n', "gateway.in_doubt: invalid enum value 'guess'"),
    "an instance that is no label": (GOOD + '[gateway]\ninstance = "a/b"\n', "gateway.instance: expected `str` matching"),
    "a broker URL of another kind": (GOOD + '[broker]\nurl = "http://x"\n', "broker.url: needs mqtt:// or mqtts://"),
    "a broker URL without a host": (GOOD + '[broker]\nurl = "mqtt://"\n', "broker.url: needs"),
    "a broker URL with a bad port": (GOOD + '[broker]\nurl = "mqtt://h:99999"\n', "broker.url: needs"),
    "credentials in a URL": (GOOD + '[broker]\nurl = "mqtt://a:b@h"\n', "broker.url: credentials belong in"),
    "a prefix with a wildcard": (GOOD + '[broker]\ntopic_prefix = "a/#"\n', "broker.topic_prefix: expected `str` matching"),
    "a shared group with SQLite": (GOOD + '[broker]\nshared_group = "g"\n', "broker.shared_group: a group needs a PostgreSQL journal"),
    "a PostgreSQL journal": (GOOD + '[journal]\nurl = "postgresql://x"\n', "journal.url: only sqlite:"),
    "a listen address without a port": (GOOD + '[admin]\nlisten = "127.0.0.1"\n', "admin.listen: needs address:port"),
    "a listen address that is a name": (GOOD + '[admin]\nlisten = "example.org:80"\n', "admin.listen: 'example.org' is no address"),
    "TLS files without TLS": (GOOD + 'ca_file = "/x"\n', "carriers.smpp.tls: is false, but"),
    "a certificate without its key": (
        GOOD + 'tls = true\ncert_file = "/x"\n',
        "carriers.smpp.key_file: cert_file and key_file",
    ),
    "a level that is none": (GOOD + '[log]\nlevel = "loud"\n', "log.level: invalid enum value"),
    "a section that is a value": ("gateway = 3\n" + GOOD, "gateway: expected `object`"),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_that_begins_with_the_keys_path(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)
    assert "hunter22" not in str(error.value)


def test_defaults_are_those_of_the_interface() -> None:
    settings = parse(GOOD)
    assert settings.gateway.instance == "mensageiro"
    assert settings.broker.receive_maximum == 1000
    assert settings.carriers["smpp"].window == 50
    assert settings.journal_path == Path("/var/lib/mensageiro/journal.db")
    assert settings.routes == ("smpp",)


def test_the_environment_overrides_any_key_but_a_secret() -> None:
    settings = parse(
        GOOD,
        {
            "MENSAGEIRO_CARRIERS__SMPP__WINDOW": "20",
            "MENSAGEIRO_CARRIERS__SMPP__TLS": "true",
            "MENSAGEIRO_CARRIERS__SMPP__SOURCE_ADDR": "12345",
            "MENSAGEIRO_BROKER__RESPONSE_TOPICS": '["a/+"]',
            "MENSAGEIRO_GATEWAY__FAILOVER_AFTER": "5",
            "MENSAGEIRO_CONFIG": "/not/a/key",
            "OTHER__WINDOW": "1",
        },
    )
    smpp = settings.carriers["smpp"]
    assert (smpp.window, smpp.tls, smpp.source_addr) == (20, True, "12345")
    assert settings.broker.response_topics == ("a/+",)
    assert settings.gateway.failover_after == 5.0


def test_a_secret_in_the_environment_is_refused_but_its_file_is_not() -> None:
    with pytest.raises(ConfigError, match="MENSAGEIRO_BROKER__PASSWORD: a secret must not stand in the environment"):
        parse(GOOD, {"MENSAGEIRO_BROKER__PASSWORD": "x"})
    assert parse(GOOD, {"MENSAGEIRO_BROKER__PASSWORD_FILE": "/run/secret"}).broker.password_file == "/run/secret"


def test_a_secret_file_loses_its_last_newline_and_must_not_be_empty(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter22\n")
    assert config.secret("", str(file), "a.password") == "hunter22"
    file.write_text("\n")
    with pytest.raises(ConfigError, match=r"a\.password_file: .* is empty"):
        config.secret("", str(file), "a.password")
    with pytest.raises(ConfigError, match=r"a\.password_file: cannot read"):
        config.secret("", str(tmp_path / "none"), "a.password")


def test_secrets_show_in_no_representation() -> None:
    settings = parse(GOOD + '[broker]\npassword = "hunter33"\n')
    shown = f"{settings!r} {config.public(settings)}"
    assert "hunter22" not in shown
    assert "hunter33" not in shown


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"a = [", "is not TOML"), (b"\xff", "is not UTF-8"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, expected: str) -> None:
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as error:
        config.load(file, {})
    assert str(error.value).startswith(str(file))


def test_check_reads_the_files_that_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"broker\.ca_file: cannot read"):
        config.check(parse(GOOD + '[broker]\nca_file = "/no/such/file"\n'))
    with pytest.raises(ConfigError, match=r"carriers\.smpp\.password: is longer than 64"):
        config.check(parse(GOOD.replace("hunter22", "x" * 65)))
    config.check(parse(GOOD))


def test_the_example_is_a_configuration_once_its_secret_exists() -> None:
    settings = config.parse(tomllib.loads(schema.example_config()))
    assert settings.carriers["smpp"].password_file == "/etc/mensageiro/smpp.password"


def test_every_commented_key_of_the_example_is_its_default() -> None:
    lines = schema.example_config().splitlines()
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    table: dict[str, Any] = tomllib.loads(uncommented)
    assert config.parse(table) == config.parse(tomllib.loads(schema.example_config()))
