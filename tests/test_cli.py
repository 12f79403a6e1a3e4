"""The command line: exit codes, one line of error, JSON where data is printed."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.schema import schemas


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[gateway]\nstate_dir = "{tmp_path / "state"}"\n[broker]\nurl = "mqtt://127.0.0.1:{closed_port()}"\n'
        f'[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\npassword = "hunter22"\n[admin]\nlisten = "127.0.0.1:{closed_port()}"\n'
    )
    return path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={"MENSAGEIRO_CONFIG": None})


def one_line_of_error(result: Result) -> str:
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith("mensageiro: ")
    return line


def test_a_good_configuration_is_ok_and_shows_no_secret(config_file: Path) -> None:
    result = run("check-config", "--config", config_file)
    assert result.exit_code == 0
    assert result.output.startswith("ok: ")
    shown = run("check-config", "--config", config_file, "--json")
    assert json.loads(shown.output)["carriers"]["smpp"]["password"] == "***"
    assert "hunter22" not in result.output + shown.output


@pytest.mark.parametrize(
    "command", [["check-config"], ["run"], ["healthcheck"], ["show", "a"], ["queue", "stats"], ["send", "--to", "1", "--text", "x"]]
)
def test_a_bad_configuration_is_exit_code_2_and_one_line_everywhere(config_file: Path, command: list[str]) -> None:
    config_file.write_text(config_file.read_text() + "\n[brokr]\n")
    result = run(*command, "--config", config_file)
    assert result.exit_code == 2
    assert "brokr: is no section" in one_line_of_error(result)


def test_a_missing_configuration_names_the_file(tmp_path: Path) -> None:
    result = run("run", "--config", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert "none.toml: No such file" in one_line_of_error(result)


def test_without_a_gateway_commands_that_change_say_so(config_file: Path) -> None:
    for command in (
        ["hold", "a"],
        ["release", "--all"],
        ["retry", "a"],
        ["resolve", "a", "--as", "rejected"],
        ["replay", "--all"],
        ["retry-set-aside"],
    ):
        result = run("queue", *command, "--config", config_file)
        assert result.exit_code == 1
        assert "no gateway runs" in one_line_of_error(result)


def test_without_a_gateway_and_a_journal_commands_that_read_say_so(config_file: Path) -> None:
    result = run("show", "a", "--config", config_file)
    assert result.exit_code == 1
    assert "there is no journal" in one_line_of_error(result)


def test_a_change_without_a_selection_is_bad_usage(config_file: Path) -> None:
    for command in ("hold", "release", "retry", "replay"):
        result = run("queue", command, "--config", config_file)
        assert result.exit_code == 2
        assert "say which" in result.stderr


def test_a_bad_time_or_state_is_bad_usage(config_file: Path) -> None:
    assert run("queue", "list", "--since", "yesterday", "--config", config_file).exit_code == 2
    assert run("queue", "list", "--state", "lost", "--config", config_file).exit_code == 2


def test_healthcheck_of_nothing_is_1(config_file: Path) -> None:
    result = run("healthcheck", "--config", config_file)
    assert result.exit_code == 1
    assert "refused" in one_line_of_error(result)


def test_sending_without_a_broker_is_1_and_a_bad_payload_says_its_field(config_file: Path) -> None:
    result = run("send", "--to", "11987654321", "--text", "Ola", "--config", config_file)
    assert result.exit_code == 1
    one_line_of_error(result)
    result = run("send", "--to", "11987654321", "--text", "Ola", "--id", "a b", "--config", config_file)
    assert result.exit_code == 1
    assert "id: " in one_line_of_error(result)


def test_schemas_are_listed_printed_and_written(tmp_path: Path) -> None:
    assert run("schema").output.split() == list(schemas())
    assert json.loads(run("schema", "submit").output) == schemas()["submit"]
    assert json.loads(run("schema", "--asyncapi", "--prefix", "acme").output)["asyncapi"] == "3.0.0"
    assert run("schema", "nothing").exit_code == 2
    assert run("schema", "--out", tmp_path / "schemas").exit_code == 0
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {f"{name}.schema.json" for name in schemas()} | {"asyncapi.json"}


@pytest.mark.parametrize("command", [[], ["run"], ["queue"], ["queue", "list"], ["send"], ["sandbox"], ["demo"]])
def test_help_fits_a_screen(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) <= 40
    assert all(len(line) <= 100 for line in result.output.splitlines())


def test_the_version_is_printed() -> None:
    assert "mensageiro" in run("--version").output


def test_a_port_in_use_is_named_by_the_sandbox() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "in use" in one_line_of_error(result)
