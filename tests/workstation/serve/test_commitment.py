"""A charge that waits for its pictures: released only when the PACS has taken responsibility for them."""

import shutil
import threading
from pathlib import Path
from queue import Queue

import pytest

from dicom_io.archive import Archive
from dicom_io.capabilities import STORAGE_COMMITMENT
from dicom_io.network.commitment import Committed, Reference, ask, service
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.conftest import Answer, Command, SiteAt
from tests.workstation.samples import CT_HEAD, DOCUMENTED, SERIES_UID
from tests.workstation.serve.running import Serving
from workstation.config import load_config
from workstation.peers.commitment import ask_for_commitment, hear
from workstation.peers.known import KnownPeer, add_peer
from workstation.transports.deliver import drain

DESTINATIONS = """
[[destinations]]
name = "pacs"
kind = "dicom"
takes = ["images"]
port = {port}
ae_title = "PACS"
archived_when = "{when}"

[[destinations]]
name = "billing"
kind = "folder"
takes = ["charges"]
folder = "outgoing"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "offered"),
    [
        ("committed", True),
        pytest.param("acknowledged", False, marks=pytest.mark.slow),
        pytest.param("offered", True, marks=pytest.mark.slow),
        pytest.param("offered", False, marks=pytest.mark.slow),
    ],
)
def test_the_charge_follows_the_pictures(command: Command, tmp_path: Path, when: str, offered: bool) -> None:
    root, pacs, peers = tmp_path / "root", Archive(tmp_path / "pacs"), dict[str, Peer]()
    known = threading.Event()

    def find(title: str) -> Peer | None:
        assert known.wait(60)  # it may ask before we have read where it listens
        return peers.get(title)

    def never(answer: Committed) -> None:
        raise AssertionError("the PACS asks nobody")

    services = {STORAGE_COMMITMENT: service(pacs, find, never, "PACS")} if offered else {}
    with Receiver(pacs, services=services) as receiver:
        root.mkdir(exist_ok=True)
        (root / "config.toml").write_text(DESTINATIONS.format(port=receiver.port, when=when))
        folder = tmp_path / "in"
        folder.mkdir()
        for file in sorted(CT_HEAD.glob("*.dcm"))[:12]:
            shutil.copy(file, folder)
        assert command("import", str(folder)).code == 0
        ran = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["decision"]["disposition"] == "hold"
        assert ran.json["decision"]["reasons"] == ["NOT_ARCHIVED"]
        with Serving(root, "--interval-s", "0.2", "--port", "0") as serving:
            peers["WORKSTATION"] = Peer("127.0.0.1", serving.port, "WORKSTATION")
            known.set()
            if offered:
                committed = serving.next("committed")
                assert committed["failed"] == 0
            while (decided := serving.next("decided"))["state"] != "charged":
                assert decided["reasons"] == ["NOT_ARCHIVED"]
            while serving.next("acknowledged")["destination"] != "billing":
                pass
            assert serving.terminate() == (0, "stopped")
    assert [p.suffix for p in (root / "outgoing").iterdir()] == [".hl7"]
    assert sum(len(s.instances) for s in pacs.all_series()) == 5


def run_for(pacs: Receiver, when: str, root: Path, command: Command, slices: Path) -> Answer:
    """A documented case at a site whose pictures go to this PACS."""
    root.mkdir()
    (root / "config.toml").write_text(DESTINATIONS.format(port=pacs.port, when=when))
    command("import", slices)
    ran = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json")
    assert ran.code == 0, ran.err
    return ran


def test_what_the_pacs_has_not_got_is_sent_again_three_times_at_most(
    command: Command, slices: Path, tmp_path: Path, site_at: SiteAt
) -> None:
    """It acknowledges an image, loses it, and says so when it is asked to commit."""
    root, pacs = tmp_path / "root", Archive(tmp_path / "pacs")
    with Receiver(pacs) as receiver:
        run_for(receiver, "committed", root, command, slices)
        site = site_at(root, load_config(root))
        lost, *_ = [m for m in site.outbox.pending() if m.kind == "dicom"]
        states = []
        for turn in range(4):
            drain(site)
            (entry,) = site.outbox.find(lost.key)
            states.append(entry.state)
            reference = Reference("1.2.840.10008.5.1.4.1.1.7", lost.identity)
            transaction = f"1.2.3.{turn}"
            site.commitments.ask("pacs", transaction, [reference], site.clock())
            hear(site, Committed(transaction, (), ((reference, 0x0112),)))
            (entry,) = site.outbox.find(lost.key)
            states.append(entry.state)
        assert states == ["acknowledged", "retrying", "acknowledged", "retrying", "acknowledged"] + ["operator"] * 3
        assert "has not got it" in entry.last_detail
        listed = {row["identity"]: row["archived"] for row in command("outbox", "list", "--json").json}
        assert listed[lost.identity] == "no"
        assert set(listed.values()) == {"no", "no: not asked to commit yet"}
        # An answer to a request that nobody made, or with another reason, sends nothing.
        other = next(m for m in site.outbox.list() if m.message.kind == "dicom" and m.message.key != lost.key)
        reference = Reference("1.2.840.10008.5.1.4.1.1.7", other.message.identity)
        hear(site, Committed("1.2.9", (), ((reference, 0x0112),)))
        site.commitments.ask("pacs", "1.2.8", [reference], site.clock())
        hear(site, Committed("1.2.8", (), ((reference, 0x0110),)))
        assert site.outbox.find(other.message.key)[0].state == "acknowledged"


def test_a_destination_that_offers_no_commitment_is_not_asked_with_every_picture(
    command: Command, slices: Path, tmp_path: Path, site_at: SiteAt
) -> None:
    root, pacs = tmp_path / "root", Archive(tmp_path / "pacs")
    with Receiver(pacs) as receiver:
        answer = run_for(receiver, "offered", root, command, slices)
        assert answer.json["decision"]["reasons"] == ["NOT_ARCHIVED"]
        # Sending decides what rests on it, and sends what follows.
        assert command("outbox", "send", "--json").json["left"] == 0
        assert [p.suffix for p in (root / "outgoing").iterdir()] == [".hl7"]
        rows = command("outbox", "list", "--json").json
        assert {row["archived"] for row in rows if row["kind"] == "dicom"} == {"yes: acknowledged"}
        assert {row["archived"] for row in rows if row["kind"] != "dicom"} == {""}
        site = site_at(root, load_config(root))
        known = site.commitments.offers("pacs")
        assert known is not None and not known[0]
        asked = receiver.counts["associations_accepted"]
        told: list[object] = []
        assert ask_for_commitment(site, told.append) == 0
        assert receiver.counts["associations_accepted"] == asked and told == []


@pytest.mark.slow
def test_what_a_sender_asks_us_to_commit_to_is_complete(tmp_path: Path) -> None:
    """It lists what it has sent. While something of that is not here, nothing is complete by it."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text("[receiver]\nseries_quiet_s = 100000\n")
    first = write_series(tmp_path / "first", ramp((4, 8, 8)), grid())
    second = write_series(tmp_path / "second", ramp((2, 8, 8)), grid(), series="second")
    sent = [Reference(i.sop_class_uid, i.sop_instance_uid) for s in (first, second) for i in s.instances]
    answers = Queue[Committed]()

    def nobody(title: str) -> Peer | None:
        raise AssertionError("it is asked nothing")

    services = {STORAGE_COMMITMENT: service(Archive(tmp_path / "theirs"), nobody, answers.put)}
    with Receiver(Archive(tmp_path / "theirs"), services=services) as modality, Serving(root) as serving:
        add_peer(root, KnownPeer("ct", "127.0.0.1", modality.port, "CT"))
        us = Peer("127.0.0.1", serving.port, serving.ae_title)
        assert all(r.accepted for r in send((*first.instances[:3], *second.instances), us, "CT"))
        ask(us, "1.2.3.1", sent, "CT")
        assert [r.sop_instance_uid for r, _ in answers.get(timeout=60).failed] == [first.instances[3].sop_instance_uid]
        assert all(r.accepted for r in send(first.instances[3:], us, "CT"))
        ask(us, "1.2.3.2", sent, "CT")
        assert not answers.get(timeout=60).failed
        complete = [serving.next("series complete", "series reopened") for _ in range(2)]
        assert {(e["series"], e["instances"], e["revision"]) for e in complete} == {
            (first.uid, 4, 1),
            (second.uid, 2, 1),
        }
        # Asked again, as by a sender that missed our answer, it is no news; a late instance is.
        ask(us, "1.2.3.3", sent, "CT")
        assert not answers.get(timeout=60).failed
        late = write_series(tmp_path / "late", ramp((5, 8, 8)), grid()).instances[4:]
        assert late[0].series_uid == first.uid
        assert all(r.accepted for r in send(late, us, "CT"))
        assert serving.next("series complete", "series reopened") == {
            "event": "series reopened",
            "series": first.uid,
            "revision": 2,
        }
        ask(us, "1.2.3.4", [Reference(i.sop_class_uid, i.sop_instance_uid) for i in late], "CT")
        again = serving.next("series complete", "series reopened")
        assert (again["series"], again["instances"], again["revision"]) == (first.uid, 5, 2)
        assert serving.terminate() == (0, "stopped")
