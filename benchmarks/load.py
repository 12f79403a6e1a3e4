"""Publish messages, consume their events, account for each, print the sums as JSON: `python benchmarks/load.py -h`.

It speaks just enough MQTT 5 by itself, for two reasons: it must cost little (about 20 us a life) on a machine it shares with what it
measures, and it must not share the gateway's client, whose faults it would share too. Two connections: one publishes to
`<prefix>/submit/<source>` (QoS 1), one subscribes to `<prefix>/event/+/<source>`. `<source>` is new for each run, so runs never mix.

A life ends with its event of `final: true`. `--in-flight` bounds the lives that have begun and not ended (0 = none), `--rate` paces them.
`missing` are lives that did not end before the time limit; `duplicates` are events whose event_id came twice (MQTT's QoS 1 permits them)
and `extra` are second `accepted` or final events of one life that are no such repetition: a fault of the gateway.
`--times FILE` writes one JSON line a life: message_id, and the wall time of its PUBLISH.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import uvloop

KEEP_ALIVE = 0
PUBLISH, PUBACK, SUBSCRIBE, CONNACK, SUBACK = 3, 4, 8, 2, 9
TICK = 0.002  # s between two looks at the clock when a rate is set


class Event(msgspec.Struct):
    """What of an event matters here; other fields are skipped."""

    event_id: str
    type: str
    id: str = ""
    final: bool = False
    message_ids: tuple[str, ...] = ()


class Life:
    """What is known of one message."""

    __slots__ = ("accepted", "ended", "final_id", "message_id", "published")

    def __init__(self, published: float) -> None:
        self.published = published
        self.accepted = 0.0
        self.ended = 0.0
        self.message_id = ""
        self.final_id = ""


class Options(NamedTuple):
    """The command line."""

    host: str
    port: int
    lives: int
    rate: float
    in_flight: int
    prefix: str
    timeout: float
    text: str
    tail: str
    times: Path | None
    publish_only: bool


# --- MQTT 5, as much as is needed --------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """Write a variable byte integer. MQTT 5 s1.5.5"""
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Read a variable byte integer: its value, and where it ends; None where it is cut. MQTT 5 s1.5.5"""
    value = 0
    for index in range(4):
        if at + index >= len(data):
            return None
        octet = data[at + index]
        value |= (octet & 0x7F) << (7 * index)
        if octet < 0x80:
            return value, at + index + 1
    raise ValueError("a variable byte integer of more than four octets")


def string(text: str) -> bytes:
    """Write a UTF-8 string. MQTT 5 s1.5.4"""
    octets = text.encode()
    return len(octets).to_bytes(2, "big") + octets


def connect_packet(client_id: str) -> bytes:
    """Write CONNECT: clean start, Receive Maximum 65535. MQTT 5 s3.1"""
    properties = b"\x21\xff\xff"
    body = string("MQTT") + b"\x05\x02" + KEEP_ALIVE.to_bytes(2, "big") + varint(len(properties)) + properties + string(client_id)
    return b"\x10" + varint(len(body)) + body


def subscribe_packet(topic_filter: str) -> bytes:
    """Write SUBSCRIBE at QoS 1 with packet id 1. MQTT 5 s3.8"""
    body = b"\x00\x01\x00" + string(topic_filter) + b"\x01"
    return b"\x82" + varint(len(body)) + body


