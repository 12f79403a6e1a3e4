"""SIGHUP: the configuration is read again, and what can change while the gateway runs is changed. Called by `app`.

Keys that are marked hot in `config` take effect at once; of all others that differ, one line names them and says that they need a restart.
A file that cannot be used is one line of error and changes nothing. What a `_file` holds is read at the start alone.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from gateway import config as configuration
from gateway import logs, systemd
from gateway.config import Config, ConfigError

log = structlog.get_logger()


class Reload:
    """Reads the configuration of a running gateway again, when it is called."""

    def __init__(self, path: Path, running: Config) -> None:
        self._path, self._running = path, running

    def __call__(self) -> None:
        """Apply what the file says now."""
        systemd.reloading()
        log.info("reloading", path=str(self._path))
        try:
            new = configuration.load(self._path)
            configuration.check(new)
        except ConfigError as error:
            log.error("the configuration cannot be used: nothing changes", error=str(error))  # noqa: TRY400 - the operator's to mend: no traceback
        else:
            self._apply(new)
        finally:
            systemd.notify("READY=1")

    def _apply(self, new: Config) -> None:
        changed = sorted(differences(self._running, new))
        hot = [key for key in changed if key in configuration.HOT_KEYS]
        logs.set_level(new.log.level)
        self._running = msgspec.structs.replace(self._running, log=msgspec.structs.replace(self._running.log, level=new.log.level))
        log.info("reloaded", applied=hot)
        if cold := [key for key in changed if key not in hot]:
            log.warning("these keys changed and need a restart", keys=cold)


def differences(old: Config, new: Config) -> Iterator[str]:
    """Name the keys that differ, never their values."""
    return _differences(msgspec.to_builtins(old), msgspec.to_builtins(new), "")


def _differences(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path
