"""Ports of loopback for what starts later, or starts again."""

import os
import random
import socket
from collections import deque

# Below the ports that Linux gives out by itself (ip_local_port_range: 32768 and up): no listener on port 0 and no client can come by one of
# these while what it was chosen for is not up yet, or is down for a moment; nor can a client be connected with itself.
_PORTS = range(10_000, 32_768)
_TRIES = 1_000
_CLAIMS = 1_000

_claims: deque[int] = deque()  # file descriptors, since nobody can close them at the end of the process


def free_port() -> int:
    """Choose a TCP port of 127.0.0.1 that nobody listens on, and that no other caller, in any process, is given meanwhile.

    The claim is the UDP port of that number: it ends with the process, or when a thousand further ports were chosen. Raises OSError
    when no port is to be had.
    """
    for port in random.SystemRandom().choices(_PORTS, k=_TRIES):
        if _claimed(port) and _is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def _claimed(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(("127.0.0.1", port))
        except OSError:
            return False
        _claims.append(claim.detach())
    if len(_claims) > _CLAIMS:
        os.close(_claims.popleft())
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
