"""The HL7 listener over real sockets: durable before it answers, TLS, enhanced mode, late answers, a sudden death."""

import shutil
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dicom_io.network.tls import Tls, client_context, server_context
from tests.workstation.desk import Desk, desk
from tests.workstation.hl7.test_syntax import AT
from tests.workstation.orders.ris import Ris, Study, config
from tests.workstation.serve.running import Serving
from tests.workstation.test_day import opened, write_settings
from workstation.destinations import MllpDestination
from workstation.hl7 import mllp
from workstation.hl7.acknowledgement import acknowledgement, parse_acknowledgement
from workstation.hl7.mllp import MllpListener, MllpReceiver, UnreachableError
from workstation.hl7.reader import read_message
from workstation.store.casebook import Casebook
from workstation.store.messages import OutboxError
from workstation.transports.order import deliver_pending

STUDY = Study("ACC1")
HOST = "127.0.0.1"


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / "root") as found:
        yield found


def answer(here: Desk, body: bytes) -> tuple[str, str]:
    said = here.answer(body)
    assert said
    found = parse_acknowledgement(said)
    return found.code, found.text


class TestAnswers:
    def test_over_a_socket(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        with MllpListener(at_desk.answer) as listener:
            bodies = (ris.order(), ris.report())
            for body in bodies:
                assert mllp.send(HOST, listener.port, body, 10).code == "AA"
            assert mllp.send(HOST, listener.port, bodies[0], 10).text == "received before"
            assert mllp.send(HOST, listener.port, bodies[0].replace(b"ORM^O01", b"ORM^O99"), 10).code == "AR"
        kept = at_desk.site.casebook.messages("accession", {"ACC1"})
        assert [each.body for each in kept] == list(bodies)

    def test_refused_messages_are_kept_with_the_reason(self, at_desk: Desk) -> None:
        assert answer(at_desk, Ris(STUDY).order().replace(b"P1^^^^MR", b""))[0] == "AE"
        assert at_desk.answer(b"hello") == b""
        refused = at_desk.site.casebook.refused()
        assert [code for _, code, _ in refused] == ["AE", "none"]
        assert "PID-3 is empty" in refused[0][2]
        assert at_desk.site.casebook.messages("accession", {"ACC1"}) == ()

    def test_what_cannot_be_written_is_not_promised(self, at_desk: Desk) -> None:
        with at_desk.site.papers.engine.begin() as connection:
            connection.execute(text("DROP TABLE concern"))
        code, words = answer(at_desk, Ris(STUDY).order())
        assert code == "AE"
        assert "send it again" in words

    @pytest.mark.parametrize(
        ("accept", "application", "good", "bad"),
        [
            ("", "", "AA", "AE"),
            ("AL", "NE", "CA", "CE"),
            ("AL", "AL", "CA", "CE"),
            ("NE", "AL", "AA", "AE"),
            ("ER", "NE", None, "CE"),
            ("NE", "NE", None, None),
            ("SU", "", "CA", None),
        ],
    )
    def test_enhanced_mode(
        self, at_desk: Desk, accept: str, application: str, good: str | None, bad: str | None
    ) -> None:
        for body, expected in ((Ris(STUDY).order(), good), (Ris(STUDY).order().replace(b"P1^^^^MR", b""), bad)):
            header, rest = body.split(b"\r", 1)
            said = at_desk.answer(header + f"|||{accept}|{application}\r".encode() + rest)
            assert (parse_acknowledgement(said).code if said else None) == expected

    def test_the_answer_speaks_the_senders_version(self, at_desk: Desk) -> None:
        for version, kind in (("2.3", "ACK"), ("2.5.1", "ACK^O01^ACK")):
            said = at_desk.answer(Ris(STUDY).order().replace(b"|2.5.1", f"|{version}".encode()))
            assert said
            header = read_message(said).header
            assert (header.text(12), header.raw(9)) == (version, kind)
            assert (header.text(3), header.text(5)) == ("WORKSTATION", "RIS")

    def test_nothing_of_a_patient_is_told(self, tmp_path: Path) -> None:
        from workstation.orders.hl7_listener import answering

        told: list[str] = []
        with desk(tmp_path) as here:
            hear = answering(here.site, lambda event: told.append(repr(event)))
            ris = Ris(Study("ACC1", patient="SECRET9"))
            for body in (ris.order(), ris.report(), ris.merge("SECRET8"), ris.order().replace(b"ORC|", b"ZZZ|"), b"x"):
                hear(body)
        assert len(told) == 5
        assert not any("SECRET" in each or "19700131" in each for each in told)


def test_aa_only_after_it_is_durable(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer waits for the commit: while that is held up, nothing comes back."""
    committed, may_commit = threading.Event(), threading.Event()
    real = Casebook.receive

    def slow(self: Casebook, *args: object) -> bool:
        may_commit.wait(30)
        done: bool = real(self, *args)  # type: ignore[arg-type]
        committed.set()
        return done

    monkeypatch.setattr(Casebook, "receive", slow)
    body = Ris(STUDY).order()
    with MllpListener(at_desk.answer) as listener, socket.create_connection((HOST, listener.port), 10) as connection:
        connection.sendall(mllp.frame(body))
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert not committed.is_set()
        may_commit.set()
        connection.settimeout(30)
        assert connection.recv(1) == b"\x0b"
        assert committed.is_set()


@pytest.mark.slow
def test_what_was_answered_aa_outlives_a_sudden_death(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with MllpReceiver(lambda message: b"") as billing:
        write_settings(root, billing.port)
        ris = Ris(STUDY)
        with Serving(root, "--hl7-port", "0", "--monitor-port", "0") as serving:
            with socket.create_connection((HOST, serving.hl7_port), 30) as connection:
                connection.sendall(b"\x0bMSH|^~")
            assert HOST in serving.next("refused")["detail"]
            with urllib.request.urlopen(f"http://{HOST}:{serving.monitor_port}/metrics", timeout=30) as answer:
                assert b"workstation_hl7_connections_broken_total 1\n" in answer.read()
            for body in (ris.order(), ris.report(), ris.account("A9")):
                assert mllp.send(HOST, serving.hl7_port, body, 30).code == "AA"
                serving.kill()
                break
        with opened(root) as site:
            assert [each.body for each in site.casebook.messages("accession", {"ACC1"})] == ris.sent[:1]
            assert site.casebook.due() in ((), ("ACC1",))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for this machine, and another one that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl), and makes the certificates")
    folder = tmp_path_factory.mktemp("pki")
    for name in ("server", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / f"{name}.key"),
             "-out", str(folder / f"{name}.pem")],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    return folder


class TestTls:
    def test_both_ways(self, at_desk: Desk, pki: Path) -> None:
        tls = server_context(Tls("", str(pki / "server.pem"), str(pki / "server.key")))
        with MllpListener(at_desk.answer, tls=tls) as listener:
            trusted = client_context(Tls(str(pki / "server.pem")))
            assert mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, trusted).code == "AA"
            with pytest.raises(UnreachableError, match="TLS failed"):
                mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, client_context(Tls(str(pki / "stranger.pem"))))
            with pytest.raises(mllp.MllpError):
                mllp.send(HOST, listener.port, Ris(STUDY).order(), 10)
            assert mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, trusted).code == "AA"

    def test_a_client_needs_a_certificate_where_the_settings_say_so(self, at_desk: Desk, pki: Path) -> None:
        server, key = str(pki / "server.pem"), str(pki / "server.key")
        with MllpListener(at_desk.answer, tls=server_context(Tls(server, server, key))) as listener:
            with pytest.raises(mllp.MllpError):
                mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, client_context(Tls(server)))
            named = client_context(Tls(server, server, key))
            assert mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, named).code == "AA"

    def test_a_silent_client_does_not_hold_up_the_end(self, at_desk: Desk, pki: Path) -> None:
        tls = server_context(Tls("", str(pki / "server.pem"), str(pki / "server.key")))
        with MllpListener(at_desk.answer, tls=tls) as listener:
            connection = socket.create_connection((HOST, listener.port), 10)
        connection.close()

    def test_files_that_are_none(self) -> None:
        with pytest.raises(OSError, match=r"check the settings.*none\.pem"):
            server_context(Tls("", "none.pem", "none.key"))
        with pytest.raises(OSError, match=r"check the settings.*none\.pem"):
            client_context(Tls("none.pem"))

    def test_a_destination_with_tls(self, tmp_path: Path, pki: Path) -> None:
        tls = server_context(Tls("", str(pki / "server.pem"), str(pki / "server.key")))
        with MllpReceiver(lambda message: acknowledgement(message, "AA", at=_now()), tls=tls) as billing:
            where = MllpDestination(
                name="billing",
                takes=("charges",),
                port=billing.port,
                tls=True,
                certificate_authority=str(pki / "server.pem"),
            )
            with desk(tmp_path / "root", config(where)) as here:
                ris = Ris(STUDY)
                here.sr(STUDY)
                here.hear(ris.order(), ris.report())
                here.deliver()
                assert here.charges() == [("76377", "acknowledged")]
            assert len(billing.messages) == 1


class TestEnhancedModeOut:
    """Charges to a receiver that first accepts and then looks."""

    def deliver(self, root: Path, mode: Any, *answers: Any) -> tuple[str, str, list[bytes]]:
        received: list[bytes] = []
        with socket.create_server((HOST, 0)) as listener, ExitStack() as stack:
            port = listener.getsockname()[1]

            def billing() -> None:
                connection, _ = listener.accept()
                with connection:
                    got = b""
                    while not got.endswith(b"\x1c\x0d"):
                        got += connection.recv(65536)
                    body = got[1:-2]
                    received.append(body)
                    for code in answers:
                        connection.sendall(mllp.frame(acknowledgement(body, code, at=_now())))

            thread = threading.Thread(target=billing)
            thread.start()
            stack.callback(thread.join)
            where = MllpDestination(
                name="billing",
                takes=("charges",),
                port=port,
                acknowledgement=mode,
                timeout_s=30,
            )
            with desk(root, config(where)) as here:
                ris = Ris(STUDY)
                here.sr(STUDY)
                here.hear(ris.order(), ris.report())
                here.deliver()
                (entry,) = here.site.outbox.list()
                return entry.state, entry.last_detail, received

    @pytest.mark.parametrize(
        ("mode", "answers", "state", "detail"),
        [
            ("accept", ("CA",), "acknowledged", "CA"),
            ("accept", ("CE",), "retrying", "CE"),
            ("accept", ("CR",), "operator", "CR"),
            ("enhanced", ("CA", "AA"), "acknowledged", "AA"),
            ("enhanced", ("CA", "AE"), "retrying", "AE"),
            ("enhanced", ("CA", "AR"), "operator", "AR"),
            ("enhanced", ("CR",), "operator", "CR"),
            ("enhanced", ("CA",), "acknowledged", "CA"),
        ],
    )
    def test_answers(self, tmp_path: Path, mode: str, answers: tuple[str, ...], state: str, detail: str) -> None:
        found = self.deliver(tmp_path, mode, *answers)
        assert found[:2] == (state, detail)
        header = read_message(found[2][0]).header
        assert (header.text(15), header.text(16)) == (("AL", "AL") if mode == "enhanced" else ("AL", "NE"))

    def test_an_answer_that_comes_later_to_the_listener(self, tmp_path: Path) -> None:
        where = MllpDestination(name="out", takes=("charges",), port=1, acknowledgement="enhanced")
        with desk(tmp_path, config(where)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            (message,) = here.site.outbox.pending()
            assert message.body is not None
            from workstation.store.messages import Delivery

            deliver_pending(here.site.outbox, lambda _: Delivery("acknowledged", "CA"), here.site.clock)
            # Good news changes nothing, bad news is for an operator, the same again is nothing new.
            assert here.answer(acknowledgement(message.body, "AA", at=_now())) is None
            assert here.site.outbox.list()[0].state == "acknowledged"
            late = acknowledgement(message.body, "AE", "unknown account", at=_now())
            assert here.answer(late) is None
            assert here.answer(late) is None
            (entry,) = here.site.outbox.list()
            assert (entry.state, entry.last_detail, entry.tries) == ("operator", "AE unknown account (later)", 2)
            assert here.charges() == [("76377", "sent")]
            here.site.outbox.requeue(message.key, here.site.clock(), "account opened, op")
            assert here.site.outbox.pending() == (message,)

    def test_a_late_answer_that_wants_one_and_one_to_nothing(self, at_desk: Desk) -> None:
        body = Ris(STUDY).order()
        late = acknowledgement(body, "AA", at=_now()).replace(b"|2.5.1||||||", b"|2.5.1|||AL|NE||")
        assert b"|AL|NE|" in late
        said = at_desk.answer(late)
        assert said
        assert parse_acknowledgement(said).code == "CR"
        with pytest.raises(OutboxError, match="No message with control id"):
            at_desk.site.outbox.answered_later(parse_acknowledgement(late), at_desk.site.clock())


def _now() -> datetime:
    return AT


def test_hl7_speaks_tls_as_dicom_does(pki: Path) -> None:
    """No old version and no cipher without forward secrecy and authentication. Source: BCP 195 (RFC 9325)."""
    for context in (client_context(Tls()), server_context(Tls("", str(pki / "server.pem"), str(pki / "server.key")))):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        named = [each["name"] for each in context.get_ciphers() if each["protocol"] == "TLSv1.2"]
        assert named and all("DHE" in name and ("GCM" in name or "CHACHA20" in name) for name in named)


def test_a_receiver_with_old_ciphers_alone_is_not_spoken_to(pki: Path) -> None:
    old = server_context(Tls("", str(pki / "server.pem"), str(pki / "server.key")))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA256")
    with MllpReceiver(lambda message: b"", tls=old) as receiver, pytest.raises(UnreachableError, match="TLS failed"):
        mllp.send(HOST, receiver.port, Ris(STUDY).order(), 10, client_context(Tls(str(pki / "server.pem"))))
    assert receiver.messages == []
