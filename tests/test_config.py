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


def smpp_of(settings: config.Config, name: str = "smpp") -> config.Smpp:
    smpp = settings.carriers[name]
    assert isinstance(smpp, config.Smpp)
    return smpp


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
    "a system_id outside Latin-1": (GOOD.replace("user", "us\u20acr"), "carriers.smpp.system_id: has a character that SMPP cannot carry"),
    "a sender outside Latin-1": (GOOD + 'source_addr = "\u20ac"\n', "carriers.smpp.source_addr: has a character that SMPP cannot carry"),
    "another kind": ('[carriers.x]\nkind = "fax"\n', "carriers.x.kind: must be one of smpp"),
    "no kind": ('[carriers.x]\nsystem_id = "u"\n', "carriers.x.kind: must be one of smpp"),
    "a carrier's name that is no label": ('[carriers."a b"]\nkind = "smpp"\n', "carriers.a b: a name has"),
    "routes without a carrier": (GOOD + '[gateway]\nroutes = ["http"]\n', "gateway.routes: names no carrier"),
    "a zone that is none": (GOOD + '[gateway]\ntime_zone = "Mars/Base"\n', "gateway.time_zone: is no time zone"),
    "an empty zone": (GOOD + '[gateway]\ntime_zone = ""\n', "gateway.time_zone: is no time zone"),
    "retries that shrink": (GOOD + "[gateway]\nretry_min = 10\nretry_max = 5\n", "gateway.retry_max: must not be below retry_min"),
    "reconnects that shrink": (GOOD + "reconnect_min = 10.0\nreconnect_max = 5.0\n", "carriers.smpp.reconnect_max: must not be below"),
    "a policy that is none": (GOOD + '[gateway]\nin_doubt = "guess"\n', "gateway.in_doubt: 'guess' is not one of hold, resubmit"),
    "an instance that is no label": (GOOD + '[gateway]\ninstance = "a/b"\n', "gateway.instance: needs 1 to 32 of"),
    "a broker URL of another kind": (GOOD + '[broker]\nurl = "http://x"\n', "broker.url: needs mqtt:// or mqtts://"),
    "a broker URL without a host": (GOOD + '[broker]\nurl = "mqtt://"\n', "broker.url: needs"),
    "a broker URL with a bad port": (GOOD + '[broker]\nurl = "mqtt://h:99999"\n', "broker.url: needs"),
    "credentials in a URL": (GOOD + '[broker]\nurl = "mqtt://a:b@h"\n', "broker.url: credentials belong in"),
    "a prefix with a wildcard": (GOOD + '[broker]\ntopic_prefix = "a/#"\n', "broker.topic_prefix: needs topic levels without"),
    "a shared group with SQLite": (GOOD + '[broker]\nshared_group = "g"\n', "broker.shared_group: a group needs a PostgreSQL journal"),
    "a PostgreSQL journal": (GOOD + '[journal]\nurl = "postgresql://x"\n', "journal.url: only sqlite:"),
    "a listen address without a port": (GOOD + '[admin]\nlisten = "127.0.0.1"\n', "admin.listen: needs address:port"),
    "a listen address that is a name": (GOOD + '[admin]\nlisten = "example.org:80"\n', "admin.listen: 'example.org' is no address"),
    "TLS files without TLS": (GOOD + 'ca_file = "/x"\n', "carriers.smpp.tls: is false, but"),
    "a certificate without its key": (
        GOOD + 'tls = true\ncert_file = "/x"\n',
        "carriers.smpp.key_file: cert_file and key_file",
    ),
    "a level that is none": (GOOD + '[log]\nlevel = "loud"\n', "log.level: 'loud' is not one of debug, info"),
    "a username in a URL": (GOOD + '[broker]\nurl = "mqtt://a@h"\n', "broker.url: credentials belong in"),
    "half an IPv6 address": (GOOD + '[broker]\nurl = "mqtt://[::1"\n', "broker.url: needs"),
    "a port that is none": (GOOD + '[broker]\nurl = "mqtt://h:0"\n', "broker.url: needs"),
    "a URL with a path": (GOOD + '[broker]\nurl = "mqtt://h/sms"\n', "broker.url: has more than a host and a port"),
    "broker TLS files without TLS": (GOOD + '[broker]\nca_file = "/x"\n', "broker.ca_file: is set, but url is not mqtts://"),
    "a topic filter that is none": (GOOD + '[broker]\nresponse_topics = ["a/#/b"]\n', "broker.response_topics: + and # stand"),
    "a topic filter with half a wildcard": (GOOD + '[broker]\nresponse_topics = ["a", "b#"]\n', "broker.response_topics: + and #"),
    "an empty topic filter": (GOOD + '[broker]\nresponse_topics = [""]\n', "broker.response_topics: + and #"),
    "a prefix that ends with a slash": (GOOD + '[broker]\ntopic_prefix = "sms/"\n', "broker.topic_prefix: needs topic levels without"),
    "an empty prefix": (GOOD + '[broker]\ntopic_prefix = ""\n', "broker.topic_prefix: needs topic levels without"),
    "a prefix with a line feed": (GOOD + '[broker]\ntopic_prefix = "sms\\n"\n', "broker.topic_prefix: needs topic levels without"),
    "an instance with a line feed": (GOOD + '[gateway]\ninstance = "a\\n"\n', "gateway.instance: needs 1 to 32 of"),
    "a key with a line feed": (GOOD + '[gateway]\n"a\\nb" = 1\n', "gateway.a b: is no key"),
    "a time without end": (GOOD + "[gateway]\nfailover_after = inf\n", "gateway.failover_after: expected `float` <="),
    "a time that is no number": (GOOD + "[gateway]\nfailover_after = nan\n", "gateway.failover_after: expected `float` >="),
    "a rate without end": (GOOD + "max_rate = inf\n", "carriers.smpp.max_rate: expected `float` <="),
    "no kinds": (GOOD + "kinds = []\n", "carriers.smpp.kinds: expected `array` of length >= 1"),
    "no host": (GOOD + 'host = ""\n', "carriers.smpp.host: expected `str` of length >= 1"),
    "no folder": (GOOD + '[gateway]\nstate_dir = ""\n', "gateway.state_dir: expected `str` of length >= 1"),
    "no routes": (GOOD + "[gateway]\nroutes = []\n", "gateway.routes: names no carrier"),
    "a port that is no number": (GOOD + '[admin]\nlisten = "127.0.0.1:\u00b2"\n', "admin.listen: needs address:port"),
    "a listen address without an address": (GOOD + '[admin]\nlisten = ":80"\n', "admin.listen: '' is no address"),
    "a listen port out of range": (GOOD + '[admin]\nlisten = "127.0.0.1:65536"\n', "admin.listen: needs address:port"),
    "a secret that is no text": (GOOD.replace('"hunter22"', "123456"), "carriers.smpp.password: expected `str`, got `int`"),
    "a carrier's name that is too long": (f'[carriers.{"x" * 33}]\nkind = "smpp"\n', f"carriers.{'x' * 33}: a name has"),
    "a carrier that is a value": ("[carriers]\nsmpp = 3\n", "carriers.smpp: is no section"),
    "carriers that are a value": ("carriers = 3\n", "carriers: is no section"),
    "a valid_for beyond the provider's": (
        GOOD + "[gateway]\ndefault_valid_for = 172801\n",
        "gateway.default_valid_for: expected `float` <=",
    ),
    "a data_coding beyond an octet": (
        GOOD + 'data_coding_in = {256 = "latin1"}\n',
        "carriers.smpp.data_coding_in: a data_coding is 0 to 255",
    ),
    "two carriers of one account": (
        GOOD + GOOD.replace("carriers.smpp", "carriers.again"),
        "carriers.again.system_id: is the account of carriers.smpp",
    ),
    "no user": ('[carriers.http]\nkind = "http"\n', "carriers.http.user: a secret is required"),
    "two users": ('[carriers.http]\nkind = "http"\nuser = "a"\nuser_file = "/x"\n', "carriers.http.user: set user or user_file, not both"),
    "no user of the web service": ('[carriers.ws]\nkind = "webservice"\n', "carriers.ws.user: a secret is required"),
    "an HTTP API by another scheme": (
        '[carriers.http]\nkind = "http"\nuser = "a"\nbase_url = "ftp://x"\n',
        "carriers.http.base_url: needs http:// or",
    ),
    "a batch beyond the manual's": (
        '[carriers.http]\nkind = "http"\nuser = "a"\nbatch = 1001\n',
        "carriers.http.batch: expected `int` <= 1000",
    ),
    "call-backs without a token": (GOOD + "[callbacks]\nenabled = true\n", "callbacks.token: a secret is required"),
    "a token that can be guessed": (GOOD + '[callbacks]\ntoken = "short"\n', "callbacks.token: needs 16 to 128"),
    "a network that is none": (GOOD + '[callbacks]\nallow = ["203.0.113.1/24"]\n', "callbacks.allow: 203.0.113.1/24 has host bits set"),
    "an alphabet that is none": (
        GOOD + 'data_coding_in = {8 = "utf-8"}\n',
        "carriers.smpp.data_coding_in[...]: 'utf-8' is not one of gsm7",
    ),
    "a data_coding that is none": (GOOD + 'data_coding_in = {x = "latin1"}\n', "carriers.smpp.data_coding_in: a data_coding is 0 to 255"),
    "a kind among kinds that is none": (GOOD + 'kinds = ["common", "fax"]\n', "carriers.smpp.kinds[1]: 'fax' is not one of common, flash,"),
    "a user in an HTTP API's query": (
        '[carriers.http]\nkind = "http"\nuser = "a"\nbase_url = "http://x/sms?u=hunter22"\n',
        "carriers.http.base_url: takes no credentials",
    ),
    "credentials in a web service's URL": (
        '[carriers.ws]\nkind = "webservice"\nuser = "a"\nurl = "http://x:hunter22@h/wbsapi.asmx"\n',
        "carriers.ws.url: takes no credentials",
    ),
    "a URL with a blank": (
        '[carriers.http]\nkind = "http"\nuser = "a"\nbase_url = "http://x/s ms"\n',
        "carriers.http.base_url: has a blank, a control character, or one",
    ),
    "a user that XML cannot carry": (
        '[carriers.ws]\nkind = "webservice"\nuser = "a\\u0001"\n',
        "carriers.ws.user: has a blank, a control character, or one",
    ),
    "a namespace that is no URI": (
        '[carriers.ws]\nkind = "webservice"\nuser = "a"\nnamespace = "http://x/ y"\n',
        "carriers.ws.namespace: needs a URI, like http://tempuri.org/",
    ),
    "two listeners at one place": (
        GOOD + '[callbacks]\nenabled = true\ntoken = "0123456789abcdef"\nlisten = "127.0.0.1:9090"\n',
        "callbacks.listen: is where admin listens",
    ),
    "a listen address that is a port alone": (GOOD + '[admin]\nlisten = "9090"\n', "admin.listen: needs address:port"),
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
    assert smpp_of(settings).window == 50
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
    smpp = smpp_of(settings)
    assert (smpp.window, smpp.tls, smpp.source_addr) == (20, True, "12345")
    assert settings.broker.response_topics == ("a/+",)
    assert settings.gateway.failover_after == 5.0


