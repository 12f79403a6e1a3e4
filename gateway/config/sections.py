"""The sections of the file and their keys: a default and its meaning stand on the field, and what the keys demand of each other below."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.config import checks
from gateway.message import InDoubtPolicy, Kind
from gateway.mqtt.constants import DEFAULT_PORT, DEFAULT_TLS_PORT

SECRETS = ("password", "user", "token")
FOREVER = 1e9  # s: so that no deadline is infinite; TOML knows `inf`
Seconds = Annotated[float, Meta(gt=0, le=FOREVER)]
Delay = Annotated[float, Meta(ge=0, le=FOREVER)]
Rate = Annotated[float, Meta(ge=0, le=1e6)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
TonNpi = Annotated[int, Meta(ge=0, le=255)]
NAME = r"[A-Za-z0-9_-]{1,32}"
Name = Annotated[str, Meta(pattern=rf"^{NAME}$(?!\n)")]  # Python's $ admits a line feed after it
Given = Annotated[str, Meta(min_length=1)]
C_OCTETS = r"^[\x01-\xff]*$"  # what a C-octet string can carry: Latin-1 without NUL
InboundAlphabet = Literal["gsm7", "gsm7-packed", "ascii", "latin1", "ucs2", "ucs2-le", "binary"]
TRANSLITERATE = "in every message replace what the GSM alphabet lacks (ã -> a), as if it asked for it"
APOSTROPHE = "keep | space: the provider makes a space of it; space does so before counting, and tells it"
TOPIC_PREFIX = r"^[^/+#$\x00-\x1f\x7f]([^+#\x00-\x1f\x7f]*[^/+#\x00-\x1f\x7f])?$(?!\n)"
DATA_CODING = r"^(0x[0-9A-Fa-f]{1,2}|[0-9]{1,3})$(?!\n)"
DataCodingKey = Annotated[str, Meta(pattern=DATA_CODING)]
VISIBLE = r"^[!-~]*$(?!\n)"  # goes into URLs and envelopes
_OF_URI = r"[A-Za-z0-9._~/?@!$&'()*+,;=:-]"
NAMESPACE = rf"^(https?://[A-Za-z0-9.-]+(:[0-9]{{1,5}})?(/{_OF_URI}*)?|urn:{_OF_URI}+|[A-Za-z][A-Za-z0-9._/-]*)#?$(?!\n)"  # XML Names s2.2
IN_WORDS = {  # what a pattern asks for: its own text is no answer to a mistake
    rf"^{NAME}$(?!\n)": "needs 1 to 32 of A-Z a-z 0-9 _ -",
    C_OCTETS: "has a character that SMPP cannot carry",
    TOPIC_PREFIX: "needs topic levels without + # and control characters, no $ or / at its beginning and no / at its end",
    DATA_CODING: "data_coding_in: a data_coding is 0 to 255, or 0x00 to 0xff",
    VISIBLE: checks.NOT_VISIBLE,
    NAMESPACE: "needs a URI, like http://tempuri.org/",
}
User = Annotated[str, Meta(pattern=VISIBLE)]
CostCentre = Annotated[int, Meta(ge=0, le=4294967295)]


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A table of the file. Its repr hides secrets."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, "***" if name in SECRETS and getattr(self, name) else getattr(self, name)) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def _help(text: str) -> Meta:
    return Meta(description=text)


HOT = Meta(description="(hot)", extra={"hot": True})  # what SIGHUP applies; see `App.hot`


class Gateway(Section, frozen=True):
    """[gateway]"""

    instance: Annotated[Name, _help("fixed, not the host's name: the broker session and the journal belong to it")] = "mensageiro"
    state_dir: Annotated[Given, _help("where the journal, its lock and the control socket live")] = "/var/lib/mensageiro"
    time_zone: Annotated[str, _help("of the provider's dates")] = "America/Sao_Paulo"
    routes: Annotated[tuple[str, ...], _help("carriers by name, in order of preference; names not configured are skipped")] = (
        "smpp",
        "http",
        "webservice",
    )
    failover_after: Annotated[Delay, _help("s without a usable first choice before the next carrier is tried")] = 30.0
    default_valid_for: Annotated[float, Meta(ge=60, le=172800), _help("s that a message may wait where it names no limit")] = 172800.0
    in_doubt: Annotated[InDoubtPolicy, _help("hold | resubmit: what becomes of a message that may or may not have been taken")] = "hold"
    in_doubt_deadline: Annotated[Seconds, _help("s to wait for proof before a message in doubt ends so")] = 900.0
    receipt_deadline: Annotated[Seconds, _help("s (72 h): then the message ends with what is known")] = 259200.0
    reply_window: Annotated[Delay, _help("s after a message within which a reply from its number answers it (in_reply_to)")] = 172800.0
    reply_timeout: Annotated[Seconds, _help("s to wait for the missing parts of a reply; then it is published as it is")] = 3600.0
    max_attempts: Annotated[Count, _help("temporary refusals of one message before attempts_exhausted")] = 20
    retry_min: Annotated[Seconds, _help("s; doubles, with jitter")] = 5.0
    retry_max: Annotated[Seconds, _help("s")] = 600.0

    def __post_init__(self) -> None:
        checks.zone(self.time_zone)
        if self.retry_max < self.retry_min:
            raise ValueError("retry_max: must not be below retry_min")


class Endpoint(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int
    secure: bool


class Broker(Section, frozen=True):
    """[broker]"""

    url: Annotated[str, _help("mqtts:// = TLS, verified")] = "mqtt://127.0.0.1:1883"
    username: str = ""
    password: Annotated[str, _help("or password_file")] = ""
    password_file: str = ""
    client_id: Annotated[str, _help('"" = mensageiro-<instance>')] = ""
    topic_prefix: Annotated[str, Meta(pattern=TOPIC_PREFIX)] = "sms"
    shared_group: Annotated[str, _help('"" = plain subscription; a group needs a PostgreSQL journal')] = ""
    receive_maximum: Annotated[int, Meta(ge=1, le=65535)] = 1000
    session_expiry: Annotated[int, Meta(ge=0, le=4294967295), _help("s that the broker keeps our session and what queues in it")] = 604800
    response_topics: Annotated[
        tuple[str, ...], _help("topic filters that a producer's Response Topic must match; empty = Response Topic ignored")
    ] = ()
    cloudevents: Annotated[bool, _help("CloudEvents attributes as user properties")] = True
    ca_file: Annotated[str, _help("CA certificates for mqtts://; empty = the system's")] = ""

    def __post_init__(self) -> None:
        parts = checks.url(self.url, "url", ("mqtt", "mqtts"))
        if parts.username or parts.password:
            raise ValueError("url: credentials belong in username and password_file")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("url: has more than a host and a port")
        if self.ca_file and parts.scheme != "mqtts":
            raise ValueError("ca_file: is set, but url is not mqtts://")
        if not all(checks.is_topic_filter(each) for each in self.response_topics):
            raise ValueError("response_topics: + and # stand for whole levels, and # only for the last")
        checks.either(self.password, self.password_file, "password")

    @property
    def endpoint(self) -> Endpoint:
        """Return what `url` comes to, with the port that its scheme has by default."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "mqtts"
        return Endpoint(parts.hostname or "", parts.port or (DEFAULT_TLS_PORT if secure else DEFAULT_PORT), secure)


