"""Measure whole lives: PUBLISH -> journal -> submit_sm -> `accepted` -> receipt -> `receipt` event. `python benchmarks/lives.py -h`

Five processes on loopback: mosquitto, the sandbox provider (`gateway.sandbox.smsc`), the gateway (`python -m gateway run`) and the load
(`benchmarks/load.py`), started and accounted for by this one. Where there are two cores or more, the gateway has the first to itself.

Without `--queued`: N lives, as fast as they go (bounded by `--in-flight`) or paced by `--rate`. It prints lives a second, CPU us a life of
each process (from /proc, so it holds on a noisy machine), latencies, and the gateway's memory. PUBLISH -> submit_sm is measured from
outside: the load's wall time of each PUBLISH against the ledger of the sandbox; beside it stands what the gateway's own histogram says.

With `--queued`: N messages are published while there is no SMSC; the gateway's memory with all of them queued, the time of a start with
all of them queued (until /readyz says 200, the SMSC being back), and how fast the queue then drains.

`--profile FILE` runs the gateway under py-spy where that is installed, else under pyinstrument; the CPU figures are then no measure.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.demo.ports import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TICKS = os.sysconf("SC_CLK_TCK")
GATEWAY_CORE, OTHER_CORES = {0}, set(range(1, os.cpu_count() or 1))
START_DEADLINE = 20.0
STOP_DEADLINE = 30.0
POLL = 0.01

MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 1000
log_type error
"""

GATEWAY_TOML = """\
[gateway]
state_dir = "{folder}/state"
routes = ["smpp"]

[broker]
url = "mqtt://127.0.0.1:{mqtt}"

[journal]
synchronous = "{synchronous}"

[carriers.smpp]
kind = "smpp"
host = "127.0.0.1"
port = {smpp}
system_id = "bench"
password_file = "{folder}/password"
window = {window}
max_rate = 0.0
reconnect_min = 0.1
reconnect_max = 0.5

[admin]
listen = "127.0.0.1:{admin}"

[log]
level = "warning"
format = "json"
"""

SANDBOX = """\
from pathlib import Path
import uvloop
from gateway.sandbox.smsc import SmscSettings, run
uvloop.run(run(SmscSettings(port={port}, system_id="bench", window=10000, receipt_delay={delay}, ledger_path=Path("{ledger}"))))
"""


class Failure(Exception):  # noqa: N818  # the end of the run, told in one line
    """A part did not do what the measurement needs."""


class Process:
    """A process of ours, and what it costs."""

    def __init__(self, name: str, command: list[str], folder: Path, cores: set[int]) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)  # our own commands
        if cores:
            os.sched_setaffinity(self._process.pid, cores)

    @property
    def running(self) -> bool:
        """Tell whether it runs."""
        return self._process.poll() is None

    def cpu(self) -> float:
        """Return the CPU seconds used so far by all its threads, user and system."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def memory(self, key: str) -> float:
        """Return VmRSS or VmHWM in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith(key))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """End it by SIGTERM, then by SIGKILL."""
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, timeout: float) -> None:
        """Wait for its own end."""
        self._process.wait(timeout)

    def last_words(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]


