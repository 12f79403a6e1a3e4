"""Logs: one JSON object a line for machines, words for people."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from gateway import logs


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_logs_are_one_object_a_line_with_level_and_time() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger().info("bound", bind=0)
    structlog.get_logger().debug("not shown")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["bind"]) == ("bound", "info", 0)
    assert entry["timestamp"].endswith("Z")


def test_an_exception_in_json_is_one_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "a bug" in json.loads(line)["exception"]


def test_what_is_no_terminal_gets_json_and_no_colours() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    structlog.get_logger().info("bound")
    assert json.loads(stream.getvalue())["event"] == "bound"
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    structlog.get_logger().info("bound")
    assert "\x1b" not in stream.getvalue()