class Journal(Section, frozen=True):
    """[journal]"""

    url: Annotated[str, _help("= <state_dir>/journal.db; or sqlite:/path")] = "sqlite:"
    synchronous: Annotated[Literal["full", "normal"], _help("full | normal: normal may lose the last commits on a power cut")] = "full"
    commit_interval: Annotated[float, Meta(ge=0, le=1), _help("s: the longest a row waits for its group commit")] = 0.005
    retention: Annotated[Seconds, _help("s that ended messages are kept")] = 2592000.0
    text_retention: Annotated[Delay, _help("s after the end that message text is kept (privacy: LGPD); 0 = erased at the end")] = 604800.0

    def __post_init__(self) -> None:
        if not self.url.startswith("sqlite:"):
            raise ValueError("url: only sqlite: journals are supported by this version")


class Smpp(Section, frozen=True, tag="smpp", tag_field="kind"):
    """[carriers.<name>] with kind = "smpp" """

    host: Given = "url.com.br"
    port: Port = 9500
    system_id: Annotated[str, Meta(max_length=15, pattern=C_OCTETS)] = ""
    password: Annotated[str, _help("or password_file")] = ""
    password_file: str = ""
    system_type: Annotated[str, Meta(max_length=12, pattern=C_OCTETS)] = "SMPP"
    bind: Annotated[Literal["transceiver", "transmitter+receiver"], _help("transceiver | transmitter+receiver")] = "transceiver"
    binds: Annotated[int, Meta(ge=1, le=32), _help("parallel sessions")] = 1
    source_addr: Annotated[str, Meta(max_length=20, pattern=C_OCTETS), _help("sender when a message names none")] = ""
    source_ton: TonNpi = 1
    source_npi: TonNpi = 1
    dest_ton: TonNpi = 1
    dest_npi: TonNpi = 1
    number_format: Annotated[Literal["international", "national"], _help("international (55...) | national")] = "international"
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1), _help("what this account can send; SMPP has no way to ask for a short code")] = (
        "common",
        "flash",
    )
    window: Annotated[int, Meta(ge=1, le=10000), _help("unanswered submit_sm a session")] = 50
    max_rate: Annotated[Rate, _help("submit_sm PDUs a second over all binds; 0 = no limit"), HOT] = 100.0
    enquire_link_interval: Seconds = 30.0
    response_timeout: Seconds = 30.0
    bind_timeout: Seconds = 10.0
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0
    message_id_format: Annotated[
        Literal["auto", "raw", "hex-decimal", "decimal-hex"], _help("auto | raw | hex-decimal | decimal-hex: response and receipt")
    ] = "auto"
    default_alphabet: Annotated[
        Literal["gsm0338", "latin1", "ascii"], _help("what data_coding 0 means to this SMSC: gsm0338 | latin1 | ascii")
    ] = "gsm0338"
    data_coding_in: Annotated[
        dict[DataCodingKey, InboundAlphabet],
        _help("what a data_coding means in replies where it is not as usual, e.g. {0 = 'latin1'}; gsm7-packed = seven bits packed"),
    ] = {}
    long_messages: Annotated[
        Literal["udh", "udh16", "sar", "payload"],
        _help("udh | udh16 (a 16-bit reference) | sar (TLVs) | payload (whole, in message_payload): how a text of several parts goes"),
    ] = "udh"
    national_language: Annotated[
        bool, _help("may use the Portuguese tables of GSM 03.38, with udh and udh16; not every operator honours them")
    ] = False
    latin1: Annotated[bool, _help("may use data_coding 3 (Latin-1) unasked")] = False
    transliterate: Annotated[bool, _help(TRANSLITERATE)] = False
    apostrophe: Annotated[Literal["keep", "space"], _help(APOSTROPHE)] = "keep"
    tls: Annotated[bool, _help("verified; see ca_file, cert_file, key_file, server_hostname")] = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_hostname: str = ""

    def __post_init__(self) -> None:
        checks.either(self.password, self.password_file, "password")
        if not self.system_id:
            raise ValueError("system_id: is required")
        if not (self.password or self.password_file):
            raise ValueError("password: a secret is required (password or password_file)")
        if self.reconnect_max < self.reconnect_min:
            raise ValueError("reconnect_max: must not be below reconnect_min")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("key_file: cert_file and key_file go together")
        if not self.tls and (self.ca_file or self.cert_file or self.server_hostname):
            raise ValueError("tls: is false, but ca_file, cert_file or server_hostname is set")
        if not all(int(key, 0 if key.startswith("0x") else 10) <= 255 for key in self.data_coding_in):
            raise ValueError("data_coding_in: a data_coding is 0 to 255")


