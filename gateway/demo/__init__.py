"""`mensageiro demo`: a broker, a provider sandbox and a gateway in one process on loopback, shown live.

`outcomes` sends a message for each DLR code and for some of the sandbox's faults; `fallback` (`--smpp-down`) cuts SMPP, then the HTTP API
too, and brings SMPP back. Either ends when each message has its final event. The broker is rumqttd from the `demo` extra (iotcore), unless
one is named. What a demo made is removed, unless the gateway ran and something went wrong: then its path is told.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from gateway import app, logs
from gateway.broker.base import SessionTakenOverError
from gateway.demo import fallback, outcomes
from gateway.demo.parts import DemoError
from gateway.journal.base import JournalBrokenError

__all__ = ["DemoError", "run"]


def run(broker_url: str, seconds: float, *, smpp_down: bool, as_json: bool) -> int:
    """Run a demo; return the exit code: 0 when every message ended. Raises DemoError."""
    folder = Path(tempfile.mkdtemp(prefix="mensageiro-demo-"))
    play = fallback.play if smpp_down else outcomes.play
    keep = False
    try:
        with (folder / "gateway.log").open("w", encoding="utf-8") as log:
            logs.configure("info", "json", log)
            code = asyncio.run(play(folder, broker_url, seconds, as_json=as_json))
        keep = code != 0
    except (DemoError, app.StartError, JournalBrokenError, SessionTakenOverError) as error:
        keep = (folder / "gateway.log").stat().st_size > 0  # the gateway had something to say
        raise DemoError(f"{error}; journal and log are in {folder}" if keep else str(error)) from None
    finally:
        logs.configure("error", "auto")  # the log is closed
        if not keep:
            shutil.rmtree(folder)
    if keep:
        sys.stderr.write(f"mensageiro: not every message ended as it should; journal and log are in {folder}\n")
    return code
