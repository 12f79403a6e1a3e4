"""Set logging up: one line an event, JSON or for a terminal, also for what libraries log. What may be logged is each caller's care.

An event's name is a short sentence in lower case ("bind lost"), what differs from time to time stands in fields. What happens to a single
message is DEBUG, and free while that is off: a loop over messages asks `debugging()` first.
"""

import logging
import os
import sys
from typing import Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]


class _Logger(structlog.BoundLoggerBase):
    """A logger whose methods are those of the level in force: one that was made long ago follows a change too."""

    debugging = False


def set_level(level: Level) -> None:
    """Leave out what is below `level` from now on. A method below it does nothing at all."""
    number = getattr(logging, level.upper())
    for name, member in vars(structlog.make_filtering_bound_logger(number)).items():
        if not name.startswith("__"):
            setattr(_Logger, name, member)
    _Logger.debugging = number <= logging.DEBUG


def debugging() -> bool:
    """Say whether DEBUG is written."""
    return _Logger.debugging


def configure(level: Level, format: Literal["json", "console", "auto"], stream: TextIO = sys.stderr) -> None:
    """Send every log line of the process to `stream`; "auto" writes for people on a terminal, else JSON."""
    set_level(level)
    people = format == "console" or (format == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending = _for_people(stream) if people else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=_Logger,
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    libraries = logging.StreamHandler(stream)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)


def _for_people(stream: TextIO) -> list[structlog.typing.Processor]:
    # A traceback with local variables, structlog's default, would tell texts and numbers.
    colours = stream.isatty() and not os.environ.get("NO_COLOR")  # no-color.org
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]
