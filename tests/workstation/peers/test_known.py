"""The peers of a site: kept in a file, named, asked, and fetched from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_io.archive import Archive
from dicom_io.network.receive import Receiver
from dicom_io.network.send import send
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import dcmqrscp, free_ports
from tests.workstation.conftest import Command
from workstation.peers.known import KnownPeer, PeersError, add_peer, find_peer, load_peers, remove_peer

PACS = KnownPeer("pacs", "10.0.0.5", 104, "ARCHIVE", "move", ("10.0.0.0/24",), tls=True, certificate_authority="ca.pem")


def test_a_peer_is_added_changed_and_removed(tmp_path: Path) -> None:
    assert load_peers(tmp_path) == ()
    add_peer(tmp_path, PACS)
    add_peer(tmp_path, KnownPeer("ct", "10.0.0.7", 4006, "CT1"))
    add_peer(tmp_path, KnownPeer("ct", "10.0.0.8", 4006, "CT1"))
    assert load_peers(tmp_path) == (KnownPeer("ct", "10.0.0.8", 4006, "CT1"), PACS)
    remove_peer(tmp_path, "ct")
    assert load_peers(tmp_path) == (PACS,)
    there = find_peer(tmp_path, "pacs").at(tmp_path)
    assert there.tls is not None and there.tls.authority == str(tmp_path / "ca.pem") and there.tls.certificate == ""
    for act in (remove_peer, find_peer):
        with pytest.raises(PeersError, match=r"No peer 'ct'. Peers: pacs."):
            act(tmp_path, "ct")


@given(st.text(min_size=1).filter(lambda t: not any(c.isspace() for c in t)), st.text(), st.text())
def test_whatever_text_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str, host: str, url: str) -> None:
    root = tmp_path_factory.mktemp("peers")
    peer = KnownPeer(name, host, 104, "A", url=url)
    try:
        add_peer(root, peer)
    except UnicodeEncodeError:
        assert load_peers(root) == ()  # half a surrogate pair is no text
        return
    assert load_peers(root) == (peer,)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("colour = 1", "colour"),
        ("port = 0", "port 0 is not one of 1 to 65535"),
        ('addresses = ["10.0.0.300"]', "'10.0.0.300' is no address or network"),
        ('retrieve = "fetch"', "retrieve"),
        ('certificate = "c.pem"', "certificate and key go together"),
        ("this is no TOML", "peers.toml"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, line: str, words: str) -> None:
    port = "" if line.startswith("port") else "port = 104\n"
    (tmp_path / "peers.toml").write_text(f'[[peers]]\nname = "a"\nhost = "h"\n{port}ae_title = "A"\n{line}\n')
    with pytest.raises(PeersError, match=words):
        load_peers(tmp_path)


@pytest.mark.slow
def test_from_the_command_line(command: Command, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    sent = write_series(tmp_path / "sent", ramp((4, 8, 8)), grid())
    with Receiver(Archive(tmp_path / "moved")) as receiver, dcmqrscp(tmp_path / "pacs", receiver.port) as peer:
        send(sent.instances, peer)
        words = ["peers", "add", "pacs", peer.host, str(peer.port), "-aec", peer.ae_title]
        assert command(*words).code == 0
        assert command("peers", "echo", "pacs").code == 0
        assert command("peers", "add", "away", "127.0.0.1", str(nobody), "-aec", "AWAY").code == 0
        asked = command("peers", "echo", "--json")
        assert asked.code == 1 and [row["state"] for row in asked.json] == ["not reached", "answered"]
        assert command("peers", "remove", "away").code == 0
        assert [row["name"] for row in command("peers", "list", "--json").json] == ["pacs"]

        (study,) = command("query", "pacs", "--modality", "CT", "--json").json
        uid = study["study_uid"]
        (series,) = command("query", "pacs", "--study", uid, "--json").json
        instances = command("query", "pacs", "--study", uid, "--series", series["series_uid"], "--json").json
        assert len(instances) == 4
        assert command("query", "pacs", "--series", series["series_uid"]).code == 2

        (would,) = command("retrieve", "pacs", uid, "--dry-run", "--json").json
        assert would["series_uid"] == sent.uid and command("list", "--json").json == []
        one = command("retrieve", "pacs", uid, "--series", sent.uid, "--instance", instances[0]["sop_instance_uid"])
        assert (one.code, command("list", "--json").json[0]["instances"]) == (0, 1)
        assert command("retrieve", "pacs", uid, "--json").json["completed"] == 4
        assert command("list", "--json").json[0]["instances"] == 4
        moved = command("retrieve", "pacs", uid, "--how", "move", "--json")
        assert (moved.code, moved.json["completed"]) == (0, 4)
    assert command("query", "pacs").code == 1
    assert command("query", "elsewhere").err.startswith("error: No peer 'elsewhere'. Peers: pacs.")
