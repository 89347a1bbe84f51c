"""Storage commitment with Orthanc, both ways, and with ourselves."""

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dicom_io.archive import Archive
from dicom_io.capabilities import STORAGE_COMMITMENT
from dicom_io.errors import NotOffered
from dicom_io.network.commitment import Committed, Reference, ask, new_transaction, service
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from tests.peers.servers import orthanc, storescp


class Heard:
    """Answers that came to our receiver."""

    def __init__(self) -> None:
        self.answers: list[Committed] = []
        self._came = threading.Event()

    def __call__(self, answer: Committed) -> None:
        self.answers.append(answer)
        self._came.set()

    def one(self) -> Committed:
        assert self._came.wait(120), "no answer came"
        self._came.clear()
        return self.answers.pop()


def test_orthanc_commits_to_us_and_we_to_orthanc(tmp_path: Path) -> None:
    sent = write_series(tmp_path / "sent", ramp((3, 8, 8)), grid()).instances
    references = [Reference(i.sop_class_uid, i.sop_instance_uid) for i in sent]
    stranger = Reference(CT, "1.2.3.4")
    archive, heard = Archive(tmp_path / "ours"), Heard()
    peers: dict[str, Peer] = {}
    with (
        Receiver(archive, services={STORAGE_COMMITMENT: service(archive, peers.get, heard)}) as receiver,
        orthanc(tmp_path / "theirs", receiver.port) as theirs,
    ):
        peers["ORTHANC"] = theirs.peer
        # They commit.
        assert all(r.accepted for r in send(sent, theirs.peer))
        transaction = new_transaction()
        ask(theirs.peer, transaction, [*references, stranger])
        answer = heard.one()
        assert answer.transaction_uid == transaction
        assert set(answer.committed) == set(references)
        assert answer.failed == ((stranger, 0x0112),)
        # We commit: two that we have and one that we have not.
        assert all(r.accepted for r in send(sent[:2], Peer("127.0.0.1", receiver.port, "WORKSTATION"), "ORTHANC"))
        wanted = [{"SOPClassUID": r.sop_class_uid, "SOPInstanceUID": r.sop_instance_uid} for r in references]
        made = _rest(f"{theirs.url}/modalities/us/storage-commitment", {"DicomInstances": wanted})
        there = _rest(f"{theirs.url}{made['Path']}")
        end = time.monotonic() + 120
        while there["Status"] == "Pending" and time.monotonic() < end:
            time.sleep(0.05)
            there = _rest(f"{theirs.url}{made['Path']}")
        assert there["Status"] == "Failure"
        assert {i["SOPInstanceUID"] for i in there["Success"]} == {i.sop_instance_uid for i in sent[:2]}
        assert [f["SOPInstanceUID"] for f in there["Failures"]] == [sent[2].sop_instance_uid]


def _rest(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
        return json.loads(answer.read())


def test_whoever_does_not_offer_it_says_so(tmp_path: Path) -> None:
    with storescp(tmp_path / "theirs") as peer, pytest.raises(NotOffered):
        ask(peer, new_transaction(), [Reference(CT, "1.2.3")])


def test_what_is_damaged_is_not_committed(tmp_path: Path) -> None:
    sent = write_series(tmp_path / "sent", ramp((2, 8, 8)), grid()).instances
    archive, heard = Archive(tmp_path / "pacs"), Heard()
    ours = Archive(tmp_path / "ours")
    peers: dict[str, Peer] = {}
    with (
        Receiver(archive, services={STORAGE_COMMITMENT: service(archive, peers.get, heard)}) as pacs,
        Receiver(ours, services={STORAGE_COMMITMENT: service(ours, peers.get, heard)}) as receiver,
    ):
        there = Peer("127.0.0.1", pacs.port, "PACS")
        peers["WORKSTATION"] = Peer("127.0.0.1", receiver.port, "WORKSTATION")
        send(sent, there)
        damaged = Path(archive.instance(sent[0].sop_instance_uid).path)
        damaged.write_bytes(damaged.read_bytes()[:-8])
        wrong = Reference("1.2.840.10008.5.1.4.1.1.4", sent[1].sop_instance_uid)
        right = Reference(CT, sent[1].sop_instance_uid)
        ask(there, new_transaction(), [Reference(CT, sent[0].sop_instance_uid), wrong, right])
        answer = heard.one()
    assert answer.committed == (right,)
    assert sorted(reason for _, reason in answer.failed) == [0x0110, 0x0119]
