"""The command line: exit codes, one line of error, JSON where data is printed."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.demo.ports import free_port
from gateway.events import rfc3339
from gateway.schema import schemas
from tests.support.stack import Stack


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands that run in this process set the level of the log for whatever test comes after them."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[gateway]\nstate_dir = "{tmp_path / "state"}"\n[broker]\nurl = "mqtt://127.0.0.1:{free_port()}"\n'
        f'[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\npassword = "hunter22"\n[admin]\nlisten = "127.0.0.1:{free_port()}"\n'
    )
    return path


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


def test_the_version_is_printed() -> None:
    assert "mensageiro" in run("--version").output


def test_a_port_in_use_is_named_by_the_sandbox() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "in use" in one_line_of_error(result)


CARRIER = '[carriers.smpp]\nkind = "smpp"\nsystem_id = "user"\n'
MISTAKES = {
    "no TOML": ("[gateway\n", "is not TOML"),
    "no carrier": ("[gateway]\n", "carriers: at least one"),
    "an unknown key": (CARRIER + 'password = "x"\nwindw = 3\n', "carriers.smpp.windw: is no key"),
    "a wrong type": (CARRIER + 'password = "x"\nwindow = "many"\n', "carriers.smpp.window: expected `int`"),
    "out of range": (CARRIER + 'password = "x"\nport = 70000\n', "carriers.smpp.port: expected `int` <= 65535"),
    "a missing secret": (CARRIER, "carriers.smpp.password: a secret is required"),
    "two secrets": (CARRIER + 'password = "x"\npassword_file = "/x"\n', "carriers.smpp.password: set password or password_file, not both"),
    "a secret file that is not there": (CARRIER + 'password_file = "/no/such"\n', "carriers.smpp.password_file: cannot read /no/such"),
    "a CA file that is not there": (
        CARRIER + 'password = "x"\n[broker]\nurl = "mqtts://h"\nca_file = "/no/such"\n',
        "broker.ca_file: cannot read /no/such",
    ),
    "what cannot be together": (CARRIER + 'password = "x"\n[broker]\nshared_group = "g"\n', "broker.shared_group: a group needs"),
}


@pytest.mark.parametrize("command", ["check-config", "run"])
@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_mistake_is_one_line_that_names_the_key(tmp_path: Path, command: str, text: str, expected: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    result = run(command, "--config", path)
    assert result.exit_code == 2
    assert expected in one_line_of_error(result)


def test_files_that_are_there_while_the_service_runs_can_be_left_out_of_a_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(CARRIER + 'password_file = "/run/credentials/mensageiro.service/smpp.password"\n')
    assert run("check-config", "--config", path).exit_code == 2
    assert run("check-config", "--no-files", "--config", path).output.startswith("ok: ")
    path.write_text(CARRIER + 'password_file = "/no/such"\nwindow = 0\n')
    assert "carriers.smpp.window: " in one_line_of_error(run("check-config", "--no-files", "--config", path))


def test_a_configuration_that_is_a_folder_is_one_line(tmp_path: Path) -> None:
    result = run("check-config", "--config", tmp_path)
    assert result.exit_code == 2
    assert "Is a directory" in one_line_of_error(result)


def test_the_environment_names_the_configuration(config_file: Path) -> None:
    result = CliRunner().invoke(main, ["check-config"], env={"MENSAGEIRO_CONFIG": str(config_file)})
    assert result.output.startswith(f"ok: {config_file}")


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["nothing"], "'nothing'"),
        (["show"], "'ID'"),
        (["run", "--nothing"], "'--nothing'"),
        (["queue", "list", "--limit", "0"], "'--limit'"),
        (["queue", "hold", "--all", "--limit", "9" * 20], "'--limit'"),
        (["queue", "resolve", "a"], "'--as'"),
        (["send", "--to", "1", "--text", "x", "--wait", "nan"], "'--wait': needs 0 or more"),
        (["send", "--to", "1", "--text", "x", "--wait", "-1"], "'--wait': needs 0 or more"),
        (["schema", "submit", "--asyncapi"], "--asyncapi"),
        (["schema", "--asyncapi", "--prefix", "a/#"], "topic_prefix: "),
        (["sandbox", "--port", "x"], "'--port': needs 0 to 65535"),
        (["sandbox", "--http-port", "65536"], "'--http-port': needs 0 to 65535"),
        (["sandbox", "--max-rate", "-1"], "'--max-rate': needs 0 or more"),
        (["sandbox", "--receipt-delay", "inf"], "'--receipt-delay': needs 0 or more"),
        (["sandbox", "--callback-tries", "0"], "'--callback-tries': needs 1 or more"),
        (["sandbox", "--callback-url", "example.com/callback"], "'--callback-url': needs http://host"),
        (["sandbox", "--reply-url", "http://[::1"], "'--reply-url': needs http://host"),
        (["sandbox", "--reply-url", "http://127.0.0.1:1/x"], "--reply-url: what comes by SMPP is not called back"),
    ],
)
def test_bad_usage_is_one_line_that_names_what_is_wrong(command: list[str], named: str) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert named in one_line_of_error(result)


def test_an_argument_that_is_no_utf_8_is_bad_usage(config_file: Path) -> None:
    done = gateway("send", "--to", "11987654321", "--text", os.fsdecode(b"caf\xe9"), "--config", config_file)
    assert (done.returncode, done.stderr) == (2, "mensageiro: an argument is not UTF-8\n")


def test_what_cannot_be_written_is_one_line_and_1() -> None:
    for command in (["schema", "submit"], ["text", "oi"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([sys.executable, "-m", "gateway", *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


def test_a_prompt_that_nobody_answers_is_1(config_file: Path) -> None:
    result = run("privacy", "forget", "--config", config_file)
    assert (result.exit_code, result.stderr) == (1, "Number: \nmensageiro: nothing was entered\n")
    assert "the number is empty" in one_line_of_error(run("privacy", "export", "-", "--config", config_file))


@pytest.mark.parametrize("command", [[], ["queue"]])
def test_a_group_without_a_command_shows_its_help(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "Commands:" in result.stderr
    assert result.stdout == ""


def test_only_replay_knows_types_of_events(config_file: Path) -> None:
    for command in ("hold", "release", "retry", "list"):
        result = run("queue", command, "--all", "--type", "receipt", "--config", config_file)
        assert result.exit_code == 2
        assert "No such option" in one_line_of_error(result)
    assert run("queue", "replay", "--type", "nothing", "--config", config_file).exit_code == 2
    assert "no gateway runs" in one_line_of_error(run("queue", "replay", "--type", "receipt", "--config", config_file))


def test_a_source_that_no_topic_can_name_is_bad_usage(config_file: Path) -> None:
    result = run("send", "--to", "11987654321", "--text", "Ola", "--source", "A/b", "--config", config_file)
    assert result.exit_code == 2
    assert "--source" in one_line_of_error(result)


def test_a_broker_that_is_named_needs_no_configuration(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    result = run("send", "--broker", url, "--to", "11987654321", "--text", "Ola", "--config", tmp_path / "none.toml")
    assert result.exit_code == 1
    assert url in one_line_of_error(result)
    result = run("send", "--broker", "http://x", "--to", "11987654321", "--text", "Ola")
    assert result.exit_code == 2
    assert "broker.url: needs mqtt://" in one_line_of_error(result)


def test_a_text_may_come_by_stdin() -> None:
    arguments = ["send", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--to", "11987654321", "--text", "-"]
    assert "text: " in one_line_of_error(CliRunner().invoke(main, arguments, input="\n"))
    assert "text: " not in one_line_of_error(CliRunner().invoke(main, arguments, input="Ola\n"))


@contextmanager
def listener(status: int, body: str) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


UNREADY = '{"ready": false, "draining": false, "broker": false, "journal": true, "carrier": false}'


@pytest.mark.parametrize(
    ("status", "body", "code", "expected"),
    [
        (200, '{"ready": true}', 0, "ok"),
        (503, UNREADY, 1, "not ready: broker, carrier"),
        (503, '{"ready": false, "draining": true}', 1, "draining"),
        (200, "[]", 1, "is no gateway"),
        (200, "<html>", 1, "is no gateway"),
        (200, "{}", 1, "not ready"),
    ],
)
def test_healthcheck_tells_a_gateway_from_what_is_none(config_file: Path, status: int, body: str, code: int, expected: str) -> None:
    with listener(status, body) as port:
        text = config_file.read_text()
        config_file.write_text(text[: text.index("[admin]")] + f'[admin]\nlisten = "127.0.0.1:{port}"\n')
        result = run("healthcheck", "--config", config_file)
    assert result.exit_code == code
    assert expected in result.output


def gateway(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a real process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MENSAGEIRO_")}
    command = [sys.executable, "-W", "error", "-m", "gateway", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)


def test_a_port_in_use_stops_the_gateway_with_one_line(config_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = config_file.read_text()
        config_file.write_text(text[: text.index("[admin]")] + f'[admin]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
        result = gateway("run", "--config", config_file)
    assert result.returncode == 2
    assert "admin.listen: cannot listen" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("command", "code"), [("check-config", 2), ("queue stats", 1), ("queue hold a", 1), ("show a", 1)])
def test_a_state_dir_that_is_a_file_is_named_by_its_key(config_file: Path, tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "state").write_text("a file")
    result = run(*command.split(), "--config", config_file)
    assert result.exit_code == code
    assert f"gateway.state_dir: {tmp_path / 'state'} is no folder" in one_line_of_error(result)


def test_a_state_dir_that_cannot_be_made_stops_the_gateway_with_one_line(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    config_file.write_text(config_file.read_text().replace('/state"', '/state/below"'))
    result = gateway("run", "--config", config_file)
    assert result.returncode == 2
    assert "gateway.state_dir: " in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def journal_at(tmp_path: Path, user_version: int | None) -> None:
    """Leave a journal of a version, or a file that is none, where the configuration has it."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "journal.db"
    if user_version is None:
        path.write_bytes(b"no database, but as long as the header of one, which is a hundred octets. " * 2)
        return
    with closing(sqlite3.connect(path)) as journal:
        journal.execute(f"PRAGMA user_version = {user_version}")


