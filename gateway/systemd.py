"""What systemd tells us, to stop, and what it is told of us: ready, reloading, stopping, alive. sd_notify(3), sd_watchdog_enabled(3)

Nothing is told where it did not start us: all of it hangs on the environment that it gives.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable

import structlog

SLOWEST = 3.0  # s between two signs of life of a healthy writer, and some more: the ticker gives it work every second

log = structlog.get_logger()


class Pulse:
    """When the journal's writer last moved: committed, or tried to. Beaten on its thread, read on the event loop's."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = monotonic()

    def beat(self) -> None:
        """Say that it moved."""
        self._last = self._monotonic()

    @property
    def age(self) -> float:
        """Return how long ago that was, in seconds."""
        return self._monotonic() - self._last


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM, and on a terminal's SIGINT. Needs a running loop, on the main thread."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def notify(state: str) -> None:
    """Tell systemd, where it started us. What it does not take is lost, which is better than to wait or to fail for it."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.connect("\0" + path[1:] if path.startswith("@") else path)
            channel.send(state.encode())


def reloading() -> None:
    """Tell systemd that we read our configuration again; READY=1 ends it."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_interval() -> float:
    """Return within how many seconds systemd wants a sign of life; 0 = it does not ask us."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6


async def watchdog(pulse: Pulse) -> None:
    """Tell systemd that we live while the event loop turns and the journal's writer moves. What stands still, it ends and starts again.

    A journal that cannot commit (a full disk) is no reason: its writer tries again, readiness says so, and a restart mends nothing.
    """
    interval = watchdog_interval()
    still = False
    while interval:
        if pulse.age < max(interval / 2, SLOWEST):
            notify("WATCHDOG=1")
            still = False
        elif not still:
            still = True
            log.critical("the journal's writer stands still: systemd hears no more of us", seconds=round(pulse.age, 1))
        await asyncio.sleep(interval / 4)
