"""The composition root: from a configuration to running parts, and back down in order.

Start: journal (lock, migrations, recovery of open attempts), then the listeners, so that what is wrong here is told at once; then stages,
carriers and broker side by side.
Stop (SIGTERM, SIGINT): take nothing more from the broker; claim nothing more; let carriers wait for answers and unbind, then the
listener for call-backs answer what it holds; settle; answer what carriers reported; publish the outbox; say "down" and disconnect; close
the journal. Every step has a deadline: what is not done by then is in the journal, and the next start goes on from there.
"""

import asyncio
import os
import signal
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog

from gateway import config as configuration
from gateway import systemd
from gateway.admin import Admin
from gateway.broker import topics
from gateway.broker.base import SessionTakenOverError
from gateway.broker.mqtt import MqttBroker, MqttSettings
from gateway.carriers import callbacks
from gateway.carriers.base import Carrier, Reporter
from gateway.carriers.callback_guard import Guard
from gateway.carriers.callback_inbound import CallbackReader
from gateway.carriers.http import HttpWire
from gateway.carriers.request_metrics import RequestMetrics
from gateway.carriers.requests import RequestCarrier
from gateway.carriers.smpp import SmppCarrier
from gateway.carriers.smpp_metrics import SmppMetrics
from gateway.carriers.wire import Wire
from gateway.config import Config, ConfigError, Http, Smpp, Webservice
from gateway.control import Control
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.retry import RetryPolicy
from gateway.ingest import Ingest, Rules
from gateway.journal.base import Bells, JournalBrokenError, JournalLockedError, JournalVersionError
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.metrics import Metrics
from gateway.publish import Publish
from gateway.receipts import Receipts
from gateway.reload import Reload

DRAIN_TIMEOUT = 20.0  # s for carriers' answers, and again for the outbox
CLOSE_TIMEOUT = 5.0
LEASE_MARGIN = 60.0  # s beyond twice the longest response_timeout: then another instance may recover an attempt
OWNER = "lock"  # of attempts: who holds the journal's lock is alone, so what is open at a start is its own, whatever it was called before
TICK_MAX = 1.0  # s between looks at what is due
CLOCK_STEP = 5.0  # s by which wall and monotonic clock may part before it counts as a step
CLOCK_SUSPENSION = 300.0  # s that nothing expires after a step

log = structlog.get_logger()
T = TypeVar("T")


class StartError(Exception):
    """The gateway cannot start: one line that says why."""