SYSTEM_ID = "MENSAGEIRO_CARRIERS__SMPP__SYSTEM_ID"


@pytest.mark.parametrize("value", ["123456", "true", "[1]", '"a"', "1979-05-27", "a b", ""])
def test_a_key_that_holds_text_takes_the_environment_as_it_stands(value: str) -> None:
    text = '[carriers.smpp]\nkind = "smpp"\npassword = "x"\nsystem_type = "y"\nsystem_id = "z"\n'
    settings = parse(text, {"MENSAGEIRO_CARRIERS__SMPP__SYSTEM_TYPE": value})
    assert smpp_of(settings).system_type == value


def test_a_key_that_only_the_environment_names_is_read_by_its_type() -> None:
    text = '[carriers.smpp]\nkind = "smpp"\npassword = "x"\n'
    assert smpp_of(parse(text, {SYSTEM_ID: "123456"})).system_id == "123456"
    whole = {"MENSAGEIRO_CARRIERS__SMPP__KIND": "smpp", SYSTEM_ID: "1", "MENSAGEIRO_CARRIERS__SMPP__PASSWORD_FILE": "/7"}
    assert smpp_of(parse("", whole)).password_file == "/7"


def test_a_carrier_with_capitals_is_found_by_the_environment() -> None:
    settings = parse(
        GOOD.replace("carriers.smpp", "carriers.TIM") + '[gateway]\nroutes = ["TIM"]\n', {"MENSAGEIRO_CARRIERS__TIM__WINDOW": "7"}
    )
    assert smpp_of(settings, "TIM").window == 7


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("CARRIERS__SMPP__WINDOW", "many", "carriers.smpp.window: expected `int`"),
        ("CARRIERS__SMPP__WINDOW", "20\nx = 1", "carriers.smpp.window: expected `int`"),
        ("CARRIERS__SMPP__WINDOW", "9" * 5000, "carriers.smpp.window: expected `int`"),
        ("CARRIERS__SMPP__TLS", "yes", "carriers.smpp.tls: expected `bool`"),
        ("CARRIERS__SMPP__WINDW", "1", "carriers.smpp.windw: is no key"),
        ("CARRIERS__SMPP", "1", "carriers.smpp: is no section"),
        ("CARRIERS__OTHER__WINDOW", "1", "carriers.other.kind: must be one of"),
        ("BROKR__URL", "1", "brokr: is no section"),
        ("GATEWAY__", "1", "gateway.: is no key"),
        ("GATEWAY__ROUTES", "smpp", "gateway.routes: expected `array`"),
        ("CARRIERS__SMPP__WINDOW__X", "1", "carriers.smpp.window.x: window is no section"),
    ],
)
def test_a_mistake_in_the_environment_names_the_key_too(key: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(GOOD + "window = 3\n", {f"MENSAGEIRO_{key}": value})
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["BROKER__PASSWORD", "CARRIERS__SMPP__PASSWORD", "carriers__http__User", "CALLBACKS__TOKEN"])
def test_no_secret_is_taken_from_the_environment_nor_told(key: str) -> None:
    with pytest.raises(ConfigError, match="a secret must not stand in the environment") as error:
        parse(GOOD, {f"MENSAGEIRO_{key}": "hunter44"})
    assert "hunter44" not in str(error.value)