class Connection(asyncio.Protocol):
    """Cut the stream into packets and gather what is written within one turn of the loop into one write."""

    def __init__(self, client_id: str, on_packet: Callable[[int, bytes], None], on_lost: Callable[[], None]) -> None:
        self._client_id = client_id
        self._on_lost = on_lost
        self._on_packet = on_packet
        self._input = bytearray()
        self._output = bytearray()
        self._transport: asyncio.Transport | None = None
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        self.write(connect_packet(self._client_id))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it; the run ends."""
        self._transport = None
        self._on_lost()
        if not self.connected.done():
            self.connected.set_exception(exc or ConnectionError("the broker hung up"))

    def write(self, octets: bytes) -> None:
        """Send within this turn of the loop."""
        if not self._output:
            asyncio.get_running_loop().call_soon(self._flush)
        self._output += octets

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(bytes(self._output))
        self._output.clear()

    def data_received(self, data: bytes) -> None:
        """Hand out every whole packet."""
        self._input += data
        buffer = bytes(self._input)
        at = 0
        while at < len(buffer):
            length = read_varint(buffer, at + 1)
            if length is None or length[1] + length[0] > len(buffer):
                break
            end = length[1] + length[0]
            self._packet(buffer[at], buffer[length[1] : end])
            at = end
        del self._input[:at]

    def _packet(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == CONNACK:
            if body[1]:
                self.connected.set_exception(ConnectionError(f"the broker refused: reason 0x{body[1]:02X}"))
            else:
                self.connected.set_result(None)
            return
        if kind == PUBLISH:
            self._on_packet(kind, self._acknowledge(body))
            return
        self._on_packet(kind, body)

    def _acknowledge(self, body: bytes) -> bytes:
        """Answer a PUBLISH of QoS 1; return its payload."""
        at = 2 + int.from_bytes(body[:2], "big")
        self.write(b"\x40\x02" + body[at : at + 2])
        properties = read_varint(body, at + 2)
        assert properties is not None
        return body[properties[1] + properties[0] :]


# --- the run ------------------------------------------------------------------------------------------------------------------------


class Load:
    """Publish, consume, account."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._run = f"load-{time.time_ns() // 1_000_000 % 10**10}"
        self._decoder = msgspec.json.Decoder(Event)
        self._topic = string(f"{options.prefix}/submit/{self._run}")
        self._lives: list[Life] = []
        self._ended = 0
        self._unacknowledged = 0
        self._seen: set[str] = set()
        self.duplicates = self.extra = 0
        self.outcomes: dict[str, int] = {}
        self.over = asyncio.Event()  # every life has ended, or a connection has
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._began = 0.0
        self._finished = 0.0
        self._connections: list[Connection] = []

    async def connect(self) -> None:
        """Open both connections and subscribe."""
        self._consumer = await self._open("c", self._on_consumer)
        self._consumer.write(subscribe_packet(f"{self._options.prefix}/event/+/{self._run}"))
        await asyncio.wait_for(self._subscribed, 10)
        self._publisher = await self._open("p", self._on_publisher)

    async def _open(self, suffix: str, on_packet: Callable[[int, bytes], None]) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(f"{self._run}-{suffix}", on_packet, self.over.set), self._options.host, self._options.port
        )
        self._connections.append(connection)
        await asyncio.wait_for(connection.connected, 10)
        return connection

    async def run(self) -> None:
        """Publish everything and wait until every life has ended, the connection is lost, or time is up."""
        self._began = self._loop.time()
        self._pump()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self._options.timeout)
        self._finished = self._loop.time()
        for connection in self._connections:
            connection.close()

    def _pump(self) -> None:
        """Publish what the rate, the bound of lives in flight and the window of PUBACKs admit now."""
        options = self._options
        due = options.lives
        if options.rate:
            due = min(due, 1 + int((self._loop.time() - self._began) * options.rate))
            if len(self._lives) < options.lives:
                self._loop.call_later(TICK, self._pump)
        self._publish_up_to(due)

    def _publish_up_to(self, due: int) -> None:
        in_flight = self._options.in_flight or self._options.lives
        if not self._options.publish_only:
            due = min(due, self._ended + in_flight)
        due = min(due, len(self._lives) + 1000 - self._unacknowledged)
        if len(self._lives) >= due:
            return
        now = time.time()
        packets = []
        for number in range(len(self._lives), due):
            packets.append(self._publish_packet(number))
            self._lives.append(Life(now))
        self._unacknowledged += len(packets)
        self._publisher.write(b"".join(packets))

    def _publish_packet(self, number: int) -> bytes:
        options = self._options
        payload = b'{"id":"%d","to":"119%04d%s","text":"%s"}' % (number, 5000 + number % 5000, options.tail.encode(), options.text.encode())
        packet_id = (number % 65000 + 1).to_bytes(2, "big")
        body = self._topic + packet_id + b"\0" + payload
        return b"\x32" + varint(len(body)) + body

    def _on_publisher(self, kind: int, body: bytes) -> None:
        if kind != PUBACK:
            return
        if len(body) > 2 and body[2] >= 0x80:
            raise ConnectionError(f"the broker refused a PUBLISH: reason 0x{body[2]:02X}")
        self._unacknowledged -= 1
        if self._options.publish_only and not self._unacknowledged and len(self._lives) == self._options.lives:
            self.over.set()
        elif not self._options.rate and self._unacknowledged <= 900:
            self._publish_up_to(self._options.lives)

    def _on_consumer(self, kind: int, body: bytes) -> None:
        if kind == SUBACK:
            self._subscribed.set_result(None)
        elif kind == PUBLISH:
            self._on_event(self._decoder.decode(body))

    def _on_event(self, event: Event) -> None:
        if event.event_id in self._seen:
            self.duplicates += 1
            return
        self._seen.add(event.event_id)
        life = self._lives[int(event.id)]
        if event.type == "accepted":
            self._accepted(life, event)
        if event.final:
            self._end(life, event)

    def _accepted(self, life: Life, event: Event) -> None:
        if life.accepted:
            self.extra += 1
        life.accepted = time.time()
        life.message_id = event.message_ids[0] if event.message_ids else ""

    def _end(self, life: Life, event: Event) -> None:
        if life.ended:
            self.extra += 1
            return
        life.ended = time.time()
        self._ended += 1
        self.outcomes[event.type] = self.outcomes.get(event.type, 0) + 1
        if self._ended == self._options.lives:
            self.over.set()
        elif self._options.in_flight and not self._options.rate and self._ended % 32 == 0:
            self._publish_up_to(self._options.lives)

    def summary(self) -> dict[str, object]:
        """Sum up the run; latencies in ms, times in s."""
        ended = [life for life in self._lives if life.ended]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = (max((life.ended for life in ended), default=0.0) - self._lives[0].published) if ended else self._finished - self._began
        return {
            "lives": len(ended),
            "published": len(self._lives),
            "missing": 0 if self._options.publish_only else self._options.lives - len(ended),
            "duplicates": self.duplicates,
            "extra": self.extra,
            "outcomes": self.outcomes,
            "seconds": round(seconds, 3),
            "lives_per_s": round(len(ended) / seconds, 1) if seconds else 0.0,
            "to_accepted_ms": quantiles([life.accepted - life.published for life in ended if life.accepted]),
            "to_final_ms": quantiles([life.ended - life.published for life in ended]),
            "load_cpu_us_per_life": round((usage.ru_utime + usage.ru_stime) * 1e6 / max(1, len(self._lives)), 1),
        }

    def write_times(self, path: Path) -> None:
        """Write when each life's PUBLISH went out, by the message_id that the provider gave it."""
        with path.open("w", encoding="ascii") as out:
            for life in self._lives:
                out.write(json.dumps({"message_id": life.message_id, "published": life.published}) + "\n")


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99 and the maximum in ms."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    places = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    return {name: round(ordered[place] * 1000, 2) for name, place in places.items()}


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--lives", type=int, default=50_000, help="how many messages")
    parser.add_argument("--rate", type=float, default=0.0, help="PUBLISHes a second; 0 = as fast as it goes")
    parser.add_argument("--in-flight", type=int, default=2000, help="lives begun and not ended; 0 = no bound")
    parser.add_argument("--prefix", default="sms")
    parser.add_argument("--timeout", type=float, default=300.0, help="s for the whole run")
    parser.add_argument("--text", default="Seu codigo de acesso e 482913. Nao o informe a ninguem.", help="ASCII, no quotes")
    parser.add_argument("--tail", default="5555", help="last four digits of every destination: the sandbox's magic number")
    parser.add_argument("--times", type=Path, default=None, help="file for one JSON line a life")
    parser.add_argument("--publish-only", action="store_true", help="end when the broker has acknowledged everything")
    return Options(**vars(parser.parse_args(arguments)))


async def main(options: Options) -> int:
    """Run once; 0 when every life ended."""
    load = Load(options)
    try:
        await load.connect()
    except OSError as error:  # TimeoutError and a refusal by the broker are OSErrors too
        print(f"no connection to the broker: {error}", file=sys.stderr)
        return 2
    await load.run()
    summary = load.summary()
    print(json.dumps(summary))  # it is what this program is for
    if options.times:
        load.write_times(options.times)
    return 1 if summary["missing"] else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse(sys.argv[1:]))))