class App:
    """One gateway: its parts, wired."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bells = Bells()
        names = list(config.carriers)
        smpp = {name: carrier for name, carrier in config.carriers.items() if isinstance(carrier, Smpp)}
        binds = [f"{name}/{index}" for name, carrier in smpp.items() for index in range(carrier.binds)]
        self.metrics = Metrics(names, binds, [name for name, carrier in config.carriers.items() if isinstance(carrier, Http)])
        self.clock = ClockGuard(time.time, time.monotonic)
        self.pulse = systemd.Pulse()
        self.journal = _journal(config, self.metrics, self.clock, self.pulse)
        self.broker = _broker(config, self.metrics)
        self.carriers: Mapping[str, Carrier] = {name: _carrier(name, config, self.metrics) for name in names}
        self.ingest = Ingest(self.broker, self.journal, self.carriers, _rules(config), self.metrics, self.bells, time.time)
        self.callbacks = _callbacks(config, self.metrics)
        reporters: dict[str, Reporter] = dict(self.carriers)
        if self.callbacks is not None:
            reporters[callbacks.NAME] = self.callbacks
        patience_of = {callbacks.NAME: callbacks.PATIENCE}
        self.receipts = Receipts(reporters, self.journal, self.metrics, self.bells, time.time, patience_of=patience_of)
        self.dispatcher = _dispatcher(config, self)
        self.publish = Publish(
            self.broker,
            self.journal,
            self.metrics,
            self.bells,
            time.time,
            topic_prefix=config.broker.topic_prefix,
            cloudevents=config.broker.cloudevents,
        )
        self.admin = Admin(
            configuration.address(config.admin.listen, "admin.listen"),
            broker=self.broker,
            journal=self.journal,
            carriers=self.carriers,
            metrics=self.metrics,
            clock=time.time,
        )
        self.control = Control(config.control_path, self.journal, self.bells, time.time, self.admin.readiness)
        self.admin_port = 0

    @property
    def hot(self) -> Mapping[str, Callable[[float], None]]:
        """How to change settings that need no restart, by key."""
        rates = {f"carriers.{name}.max_rate": carrier.change_rate for name, carrier in self.carriers.items()}
        return rates | ({} if self.callbacks is None else {"callbacks.max_rate": self.callbacks.change_rate})

    async def run(self, stop: asyncio.Event, on_ready: Callable[["App"], None] | None = None) -> None:
        """Run until `stop` is set, then leave in order. Raises StartError, and what ends a gateway for good."""
        await self._open()
        try:
            await self._listen()
            async with asyncio.TaskGroup() as group:
                tasks = self._start(group)
                systemd.notify("READY=1")
                log.info("started", instance=self.config.gateway.instance, admin_port=self.admin_port)
                if on_ready is not None:
                    on_ready(self)
                await stop.wait()
                await self._drain(tasks)
                for task in tasks.values():
                    task.cancel()
        finally:
            if self.callbacks is not None:
                await self.callbacks.stop(0)
            await self.control.stop()
            await self.admin.stop()
            await self.journal.close()
            log.info("stopped", instance=self.config.gateway.instance)

    async def _open(self) -> None:
        state_dir = Path(self.config.gateway.state_dir)
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - once, before anything runs
            await self.journal.open()
        except (JournalLockedError, JournalVersionError, JournalBrokenError) as error:
            raise StartError(f"journal.url: {error}") from None
        except OSError as error:
            raise StartError(f"gateway.state_dir: {error.filename or state_dir}: {error.strerror}") from None
        report = await self.journal.recover(time.time())
        self.metrics.count(report.counts.items())
        if recovered := sum(report.counts.values()):
            log.warning("attempts were open when the last run ended: they are in doubt", entries=recovered)

    async def _listen(self) -> None:
        try:
            self.admin_port = await self.admin.start()
        except OSError as error:
            raise StartError(f"admin.listen: cannot listen on {self.config.admin.listen}: {os.strerror(error.errno or 0)}") from None
        try:
            await self.control.start()
        except OSError as error:
            raise StartError(f"gateway.state_dir: cannot make {self.config.control_path}: {error}") from None
        try:
            if self.callbacks is not None:
                log.info("call-backs are listened for", port=await self.callbacks.start())
        except OSError as error:
            where = self.config.callbacks.listen
            raise StartError(f"callbacks.listen: cannot listen on {where}: {os.strerror(error.errno or 0)}") from None

    def _start(self, group: asyncio.TaskGroup) -> dict[str, asyncio.Task[None]]:
        parts: dict[str, Awaitable[None]] = {
            "journal": self.journal.broken(),
            "dispatch": self.dispatcher.run(),
            "receipts": self.receipts.run(),
            "publish": self.publish.run(),
            "ingest": self.ingest.run(),
            "ticker": self._tick(),
            "watchdog": systemd.watchdog(self.pulse),
            **{f"carrier {name}": carrier.run() for name, carrier in self.carriers.items()},
            "broker": self.broker.run(),
        }
        return {name: group.create_task(_named(part), name=name) for name, part in parts.items()}

    async def _drain(self, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        """Leave in order; each step is bounded, and what it leaves undone stays in the journal."""
        log.info("draining")
        systemd.notify("STOPPING=1")
        self.admin.draining = True
        await self.broker.stop_taking(CLOSE_TIMEOUT)
        self.dispatcher.stop_feeding()
        await asyncio.gather(*(carrier.stop(DRAIN_TIMEOUT) for carrier in self.carriers.values()))
        if self.callbacks is not None:  # as late as can be: who finds nobody listening may not call again
            await self.callbacks.stop(CLOSE_TIMEOUT)
        await _within(CLOSE_TIMEOUT, _until(lambda: self.dispatcher.idle and self.receipts.idle))
        tasks["ingest"].cancel()
        await _within(DRAIN_TIMEOUT, self.publish.drained())
        await self.broker.close(CLOSE_TIMEOUT)

    async def _tick(self) -> None:
        """Do what time demands: wake, expire, end."""
        while True:
            now = time.time()
            suspended = self.clock.suspended
            if steps := self.clock.take_steps():
                self.metrics.clock_steps.inc(steps)
                log.warning("the wall clock was set: nothing expires for a while", seconds=CLOCK_SUSPENSION)
            tick = await self.journal.tick(now, expire=not suspended)
            self.metrics.count(tick.report.counts.items())
            if tick.woken or tick.report.counts:
                self.bells.ring()
            elif self.journal.stats().outbox.number:  # a wait for receipts, or a cancel's for its message, ended: nothing that counts
                self.bells.outbox.set()
            due = TICK_MAX if tick.next_due is None else tick.next_due - now
            await asyncio.sleep(min(TICK_MAX, max(0.02, due)))


class ClockGuard:
    """Tells when the wall clock was set, by the monotonic one. Asked on any thread."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()
        self._suspended_until = float("-inf")
        self._steps = 0
        self._lock = threading.Lock()

    @property
    def suspended(self) -> bool:
        """Whether what time ends irreversibly must wait: for CLOCK_SUSPENSION seconds after a step, from the first look after it."""
        with self._lock:
            monotonic = self._monotonic()
            offset = self._wall() - monotonic
            if abs(offset - self._offset) > CLOCK_STEP:
                self._steps += 1
                self._suspended_until = monotonic + CLOCK_SUSPENSION
            self._offset = offset
            return monotonic < self._suspended_until

    def take_steps(self) -> int:
        """Return how many steps were noticed since the last call."""
        with self._lock:
            steps, self._steps = self._steps, 0
            return steps


