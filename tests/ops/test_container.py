"""The image and the compose file. No container engine runs here: they are linted, their steps are run by hand in a fresh folder, and what
the compose file says is started as processes.
"""

import asyncio
import contextlib
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gateway import app, config
from gateway.demo.ports import free_port
from tests.support import installed
from tests.support.commands import find
from tests.support.stack import Process, http_get
from tests.support.waiting import DEADLINE, until

ROOT = installed.ROOT
OURS = ("gateway", "sandbox")
UID = 10001


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    stage: int
    word: str
    rest: str


def steps() -> list[Step]:
    lines = [line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found: list[Step] = []
    stage = -1
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(maxsplit=1)
        stage += word == "FROM"
        found.append(Step(stage, word, rest))
    return found


def of(word: str, stage: int) -> list[str]:
    return [step.rest for step in steps() if (step.word, step.stage) == (word, stage)]


def environment(stage: int) -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in of("ENV", stage) for pair in shlex.split(rest))


# --- The image ---


def test_hadolint_finds_no_fault() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([str(hadolint), "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_and_stops_as_it_should() -> None:
    final = max(step.stage for step in steps())
    assert final == 1
    assert of("USER", final) == [f"{UID}:{UID}"]
    assert of("STOPSIGNAL", final) == ["SIGTERM"]
    assert of("VOLUME", final) == [environment(final)["MENSAGEIRO_GATEWAY__STATE_DIR"]]
    assert environment(final)["MENSAGEIRO_GATEWAY__INSTANCE"] == "mensageiro"
    (health,) = of("HEALTHCHECK", final)
    assert health.endswith('CMD ["mensageiro", "healthcheck", "--live"]')
    assert "pip install" not in " ".join(of("RUN", final))
    assert [step for step in steps() if step.word == "ADD" or "curl" in step.rest or ":latest" in step.rest] == []


def test_every_package_of_the_image_is_installed_by_its_hash() -> None:
    installs = [part for rest in of("RUN", 0) for part in rest.split("&&") if " install " in part]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes -r requirements/" in install or "--no-deps --no-index" in install
    assert environment(0)["PIP_ONLY_BINARY"] == ":all:"


def admitted(path: str) -> bool:
    """Say whether .dockerignore lets a file into the context. The last line that matches it, or a folder above it, decides."""
    verdict = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if line and not line.startswith("#") and any(fnmatch.fnmatch(each, pattern) for each in (path, *parts(path), Path(path).name)):
            verdict = line.startswith("!")
    return verdict


def parts(path: str) -> list[str]:
    return [str(each) for each in Path(path).parents if str(each) != "."]


def test_the_context_holds_what_is_copied_and_no_secret() -> None:
    for rest in (each for each in of("COPY", 0) if not each.startswith("--from")):
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists()
            assert admitted(source), source
    assert admitted("gateway/journal/sql/sqlite/0001_initial.sql")
    for path in ("config/secrets/smpp.password", ".git/config", "gateway.toml", "gateway/__pycache__/cli.pyc", "tests/test_cli.py", ".env"):
        assert not admitted(path), path


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that other users can enter, which tmp_path is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.fault
async def test_the_steps_of_the_image_make_a_gateway_that_runs_as_its_user(folder: Path) -> None:
    def below(text: str) -> str:
        return re.sub(r"(?<![\w/])/(opt|dist|var|etc)(?=[/\s]|$)", rf"{folder}/\1", text)

    source, base = folder / "src", folder / "base"
    subprocess.run([sys.executable, "-m", "venv", str(base)], check=True, timeout=120)
    for rest in (each for each in of("COPY", 0) if not each.startswith("--from")):
        *names, target = rest.split()
        for name in names:
            copy(ROOT / name, source / target / Path(name).name if target.endswith("/") else source / target)
    path = f"{base}/bin:/usr/bin:/bin"
    inherited = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "HTTP", "http", "SSL", "REQUESTS"))}
    making = inherited | environment(0) | {"PATH": path, "HOME": str(folder)}
    for rest in of("RUN", 0):
        done = subprocess.run(["sh", "-ec", below(rest)], cwd=source, env=making, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    port, state = free_port(), folder / "var/lib/mensageiro"
    state.mkdir(parents=True)
    (folder / "etc/mensageiro").mkdir(parents=True)
    (folder / "etc/mensageiro/gateway.toml").write_text(
        '[carriers.smpp]\nkind = "smpp"\nhost = "127.0.0.1"\nport = 9\nsystem_id = "u"\npassword = "p"\n[broker]\nurl = "mqtt://127.0.0.1:9"\n'
    )
    running = {key: below(value) for key, value in environment(1).items()}
    running |= {"PATH": f"{folder}/opt/mensageiro/bin:/usr/bin:/bin", "MENSAGEIRO_ADMIN__LISTEN": f"0.0.0.0:{port}"}
    user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if os.geteuid() == 0 else []
    if user:
        os.chown(state, UID, UID)
    state.chmod(0o700)
    health = shlex.split(re.sub(r'[\[\]",]', " ", of("HEALTHCHECK", 1)[0].partition("CMD ")[2]))
    entry = shlex.split(re.sub(r'[\[\]",]', " ", f"{of('ENTRYPOINT', 1)[0]} {of('CMD', 1)[0]}"))
    assert entry == ["mensageiro", "run"]
    container = subprocess.Popen([*user, *entry], env=running, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        await until(lambda: subprocess.run([*user, *health], env=running, cwd="/", capture_output=True).returncode == 0, "healthy")
        assert (state / "journal.db").stat().st_uid == (UID if user else os.geteuid())
        container.terminate()
        _, told = container.communicate(timeout=DEADLINE)
    finally:
        container.kill()
    assert container.returncode == 0, told
    assert not [path for path in folder.rglob("*") if user and path.stat().st_uid == UID and not path.is_relative_to(state)]


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


# --- The compose file ---


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "config" / "compose.yml").read_text(encoding="utf-8"))
    return document


