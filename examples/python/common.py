"""How to reach the broker: MQTT_HOST, MQTT_PORT, MQTT_USER (which is the source, too) and MQTT_PASSWORD_FILE."""

import os
from pathlib import Path
from typing import Any

import aiomqtt

SOURCE = os.environ["MQTT_USER"]


def connection() -> dict[str, Any]:
    """Return what aiomqtt.Client wants to know. The password stands in a file: a command line and an environment can be read by others."""
    return {
        "hostname": os.environ.get("MQTT_HOST", "127.0.0.1"),
        "port": int(os.environ.get("MQTT_PORT", "1883")),
        "username": SOURCE,
        "password": Path(os.environ["MQTT_PASSWORD_FILE"]).read_text(encoding="utf-8").strip(),
        "protocol": aiomqtt.ProtocolVersion.V5,
    }
