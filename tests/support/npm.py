"""npm packages for tests, from a package.json with its lock: installed once into `build/npm/<digest>`, shared by workers and later runs."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.installed import ROOT

TIMEOUT = 180.0


def folder(source: Path) -> Path:
    """Return a folder with the files of `source` and node_modules. Skips the test, with a reason, where that cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    place = ROOT / "build" / "npm" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(files, place)
    return place


def _install(files: list[Path], place: Path) -> None:
    unfinished = place.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for path in files:
        shutil.copy(path, unfinished / path.name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(command, cwd=unfinished, check=True, capture_output=True, timeout=TIMEOUT)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm ci failed: {error}")
    unfinished.rename(place)
