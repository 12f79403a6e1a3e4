"""What is shipped to configure from: the example, its reference and the README's least configuration."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from gateway import config
from gateway.cli import main

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config" / "gateway.example.toml"
PASSWORD_FILE = "/etc/mensageiro/smpp.password"


def check(path: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["check-config", "--config", str(path)], env={"MENSAGEIRO_CONFIG": None})
    return result.exit_code, result.output + result.stderr


def with_secret(text: str, folder: Path) -> Path:
    (folder / "password").write_text("hunter22\n")
    path = folder / "gateway.toml"
    path.write_text(text.replace(PASSWORD_FILE, str(folder / "password")))
    return path


def test_the_example_runs_once_its_secret_is_there(tmp_path: Path) -> None:
    code, told = check(with_secret(EXAMPLE.read_text(encoding="utf-8"), tmp_path))
    assert (code, told[:3]) == (0, "ok:")


@pytest.mark.skipif(Path(PASSWORD_FILE).exists(), reason=f"{PASSWORD_FILE} exists on this machine")
def test_the_example_as_it_is_names_the_secret_that_is_missing() -> None:
    code, told = check(EXAMPLE)
    assert code == 2
    assert f"carriers.smpp.password_file: cannot read {PASSWORD_FILE}" in told


def test_the_example_holds_no_secret() -> None:
    tables = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    sections = [tables["broker"], *tables["carriers"].values()]
    assert not any(section.get(name) for section in sections for name in config.SECRETS)


def test_the_least_configuration_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    code, told = check(with_secret(block, tmp_path))
    assert (code, told[:3]) == (0, "ok:")


def test_every_key_stands_in_the_example_and_in_the_reference() -> None:
    example = EXAMPLE.read_text(encoding="utf-8")
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for section in (*config.SECTIONS.values(), *config.CARRIER_KINDS.values()):
        for field in msgspec.structs.fields(section):
            assert re.search(rf"^(# )?{field.encode_name} = ", example, re.MULTILINE)
            assert f"| `{field.encode_name}` |" in page
    assert "| `kind` | required |" in page
