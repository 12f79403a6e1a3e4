"""What a value must be where its type does not say it: each check raises ValueError whose text begins with the key."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,128}")  # what needs no escape in a path. RFC 3986 s2.3
TOKEN_FAULT = "token: needs 16 to 128 of A-Z a-z 0-9 . _ ~ -"  # noqa: S105 - what is wrong with one
NOT_VISIBLE = "has a blank, a control character, or one that is not ASCII"


def address(listen: str, key: str) -> tuple[str, int]:
    """Split "host:port" or "[v6]:port". Raises ValueError that begins with `key`."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{key}: needs address:port")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{key}: {host!r} is no address") from None
    return host, int(port)


def either(value: str, file: str, key: str) -> None:
    """Refuse a secret that stands in the file and in one of its own."""
    if value and file:
        raise ValueError(f"{key}: set {key} or {key}_file, not both")


def networks(networks: tuple[str, ...], key: str) -> None:
    """Refuse what is no network."""
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


def url(url: str, key: str, schemes: tuple[str, ...]) -> SplitResult:
    """Split a URL of one of these schemes."""
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # half an IPv6 address, or a port beyond 65535
        pass
    raise ValueError(f"{key}: needs {' or '.join(f'{scheme}://' for scheme in schemes)}host[:port]")


def bare_url(text: str, key: str) -> None:
    """Refuse credentials and a query: what says who we are is `user`, and a URL is shown where a secret is not."""
    if not all("!" <= character <= "~" for character in text):
        raise ValueError(f"{key}: {NOT_VISIBLE}")
    parts = url(text, key, ("http", "https"))
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{key}: takes no credentials, no ? and no #; who asks is `user`")


def is_topic_filter(text: str) -> bool:
    """Say whether it is well formed: + and # stand alone in a level, # in the last. MQTT 5 s4.7.1"""
    *levels, last = text.split("/")
    return text != "" and all(level == "+" or not set(level) & {"+", "#", "\0"} for level in (*levels, last if last != "#" else "+"))


def zone(name: str) -> None:
    """Refuse a time zone that this machine does not know."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("time_zone: is no time zone that this machine knows") from None
