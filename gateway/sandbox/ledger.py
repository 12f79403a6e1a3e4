"""What the sandbox took, so that a test can account for it even after the sandbox was killed.

One JSON line a message: `{"to", "digest", "reference", "message_id", "at", "way"}`. By SMPP `digest` is that of `messages.digest` and
`reference` the user_message_reference or null; by the HTTP API and the web service they are the digest of the text in UTF-8 and the number
that the customer gave it, or null. `at` is the wall time of the request, `way` the carrier's kind. Lines gather until `commit`, which is
called before an answer: what a customer was told is taken is always in the file. It is not forced to the disk: it outlives the process,
not the machine. Several ledgers may write to one file: each writes whole lines at its end.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

Way = Literal["smpp", "http", "webservice"]

_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One message that was taken."""

    to: str
    digest: str
    reference: int | None
    message_id: str
    at: float
    way: Way = "smpp"


class Ledger:
    """Append entries to a file, and keep them in `entries` where asked to."""

    def __init__(self, path: Path | None, *, keep: bool) -> None:
        self.entries: list[Entry] = []
        self._keep = keep
        self._lines: list[bytes] = []
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if path is not None else None
        self.wanted = keep or path is not None

    def add(self, entry: Entry) -> None:
        """Note an entry; `commit` writes it."""
        if self._keep:
            self.entries.append(entry)
        if self._file is not None:
            self._lines.append(_encode(entry) + b"\n")

    def commit(self) -> None:
        """Write what has gathered. Raises OSError; then nothing that has gathered may be answered."""
        if self._lines and self._file is not None:
            octets = b"".join(self._lines)
            self._lines.clear()
            while octets:
                octets = octets[os.write(self._file, octets) :]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read(path: Path) -> list[Entry]:
    """Read a ledger; a last line that a killed process left unfinished is skipped."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Entry) for line in lines]
