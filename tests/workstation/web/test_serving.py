"""The console as a process: over TLS, alone and as a role of `serve`, killed and started again."""

import os
import signal
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.workstation.serve.running import Serving
from tests.workstation.web.conftest import PASSWORD, enrol_with_secrets
from workstation.listening import ConsoleSettings
from workstation.site import open_site
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


def test_alone_until_it_is_told_to_stop(tmp_path: Path) -> None:
    enrol_with_secrets(tmp_path)
    command = [sys.executable, "-m", "workstation", "--root", str(tmp_path), "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = first.partition("address=")[2].split()[0]
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