SERVICES = sorted(compose()["services"])


def test_five_services_make_the_stack() -> None:
    assert SERVICES == ["broker", "gateway", "grafana", "prometheus", "sandbox"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_open_to_this_machine_alone_and_has_what_it_names(name: str) -> None:
    document = compose()
    service = document["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "privileged" not in service
    image, _, tag = service["image"].partition(":")
    assert "/" not in image or "." not in image.split("/")[0], "no registry's host"
    assert name in OURS or tag not in {"", "latest"}
    assert {each["source"] for each in service.get("configs", ())} <= document["configs"].keys()
    assert set(service.get("secrets", ())) <= document["secrets"].keys()
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= document["volumes"].keys()
    assert set(service.get("depends_on", ())) <= document["services"].keys()


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nothing_but_their_volume(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("volumes", []) == (["journal:/var/lib/mensageiro"] if name == "gateway" else [])


def test_no_two_services_claim_one_port_and_the_stop_leaves_the_drain_its_time() -> None:
    services = compose()["services"]
    ports = [port.split(":")[1] for service in services.values() for port in service.get("ports", ())]
    assert len(set(ports)) == len(ports)
    grace = float(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * app.DRAIN_TIMEOUT + 4 * app.CLOSE_TIMEOUT


def test_the_files_that_it_names_are_there_and_the_secrets_are_not() -> None:
    document = compose()
    files = [each["file"] for each in document["configs"].values() if "file" in each]
    assert "./mosquitto.acl" in files
    missing = [file for file in files if not (ROOT / "config" / file).exists()]
    assert missing == []
    assert "config/secrets/" in (ROOT / ".gitignore").read_text().split()
    assert {each["file"] for each in document["secrets"].values()} == {
        f"./secrets/{name}.password" for name in ("broker", "loja", "smpp", "grafana")
    }


def test_prometheus_scrapes_the_gateway_and_grafana_asks_prometheus() -> None:
    configs = compose()["configs"]
    (job,) = yaml.safe_load(configs["prometheus"]["content"])["scrape_configs"]
    assert job["job_name"] == "mensageiro"  # the alerts look for it
    assert job["static_configs"] == [{"targets": ["gateway:9090"]}]
    (source,) = yaml.safe_load(configs["grafana_source"]["content"])["datasources"]
    assert source["url"] == "http://prometheus:9090"


class Container:
    """A folder that stands for the file systems of the compose file's containers: secrets, configs and volumes below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"1883": free_port(), "9500": free_port(), "9090": free_port()}
        secrets = folder / "config"
        secrets.mkdir()
        shutil.copy(ROOT / "config" / "compose-secrets.sh", secrets)
        subprocess.run([str(secrets / "compose-secrets.sh")], check=True, capture_output=True, timeout=DEADLINE)
        document = compose()
        for name, each in document["secrets"].items():
            copy(secrets / each["file"], folder / "run/secrets" / name)
        for service in ("broker", "gateway"):
            for each in document["services"][service]["configs"]:
                entry = document["configs"][each["source"]]
                target = folder / each["target"].removeprefix("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                text = entry.get("content") or (ROOT / "config" / entry["file"]).read_text(encoding="utf-8")
                target.write_text(self.here(text))
        (folder / "mosquitto/data").mkdir(parents=True)
        (folder / "var/lib").mkdir(parents=True)

    def here(self, text: str) -> str:
        """Put our paths, ports and addresses for the containers'."""
        text = re.sub(r"(?<![\w./])/(etc|run|mosquitto)/", rf"{self.folder}/\1/", text)
        text = text.replace("mqtt://broker:", "mqtt://127.0.0.1:").replace('"sandbox"\nport', '"127.0.0.1"\nport')
        text = text.replace("listener 1883", f"listener {self.ports['1883']} 127.0.0.1")
        for port, ours in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(ours), text)
        return text

    def secret(self, name: str) -> str:
        return (self.folder / "run/secrets" / name).read_text()


@pytest.mark.fault
async def test_what_the_compose_file_starts_works_together(folder: Path) -> None:
    container, services = Container(folder), compose()["services"]
    (script,) = services["broker"]["command"]
    shell = [
        *services["broker"]["entrypoint"],
        container.here(script.replace("$$", "$")).replace("exec mosquitto ", "exec /usr/sbin/mosquitto "),
    ]
    sandbox = Process(folder / "sandbox.log", *(container.here(each) for each in services["sandbox"]["command"]))
    gateway = Process(
        folder / "gateway.log",
        "run",
        environment={
            "MENSAGEIRO_CONFIG": str(folder / "etc/mensageiro/gateway.toml"),
            "MENSAGEIRO_GATEWAY__STATE_DIR": str(folder / "var/lib/mensageiro"),
            "MENSAGEIRO_GATEWAY__INSTANCE": environment(1)["MENSAGEIRO_GATEWAY__INSTANCE"],
            "MENSAGEIRO_ADMIN__LISTEN": container.here(services["gateway"]["environment"]["MENSAGEIRO_ADMIN__LISTEN"]),
        },
    )
    with (folder / "broker.log").open("wb") as log:
        broker = subprocess.Popen(shell, stdout=log, stderr=log)
    try:
        await sandbox.start()
        await gateway.start()
        await until(lambda: gateway.running, "running")
        assert await ready(container.ports["9090"]), gateway.output + (folder / "broker.log").read_text()
        told = await send_as_loja(container)
        assert told == ["accepted", "receipt"]
        assert await gateway.stop() == 0
    finally:
        for process in (gateway, sandbox):
            if process.running:
                await process.kill()
        broker.terminate()
        broker.wait(DEADLINE)
    assert [name for name in ("broker_password", "smpp_password", "loja_password") if container.secret(name) in gateway.output] == []


async def ready(port: int) -> bool:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(OSError):
            if (await http_get(port, "/readyz"))[0] == 200:
                return True
        await asyncio.sleep(0.05)
    return False


async def send_as_loja(container: Container) -> list[str]:
    import json

    import aiomqtt

    options: dict[str, Any] = {"port": container.ports["1883"], "username": "loja", "password": container.secret("loja_password")}
    async with aiomqtt.Client("127.0.0.1", protocol=aiomqtt.ProtocolVersion.V5, **options) as client, asyncio.timeout(DEADLINE):
        await client.subscribe("sms/event/+/loja", qos=1)
        await client.publish("sms/submit/loja", json.dumps({"id": "o-1", "to": "11987650002", "text": "Ola"}), qos=1)
        messages = aiter(client.messages)
        return [json.loads((await anext(messages)).payload)["type"] for _ in range(2)]


def test_the_gateway_s_configuration_in_it_is_one_and_the_sandbox_s_command_too(tmp_path: Path) -> None:
    document = compose()
    settings = config.parse(tomllib.loads(document["configs"]["gateway"]["content"]))
    assert settings.broker.password_file == "/run/secrets/broker_password"
    command, options = find(document["services"]["sandbox"]["command"])
    context = command.make_context(command.name, options)
    assert context.params["host"] == "0.0.0.0"


def test_secrets_are_made_once_and_stay(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config" / "compose-secrets.sh", tmp_path)
    command = [str(tmp_path / "compose-secrets.sh")]
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
    files = sorted((tmp_path / "secrets").iterdir())
    first = {path.name: path.read_text() for path in files}
    assert {name: len(text) for name, text in first.items()} == {
        "broker.password": 24,
        "grafana.password": 24,
        "loja.password": 24,
        "smpp.password": 8,
    }
    assert len(set(first.values())) == 4
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
    assert {path.name: path.read_text() for path in files} == first