def test_a_secret_in_the_environment_is_refused_but_its_file_is_not() -> None:
    with pytest.raises(ConfigError, match="MENSAGEIRO_BROKER__PASSWORD: a secret must not stand in the environment"):
        parse(GOOD, {"MENSAGEIRO_BROKER__PASSWORD": "x"})
    assert parse(GOOD, {"MENSAGEIRO_BROKER__PASSWORD_FILE": "/run/secret"}).broker.password_file == "/run/secret"


def test_a_secret_file_loses_its_last_newline_and_must_hold_one_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter22\n")
    assert config.secret("", str(file), "a.password") == "hunter22"
    file.write_text("\n")
    with pytest.raises(ConfigError, match=r"a\.password_file: .* is empty"):
        config.secret("", str(file), "a.password")
    file.write_text("hunter22\nhunter23\n")
    with pytest.raises(ConfigError, match=r"a\.password_file: .* has more than one line$"):
        config.secret("", str(file), "a.password")
    with pytest.raises(ConfigError, match=r"a\.password_file: cannot read"):
        config.secret("", str(tmp_path / "none"), "a.password")


def test_a_user_from_a_file_may_have_no_blank_either(tmp_path: Path) -> None:
    file = tmp_path / "user"
    carrier = config.Webservice(user_file=str(file))
    file.write_text("126b114c\n")
    assert config.user(carrier, "ws") == "126b114c"
    file.write_text("126b114c \n")
    settings = parse(f'[gateway]\nroutes = ["ws"]\n[carriers.ws]\nkind = "webservice"\nuser_file = "{file}"\n')
    with pytest.raises(ConfigError, match=r"carriers\.ws\.user_file: .* has a blank") as error:
        config.check(settings)
    assert "126b114c" not in str(error.value)


