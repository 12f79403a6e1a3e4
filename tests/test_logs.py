"""What a log line looks like, and what it never holds."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway import logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_with_a_text_in_hand() -> None:
    text = "segredo do cliente"
    raise ValueError(f"bad length: {len(text)}")


def test_a_line_is_one_json_object_with_time_level_and_event() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger().info("bound", carrier="smpp", state="BOUND_TRX")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["carrier"], line["state"]) == ("bound", "info", "smpp", "BOUND_TRX")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(("level", "number"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_left_out(level: logs.Level, number: int) -> None:
    stream = io.StringIO()
    logs.configure(level, "json", stream)
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert len(lines(stream)) == number


def test_people_read_on_a_terminal_and_machines_read_json() -> None:
    for stream, format, people in (
        (Terminal(), "auto", True), (io.StringIO(), "auto", False), (io.StringIO(), "console", True), (Terminal(), "json", False),
    ):  # fmt: skip
        logs.configure("info", format, stream)  # type: ignore[arg-type] # a Literal, in a loop
        structlog.get_logger().info("started")
        assert stream.getvalue().startswith("{") is not people, format


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_tells_no_local_variable(format: Any) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream)
    try:
        fail_with_a_text_in_hand()
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("failed too")
    assert stream.getvalue().count("bad length: 18") == 2
    assert "segredo" not in stream.getvalue().replace('text = "segredo do cliente"', "")


def test_a_traceback_is_part_of_its_json_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    try:
        fail_with_a_text_in_hand()
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    assert "ValueError: bad length" in line["exception"]


def test_what_libraries_log_is_json_too_from_warnings_on() -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    logging.getLogger("aiohttp.server").info("request")
    logging.getLogger("asyncio").warning("slow: %s", "a\nb")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("slow: a\nb", "warning", "asyncio")


def test_setting_it_up_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", io.StringIO())
    logs.configure("info", "json", stream)
    logging.getLogger("asyncio").warning("once")
    structlog.get_logger().info("once")
    assert [line["event"] for line in lines(stream)] == ["once", "once"]


def test_a_logger_made_long_ago_follows_a_change_of_the_level() -> None:
    stream = io.StringIO()
    logs.configure("warning", "json", stream)
    log = structlog.get_logger().bind(carrier="smpp")
    log.info("unseen")
    logs.set_level("debug")
    log.debug("seen")
    logs.set_level("error")
    log.warning("unseen")
    log.error("seen too")
    assert [(line["event"], line["carrier"]) for line in lines(stream)] == [("seen", "smpp"), ("seen too", "smpp")]


def test_who_loops_over_messages_can_ask_whether_debug_lines_are_written() -> None:
    for level, expected in (("debug", True), ("info", False), ("error", False)):
        logs.configure(level, "json", io.StringIO())  # type: ignore[arg-type] # a Literal, in a loop
        assert logs.debugging() is expected
