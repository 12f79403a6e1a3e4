"""What the README and docs/start.md show works as it stands, but for the ports."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

from tests.e2e.conftest import MakeStack
from tests.support.stack import Process
from tests.support.waiting import DEADLINE

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
START = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")


def block(language: str, having: str) -> str:
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if having in text]
    return str(found)


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 0
    return output.decode()


async def test_the_python_example_sends_a_message_and_hears_its_end(stack: MakeStack) -> None:
    run = await stack()
    code = block("python", "aiomqtt").replace('Client("127.0.0.1"', f'Client("127.0.0.1", {run.broker.port}')
    lines = (await output_of(sys.executable, "-c", code)).splitlines()
    assert lines == ["accepted None False", "receipt delivered True"]


async def test_the_first_five_minutes_end_in_a_delivered_message(stack: MakeStack) -> None:
    run = await stack(start=False)
    run.sandbox = Process(run.folder / "sandbox.log", "sandbox", "--port", str(run.smpp_port))
    await run.start_broker()
    await run.start_sandbox()
    ((settings,), (send,)) = (re.findall(pattern, START, re.DOTALL) for pattern in (r"<<'END'\n(.*?)END\n", r"\nmensageiro (send [^\n]*)"))
    config = run.folder / "gateway.toml"
    config.write_text(
        settings.replace('"state"', f'"{run.state_dir}"').replace("[carriers.smpp]", f"[carriers.smpp]\nport = {run.smpp_port}")
        + f'[broker]\nurl = "mqtt://127.0.0.1:{run.broker.port}"\n[admin]\nlisten = "127.0.0.1:{run.admin_port}"\n'
    )
    await run.start_gateway()
    await run.ready()
    words = [str(config) if word == config.name else word for word in shlex.split(send)]
    told = [line.split()[1:] for line in (await output_of(sys.executable, "-m", "gateway", *words)).splitlines()]
    assert told == [["accepted", "smpp"], ["receipt", "delivered", "(final)"]]


async def test_the_shell_example_sends_a_message(stack: MakeStack) -> None:
    run = await stack()
    command, _ = block("sh", "mosquitto_pub").splitlines()
    await output_of(*shlex.split(command), "-p", str(run.broker.port))
    await run.until_ended(["order-1"])
    assert run.story("order-1")[-1] == "receipt:delivered!"
