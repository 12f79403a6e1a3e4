"""Set logging up: one line an event, JSON or for a terminal, also for what libraries log. What may be logged is each caller's care."""

import logging
import os
import sys
from typing import Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]


def configure(level: Level, format: Literal["json", "console", "auto"], stream: TextIO = sys.stderr) -> None:
    """Send every log line of the process to `stream`; "auto" writes for people on a terminal, else JSON."""
    people = format == "console" or (format == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending = _for_people(stream) if people else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
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
