"""`mensageiro text`: what a text costs, for people and as JSON."""

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["text", *arguments], input=stdin, env={"MENSAGEIRO_CONFIG": "/nonexistent"})


def data(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_tells_all_of_a_short_text() -> None:
    assert data("não") == {
        "encoding": "ucs2",
        "data_coding": 8,
        "units": 3,
        "limit": 70,
        "left": 67,
        "parts": [{"units": 3, "text": "não", "octets": "006e00e3006f"}],
        "segments": 1,
        "header_elements": "",
        "replaced": {},
    }


def test_json_tells_what_each_part_holds_and_what_was_replaced() -> None:
    found = data("é só ação! " * 20, "--transliterate")
    assert (found["encoding"], found["segments"], found["limit"]) == ("gsm7", 2, 153)
    assert [part["units"] for part in found["parts"]] == [153, 67]
    assert (found["units"], found["left"]) == (220, 86)
    assert found["replaced"] == {"é": "e", "ó": "o", "ç": "c", "ã": "a"}


@pytest.mark.parametrize(
    ("options", "encoding", "limit"),
    [
        (["--national-language"], "gsm7-pt", 149),
        (["--national-language", "--long-messages", "udh16"], "gsm7-pt", 148),
        (["--national-language", "--long-messages", "sar"], "ucs2", 67),  # as it would go: no header stands beside sar_* TLVs
        (["--national-language", "--long-messages", "payload"], "ucs2", 67),
        (["--latin1"], "latin1", 134),
        (["--encoding", "ucs2"], "ucs2", 67),
        (["--alphabet", "latin1"], "latin1", 134),
    ],
)
def test_the_options_are_the_settings_of_a_carrier(options: list[str], encoding: str, limit: int) -> None:
    found = data("não é só ação. " * 12, *options)
    assert (found["encoding"], found["limit"]) == (encoding, limit)


def test_a_payload_shows_the_messages_that_the_phone_gets() -> None:
    found = data("não " * 100, "--long-messages", "payload")
    assert (len(found["parts"]), found["segments"], found["units"], found["left"]) == (1, 6, 400, 2)


def test_flash_and_apostrophe_are_shown() -> None:
    found = data("copo d'agua", "--flash", "--apostrophe", "space")
    assert (found["data_coding"], found["parts"][0]["text"], found["replaced"]) == (0x10, "copo d agua", {"'": " "})


def test_people_see_encoding_units_parts_and_replacements() -> None:
    result = run("não é só ação " * 12, "--transliterate")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:4] == ["encoding gsm7", "data_coding 0x00", "septets 168", "messages 2, of up to 153 septets; room for 138 more"]
    assert "replaced ã -> a" in lines
    assert lines[-2] == "1 153 " + ("nao e so acao " * 12)[:153].strip()
    assert lines[-1].startswith("2 15 ")
    assert "replaced ' -> a space" in " ".join(run("d'agua", "--apostrophe", "space").stdout.split())


def test_people_see_the_header_of_the_portuguese_tables_and_no_raw_control_characters() -> None:
    result = run("não\nfim", "--national-language")
    assert "24 01 03" in result.stdout
    assert "não<U+000A>fim" in result.stdout


def test_accents_written_apart_from_their_letters_are_put_on_them_as_they_are_when_sent() -> None:
    found = data("Ole\u0301 a\u0300 vista")
    assert (found["encoding"], found["parts"][0]["text"]) == ("gsm7", "Olé à vista")


def test_a_dash_reads_standard_input_without_its_last_newline() -> None:
    assert data("-", stdin="olá\n")["parts"][0]["text"] == "olá"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["não", "--encoding", "gsm7"], "mensageiro: text: a character is not in the alphabet: U+00E3"),
        (["não", "--encoding", "gsm7-pt"], "mensageiro: text: the encoding gsm7-pt is not available"),
        (["x" * 601], "mensageiro: text: has 601 characters, and may have 1 to 600"),
        ([""], "mensageiro: text: has 0 characters, and may have 1 to 600"),
    ],
)
def test_what_cannot_be_sent_is_one_line_and_exit_code_1(arguments: list[str], line: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line + "\n")


def test_an_unknown_encoding_is_bad_usage() -> None:
    result = run("oi", "--encoding", "utf-8")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_the_installed_command_takes_bytes_that_are_no_utf8_as_not_encodable() -> None:
    command: list[str | bytes] = [sys.executable, "-m", "gateway", "text", b"\xff"]
    done = subprocess.run(command, capture_output=True, timeout=30, env={"LC_ALL": "C.UTF-8", "PATH": ""})
    assert done.returncode == 1
    assert done.stderr.decode().endswith("U+DCFF\n")
