"""A real mosquitto on a loopback port of its own, started, killed and restarted by a test.

The port is chosen when the object is made and kept over restarts; everything that mosquitto writes lies in `folder`. `start` returns as
soon as it takes connections. Nothing survives a kill unless `persistence` is on; then it writes its queues at each change, within a second.
"""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.demo.ports import free_port
from tests.support.waiting import DEADLINE, listens

STOP_TIMEOUT = 10.0
POLL = 0.01


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the CA, and a certificate for 127.0.0.1 and localhost with its key."""

    ca: Path
    cert: Path
    key: Path


def make_tls_files(folder: Path) -> TlsFiles:
    """Make a self-signed certificate that is its own CA."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return TlsFiles(ca=cert, cert=cert, key=key)


class Mosquitto:
    """A mosquitto process. `users` (name -> password) refuse everybody else; `options` are further lines of mosquitto.conf."""

    def __init__(
        self,
        folder: Path,
        *,
        persistence: bool = False,
        users: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.log_path = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text("\n".join([*self._lines(persistence, users, tls), *options]) + "\n")

    def set_users(self, users: Mapping[str, str]) -> None:
        """Replace the users; it takes effect at the next start."""
        self._password_file(users)

    def _lines(self, persistence: bool, users: Mapping[str, str] | None, tls: TlsFiles | None) -> list[str]:
        lines = [f"listener {self.port} 127.0.0.1", "user root", "log_dest stderr", "log_type error", "log_type notice"]
        if persistence:
            lines += ["persistence true", f"persistence_location {self.folder}/", "autosave_on_changes true", "autosave_interval 1"]
        if users is None:
            lines.append("allow_anonymous true")
        else:
            lines += ["allow_anonymous false", f"password_file {self._password_file(users)}"]
        if tls is not None:
            lines += [f"certfile {tls.cert}", f"keyfile {tls.key}"]
        return lines

    def _password_file(self, users: Mapping[str, str]) -> Path:
        path = self.folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)
        return path

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"mosquitto did not start: {self.log_path.read_text()}")
            time.sleep(POLL)

    def stop(self) -> None:
        """Stop it by SIGTERM, so that it writes what it keeps."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """Stop it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def suspend(self) -> None:
        """Stop its clock by SIGSTOP: connections stand, nothing is answered. `kill` ends that."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