class Http(Section, frozen=True, tag="http", tag_field="kind"):
    """[carriers.<name>] with kind = "http": the provider's HTTP API"""

    base_url: Annotated[str, _help("without the function; https:// = TLS, verified")] = "http://url.com.br:2738/sms"
    user: Annotated[User, _help("the integration user (or user_file): it is all the authentication there is, hence a secret")] = ""
    user_file: str = ""
    cost_centre: Annotated[CostCentre, _help("where a message names none; 0 = none")] = 0
    timeout: Annotated[Seconds, _help("s for a whole request; what is not answered by then is in doubt")] = 20.0
    max_rate: Annotated[Rate, _help("messages a second; 0 = no limit"), HOT] = 20.0
    batch: Annotated[int, Meta(ge=1, le=1000), _help("messages a `mult` at most, 1 = always `send`")] = 50
    max_url_bytes: Annotated[int, Meta(ge=500, le=65536)] = 8000
    charset: Annotated[
        Literal["utf-8", "latin-1", "windows-1252"], _help("utf-8 | latin-1 | windows-1252: of the text, percent-encoded")
    ] = "utf-8"
    short_code_limit: Annotated[int, Meta(ge=1, le=600), _help("characters of a text by short code")] = 140
    transliterate: Annotated[bool, _help(TRANSLITERATE)] = False
    apostrophe: Annotated[Literal["keep", "space"], _help(APOSTROPHE)] = "keep"

    def __post_init__(self) -> None:
        checks.bare_url(self.base_url, "base_url")
        _user(self)


