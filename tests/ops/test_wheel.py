"""What users install: the wheel holds the package whole and nothing else, and it is what the end-to-end tests run."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path, PurePosixPath

import gateway
from tests.support import installed

SOURCE = Path(gateway.__file__).parent
ROOT = installed.ROOT


def names() -> set[str]:
    with zipfile.ZipFile(installed.wheel()) as wheel:
        return set(wheel.namelist())


def read(ending: str) -> bytes:
    with zipfile.ZipFile(installed.wheel()) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith(ending)]
        return wheel.read(name)


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else() -> None:
    files = {f"gateway/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in PurePosixPath(name).parts}
    assert {name for name in names() if ".dist-info/" not in name} == wanted
    assert {"gateway/py.typed", "gateway/journal/sql/sqlite/0001_initial.sql"} <= wanted


def test_what_is_no_code_comes_along_unchanged() -> None:
    data = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert {path.suffix for path in data} >= {".sql", ".typed"}
    with zipfile.ZipFile(installed.wheel()) as wheel:
        for path in data:
            assert wheel.read(f"gateway/{path.relative_to(SOURCE).as_posix()}") == path.read_bytes()


def test_the_wheel_says_what_it_is_and_brings_the_command_and_the_licence() -> None:
    about = message_from_bytes(read(".dist-info/METADATA"))
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("mensageiro", gateway.__version__, "MIT")
    assert about["Requires-Python"] == ">=3.11"
    assert b"mensageiro = gateway.cli:main" in read(".dist-info/entry_points.txt")
    assert read("licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_no_file_of_the_tests_or_of_a_machine_is_in_it() -> None:
    assert not [name for name in names() if name.startswith("tests/") or name.endswith((".pyc", ".db", ".toml"))]


def test_end_to_end_tests_run_the_wheel_and_not_the_source_tree() -> None:
    show = "import gateway, gateway.app, gateway.journal.sqlite as journal; print(gateway.__file__, journal.__file__)"
    done = subprocess.run(
        [*installed.PYTHON, "-c", show], env=installed.environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    for file in done.stdout.split():
        assert Path(file).is_relative_to(installed.folder())
    assert not installed.folder().is_relative_to(SOURCE)


def test_the_installed_command_runs() -> None:
    command = str(installed.folder() / "bin" / "mensageiro")
    done = subprocess.run([command, "--version"], env=installed.environment(), capture_output=True, text=True, check=True)
    assert done.stdout == f"mensageiro, version {gateway.__version__}\n"


def test_the_same_sources_give_the_same_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == installed.wheel().read_bytes()
