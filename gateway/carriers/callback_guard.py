"""Who may call back, and with what: the checks before a call-back is read. Pure.

The provider calls us by GET without any authentication, so the last segment of the path is a secret, and an address list may stand
beside it. A caller who fails either learns nothing: the answer is the same 404 whatever is wrong. Who passes is told what is wrong with
the request itself (405, 413, 414, 429).

The path is /<word>/<token>: the manual's examples name /callback for reports and /resposta for replies, and what a call-back is shows in
its parameters, so any word will do.

X-Forwarded-For counts only where the connection comes from a trusted proxy: then the caller is the rightmost address that is no trusted
proxy. What a caller himself writes stands further left, and is not believed.
"""

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

MAX_QUERY = 8192  # octets: a reply of 600 characters, percent-encoded twice over
MAX_FORWARDED = 512  # characters of X-Forwarded-For: some ten proxies
BURST = 1.0  # s of the rate that may come at once

_WORD = re.compile(r"[A-Za-z0-9._~-]{1,32}")
_Address = IPv4Address | IPv6Address


class Head(NamedTuple):
    """What the checks look at."""

    method: str
    path: str  # without the query
    query: bytes
    peer: str  # address of the connection
    forwarded: Sequence[str] = ()  # X-Forwarded-For, each header as it is
    has_body: bool = False


class Guard:
    """The checks of one listener."""

    def __init__(self, token: str, allow: Sequence[str], trusted_proxies: Sequence[str], max_rate: float, now: float) -> None:
        """`now` is monotonic; 0 = no limit of the rate."""
        self._token = token.encode()
        self._allow = [ip_network(network) for network in allow]
        self._proxies = [ip_network(network) for network in trusted_proxies]
        self._rate, self._tokens, self._filled_at = max_rate, self._depth(max_rate), now
        self._allowed = lru_cache(maxsize=1024)(self._is_allowed)

    def __repr__(self) -> str:
        """Show no secret."""
        return "Guard()"

    def refusal(self, head: Head, now: float) -> int | None:
        """Return the HTTP status that refuses a request; None where it may be read."""
        forwarded = ",".join(head.forwarded)
        if len(forwarded) > MAX_FORWARDED or not self._allowed(head.peer, forwarded) or not self._is_ours(head.path):
            return 404
        if head.method != "GET":
            return 405
        if head.has_body:
            return 413
        if len(head.query) > MAX_QUERY:
            return 414
        return None if self._admit(now) else 429

    def change_rate(self, max_rate: float) -> None:
        """Admit at most so many requests a second from now on; 0 = no limit."""
        self._rate, self._tokens = max_rate, self._depth(max_rate)

    def _is_ours(self, path: str) -> bool:
        word, _, token = path.removeprefix("/").partition("/")
        # Compared in constant time, whatever the word is.
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token) and _WORD.fullmatch(word) is not None

    def _is_allowed(self, peer: str, forwarded: str) -> bool:
        if not self._allow:
            return True
        caller = self._caller(peer, forwarded)
        return caller is not None and any(caller in network for network in self._allow)

    def _caller(self, peer: str, forwarded: str) -> _Address | None:
        """Return who calls: walk back from the connection as long as proxies are trusted. None where an address cannot be read."""
        caller = _address(peer)
        for text in reversed(forwarded.split(",")) if forwarded else ():
            if caller is None or not any(caller in network for network in self._proxies):
                break
            caller = _address(text)
        return caller

    def _admit(self, now: float) -> bool:
        if not self._rate:
            return True
        self._tokens = min(self._depth(self._rate), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @staticmethod
    def _depth(rate: float) -> float:
        return max(1.0, rate * BURST)


def _address(text: str) -> _Address | None:
    """Read an address as proxies write it: some add a port, and an IPv4 address may come as an IPv6 one."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
