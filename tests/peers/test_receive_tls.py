"""DCMTK sends to us by TLS, and takes from us by TLS."""

from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, echo
from dicom_io.network.send import send
from dicom_io.network.tls import Tls, server_context
from tests.dicom_io.certificates import Certificate, make
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import listening, program, run


@pytest.fixture
def made(tmp_path: Path) -> tuple[Certificate, Certificate, Certificate]:
    """An authority, and a server's and a client's certificate of it."""
    authority = make(tmp_path, "authority")
    return authority, make(tmp_path, "server", authority), make(tmp_path, "client", authority)


@pytest.mark.parametrize("profile", ["+px", "+py", "+pz"])
def test_storescu_sends_to_us(tmp_path: Path, made: tuple[Certificate, Certificate, Certificate], profile: str) -> None:
    authority, server, client = made
    sent = write_series(tmp_path / "sent", ramp((4, 16, 16)), grid())
    archive = Archive(tmp_path / "archive")
    context = server_context(Tls(authority.certificate, server.certificate, server.key))
    with Receiver(archive, tls=context) as receiver:
        words = ["+tls", client.key, client.certificate, "+cf", authority.certificate, profile]
        run(program("storescu"), *words, "127.0.0.1", str(receiver.port), *(i.path for i in sent.instances))
        run(program("echoscu"), *words, "127.0.0.1", str(receiver.port))
    assert len(archive.all_series()[0].instances) == 4


def test_we_send_to_storescp(tmp_path: Path, made: tuple[Certificate, Certificate, Certificate]) -> None:
    authority, server, client = made
    sent = write_series(tmp_path / "sent", ramp((4, 16, 16)), grid())
    (tmp_path / "theirs").mkdir()
    name = program("storescp")
    words = ["+tls", server.key, server.certificate, "+cf", authority.certificate, "-od", str(tmp_path / "theirs")]
    with listening(lambda ports: [name, *words, str(ports[0])]) as (port,):
        peer = Peer("127.0.0.1", port, "STORESCP", Tls(authority.certificate, client.certificate, client.key))
        echo(peer)
        assert all(r.accepted for r in send(sent.instances, peer))
    assert len(list((tmp_path / "theirs").iterdir())) == 4


def test_a_tls_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.pem")
    with pytest.raises(PeerUnreachable, match=r"TLS files cannot be used.*nowhere\.pem"):
        echo(Peer("127.0.0.1", 1, "PACS", Tls(authority=missing)))
    with pytest.raises(OSError, match=r"nowhere\.pem"):
        server_context(Tls(certificate=missing, key=missing))
