"""The audit trail of `serve`: what is written, and that a repository gets all of it by syslog over TLS."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable
from dicom_io.network.query import find_studies
from dicom_io.network.requestor import Peer, echo
from dicom_io.network.retrieve import retrieve
from dicom_io.network.send import send
from dicom_io.network.tls import Tls, server_context
from tests.dicom_io.certificates import make
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from tests.thorough import examples
from tests.workstation.audit.audit_messages import checked, faults
from tests.workstation.serve.running import Serving
from workstation.audit.file import AuditFile
from workstation.audit.syslog import ship
from workstation.audit.trail import Moved, Party, Question, Trail
from workstation.peers.known import KnownPeer, add_peer

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Repository:
    """A syslog receiver over TLS that keeps what it is sent."""

    def __init__(self, tls: Tls) -> None:
        self._tls = server_context(tls)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.messages: list[bytes] = []

    @contextmanager
    def running(self) -> Iterator["Repository"]:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            with plain, contextlib.suppress(ssl.SSLError):  # a sender that does not trust us
                self._read(plain)

    def _read(self, plain: socket.socket) -> None:
        with self._tls.wrap_socket(plain, server_side=True) as wire:
            data = b""
            while more := wire.recv(65536):
                data += more
            while data:
                length, _, rest = data.partition(b" ")
                self.messages.append(rest[: int(length)])
                data = rest[int(length) :]


@pytest.mark.slow
def test_serve_leaves_a_trail_and_ships_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    authority = make(root, "authority")
    server = make(root, "server", authority)
    sent = write_series(tmp_path / "sent", ramp((3, 8, 8)), grid()).instances
    with Repository(Tls("", server.certificate, server.key)).running() as repository:
        (root / "config.toml").write_text(
            '[receiver]\ncallers = "peers"\n'
            f'[audit]\nhost = "127.0.0.1"\nport = {repository.port}\ncertificate_authority = "authority.pem"\n'
        )
        add_peer(root, KnownPeer("ct", "127.0.0.1", 104, "MODALITY"))
        with Serving(root, "--interval-s", "0.2") as serving:
            there = Peer("127.0.0.1", serving.port, "WORKSTATION")
            assert all(r.accepted for r in send(sent, there, "MODALITY"))
            with pytest.raises(PeerUnreachable):
                echo(there, "STRANGER")
            assert serving.terminate() == (0, "stopped")
        lines = (root / "audit.log").read_text(encoding="utf-8").splitlines()
        assert sorted(checked(lines)) == sorted(
            [("110100", "110120"), ("110104", ""), ("110113", "110126"), ("110100", "110121")]
        )
        assert (root / "audit.log").stat().st_mode & 0o077 == 0
        # Whatever had not gone out when it stopped goes out with the next start.
        with Serving(root, "--interval-s", "0.2") as serving:
            end = time.monotonic() + 120
            while len(repository.messages) < 4 and time.monotonic() < end:
                time.sleep(0.05)
            serving.terminate()
    shipped = [message.partition(b"\xef\xbb\xbf")[2].decode() for message in repository.messages]
    assert shipped[:4] == lines
    assert all(message.startswith(b"<85>1 2") and b" DICOM+RFC3881 - " in message for message in repository.messages)
    transfer = next(line for line in lines if "110104" in line)
    assert sent[0].study_uid in transfer and f'UID="{CT}" NumberOfInstances="3"' in transfer
    assert 'UserID="MODALITY" UserIsRequestor="true" NetworkAccessPointID="127.0.0.1"' in transfer


@pytest.mark.slow
def test_what_others_ask_and_fetch_and_what_comes_again_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text('[receiver]\ncallers = "peers"\nquery = true\n[audit]\n')
    add_peer(root, KnownPeer("ct", "127.0.0.1", 104, "MODALITY"))
    sent = write_series(tmp_path / "sent", ramp((3, 8, 8)), grid()).instances
    with Serving(root, "--interval-s", "0.2") as serving:
        there = Peer("127.0.0.1", serving.port, "WORKSTATION")
        assert all(r.accepted for r in send(sent[:2], there, "MODALITY"))
        assert all(r.accepted for r in send(sent, there, "MODALITY"))
        assert len(find_studies(there, "MODALITY", study_uid=sent[0].study_uid)) == 1
        assert retrieve(there, Archive(tmp_path / "got"), sent[0].study_uid, calling="MODALITY").completed == 3
        assert serving.terminate() == (0, "stopped")
    lines = (root / "audit.log").read_text(encoding="utf-8").splitlines()
    # Three associations brought or fetched something, each from a thread of its own.
    assert sorted(checked(lines)) == sorted(
        [("110100", "110120"), *[("110104", "")] * 4, ("110112", ""), ("110100", "110121")]
    )
    moved = [line for line in lines if "110104" in line]
    told = sorted(
        (line.partition('EventActionCode="')[2][0], int(line.partition('NumberOfInstances="')[2].partition('"')[0]))
        for line in moved
    )
    assert told == [("C", 1), ("C", 2), ("R", 2), ("R", 3)]
    query = next(line for line in lines if "110112" in line)
    assert 'UserID="MODALITY" UserIsRequestor="true" NetworkAccessPointID="127.0.0.1"' in query


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    trail = Trail(AuditFile(tmp_path / "a.log"), "WS")
    evil = 'x"/><AuditMessage>\n&'
    trail.transferred(Party(evil, "10.0.0.1", True), Party("B", "host", False), Moved("1.2", evil, evil, {CT: 1}), AT)
    trail.rejected(Party(evil, "::1", True), evil, AT)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert [code for code, _ in checked(lines)] == ["110104", "110113"]
    detail = ET.fromstring(lines[1]).find("ParticipantObjectIdentification/ParticipantObjectDetail")
    assert detail is not None and base64.b64decode(detail.attrib["value"]).decode() == evil


def test_who_came_looked_and_signed(tmp_path: Path) -> None:
    trail, what = Trail(AuditFile(tmp_path / "a.log"), "WS"), Moved("1.2", "ACC1", "P1", {CT: 3})
    trail.authenticated("DR1", AT)
    trail.authenticated("DR1", AT, outcome="4")
    trail.accessed("DR1", what, "R", AT)
    trail.accessed("DR1", what, "C", AT)
    trail.authenticated("DR1", AT, out=True)
    lines = (tmp_path / "a.log").read_text().splitlines()
    codes = [("110114", "110122"), ("110114", "110122"), ("110103", ""), ("110103", ""), ("110114", "110123")]
    assert checked(lines) == codes
    done = [ET.fromstring(line).find("EventIdentification") for line in lines]
    assert [(e.attrib["EventActionCode"], e.attrib["EventOutcomeIndicator"]) for e in done if e is not None] == [
        ("E", "0"), ("E", "4"), ("R", "0"), ("C", "0"), ("E", "0"),
    ]  # fmt: skip
    assert 'UserID="DR1"' in lines[2] and 'UID="' + CT in lines[2]


def test_what_the_repository_does_not_take_waits(tmp_path: Path) -> None:
    authority = make(tmp_path, "authority")
    server = make(tmp_path, "server", authority)
    trail = Trail(AuditFile(tmp_path / "a.log"), "WS")
    assert trail.file is not None
    trail.started(AT)
    repository = Repository(Tls("", server.certificate, server.key))
    with repository.running():
        with pytest.raises(OSError, match="certificate verify failed"):
            ship(trail.file, "127.0.0.1", repository.port, Tls(make(tmp_path, "other").certificate), "WS", AT)
        trail.started(AT, stopped=True)
        assert ship(trail.file, "127.0.0.1", repository.port, Tls(authority.certificate), "WS", AT) == 2
        assert ship(trail.file, "127.0.0.1", repository.port, Tls(authority.certificate), "WS", AT) == 0
    assert len(repository.messages) == 2
    trail.started(AT)
    with pytest.raises(OSError, match="refused"):
        ship(trail.file, "127.0.0.1", repository.port, Tls(authority.certificate), "WS", AT)


# What a peer or a person may call itself, control characters and half surrogate pairs included.
TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
PARTIES = st.builds(Party, TEXT, st.one_of(TEXT, st.just("10.0.0.1"), st.just("::1")), st.booleans())
UIDS = st.sampled_from(["1.2.3", "1.2.840.10008.5.1.4.1.1.2"])
MOVED = st.builds(Moved, UIDS, TEXT, TEXT, st.dictionaries(UIDS, st.integers(0, 2000), max_size=2))
KINDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "started": st.fixed_dictionaries({"stopped": st.booleans()}),
    "queried": st.fixed_dictionaries(
        {
            "asker": PARTIES, "asked": PARTIES, "what": st.builds(Question, UIDS, st.binary(max_size=20), UIDS),
            "outcome": st.sampled_from("048"), "person_id": TEXT,
        }
    ),
    "begins": st.fixed_dictionaries({"source": PARTIES, "destination": PARTIES, "what": MOVED, "person_id": TEXT}),
    "transferred": st.fixed_dictionaries(
        {
            "source": PARTIES, "destination": PARTIES, "what": MOVED, "outcome": st.sampled_from("048"),
            "action": st.sampled_from("CRU"), "person_id": TEXT,
        }
    ),
    "authenticated": st.fixed_dictionaries({"person_id": TEXT, "out": st.booleans(), "outcome": st.just("4")}),
    "accessed": st.fixed_dictionaries(
        {
            "person_id": TEXT, "what": MOVED, "action": st.sampled_from("CRUD"), "outcome": st.sampled_from("04"),
            "whole": st.booleans(),
        }
    ),
    "exported": st.fixed_dictionaries({"person_id": TEXT, "what": MOVED, "to": TEXT, "outcome": st.sampled_from("04")}),
    "listed": st.fixed_dictionaries(
        {"person_id": TEXT, "what": TEXT, "words": TEXT, "address": TEXT, "taken": st.booleans()}
    ),
    "imported": st.fixed_dictionaries({"person_id": TEXT, "what": MOVED, "source": TEXT, "outcome": st.just("4")}),
    "rejected": st.fixed_dictionaries({"caller": PARTIES, "why": TEXT}),
    "changed": st.fixed_dictionaries(
        {"what": st.sampled_from(["peers", "people", "links"]), "name": TEXT, "words": TEXT, "account": TEXT}
    ),
}  # fmt: skip


def test_every_kind_of_message_is_tried_below() -> None:
    assert {name for name in vars(Trail) if callable(getattr(Trail, name)) and not name.startswith("_")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_it_says_a_message_is_as_the_standard_has_it(
    data: st.DataObject, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[bytes] = []
    with monkeypatch.context() as patched:
        patched.setattr(AuditFile, "append", lambda _, line: lines.append(line))
        getattr(Trail(AuditFile(Path("unused")), data.draw(TEXT)), kind)(at=AT, **data.draw(KINDS[kind]))
    (line,) = lines
    assert line.count(b"\n") == 1
    assert len(checked([line.decode()])) == 1


def test_a_message_that_is_not_as_it_should_be_is_found(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log")
    trail, what = Trail(file, "WS"), Moved("1.2", "ACC1", "P1", {CT: 3})
    us, them = Party("US", "here", True), Party("THEM", "10.0.0.1", False)
    trail.transferred(us, them, what, AT)
    trail.queried(us, them, Question("1.2", b"\0", "1.2.840.10008.1.2.1"), AT)
    trail.exported("DR1", what, "file:///tmp/a.pdf", AT)
    transfer, query, export = file.path.read_text().splitlines()
    assert not faults(transfer) and not faults(query) and not faults(export)
    spoiled = [
        transfer.replace("+00:00", ""),
        transfer.replace('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="1"'),
        transfer.replace('EventActionCode="C"', 'EventActionCode="E"'),
        transfer.replace('UserIsRequestor="false"', 'UserIsRequestor="true"'),
        transfer.replace("110153", "110150"),
        transfer.replace('NumberOfInstances="3"', 'NumberOfInstances="three"'),
        transfer.replace(' originalText="Study Instance UID"', ""),
        transfer.replace('ParticipantObjectTypeCode="2"', 'ParticipantObjectTypeCode="5"'),
        transfer.replace("<AuditSourceTypeCode", "<SourceTypeCode"),
        transfer.replace('UID="' + CT, 'UID="' + CT + ".07"),
        transfer.replace("110104", "110999"),
        transfer[: transfer.index('<ParticipantObjectIdentification ParticipantObjectID="P1"')] + "</AuditMessage>",
        query.replace("TransferSyntax", "Transfer"),
        query.replace("ParticipantObjectQuery", "ParticipantObjectName"),
        query.replace("AA==", "A*=="),
        query.replace("110181", "110180"),
        query[:-1],
        export.replace("MediaIdentifier", "Media"),
        export.replace("110154", "110152"),
        export.replace('UserIsRequestor="true"', 'UserIsRequestor="false"'),
        export[: export.index("<MediaIdentifier>")] + export[export.index("</MediaIdentifier>") + 18 :],
    ]
    for line in spoiled:
        assert line not in (transfer, query, export) and faults(line), line
