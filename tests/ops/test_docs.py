"""What the pages for operators and producers say is so: links lead somewhere, commands parse, settings are accepted."""

import re
import shlex
import tomllib

import pytest

from gateway import config
from gateway.cli import main
from tests.support import installed
from tests.support.commands import find

DOCS = installed.ROOT / "docs"
PAGES = ("install-systemd.md", "producers.md", "container.md", "logs.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" in link or not (DOCS / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])((?:config|systemd|scripts|examples|requirements)/[\w./-]+\.\w+)", text))
    made = {f"config/secrets/{name}.password" for name in ("grafana", "loja", "smpp")}
    assert {path for path in named if not (installed.ROOT / path).exists()} <= made


def commands() -> list[list[str]]:
    text = "\n".join(block for page in PAGES for language in ("sh", "console") for block in blocks(page, language))
    lines = re.findall(r"(?:^|[ /])mensageiro ((?:[a-z-]+|--version)(?: [^|&\n#>]*)?)", text, re.MULTILINE)
    inline = re.findall(r"`mensageiro ([^`]+)`", "\n".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES))
    return [shlex.split(line) for line in [*lines, *inline]]


def test_every_command_that_is_shown_parses() -> None:
    known = [words for words in commands() if words[0] in main.table]
    assert len(known) > 12
    for words in known:
        command, rest = find(words)
        if "--help" not in rest:
            command.make_context(command.name, rest)


def test_the_configuration_that_is_shown_is_one() -> None:
    (text,) = blocks("install-systemd.md", "toml")
    settings = config.parse(tomllib.loads(text))
    unit = (installed.ROOT / "systemd" / "mensageiro.service").read_text(encoding="utf-8")
    (shown,) = [carrier for carrier in settings.carriers.values() if isinstance(carrier, config.Smpp)]
    assert f'# Read by systemd as root, given to the gateway alone: password_file = "{shown.password_file}".' in unit


def test_the_transcript_is_of_the_unit_as_it_is() -> None:
    text = (DOCS / "install-systemd.md").read_text(encoding="utf-8")
    for name in ("mensageiro.service", "mensageiro-sandbox.service"):
        (command,) = re.findall(r"^ExecStart=(.*)$", (installed.ROOT / "systemd" / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert f"$ {command}" in text


def test_no_page_names_a_registry() -> None:
    for path in (*(DOCS / page for page in PAGES), installed.ROOT / "Dockerfile", installed.ROOT / "config" / "compose.yml"):
        assert not re.search(r"pypi|npmjs|docker\.io|ghcr|quay\.io", path.read_text(encoding="utf-8")), path
