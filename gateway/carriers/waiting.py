"""How the dispatcher waits for a carrier that admits nothing for the moment."""

import asyncio
from collections.abc import Callable


async def until_admitted(credit: Callable[[], int], delay: Callable[[], float], freed: asyncio.Event) -> None:
    """Return when `credit()` is above 0: look at each `freed`, and after `delay()` seconds where that is not 0."""
    loop = asyncio.get_running_loop()
    while credit() <= 0:
        freed.clear()
        seconds = delay()
        timer = loop.call_later(seconds, freed.set) if seconds else None
        try:
            await freed.wait()
        finally:
            if timer is not None:
                timer.cancel()
