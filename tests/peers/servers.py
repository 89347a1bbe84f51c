"""DCMTK's and Orthanc's servers, started by a test on free ports and stopped with it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dicom_io.network.requestor import Peer

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def program(name: str, package: str = "dcmtk") -> str:
    """Debian's own, not a namesake that a Python package brings."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return found


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            bound = stack.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))
            ports.append(int(bound.getsockname()[1]))
        return ports


@contextlib.contextmanager
def listening(command: Callable[[Sequence[int]], Sequence[str | Path]], ports: int = 1) -> Iterator[list[int]]:
    """A server whose command line follows from its ports. It cannot tell which ones it got, so free ones are taken and
    asked until somebody answers; where somebody else was faster, others are tried."""
    for _ in range(5):
        chosen = free_ports(ports)
        with subprocess.Popen(
            list(map(str, command(chosen))), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                if all(_answers(port, process) for port in chosen):
                    yield chosen
                    return
            finally:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
    pytest.fail(f"{command(chosen)[0]} did not start on any of five free ports")


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Connects again and again until somebody listens; False when the process has ended (somebody took the port)."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    """DCMTK's storage peer."""
    name = program("storescp")
    folder.mkdir()
    with listening(lambda ports: [name, "-od", folder, *options, str(ports[0])]) as (port,):
        yield Peer("127.0.0.1", port, "STORESCP")


@contextlib.contextmanager
def dcmqrscp(folder: Path, our_port: int = 104, our_title: str = "WORKSTATION") -> Iterator[Peer]:
    """DCMTK's archive; it knows us, as who may ask and as where to move to."""
    name = program("dcmqrscp")
    (folder / "store").mkdir(parents=True)
    settings = folder / "dcmqrscp.cfg"

    def command(ports: Sequence[int]) -> list[str | Path]:
        settings.write_text(
            f"NetworkTCPPort = {ports[0]}\nMaxPDUSize = 65536\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nus = ({our_title}, 127.0.0.1, {our_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nDCMQRSCP {folder / 'store'} RW (200, 1024mb) ANY\nAETable END\n"
        )
        return [name, "-c", settings]

    with listening(command) as (port,):
        yield Peer("127.0.0.1", port, "DCMQRSCP")


@dataclass(frozen=True)
class Orthanc:
    """Where it listens for DICOM, and the root of its DICOMweb services."""

    peer: Peer
    url: str
    dicomweb: str


@contextlib.contextmanager
def orthanc(folder: Path, our_port: int = 104, our_title: str = "WORKSTATION", **more: object) -> Iterator[Orthanc]:
    """Orthanc with its DICOMweb plugin; `more` goes into its settings."""
    name = program("Orthanc", "orthanc")
    if not DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (Debian package orthanc-dicomweb)")
    folder.mkdir()
    settings = folder / "orthanc.json"

    def command(ports: Sequence[int]) -> list[str | Path]:
        made = {
            "Name": "test",
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "DicomAet": "ORTHANC",
            "DicomPort": ports[0],
            "HttpPort": ports[1],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomModalities": {"us": [our_title, "127.0.0.1", our_port]},
            "Plugins": [str(DICOMWEB)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **more,
        }
        settings.write_text(json.dumps(made))
        return [name, settings]

    with listening(command, 2) as (port, web):
        url = f"http://127.0.0.1:{web}"
        yield Orthanc(Peer("127.0.0.1", port, "ORTHANC"), url, f"{url}/dicom-web")


def orthanc_tls(certificates: Path, our_port: int) -> dict[str, Any]:
    """Settings for Orthanc to speak TLS alone, in both roles with the certificate of `theirs`; it wants ours."""
    us = {"AET": "WORKSTATION", "Host": "127.0.0.1", "Port": our_port, "UseDicomTls": True}
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates / "theirs.pem"),
        "DicomTlsPrivateKey": str(certificates / "theirs.key"),
        "DicomTlsTrustedCertificates": str(certificates / "authority.pem"),
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {"us": us},
    }


@dataclass
class PostgreSQL:
    """A server that runs. url : SQLAlchemy's. crash : ends it without warning, and starts it again."""

    url: str
    crash: Callable[[], None]


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of its own, heard on a socket in a folder alone; yields its SQLAlchemy URL."""
    with postgresql_server() as server:
        yield server.url


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """The same, as something that can be made to crash."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("initdb is not installed (Debian package postgresql)")
    root = os.getuid() == 0  # whom PostgreSQL refuses to run as
    as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
    # A socket's path may have 107 characters, and its folder has to be reached by that user.
    with tempfile.TemporaryDirectory(prefix="pg") as place:
        if root:
            shutil.chown(place, "postgres", "postgres")
        data, binaries = Path(place) / "data", programs[-1].parent
        how: dict[str, Any] = {"cwd": place, "check": True, "capture_output": True, "timeout": 120, **as_user}
        subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync"], **how)
        options = f"-c listen_addresses='' -c fsync=off -k {place}"
        start: list[str | Path] = [
            binaries / "pg_ctl",
            "-D",
            data,
            "-w",
            "-l",
            Path(place) / "log",
            "-o",
            options,
            "start",
        ]
        stop: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"]

        def begin() -> None:
            subprocess.run(start, **{**how, "capture_output": False, "stdout": subprocess.DEVNULL})

        def crash() -> None:
            subprocess.run(stop, **how)
            begin()

        begin()
        try:
            yield PostgreSQL(f"postgresql+psycopg://tester@/postgres?host={place}", crash)
        finally:
            subprocess.run(stop, **how)