class Bench:
    """Ports, files and processes of one run, in a folder of its own."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.ledger = folder / "ledger.jsonl"
        self.times = folder / "times.jsonl"
        self.mqtt, self.smpp, self.admin = free_port(), free_port(), free_port()
        self.processes: dict[str, Process] = {}
        (folder / "password").write_text("bench\n", encoding="ascii")
        (folder / "mosquitto.conf").write_text(MOSQUITTO_CONF.format(port=self.mqtt), encoding="ascii")
        values = {"folder": folder, "mqtt": self.mqtt, "smpp": self.smpp, "admin": self.admin}
        (folder / "gateway.toml").write_text(
            GATEWAY_TOML.format(**values, window=options.window, synchronous=options.synchronous), encoding="utf-8"
        )

    # --- processes ---

    def start_broker(self) -> None:
        """Start mosquitto."""
        mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if mosquitto is None:
            raise Failure("mosquitto is not installed")
        self._start("mosquitto", [mosquitto, "-c", str(self.folder / "mosquitto.conf")], OTHER_CORES)
        self._until("mosquitto", lambda: listens(self.mqtt))

    def start_sandbox(self) -> None:
        """Start the provider."""
        program = SANDBOX.format(port=self.smpp, delay=self.options.receipt_delay, ledger=self.ledger)
        self._start("sandbox", [sys.executable, "-c", program], OTHER_CORES)
        self._until("sandbox", lambda: listens(self.smpp))

    def start_gateway(self, path: str = "/readyz") -> float:
        """Start the gateway; return the seconds until `path` answers 200."""
        began = time.monotonic()
        command = ["-m", "gateway", "run", "--config", str(self.folder / "gateway.toml")]
        self._start("gateway", [*profiler(self.options.profile), *command], GATEWAY_CORE if OTHER_CORES else set())
        self._until("gateway", lambda: self.http(path) is not None)
        return time.monotonic() - began

    def load(self, *arguments: str, timeout: float) -> dict[str, Any]:
        """Run the load to its end; return its sums."""
        command = [sys.executable, str(HERE / "load.py"), "--port", str(self.mqtt), "--timeout", str(timeout), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)  # our own commands
        if OTHER_CORES:
            os.sched_setaffinity(process.pid, OTHER_CORES)
        output, _ = process.communicate(timeout=timeout + 60)
        if not output:
            raise Failure("the load failed")
        sums: dict[str, Any] = json.loads(output)
        return sums

    def stop(self) -> None:
        """End everything that was started, the gateway first."""
        for name in ("gateway", "sandbox", "mosquitto"):
            if name in self.processes:
                self.processes[name].stop()

    def _start(self, name: str, command: list[str], cores: set[int]) -> None:
        self.processes[name] = Process(name, command, self.folder, cores)

    def _until(self, name: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not condition():
            if not self.processes[name].running or time.monotonic() > deadline:
                raise Failure(f"{name} did not start:\n{self.processes[name].last_words()}")
            time.sleep(POLL)

    # --- what the gateway says ---

    def http(self, path: str) -> str | None:
        """GET from the admin port; None unless it answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:  # loopback
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def metric(self, name: str) -> float:
        """Sum the samples of a metric whose line begins with `name`."""
        lines = (self.http("/metrics") or "").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"mensageiro_{name}"))

    def histogram_quantile(self, name: str, share: float) -> float:
        """Return the upper bound in ms of the bucket that holds a quantile."""
        buckets: dict[float, float] = {}
        for line in (self.http("/metrics") or "").splitlines():
            if line.startswith(f"mensageiro_{name}_bucket"):
                bound = float(line.partition('le="')[2].partition('"')[0])
                buckets[bound] = buckets.get(bound, 0.0) + float(line.rpartition(" ")[2])
        total = max(buckets.values(), default=0.0)
        return next((bound * 1000 for bound, below in sorted(buckets.items()) if below >= share * total), 0.0)


# --- the two experiments ------------------------------------------------------------------------------------------------------------


def measure_lives(bench: Bench) -> list[tuple[str, str]]:
    """Run N lives; return the rows of the table."""
    options = bench.options
    bench.start_broker()
    bench.start_sandbox()
    bench.start_gateway()
    before = {name: process.cpu() for name, process in bench.processes.items()}
    sums = bench.load(
        *("--lives", str(options.messages), "--rate", str(options.rate), "--in-flight", str(options.in_flight)),
        *("--times", str(bench.times)),
        timeout=options.timeout,
    )
    cpu = {name: (process.cpu() - before[name]) / max(1, sums["lives"]) * 1e6 for name, process in bench.processes.items()}
    gateway = bench.processes["gateway"]
    delays = submit_delays(bench.times, bench.ledger)
    return [
        ("lives", f"{sums['lives']} of {sums['published']} published, {sums['missing']} missing"),
        ("outcomes", ", ".join(f"{number} {kind}" for kind, number in sums["outcomes"].items())),
        ("repeated events, extra events", f"{sums['duplicates']}, {sums['extra']}"),
        ("lives/s", f"{sums['lives_per_s']:,.0f}"),
        ("gateway CPU us/life", f"{cpu['gateway']:.0f}"),
        ("sandbox CPU us/life", f"{cpu['sandbox']:.0f}"),
        ("mosquitto CPU us/life", f"{cpu['mosquitto']:.0f}"),
        ("load CPU us/life", f"{sums['load_cpu_us_per_life']:.0f}"),
        ("PUBLISH -> submit_sm, p50 / p99 ms", f"{quantile(delays, 0.5) * 1000:.1f} / {quantile(delays, 0.99) * 1000:.1f}"),
        (
            "the same by submit_latency_seconds, at most",
            f"{bench.histogram_quantile('submit_latency_seconds', 0.5):g} / {bench.histogram_quantile('submit_latency_seconds', 0.99):g}",
        ),
        ("PUBLISH -> accepted, p50 / p99 ms", both(sums["to_accepted_ms"])),
        (f"PUBLISH -> final event, p50 / p99 ms (the receipt waits {options.receipt_delay * 1000:g})", both(sums["to_final_ms"])),
        ("gateway RSS now / peak MB", f"{gateway.memory('VmRSS'):.0f} / {gateway.memory('VmHWM'):.0f}"),
    ]


