"""The console as a process: over TLS, alone and as a role of `serve`, killed and started again."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.workstation.serve.running import Serving
from tests.workstation.web.chromium import serving
from tests.workstation.web.conftest import PASSWORD, enrol_with_secrets
from workstation.listening import ConsoleSettings
from workstation.site import open_site
from workstation.web import connections
from workstation.web.serving import ConsoleNotServed, ConsoleServer, listen_for_browsers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of this machine, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder / "certificate.pem", folder / "key.pem"


def signed_in(client: httpx2.Client) -> None:
    token = client.get("/sign-in").text.partition('name="csrf" value="')[2].partition('"')[0]
    answer = client.post("/sign-in", data={"csrf": token, "person": "jd", "password": PASSWORD})
    assert answer.status_code == 200 and "Doe, Jane" in answer.text


def settings(root: Path, certificate: tuple[Path, Path]) -> None:
    root.mkdir(exist_ok=True)
    (root / "config.toml").write_text(
        f'roles = ["web"]\n[console]\nport = 0\ncertificate = "{certificate[0]}"\nkey = "{certificate[1]}"\n'
    )


@pytest.mark.slow
def test_over_tls_and_through_its_death(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """As the role of `serve`: when the process dies, another takes its socket, and nobody has to sign in again."""
    root = tmp_path / "root"
    settings(root, certificate)
    enrol_with_secrets(root)
    with Serving(root) as serving:
        address = f"https://127.0.0.1:{serving.ports['console_port']}"
        trusted = ssl.create_default_context(cafile=str(certificate[0]))
        with httpx2.Client(base_url=address, verify=trusted, follow_redirects=True, timeout=60) as client:
            signed_in(client)
            assert "__Host-console" in client.cookies
            answer = client.get("/password")
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            os.kill(serving.processes["web"], signal.SIGKILL)
            serving.next("restarted")
            assert "Doe, Jane" in client.get("/password").text
        with (
            httpx2.Client(base_url=address.replace("https", "http"), timeout=60) as plain,
            pytest.raises(httpx2.HTTPError),
        ):
            plain.get("/sign-in")


@pytest.mark.slow
def test_alone_until_it_is_told_to_stop(tmp_path: Path) -> None:
    enrol_with_secrets(tmp_path)
    command = [sys.executable, "-m", "workstation", "--root", str(tmp_path), "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = first.partition("address=")[2].split()[0]
        assert first.split()[-1] == f"port={address.rpartition(':')[2]}"
        with httpx2.Client(base_url=address, follow_redirects=True, timeout=60) as client:
            signed_in(client)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    # Not a line for a request: addresses of links are secrets, and who looked at what is in the audit trail.
    assert rest.splitlines() == ["event=stopped"]


def test_a_port_that_is_taken_is_said_plainly() -> None:
    with listen_for_browsers("127.0.0.1", 0) as first, pytest.raises(ConsoleNotServed, match="port"):
        listen_for_browsers("127.0.0.1", first.getsockname()[1])


def test_a_certificate_that_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    site = open_site(tmp_path / "root")
    own = ConsoleSettings(certificate=str(tmp_path / "none.pem"), key=str(tmp_path / "none.key"))
    with listen_for_browsers("127.0.0.1", 0) as at, pytest.raises(ConsoleNotServed, match="certificate or key"):
        ConsoleServer(replace(site, config=replace(site.config, console=own)), at)
    site.papers.engine.dispose()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[int]:
    site = open_site(tmp_path / "root")
    with serving(site) as address:
        yield int(address.rpartition(":")[2])
    site.papers.engine.dispose()


def ended(connection: socket.socket) -> bool:
    """Whether the other end closes it, within a minute."""
    connection.settimeout(60)
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "begins",
    [b"", b"GET /sign-in HT", b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", b"\x16\x03\x01"],
    ids=["nothing", "half a line", "half the headers", "TLS where there is none"],
)
def test_who_asks_slowly_is_not_waited_for(served: int, begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.2)
    with socket.create_connection(("127.0.0.1", served)) as slow:
        slow.sendall(begins)
        assert ended(slow)


def test_a_body_that_does_not_come_is_not_waited_for(served: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workstation.web.app.BODY_S", 0.2)
    with socket.create_connection(("127.0.0.1", served)) as slow:
        slow.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 50\r\nConnection: close\r\n\r\nperson=j"
        )
        slow.settimeout(60)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_an_address_has_so_many_connections_and_others_have_theirs(
    served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ONE_ADDRESS", 4)
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", served))) for _ in range(4)]
        # The fifth is closed without a word; one of the four that asks is answered.
        assert ended(stack.enter_context(socket.create_connection(("127.0.0.1", served))))
        held[0].sendall(b"GET /static/console.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert held[0].recv(15) == b"HTTP/1.1 200 OK"
        assert ended(held[0])
        again = stack.enter_context(socket.create_connection(("127.0.0.1", served)))
        again.sendall(b"GET /static/console.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert again.recv(15) == b"HTTP/1.1 200 OK"
