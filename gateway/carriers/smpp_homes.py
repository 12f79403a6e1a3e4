"""Over which session the parts of a message go, and what waits for room there. Kept in memory: after a restart any session will do.

The journal hands out one part at a time. The session of the first one is the message's home while it lives; a part that finds no room in
its home waits for it, rather than going over another session.
"""

from collections import deque
from collections.abc import Iterator

from gateway.carriers.base import Prepared
from gateway.carriers.smpp_link import Connection
from gateway.message import Message

LIMIT = 10_000  # messages some of whose parts are still to be sent

Item = tuple[Message, Prepared]


class Homes:
    """The homes of the messages under way."""

    def __init__(self) -> None:
        self._homes: dict[int, Connection] = {}  # by row
        self._waiting: dict[Connection, deque[Item]] = {}

    def of(self, row: int) -> Connection | None:
        """Return the session that a message's parts go over, while it is bound."""
        home = self._homes.get(row)
        return home if home is not None and home.bound else None

    def settle(self, row: int, connection: Connection, *, last: bool) -> None:
        """Remember over which session a part went; after the last one forget it."""
        if last:
            self.leave(row)
            return
        self._homes[row] = connection
        if len(self._homes) > LIMIT:  # of messages that ended before their last part; only the session is lost
            del self._homes[next(iter(self._homes))]

    def leave(self, row: int) -> None:
        """Forget a message's home."""
        self._homes.pop(row, None)

    def wait(self, connection: Connection, item: Item) -> None:
        """Let a part wait for room in its home."""
        self._waiting.setdefault(connection, deque()).append(item)

    @property
    def awaited(self) -> list[Connection]:
        """List the sessions that parts wait for."""
        return [connection for connection, waiting in self._waiting.items() if waiting]

    def ready(self, connection: Connection) -> Iterator[Item]:
        """Take what waits for a session, as long as it has room."""
        waiting = self._waiting.get(connection)
        while waiting and has_room(connection):
            yield waiting.popleft()

    def abandon(self, connection: Connection) -> list[Item]:
        """Forget a session that has ended; return what waited for it."""
        for row in [row for row, home in self._homes.items() if home is connection]:
            del self._homes[row]
        return list(self._waiting.pop(connection, ()))

    def abandon_all(self) -> list[Item]:
        """Forget everything; return what waited."""
        return [item for connection in list(self._waiting) for item in self.abandon(connection)]


def has_room(connection: Connection) -> bool:
    """Say whether a submit_sm can be written now."""
    return bool(connection.stream.window_free) and connection.stream.writable
