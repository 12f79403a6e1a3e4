"""What tests wait for, and who listens."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

DEADLINE = 90.0  # s of any single wait: only what hangs takes so long, however busy the machine is, and a way that rests for 30 s does not
POLL = 0.02
AT_ONCE = 0.001  # for what this process does itself, in a thread


def listens(port: int) -> bool:
    """Tell whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def until(condition: Callable[[], bool], what: str, *, timeout: float = DEADLINE, poll: float = POLL) -> None:
    """Wait for something that another process, thread or task does. Fails with `what` after `timeout` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        await asyncio.sleep(poll)


@contextmanager
def write_locked(path: Path) -> Iterator[None]:
    """Hold a journal's write lock from outside, so that it cannot commit, until the block ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