async def serve(config: Config, stop: asyncio.Event, *, on_ready: Callable[[App], None] | None = None) -> None:
    """Run a gateway in this event loop until `stop` is set. Raises StartError."""
    try:
        app = App(config)
    except ConfigError as error:
        raise StartError(str(error)) from None
    await app.run(stop, on_ready)


def run(config: Config, path: Path) -> int:
    """Run a gateway as this process until SIGTERM or SIGINT; SIGHUP reads `path` again. Return the exit code. Raises StartError."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(config, path))


async def _run(config: Config, path: Path) -> int:
    stop, code = asyncio.Event(), 0
    systemd.on_stop(stop.set)
    reload = Reload(path, config)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    try:
        await serve(config, stop, on_ready=lambda app: reload.add(app.hot))
    except* (SessionTakenOverError, JournalBrokenError) as group:
        log.critical("stopped for good", reason=str(_leaf(group)))
        code = 1
    return code


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a tree of groups."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


async def _named(part: Awaitable[None]) -> None:
    await part


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - two counters of other modules; looked at for a moment at shutdown only
        await asyncio.sleep(0.02)


async def _within(timeout: float, step: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(timeout):
            await step
    except TimeoutError:
        log.warning("a step of the shutdown ran out of time: the next start goes on from the journal", seconds=timeout)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _rules(config: Config) -> Rules:
    return Rules(config.broker.topic_prefix, config.routes, config.gateway.default_valid_for, config.broker.response_topics)


def _dispatcher(config: Config, app: App) -> Dispatcher:
    gateway = config.gateway
    return Dispatcher(
        app.carriers,
        app.journal,
        app.metrics,
        app.bells,
        preference=config.routes,
        failover_after=gateway.failover_after,
        retry=RetryPolicy(gateway.retry_min, gateway.retry_max, gateway.max_attempts),
        clock=time.time,
        monotonic=time.monotonic,
    )


def _journal(config: Config, metrics: Metrics, clock: ClockGuard, pulse: systemd.Pulse) -> SqliteJournal:
    gateway, journal = config.gateway, config.journal
    timeouts = [carrier.response_timeout if isinstance(carrier, Smpp) else carrier.timeout for carrier in config.carriers.values()]
    smpp = {name: carrier for name, carrier in config.carriers.items() if isinstance(carrier, Smpp)}
    policies = Policies(
        instance=gateway.instance,
        owner=OWNER,
        in_doubt=gateway.in_doubt,
        in_doubt_deadline=gateway.in_doubt_deadline,
        receipt_deadline=gateway.receipt_deadline,
        lease=2 * max(timeouts) + LEASE_MARGIN,
        retention=journal.retention,
        text_retention=journal.text_retention,
        message_id_formats={name: carrier.message_id_format for name, carrier in smpp.items()},
        unnumbered=frozenset(smpp),
        reply_window=gateway.reply_window,
        reply_timeout=gateway.reply_timeout,
        senders={name: carrier.source_addr for name, carrier in smpp.items()},
    )
    return SqliteJournal(
        config.journal_path,
        policies,
        synchronous=journal.synchronous,
        commit_interval=journal.commit_interval,
        observer=_JournalObserver(metrics, pulse),
        clock_suspected=lambda: clock.suspended,
    )


def _broker(config: Config, metrics: Metrics) -> MqttBroker:
    broker = config.broker
    host, port, secure = broker.endpoint
    settings = MqttSettings(
        host=host,
        port=port,
        client_id=broker.client_id or f"mensageiro-{config.gateway.instance}",
        subscriptions=topics.subscriptions(broker.topic_prefix, broker.shared_group),
        instance=config.gateway.instance,
        state_topic=topics.gateway(broker.topic_prefix, config.gateway.instance),
        tls=_usable("broker.ca_file", lambda: ssl.create_default_context(cafile=broker.ca_file or None)) if secure else None,
        username=broker.username or None,
        password=configuration.secret(broker.password, broker.password_file, "broker.password") or None,
        receive_maximum=broker.receive_maximum,
        hard_cap=4 * broker.receive_maximum,
        session_expiry=broker.session_expiry,
    )
    return MqttBroker(settings, _BrokerObserver(metrics))


def _carrier(name: str, config: Config, metrics: Metrics) -> Carrier:
    settings = config.carriers[name]
    if not isinstance(settings, Smpp):
        wire = _wire(settings, configuration.user(settings, name))
        return RequestCarrier(name, wire, max_rate=settings.max_rate, observer=RequestMetrics(name, metrics))
    password = configuration.secret(settings.password, settings.password_file, f"carriers.{name}.password")
    zone = ZoneInfo(config.gateway.time_zone)
    return _usable(
        f"carriers.{name}.tls", lambda: SmppCarrier(name, settings, password, time_zone=zone, observer=SmppMetrics(name, metrics))
    )


def _callbacks(config: Config, metrics: Metrics) -> callbacks.Callbacks | None:
    settings = config.callbacks
    if not settings.enabled:
        return None
    token = configuration.secret(settings.token, settings.token_file, "callbacks.token")
    guard = Guard(token, settings.allow, settings.trusted_proxies, settings.max_rate, time.monotonic())
    reader = CallbackReader(ZoneInfo(config.gateway.time_zone))
    return callbacks.Callbacks(configuration.address(settings.listen, "callbacks.listen"), guard, reader, metrics, time.time)


def _wire(settings: Http | Webservice, user: str) -> Wire:
    if isinstance(settings, Http):
        return HttpWire(settings, user)
    from gateway.carriers.webservice import SoapWire  # zeep and lxml take a third of a second, and few need them

    return SoapWire(settings, user)


def _usable(key: str, make: Callable[[], T]) -> T:
    """Make what reads TLS files. Raises StartError where they hold no usable certificate or key."""
    try:
        return make()
    except ssl.SSLError as error:
        raise StartError(f"{key}: a certificate or key cannot be used: {error.reason or error}") from None


class _JournalObserver:
    """Turns what the journal says of itself into metrics, and into signs of life of its writer."""

    def __init__(self, metrics: Metrics, pulse: systemd.Pulse) -> None:
        self._metrics, self._pulse = metrics, pulse

    def commit(self, seconds: float, rows: int) -> None:
        """Show a group commit."""
        self._pulse.beat()
        self._metrics.journal_commit.observe(seconds)
        self._metrics.journal_batch.observe(rows)

    def error(self, kind: str) -> None:
        """Count a failed commit. The checkpoint has a thread of its own: it tells nothing of the writer."""
        if kind != "checkpoint":
            self._pulse.beat()
        self._metrics.journal_errors.inc()


class _BrokerObserver:
    """Turns what the broker connection says of itself into metrics. PUBACKs are counted by `publish`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def connected(self) -> None:
        """Show that we are subscribed."""
        self._metrics.broker_connected.set(1)

    def disconnected(self, reason: str) -> None:
        """Count a lost connection or a failed attempt."""
        self._metrics.broker_connected.set(0)
        self._metrics.broker_reconnects.inc()

    def puback(self, reason: int) -> None:
        """Do nothing: `publish` counts what comes back."""
