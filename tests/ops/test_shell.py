"""The command line in a shell: completion, help on a screen, colours, and a start that loads no daemon."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support import commands, installed

TIMEOUT = 60.0
DAEMON = {"aiohttp", "structlog", "uvloop", "zeep", "prometheus_client", "gateway.app", "gateway.demo", "gateway.journal.sqlite"}
HEAVY = DAEMON | {"asyncio", "http.client", "rich", "sqlite3"}
LINES, COLUMNS = 24, 80  # a terminal as it opens
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env=installed.environment() | environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Write the completion script of the shell that the test's parameter names."""
    path = tmp_path / f"completion.{request.param}"
    path.write_text(run("mensageiro", "completion", request.param))
    return path


# --- Completion ---


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mensageiro", "he"], ["healthcheck"]),
        (["mensageiro", "queue", "re"], ["release", "replay", "resolve", "retry", "retry-set-aside"]),
        (["mensageiro", "queue", "list", "--state", "in"], ["in_doubt"]),
        (["mensageiro", "healthcheck", "--li"], ["--live"]),
        (["mensageiro", "completion", ""], ["bash", "fish", "zsh"]),
    ],
)
def test_bash_completes_commands_options_and_values(script: Path, words: list[str], expected: list[str]) -> None:
    ask = (
        f"source {script}; complete -p mensageiro >&2; COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; "
        '_mensageiro_completion mensageiro; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [shell("bash"), "--norc", "-c", ask], env=installed.environment(), capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    assert done.stderr == "complete -o nosort -F _mensageiro_completion mensageiro\n"
    assert sorted(done.stdout.split()) == expected


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_completes_commands_with_their_meaning(script: Path, tmp_path: Path) -> None:
    ask = f"source {script}; complete -C 'mensageiro queue ho'; complete -C 'mensageiro queue list --state in'"
    answer = run(shell("fish"), "--no-config", "-c", ask, HOME=str(tmp_path))
    assert answer.splitlines() == ["hold\tKeep waiting messages from being sent.", "in_doubt"]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_knows_who_completes_and_what_it_answers(script: Path, tmp_path: Path) -> None:
    ask = (
        f"autoload -U compinit; compinit -u -d {tmp_path}/dump; source {script}; print $_comps[mensageiro]; "
        "_describe() { print -l ${(P)3}; }; "
        "words=(mensageiro queue ho); CURRENT=3; _mensageiro_completion"
    )
    answer = run(shell("zsh"), "-f", "-c", ask, HOME=str(tmp_path)).splitlines()
    assert answer[0] == "_mensageiro_completion"
    assert "hold:Keep waiting messages from being sent." in "\n".join(answer[1:])


def test_a_shell_that_is_not_known_is_bad_usage() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.output


# --- Help ---


@pytest.mark.parametrize("path", list(commands.every()), ids=" ".join)
def test_the_help_of_every_command_fits_a_screen(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"], env={"COLUMNS": str(COLUMNS)}, terminal_width=COLUMNS)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= COLUMNS
    assert len(result.output.splitlines()) <= LINES
    assert path or set(main.table) <= set(result.output.split())


# --- Colours ---


def on_a_terminal(*command: str, **environment: str) -> str:
    """Run a command whose output is a terminal, and return what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    settings = {"TERM": "xterm-256color", **environment}
    kept = {key: value for key, value in installed.environment().items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=kept | settings) as process:
        os.close(theirs)
        shown = _read(ours)
        process.wait(TIMEOUT)
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    shown, deadline = b"", time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and select.select([terminal], [], [], deadline - time.monotonic())[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            break
    return shown


LOG = "from gateway import logs; import structlog; logs.configure('info', 'auto'); structlog.get_logger().warning('bind lost', bind=1)"
TABLE = "from gateway import printing; printing.table(('state', 'number'), [('queued', 1)])"


@pytest.mark.parametrize("program", [LOG, TABLE], ids=["log", "table"])
def test_a_terminal_shows_styles_unless_it_is_told_not_to(program: str) -> None:
    command = [*installed.PYTHON, "-c", program]
    assert COLOUR.search(on_a_terminal(*command))
    codes = {code for found in COLOUR.findall(on_a_terminal(*command, NO_COLOR="1")) for code in found[2:-1].split(";")}
    assert codes <= {"", "0", "1", "22"}  # bold is no colour
    assert "\x1b" not in on_a_terminal(*command, TERM="dumb", NO_COLOR="1")


@pytest.mark.parametrize("program", [LOG, TABLE], ids=["log", "table"])
@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm-256color"}], ids=["plain", "TERM"])
def test_what_is_no_terminal_gets_no_escape_sequence(program: str, environment: dict[str, str]) -> None:
    kept = {key: value for key, value in installed.environment().items() if key not in {"FORCE_COLOR", "TTY_COMPATIBLE"}}
    done = subprocess.run([*installed.PYTHON, "-c", program], env=kept | environment, capture_output=True, timeout=TIMEOUT, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stdout + done.stderr


# --- The start ---


def loaded_by(arguments: list[str], **environment: str) -> set[str]:
    """Run a command that does well, and tell which modules it loaded."""
    program = (
        "import atexit, sys\n"
        "sys.argv[0] = 'mensageiro'\n"
        "from gateway.cli import main\n"
        "atexit.register(lambda: print('loaded:', *sys.modules, file=sys.stderr))\n"
        "main(sys.argv[1:])"
    )
    command = [*installed.PYTHON, "-c", program, *arguments]
    settings = installed.environment() | environment
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    return set(done.stderr.partition("loaded:")[2].split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "fish"], ["check-config"], ["check-config", "--help"]])
def test_a_command_loads_only_what_it_needs(arguments: list[str], tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[carriers.smpp]\nkind = "smpp"\nsystem_id = "u"\npassword = "p"\n')
    loaded = loaded_by(arguments, MENSAGEIRO_CONFIG=str(config))
    assert "gateway.config" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_what_lists_commands_loads_none(arguments: list[str]) -> None:
    assert {name for name in loaded_by(arguments) if name.startswith("gateway.cli.")} == {"gateway.cli.shared"}


@pytest.mark.parametrize(
    ("line", "modules"),
    [("mensageiro he", set()), ("mensageiro --he", set()), ("mensageiro healthcheck --li", {"gateway.cli.healthcheck"})],
)
def test_completion_loads_the_command_before_the_cursor_and_no_other(line: str, modules: set[str]) -> None:
    asked = {"_MENSAGEIRO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    loaded = loaded_by([], **asked)
    assert {name for name in loaded if name.startswith("gateway.cli.")} == {"gateway.cli.shared"} | modules
    assert loaded & (HEAVY - {"http.client"}) == set()


@pytest.mark.parametrize(
    "arguments", [["healthcheck", "--help"], ["queue", "list", "--help"], ["privacy", "--help"], ["account", "--help"], ["text", "Ola"]]
)
def test_what_looks_at_a_gateway_loads_no_daemon(arguments: list[str]) -> None:
    assert loaded_by(arguments) & DAEMON == set()
