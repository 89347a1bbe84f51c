"""What an administrator does first: peers, sending, asking, settings that are wrong, what the monitor says."""

from collections import Counter
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.network.receive import Receiver
from dicom_io.network.send import send
from dicom_io.network.tls import Tls, server_context
from tests.dicom_io.certificates import make
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from tests.peers.servers import dcmqrscp
from tests.workstation.audit.test_asking import BEGIN, TRANSFER, events, messages, outcome, who
from tests.workstation.conftest import Command, SiteAt
from workstation.administration import preflight
from workstation.cli.shared import account
from workstation.config import AuditSettings, Config, ConfigError, ReceiverSettings
from workstation.destinations import FolderDestination
from workstation.listening import Listener
from workstation.peers.known import KnownPeer, add_peer
from workstation.serve.measured import metrics


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "config.toml").write_text('ae_title = "OURS"\n[audit]\n')
    return folder


def test_sending_to_a_peer_by_name_over_tls(command: Command, root: Path, tmp_path: Path) -> None:
    """A series of the archive, by our AE title, with the peer's certificates; it is in the audit trail."""
    sent = write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    authority = make(tmp_path, "authority")
    server = make(tmp_path, "server", authority)
    command("import", tmp_path / "in")
    pacs, callers = Archive(tmp_path / "pacs"), list[str]()
    tls = server_context(Tls("", server.certificate, server.key))
    with Receiver(pacs, ae_title="PACS", tls=tls, on_end=lambda ending: callers.append(ending.calling)) as receiver:
        where = ("127.0.0.1", receiver.port, "-aec", "PACS", "--tls", "--authority", authority.certificate)
        assert command("peers", "add", "pacs", *where, "--json").json["tls"] is True
        would = command("send", sent.uid, "pacs", "--dry-run").out
        assert would == f"3 instances would be sent to PACS at 127.0.0.1:{receiver.port}.\n"
        assert command("send", sent.uid, "pacs", "--json").json == {"accepted": 3, "refused": []}
    assert len(pacs.series(sent.uid).instances) == 3 and set(callers) == {"OURS"}
    assert command("send", sent.uid, "pacs").code == 1  # nobody listens there any more
    assert events(root)[-4:] == [BEGIN, TRANSFER] * 2
    found = messages(root)[-4:]
    ends = [("OURS", "110153", False), ("PACS", "110152", False), (account(), "", True)]
    assert all(who(message) == ends for message in found)
    assert [outcome(found[n]) for n in (1, 3)] == ["0", "4"]
    assert found[1].find(".//SOPClass").get("UID") == CT and found[3].find(".//SOPClass") is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 1, "No peer 'nobody'"),
        (("pacs", "-aec", "PACS"), 2, "AE title of its own"),
        (("127.0.0.1", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_sent_to(command: Command, slices: Path, words: tuple[str, ...], code: int, said: str) -> None:
    answer = command("send", slices, *words)
    assert (answer.code, said in " ".join(answer.err.split())) == (code, True)


def test_a_folder_without_dicom_is_not_sent(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = command("send", tmp_path / "empty", "127.0.0.1", 11112)
    assert answer.code == 1 and "no DICOM" in answer.err


@pytest.mark.parametrize("dates", ["2026-03-02", "foo", "2026", "20260230", "20260301-20260302-", "-", "202603011-"])
def test_dates_that_are_none_are_misuse(command: Command, dates: str) -> None:
    """A peer would answer with nothing, as if it had nothing."""
    answer = command("query", "pacs", "--dates", dates)
    assert answer.code == 2 and "YYYYMMDD" in answer.err


def test_what_a_peer_has_not_got(command: Command, root: Path, tmp_path: Path) -> None:
    (root / "config.toml").unlink()
    sent = write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    study = sent.first.study_uid
    with dcmqrscp(tmp_path / "pacs") as peer:
        send(sent.instances, peer)
        add_peer(root, KnownPeer("pacs", peer.host, peer.port, peer.ae_title))
        for dates in ("20260302", "20260301-", "-20260303", "20260301-20260303"):
            assert len(command("query", "pacs", "--dates", dates, "--json").json) == 1
        assert len(command("query", "pacs", "--study", study, "--modality", "ct", "--json").json) == 1
        for words in ((study, "--series", "1.2.3"), ("1.2.3",), ("1.2.3", "--dry-run")):
            answer = command("retrieve", "pacs", *words)
            assert answer.code == 1 and "has nothing of that" in answer.err
        assert "no url of DICOMweb" in command("retrieve", "pacs", study, "--how", "web").err
        moved = command("retrieve", "pacs", study, "--how", "move")  # to where it knows us, and nobody listens there
        assert moved.code == 1 and "pacs believes WORKSTATION is" in moved.out


def test_what_is_damaged_can_be_sent_again_once_it_is_set_aside(command: Command, root: Path, tmp_path: Path) -> None:
    """What has another length is mended by what comes again. Of what has not, the index says that we have it, and so
    does the answer to whoever sends it, until it is set aside."""
    write_series(tmp_path / "in", ramp((5, 8, 8)), grid())
    command("import", tmp_path / "in")
    short, rotten, gone, whole, stray = sorted((root / "instances").rglob("*.dcm"))
    good = {file: file.read_bytes() for file in (short, rotten, gone, whole, stray)}

    def damage() -> None:
        short.write_bytes(good[short][:-20])
        rotten.write_bytes(good[rotten][:-1] + b"\x7f")
        gone.unlink()

    damage()
    half = stray.with_name("1.2.3.dcm")
    half.write_bytes(b"half")
    assert command("import", tmp_path / "in").code == 0
    found = command("storage", "verify", "--json")
    assert found.code == 1 and {Path(row["path"]) for row in found.json} == {rotten, half}
    assert not any(row["set_aside"] for row in found.json)
    assert short.read_bytes() == good[short] and gone.read_bytes() == good[gone]
    damage()
    assert command("storage", "verify", "--repair").code == 1
    assert {file.name for file in (root / "damaged").iterdir()} == {short.name, rotten.name, half.name}
    assert command("import", tmp_path / "in").code == 0
    assert command("storage", "verify").code == 0
    assert {file: file.read_bytes() for file in good} == good
    # And a second time: what was set aside before stays.
    damage()
    assert command("storage", "verify", "--repair").code == 1
    assert command("import", tmp_path / "in").code == 0 and command("storage", "verify").code == 0
    assert len(list((root / "damaged").iterdir())) == 5


def test_numbers_that_are_too_large_are_misuse(command: Command) -> None:
    assert command("storage", "prune", "--keep-days", "1e12").code == 2


def test_a_dry_run_looks_whether_it_is_there(command: Command) -> None:
    assert command("quarantine", "discard", "1.2.3.0123456789ab", "--dry-run").code == 1


def test_a_peer_whose_files_for_tls_are_not_there_is_not_added(command: Command, root: Path) -> None:
    answer = command("peers", "add", "pacs", "10.0.0.5", 104, "-aec", "PACS", "--tls", "--authority", "ca.pem")
    assert answer.code == 1 and f"{root / 'ca.pem'} is no file" in answer.err
    assert command("peers", "list", "--json").json == []


def test_peers_are_listed_with_where_they_call_from(command: Command) -> None:
    command("peers", "add", "ct", "10.0.0.7", 104, "-aec", "CT", "--address", "10.0.0.0/24", "--address", "10.1.0.9")
    (line,) = command("peers", "list").out.splitlines()[1:]
    assert line.split() == ["ct", "CT", "10.0.0.7", "104", "get", "no", "10.0.0.0/24\\10.1.0.9"]


def test_files_for_tls_that_do_not_do_stop_serve(command: Command, root: Path, tmp_path: Path, site_at: SiteAt) -> None:
    one, other = make(tmp_path, "one"), make(tmp_path, "other")
    nowhere = str(tmp_path / "nowhere.pem")
    for settings, words in (
        (ReceiverSettings(certificate=nowhere, key=one.key), "receiver: certificate: .*nowhere.pem is no file"),
        (ReceiverSettings(certificate=one.certificate, key=other.key), "receiver: .* cannot be used for TLS"),
    ):
        with pytest.raises(ConfigError, match=words):
            preflight.check_settings(site_at(root, Config(receiver=settings)))
    listening = Listener(2575, certificate=one.certificate, key=one.key, client_authority=nowhere)
    with pytest.raises(ConfigError, match=r"listener: client_authority: .*nowhere.pem is no file"):
        preflight.check_settings(site_at(root, Config(listener=listening)))
    good = ReceiverSettings(certificate=one.certificate, key=one.key)
    assert preflight.check_settings(site_at(root, Config(receiver=good))) == []

    (root / "config.toml").write_text(f'[receiver]\ncertificate = "{nowhere}"\nkey = "{nowhere}"\n')
    answer = command("serve", "--port", "0")
    assert answer.code == 1 and answer.out == "" and "nowhere.pem is no file" in answer.err


def test_what_holds_up_nothing_is_a_warning(root: Path, tmp_path: Path, site_at: SiteAt) -> None:
    add_peer(root, KnownPeer("pacs", "10.0.0.5", 104, "PACS", tls=True, certificate_authority="none.pem"))
    audit = AuditSettings(host="10.0.0.6", certificate_authority="gone.pem")
    site = site_at(root, Config(receiver=ReceiverSettings(expected_from="ris"), audit=audit))
    assert preflight.check_settings(site) == [
        f"audit: certificate_authority: {root / 'gone.pem'} is no file.",
        f"peer pacs: certificate_authority: {root / 'none.pem'} is no file.",
        "receiver.expected_from: no peer 'ris'; `workstation peers add` adds it.",
    ]


class Ran:
    """A process of `serve` that has counted something."""

    name, lives, running = "receive 0", 1, True

    def __init__(self) -> None:
        self.counts = Counter(bytes_received=12_345_678_901)


def test_the_monitor_rounds_nothing_and_says_zeros(tmp_path: Path, site_at: SiteAt) -> None:
    site = site_at(
        tmp_path / "root", Config(destinations=(FolderDestination(name='a "b"', takes=("charges",), folder="out"),))
    )
    said = "".join(metric.text() for metric in metrics(site, [Ran()])).splitlines()
    assert "workstation_bytes_received_total 12345678901" in said
    assert r'workstation_outbox_messages{destination="a \"b\"",state="operator"} 0' in said
    assert any(line.startswith("workstation_disk_free_bytes ") and "e+" not in line for line in said)
