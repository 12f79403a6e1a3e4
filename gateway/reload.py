"""SIGHUP: the configuration is read again, and what can change while the gateway runs is changed. Called by `app`.

Hot keys take effect at once: those that somebody said how to change. Of all others that differ, one line names them and says that they
need a restart.
A file that cannot be used is one line of error and changes nothing. What a `_file` holds is read at the start alone.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway import config as configuration
from gateway import logs, systemd
from gateway.config import Config, ConfigError

log = structlog.get_logger()


class Reload:
    """Reads the configuration of a running gateway again, when it is called."""

    def __init__(self, path: Path, running: Config) -> None:
        self._path, self._running = path, msgspec.to_builtins(running)
        self._change: dict[str, Callable[[Any], None]] = {"log.level": logs.set_level}

    def add(self, hot: Mapping[str, Callable[[Any], None]]) -> None:
        """Say how to change further keys while the gateway runs."""
        self._change |= hot

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
        hot = [key for key in changed if key in self._change]
        for key in hot:
            self._change[key](_adopt(self._running, msgspec.to_builtins(new), key.split(".")))
        log.info("reloaded", applied=hot)
        if cold := [key for key in changed if key not in hot]:
            log.warning("these keys changed and need a restart", keys=cold)


def _adopt(running: dict[str, Any], wanted: dict[str, Any], key: list[str]) -> Any:
    """Set one key as it is wanted; return its value."""
    *sections, name = key
    for section in sections:
        running, wanted = running[section], wanted[section]
    running[name] = wanted[name]
    return wanted[name]


def differences(old: object, new: object) -> Iterator[str]:
    """Name the keys in which two configurations differ, never their values."""
    return _differences(msgspec.to_builtins(old), msgspec.to_builtins(new), "")


def _differences(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path