class Webservice(Section, frozen=True, tag="webservice", tag_field="kind"):
    """[carriers.<name>] with kind = "webservice": the provider's web service (SOAP)"""

    url: Annotated[str, _help("https:// = TLS, verified")] = "http://url.com.br/wbsapi.asmx"
    namespace: Annotated[str, Meta(pattern=NAMESPACE), _help("of its WSDL; the manual does not tell it")] = "http://tempuri.org/"
    user: Annotated[User, _help("`Identificacao` (or user_file): a secret")] = ""
    user_file: str = ""
    cost_centre: Annotated[CostCentre, _help("where a message names none; 0 = none")] = 0
    timeout: Annotated[Seconds, _help("s for a whole request; what is not answered by then is in doubt")] = 20.0
    max_rate: Annotated[Rate, _help("messages a second; 0 = no limit"), HOT] = 20.0
    short_code_limit: Annotated[int, Meta(ge=1, le=600), _help("characters of a text by short code")] = 140
    transliterate: Annotated[bool, _help(TRANSLITERATE)] = False
    apostrophe: Annotated[Literal["keep", "space"], _help(APOSTROPHE)] = "keep"

    def __post_init__(self) -> None:
        checks.bare_url(self.url, "url")
        _user(self)


Carrier = Smpp | Http | Webservice


class Callbacks(Section, frozen=True):
    """[callbacks]: where the provider reports what went by HTTP or the web service"""

    enabled: bool = False
    listen: str = "127.0.0.1:9080"
    token: Annotated[str, _help("the last segment of the path, /callback/<token>: at least 16 characters (or token_file)")] = ""
    token_file: str = ""
    allow: Annotated[tuple[str, ...], _help('networks that may call, e.g. ["203.0.113.0/24"]; empty = any')] = ()
    trusted_proxies: Annotated[tuple[str, ...], _help("networks whose X-Forwarded-For is believed")] = ()
    max_rate: Annotated[Rate, _help("requests a second; 0 = no limit"), HOT] = 0.0

    def __post_init__(self) -> None:
        checks.address(self.listen, "listen")
        checks.networks(self.allow, "allow")
        checks.networks(self.trusted_proxies, "trusted_proxies")
        checks.either(self.token, self.token_file, "token")
        if self.enabled and not (self.token or self.token_file):
            raise ValueError("token: a secret is required (token or token_file)")
        if self.token and not checks.TOKEN.fullmatch(self.token):
            raise ValueError(checks.TOKEN_FAULT)