def test_secrets_show_in_no_representation() -> None:
    settings = parse(GOOD + '[broker]\npassword = "hunter33"\n')
    shown = f"{settings!r} {config.public(settings)}"
    assert "hunter22" not in shown
    assert "hunter33" not in shown


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = [", "is not TOML"),
        (b"a = " + b"9" * 5000, "is not TOML"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (None, "No such file"),
    ],
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
        config.check(parse(GOOD + '[broker]\nurl = "mqtts://h"\nca_file = "/no/such/file"\n'))
    file = tmp_path / "ca.der"
    file.write_bytes(b"\x30\x82")
    with pytest.raises(ConfigError, match=r"carriers\.smpp\.ca_file: .* is no PEM file"):
        config.check(parse(GOOD + f'tls = true\nca_file = "{file}"\n'))
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    config.check(parse(GOOD + f'tls = true\nca_file = "{file}"\n'))
    with pytest.raises(ConfigError, match=r"carriers\.smpp\.password: is longer than 64"):
        config.check(parse(GOOD.replace("hunter22", "x" * 65)))
    for letter in ("\u20ac", "\0"):
        secret = tmp_path / "secret"
        secret.write_text(f"hunter{letter}")
        with pytest.raises(ConfigError, match=r"carriers\.smpp\.password: has a character that SMPP cannot carry"):
            config.check(parse(GOOD.replace('password = "hunter22"', f'password_file = "{secret}"')))
    config.check(parse(GOOD.replace("hunter22", "ã" * 64)))
    config.check(parse(GOOD))


def test_the_example_is_a_configuration_once_its_secret_exists() -> None:
    settings = config.parse(tomllib.loads(schema.example_config()))
    assert smpp_of(settings).password_file == "/etc/mensageiro/smpp.password"


def test_every_commented_key_of_the_example_is_its_default() -> None:
    lines = schema.example_config().splitlines()
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines)
    table: dict[str, Any] = tomllib.loads(uncommented)
    secret = {"user_file": "/etc/mensageiro/http.user"}
    optional = {name: {"kind": name, **secret} for name in ("http", "webservice")}
    example: dict[str, Any] = tomllib.loads(schema.example_config())
    assert config.parse(table) == config.parse({**example, "carriers": {**example["carriers"], **optional}})
