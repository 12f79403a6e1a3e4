"""The broker with the configuration that we ship and its users, a gateway and a provider behind it: what docs/producers.md is about."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiomqtt

from tests.support import installed
from tests.support.mosquitto import Mosquitto
from tests.support.stack import Stack

CONFIG = installed.ROOT / "config"
USERS = {name: f"senha-de-{name}" for name in ("mensageiro", "loja", "hotel", "painel", "atendimento")}


def shipped_lines() -> list[str]:
    """Return config/mosquitto.conf with our paths, but for the users, which `Mosquitto` makes."""
    text = (CONFIG / "mosquitto.conf").read_text(encoding="utf-8").replace("/etc/mosquitto/mensageiro.acl", str(CONFIG / "mosquitto.acl"))
    given = ("allow_anonymous ", "password_file ")
    return [line for line in text.splitlines() if line and not line.startswith(("#", *given))]


class Shop:
    """The parts, and clients with a name."""

    def __init__(self, folder: Path) -> None:
        self.stack = Stack(folder)
        self.stack.broker = Mosquitto(
            folder / "shop", users=USERS, options=[*shipped_lines(), f"persistence_location {folder / 'shop'}/", "log_type warning"]
        )

    @property
    def broker(self) -> Mosquitto:
        """The broker."""
        return self.stack.broker

    async def start(self) -> None:
        """Start broker, provider and gateway, and wait until they are ready."""
        self.broker.start()
        await self.start_behind()

    async def start_behind(self) -> None:
        """Start what is behind the broker."""
        await self.stack.start_sandbox()
        password = self.stack.folder / "broker.password"
        password.write_text(USERS["mensageiro"])
        self.stack.write_config({"broker": {"username": "mensageiro", "password_file": str(password)}})
        await self.stack.start_gateway()
        await self.stack.ready()

    def client(self, name: str, **options: object) -> AbstractAsyncContextManager[aiomqtt.Client]:
        """Connect as a user."""
        return self._client({"username": name, "password": USERS[name], **options})

    @asynccontextmanager
    async def _client(self, options: dict[str, object]) -> AsyncIterator[aiomqtt.Client]:
        async with aiomqtt.Client("127.0.0.1", self.broker.port, protocol=aiomqtt.ProtocolVersion.V5, **options) as client:  # type: ignore[arg-type] # options of several types
            yield client

    async def close(self) -> None:
        """Stop all."""
        await self.stack.close()