class Admin(Section, frozen=True):
    """[admin]"""

    listen: Annotated[str, _help("/metrics /livez /readyz")] = "127.0.0.1:9090"

    def __post_init__(self) -> None:
        checks.address(self.listen, "listen")


class Log(Section, frozen=True):
    """[log]"""

    level: Annotated[Literal["debug", "info", "warning", "error"], _help("debug | info | warning | error"), HOT] = "info"
    format: Annotated[Literal["json", "console", "auto"], _help('json | console | auto: "auto" = console on a terminal, else json')] = (
        "auto"
    )


class Config(Section, frozen=True):
    """The whole file."""

    gateway: Gateway = msgspec.field(default_factory=Gateway)
    broker: Broker = msgspec.field(default_factory=Broker)
    journal: Journal = msgspec.field(default_factory=Journal)
    carriers: dict[str, Carrier] = {}
    callbacks: Callbacks = msgspec.field(default_factory=Callbacks)
    admin: Admin = msgspec.field(default_factory=Admin)
    log: Log = msgspec.field(default_factory=Log)

    def __post_init__(self) -> None:
        if not self.carriers:
            raise ValueError("carriers: at least one [carriers.<name>] is required")
        if self.broker.shared_group:
            raise ValueError("broker.shared_group: a group needs a PostgreSQL journal, and this one is SQLite")
        _check_accounts(self.carriers)
        if not any(name in self.carriers for name in self.gateway.routes):
            raise ValueError(f"gateway.routes: names no carrier that is configured; there are {', '.join(self.carriers)}")
        if self.callbacks.enabled and self.callbacks.listen == self.admin.listen and checks.address(self.admin.listen, "listen")[1]:
            raise ValueError("callbacks.listen: is where admin listens")

    @property
    def journal_path(self) -> Path:
        """Return where the SQLite journal lives."""
        return Path(self.journal.url.removeprefix("sqlite:") or Path(self.gateway.state_dir) / "journal.db")

    @property
    def control_path(self) -> Path:
        """Return where the control socket lives."""
        return Path(self.gateway.state_dir) / "control.sock"

    @property
    def routes(self) -> tuple[str, ...]:
        """Return the configured carriers in order of preference."""
        return tuple(name for name in self.gateway.routes if name in self.carriers)


SECTIONS: Mapping[str, type[Section]] = {
    "gateway": Gateway,
    "broker": Broker,
    "journal": Journal,
    "callbacks": Callbacks,
    "admin": Admin,
    "log": Log,
}
CARRIER_KINDS: Mapping[str, type[Smpp] | type[Http] | type[Webservice]] = {"smpp": Smpp, "http": Http, "webservice": Webservice}


def _check_accounts(carriers: Mapping[str, Carrier]) -> None:
    """Refuse two carriers of one SMPP account: an SMSC sends receipts over any of its binds, and a carrier knows its own messages alone."""
    seen: dict[tuple[str, int, str], str] = {}
    for name, carrier in carriers.items():
        if isinstance(carrier, Smpp):
            other = seen.setdefault((carrier.host, carrier.port, carrier.system_id), name)
            if other != name:
                raise ValueError(f"carriers.{name}.system_id: is the account of carriers.{other}: use binds there for more sessions")


def _user(section: Http | Webservice) -> None:
    checks.either(section.user, section.user_file, "user")
    if not (section.user or section.user_file):
        raise ValueError("user: a secret is required (user or user_file)")
