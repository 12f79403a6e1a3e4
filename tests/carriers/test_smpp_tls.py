"""TLS: verified by default, against certificates that openssl makes on the spot."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.carriers.base import CarrierState
from gateway.carriers.smpp_link import tls_context
from gateway.message import Submitted
from tests.carriers.smsc import Rig, Smsc, message, settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

Start = Callable[..., Rig]


def certificate(folder: Path, name: str) -> Path:
    """Make a self-signed certificate for `name`; its key stands beside it."""
    path = folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path.with_suffix(".key"))]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *subject, "-out", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for name in ("smsc.test", "other.test", "esme.test"):
        certificate(folder, name)
    return folder


def context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


async def serve_tls(smsc: Smsc, context: ssl.SSLContext) -> None:
    await smsc.stop()
    await smsc.start(context)


async def test_a_verified_session_carries_messages(smsc: Smsc, start: Start, folder: Path) -> None:
    await serve_tls(smsc, context(folder, "smsc.test"))
    rig = start(tls=True, ca_file=str(folder / "smsc.test.pem"), server_hostname="smsc.test")
    await rig.ready()
    rig.submit(message())
    assert await rig.outcomes(1) == [Submitted(("id-1",), "gsm7")]


async def test_a_certificate_of_another_name_is_refused(smsc: Smsc, start: Start, folder: Path) -> None:
    await serve_tls(smsc, context(folder, "other.test"))
    rig = start(tls=True, ca_file=str(folder / "other.test.pem"), server_hostname="smsc.test")
    await refused(smsc, rig)


async def test_a_certificate_of_an_unknown_authority_is_refused(smsc: Smsc, start: Start, folder: Path) -> None:
    await serve_tls(smsc, context(folder, "smsc.test"))
    await refused(smsc, start(tls=True, server_hostname="smsc.test"))


async def refused(smsc: Smsc, rig: Rig) -> None:
    await rig.observer.signal.until(lambda: len(rig.observer.reconnects) >= 2)
    assert rig.carrier.state is CarrierState.DOWN
    assert smsc.binds == []
    (entry,) = [entry for entry in rig.log.entries if entry["event"] == "not bound"]
    assert entry["detail"].startswith("certificate refused: ")


async def test_our_own_certificate_is_shown_to_an_smsc_that_asks(smsc: Smsc, start: Start, folder: Path) -> None:
    demanding = context(folder, "smsc.test")
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(folder / "esme.test.pem")
    await serve_tls(smsc, demanding)
    own = {"cert_file": str(folder / "esme.test.pem"), "key_file": str(folder / "esme.test.key")}
    await start(tls=True, ca_file=str(folder / "smsc.test.pem"), server_hostname="smsc.test", **own).ready()


def test_the_context_verifies_and_plain_tcp_has_none(folder: Path) -> None:
    assert tls_context(settings(1)) is None
    made = tls_context(settings(1, tls=True))
    assert made is not None
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
