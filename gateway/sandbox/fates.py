"""What becomes of a message that the HTTP API or the web service took, step by step in time.

A message waits `sending_delay`, or until its schedule, and can be cancelled as long as it waits; then its planned call-backs come true one
after the other, `step_delay` apart. A step changes what the provider says of the message, and is told by a call-back. To a cancelled
message one thing is left to happen: the call-back with status 9.
"""

import random
import time

from gateway.sandbox import callbacks
from gateway.sandbox.agenda import Agenda
from gateway.sandbox.answers import Status
from gateway.sandbox.callbacks import Caller
from gateway.sandbox.provider_state import Provider, Stored
from gateway.sandbox.scenario import CallbackType, PlannedCallback

_ENDS = frozenset({Status.SENT, Status.ERROR, Status.INVALID, Status.CANCELLED})


class Fates:
    """Unfold what `scenario` has in store for each message."""

    def __init__(self, provider: Provider, caller: Caller, agenda: Agenda, seed: int | None = None) -> None:
        self._provider, self._caller, self._agenda = provider, caller, agenda
        self._settings = provider.settings
        self._random = random.Random(seed)  # noqa: S311 - nothing secret

    def plan(self, stored: Stored, now: float) -> None:
        """Let everything happen, in its order, that the behaviour has in store."""
        due = max(0.0, stored.due_at - now) + self._settings.sending_delay + self._random.random() * self._settings.sending_spread
        for planned in _planned(stored):
            self._agenda.after(due, self._happen, stored, planned)
            due += self._settings.step_delay

    async def hurry(self, stored: Stored) -> None:
        """Let everything happen now, and wait until it is told."""
        for planned in _planned(stored):
            await self._caller.call_now(stored, self._come_true(stored, planned))

    def cancel(self, stored: Stored) -> bool:
        """Cancel a message, and tell of it; False where it is too late."""
        if not self._provider.cancel(stored):
            return False
        told = callbacks.report(self._settings.callback_url, stored, CallbackType.STATUS, Status.CANCELLED, time.time())
        self._agenda.after(self._settings.step_delay, self._caller.call, stored, told)
        return True

    def _happen(self, stored: Stored, planned: PlannedCallback | str) -> None:
        if stored.status is not Status.CANCELLED:
            self._caller.call(stored, self._come_true(stored, planned))

    def _come_true(self, stored: Stored, planned: PlannedCallback | str) -> str:
        """Change the state; return the URL to call, or ""."""
        at, settings = time.time(), self._settings
        if isinstance(planned, str):
            self._provider.receive(stored, planned, at)
            return callbacks.reply(settings.reply_url or settings.callback_url, stored, planned, at)
        if stored.status not in _ENDS:
            stored.status = Status(planned.code) if planned.type is CallbackType.STATUS else Status.SENT
        return callbacks.report(settings.callback_url, stored, planned.type, planned.code, at) if planned.told else ""


def _planned(stored: Stored) -> tuple[PlannedCallback | str, ...]:
    return (*stored.behaviour.callbacks, *stored.behaviour.replies)
