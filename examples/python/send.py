"""Send messages: a line `ID NUMBER TEXT` each on stdin. Prints each id once the broker has it.

    printf 'order-1 11987654321 Seu pedido saiu\n' | MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password python send.py

The id is yours: take what your own system knows the message by (an order, and what about it). The gateway sends one message for an id,
however often it is published, so whatever goes wrong is answered by publishing again.
"""

import asyncio
import json
import os
import sys

import aiomqtt
from common import SOURCE, connection

RETRY = float(os.environ.get("RETRY", "5"))  # s


async def send(waiting: dict[str, str]) -> None:
    """Publish all; what the broker has is taken out of `waiting`."""
    async with aiomqtt.Client(**connection()) as client:
        for id, payload in list(waiting.items()):
            await client.publish(f"sms/submit/{SOURCE}", payload, qos=1, timeout=30)  # returns at the broker's PUBACK
            del waiting[id]
            print(id, flush=True)


async def main() -> None:
    """Read, and publish until the broker has all of it."""
    waiting: dict[str, str] = {}
    for line in sys.stdin:
        id, to, text = line.rstrip("\n").split(" ", 2)
        waiting[id] = json.dumps({"id": id, "to": to, "text": text})
    while waiting:
        try:
            await send(waiting)
        except aiomqtt.MqttError as error:
            print(f"again in {RETRY:g} s: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(RETRY)


asyncio.run(main())
