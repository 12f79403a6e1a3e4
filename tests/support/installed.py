"""The built wheel, installed: what end-to-end tests run is what users install, not the source tree.

The wheel is built and installed once for each state of the sources, by whichever test comes first, into `build/installed/<digest>`; other
workers of the run wait for it, and later runs find it. It takes about a second. `-P` keeps the working folder, where the source tree
lies, off the path of the process.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PYTHON = (sys.executable, "-P")  # begins every command that runs it
TIMEOUT = 120.0


@cache
def wheel() -> Path:
    """Return the wheel, built from the tree as it stands."""
    return next(_made().glob("*.whl"))


@cache
def folder() -> Path:
    """Return the folder that the wheel is installed in: packages, and `bin/mensageiro`."""
    return _made() / "site"


def environment() -> dict[str, str]:
    """Return an environment in which `PYTHON -m gateway` is what the wheel holds, and nothing of ours is set."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MENSAGEIRO_")}
    path = os.pathsep.join([str(folder() / "bin"), kept.get("PATH", "")])
    return kept | {"PYTHONPATH": str(folder()), "PATH": path, "PYTHONWARNINGS": "default", "PYTHONUNBUFFERED": "1"}


@cache
def _made() -> Path:
    place = ROOT / "build" / "installed" / _digest()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _forget_others(place)
            _make(place)
    return place


def _digest() -> str:
    """Digest all that the wheel is made of, and what it is installed for."""
    content = hashlib.sha256(sys.executable.encode())
    sources = (path for path in (ROOT / "gateway").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted([*sources, ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"]):
        content.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def _make(place: Path) -> None:
    """Build and install beside `place`, which appears when it is whole."""
    unfinished = place.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _run("hatchling", "build", "-t", "wheel", "-d", str(unfinished))
    (made,) = unfinished.glob("*.whl")
    _run("pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index", "--target", str(unfinished / "site"), str(made))
    unfinished.rename(place)


def _forget_others(place: Path) -> None:
    """Keep the last few: a run of another branch or Python may use them."""
    known = sorted((each for each in place.parent.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for each in known[:-3]:
        shutil.rmtree(each, ignore_errors=True)


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, f"{module}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
