"""Hear what became of our messages: prints `ID TYPE STATE`, and `final` behind what ends a message.

    MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password python consume.py

The broker keeps events for us while we are away, since our session has a name and outlives the connection. An event may come twice:
`event_id` tells. aiomqtt acknowledges an event when it is read from the socket, so that one may be lost where this process is killed then;
`mensageiro queue replay` publishes it again. (The example in Node acknowledges after its work is done.)
"""

import asyncio
import json
import os
import sys
from collections import deque

import aiomqtt
from common import SOURCE, connection
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KEEP = 7 * 86400  # s that the broker keeps what comes while we are away
RETRY = float(os.environ.get("RETRY", "5"))  # s
seen: deque[str] = deque(maxlen=10_000)  # in earnest: a unique key in the table that you write the event to


def handle(event: dict[str, object]) -> None:
    """Do with an event what your business demands; here: print it."""
    if event["event_id"] in seen:
        return
    seen.append(str(event["event_id"]))
    print(
        event.get("id"), event["type"], event.get("state") or event.get("reason") or "-", *(["final"] if event["final"] else []), flush=True
    )


async def consume() -> None:
    """Handle events until the connection ends."""
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = KEEP
    name = {"identifier": f"{SOURCE}-events", "clean_start": False, "properties": session}
    async with aiomqtt.Client(**connection(), **name) as client:
        await client.subscribe(f"sms/event/+/{SOURCE}", qos=1)
        print("listening", file=sys.stderr, flush=True)
        async for message in client.messages:
            handle(json.loads(message.payload))


async def main() -> None:
    """Go on for ever."""
    while True:
        try:
            await consume()
        except aiomqtt.MqttError as error:
            print(f"again in {RETRY:g} s: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(RETRY)


asyncio.run(main())
