"""systemd units run by hand, where no systemd is: the commands and the environment that a unit gives, with paths below a folder.

What it takes from a unit: ExecStart, ExecReload, Environment, LoadCredential, StateDirectory and the specifiers %i, %S and %d. What it does
not do: users, name spaces and filters; `systemd-analyze` and strace look at those.
"""

import shlex
import shutil
from collections import defaultdict
from pathlib import Path

from tests.support import installed

FOLDER = installed.ROOT / "systemd"
COMMAND = "/opt/mensageiro/bin/mensageiro"


class Unit:
    """A unit file; `instance` is what stands after the @."""

    def __init__(self, name: str, root: Path, instance: str = "") -> None:
        self.name, self.root, self._instance = name, root, instance
        self.settings: dict[str, list[str]] = defaultdict(list)
        for line in (FOLDER / name).read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                self.settings[key].append(value)
        self.state = self._path(f"/var/lib/{self._expanded(self.settings['StateDirectory'][0])}")

    @property
    def credentials(self) -> Path:
        """Return where the unit's credentials lie while it runs."""
        return self._path(f"/run/credentials/{self.name.replace('@', f'@{self._instance}')}")

    def prepare(self) -> None:
        """Make what systemd makes before a start. Raises FileNotFoundError for a missing credential: systemd does not start it then."""
        self.state.mkdir(parents=True, mode=int(self.settings["StateDirectoryMode"][0], 8))
        self.credentials.mkdir(parents=True)
        for each in self.settings["LoadCredential"]:
            name, _, file = self._expanded(each).partition(":")
            shutil.copy(self._path(file), self.credentials / name)

    @property
    def arguments(self) -> list[str]:
        """Return what its command tells `mensageiro`."""
        (line,) = self.settings["ExecStart"]
        program, *arguments = self._expanded(line).split()
        assert program == COMMAND
        return [str(self._path(each)) if each.startswith("/") else each for each in arguments]

    def reload_command(self, pid: int) -> list[str]:
        """Return the command that reloads it."""
        (line,) = self.settings["ExecReload"]
        return [word.replace("$MAINPID", str(pid)) for word in shlex.split(line)]

    @property
    def environment(self) -> dict[str, str]:
        """Return what it adds to the environment."""
        pairs = [self._expanded(each).partition("=") for each in self.settings["Environment"]]
        return {key: str(self._path(value)) if value.startswith("/") else value for key, _, value in pairs}

    def _path(self, absolute: str) -> Path:
        return self.root / absolute.removeprefix("/")

    def _expanded(self, text: str) -> str:
        assert "%d" not in text, "say where"
        return text.replace("%i", self._instance).replace("%S", "/var/lib")