READING = [["show", "a"], ["queue", "stats"], ["queue", "list"], ["privacy", "export", "11987654321"]]


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize(("user_version", "code", "expected"), [(None, 1, "not a database"), (999, 2, "999")], ids=["none", "newer"])
def test_a_journal_that_cannot_be_read_is_one_line(
    config_file: Path, tmp_path: Path, command: list[str], user_version: int | None, code: int, expected: str
) -> None:
    journal_at(tmp_path, user_version)
    result = run(*command, "--config", config_file)
    assert result.exit_code == code
    assert expected in one_line_of_error(result)


@pytest.mark.parametrize("user_version", [None, 999], ids=["none", "newer"])
def test_a_journal_that_cannot_be_read_stops_the_gateway_with_one_line(config_file: Path, tmp_path: Path, user_version: int | None) -> None:
    journal_at(tmp_path, user_version)
    result = gateway("run", "--config", config_file)
    assert result.returncode == (1 if user_version is None else 2)
    assert result.stderr.splitlines()[-1].startswith("mensageiro: ")
    assert "Traceback" not in result.stderr


async def test_a_message_that_the_broker_drops_is_not_called_sent(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.write_config()
    stack.broker.start()
    try:
        code, stdout, stderr = await stack.command("send", "--to", "11987650002", "--text", "Segredo", "--source", "loja")
    finally:
        await stack.close()
    assert (code, stdout) == (1, "")
    assert stderr == "mensageiro: no gateway subscribes to sms/submit/loja: the broker drops the message\n"


async def test_a_message_is_sent_followed_kept_back_and_told_by_commands_alone(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    try:
        await stack.start()
        assert await stack.command("healthcheck") == (0, "ok\n", "")

        code, stdout, stderr = await stack.command("send", "--to", "11987650002", "--text", "Segredo", "--id", "m-1", "--wait", "20")
        assert (code, stderr) == (0, "")
        assert [line.split()[1:] for line in stdout.splitlines()] == [["accepted", "smpp"], ["receipt", "delivered", "(final)"]]
        later = ("--schedule-at", "2099-01-01T00:00:00Z")
        code, _, _ = await stack.command("send", "--to", "11987650002", "--text", "Segredo", "--id", "m-2", *later, "--wait", "20")
        assert code == 1  # a year is the most
        tomorrow = rfc3339(time.time() + 86400)
        assert await stack.json("send", "--to", "11987650002", "--text", "Segredo", "--id", "m-3", "--schedule-at", tomorrow) == {
            "id": "m-3"
        }
        await until_listed(stack, "m-3", "scheduled")
        code, stdout, stderr = await stack.command("queue", "hold", "--all", "--limit", "1")
        assert (code, stdout) == (0, "1 changed\n")
        assert "there may be more" in stderr
        await until_listed(stack, "m-3", "held")

        code, stdout, _ = await stack.command("send", "--to", "11987650005", "--text", "Segredo", "--wait", "20", "--json")
        assert code == 1
        assert json.loads(stdout.splitlines()[-1])["state"] == "undeliverable"
        # The newest has ended: a limit of one must not be used up by it.
        assert [message["id"] for message in await stack.json("queue", "list", "--limit", "1")] == ["m-3"]
        assert await stack.json("queue", "replay", "m-1", "--type", "receipt") == {"changed": 1}
        code, stdout, stderr = await stack.command("queue", "hold", "--all", "--limit", "1")
        assert (code, stdout, stderr) == (0, "0 changed\n", "")

        code, story, _ = await stack.command("show", "m-1")
        await stack.gateway.stop()
        assert (await stack.command("show", "m-1"))[:2] == (code, story)  # the journal alone tells the same
        for expected in ("****0002", "message id", "delivered", "accepted", "smpp"):
            assert expected in story
        for secret in ("Segredo", "11987650002"):
            assert secret not in story

        code, table, _ = await stack.command("queue", "list", "--all")
        assert code == 0
        assert "held" in next(line for line in table.splitlines() if " m-3 " in line)
        assert "\x1b" not in table
        assert [message["id"] for message in await stack.json("queue", "list", "--limit", "1")] == ["m-3"]  # by the journal alone
        assert "held" in (await stack.command("queue", "stats"))[1]
        assert (await stack.command("healthcheck"))[0] == 1
    finally:
        await stack.close()


async def until_listed(stack: Stack, id: str, state: str) -> None:
    for _ in range(20):
        if [message["state"] for message in await stack.json("queue", "list", id)] == [state]:
            return
    raise AssertionError(f"{id} is not {state}")