def measure_queued(bench: Bench) -> list[tuple[str, str]]:
    """Queue N messages without an SMSC, restart, drain; return the rows of the table."""
    options = bench.options
    bench.start_broker()
    bench.start_gateway("/livez")
    bench.load("--lives", str(options.messages), "--publish-only", timeout=options.timeout)
    wait_for(lambda: bench.metric('queue_messages{state="queued"}') >= options.messages, options.timeout, "everything is queued")
    queued = [f"{bench.processes['gateway'].memory(key):.0f}" for key in ("VmRSS", "VmHWM")]
    bench.processes["gateway"].stop()
    bench.start_sandbox()
    start = bench.start_gateway()
    gateway = bench.processes["gateway"]
    began, cpu = time.monotonic(), gateway.cpu()
    first = bench.metric('messages_total{carrier="smpp",outcome="submitted"}')
    wait_for(lambda: bench.metric("queue_messages") < 1, options.timeout, "the queue is drained")
    seconds, cpu = time.monotonic() - began, gateway.cpu() - cpu
    drained = options.messages - first
    return [
        (f"gateway RSS now / peak MB with {options.messages} queued", " / ".join(queued)),
        ("start until ready, s", f"{start:.2f}"),
        ("drained messages/s", f"{drained / seconds:,.0f}"),
        ("gateway CPU us/message", f"{cpu / max(1.0, drained) * 1e6:.0f}"),
        ("gateway RSS now / peak MB after the drain", f"{gateway.memory('VmRSS'):.0f} / {gateway.memory('VmHWM'):.0f}"),
    ]


def submit_delays(times: Path, ledger: Path) -> list[float]:
    """Return the seconds from each PUBLISH to its submit_sm, matched by message_id."""
    taken = {entry["message_id"]: entry["at"] for entry in read_lines(ledger)}
    return [taken[life["message_id"]] - life["published"] for life in read_lines(times) if life["message_id"] in taken]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile; 0.0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def both(quantiles: dict[str, float]) -> str:
    """Write p50 and p99."""
    return f"{quantiles.get('p50', 0.0):.1f} / {quantiles.get('p99', 0.0):.1f}"


# --- small tools --------------------------------------------------------------------------------------------------------------------


def profiler(report: Path | None) -> list[str]:
    """Return the command that runs Python, under a profiler where a report is wanted."""
    if report is None:
        return [sys.executable]
    if py_spy := shutil.which("py-spy"):
        return [py_spy, "record", "--output", str(report), "--threads", "--", sys.executable]
    return [sys.executable, "-m", "pyinstrument", "--renderer", "text", "--outfile", str(report)]


def listens(port: int) -> bool:
    """Tell whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Poll until something holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not within {timeout:g} s: {what}")
        time.sleep(0.1)


@contextmanager
def work_folder(kept: Path | None) -> Iterator[Path]:
    """Give a folder: a temporary one, or the one to keep. A tmpfs would measure another fsync than users have."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(
        prefix="mensageiro-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")
    ) as folder:  # a random name within it
        yield Path(folder)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=None, help="how many; default 50,000, with --queued 100,000")
    parser.add_argument("--rate", type=float, default=0.0, help="PUBLISHes a second; 0 = as fast as it goes")
    parser.add_argument("--in-flight", type=int, default=2000, help="lives begun and not ended; 0 = no bound")
    parser.add_argument("--window", type=int, default=500, help="unanswered submit_sm")
    parser.add_argument("--receipt-delay", type=float, default=0.05, help="s from the response to the receipt")
    parser.add_argument("--synchronous", choices=("full", "normal"), default="full")
    parser.add_argument("--queued", action="store_true", help="measure a long queue instead")
    parser.add_argument("--profile", type=Path, default=None, help="file for a profile of the gateway")
    parser.add_argument("--timeout", type=float, default=300.0, help="s for each step")
    parser.add_argument("--folder", type=Path, default=None, help="keep logs, ledger and journal there")
    options = parser.parse_args()
    options.messages = options.messages or (100_000 if options.queued else 50_000)
    options.profile = options.profile and options.profile.resolve()
    return options


def run(options: argparse.Namespace, measure: Callable[[Bench], list[tuple[str, str]]]) -> int:
    """Run one experiment and print its table."""
    with work_folder(options.folder) as folder:
        bench = Bench(options, folder.resolve())
        try:
            rows = measure(bench)
        except Failure as failure:
            print(failure, file=sys.stderr)  # a command line program
            return 1
        finally:
            bench.stop()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return 0


if __name__ == "__main__":
    options = parse()
    sys.exit(run(options, measure_queued if options.queued else measure_lives))
