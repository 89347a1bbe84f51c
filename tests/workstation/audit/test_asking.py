"""Who asked which node for what, what came of it, and who changed whom we work with: all of it in the audit trail."""

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_io.archive import Archive
from dicom_io.capabilities import MODALITY_WORKLIST_FIND, STUDY_ROOT_FIND
from dicom_io.errors import DicomIOError
from dicom_io.files.series import Series
from dicom_io.network.receive import Receiver
from dicom_io.network.send import send
from render.progress import Progress
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from tests.peers.servers import dcmqrscp, free_ports
from tests.workstation.audit.audit_messages import checked
from tests.workstation.conftest import Command
from workstation.cli.shared import account
from workstation.config import AuditSettings, Config, ReceiverSettings, WorklistSettings
from workstation.desktop.model.remote import Remote
from workstation.orders.modality_worklist import poll
from workstation.peers.known import KnownPeer, add_peer
from workstation.site import Site

QUERY, BEGIN, TRANSFER = ("110112", ""), ("110102", ""), ("110104", "")


def messages(root: Path) -> list[Any]:
    """Every message so far, each as the standard has it."""
    lines = (root / "audit.log").read_text(encoding="utf-8").splitlines()
    checked(lines)
    return [etree.fromstring(line.encode()) for line in lines]


def events(root: Path) -> list[tuple[str, str]]:
    return checked((root / "audit.log").read_text(encoding="utf-8").splitlines())


def asked_for(message: Any) -> tuple[str, Dataset]:
    """(SOP class, identifier) of a query."""
    found = message.find("ParticipantObjectIdentification")
    (detail,) = found.findall("ParticipantObjectDetail")
    assert base64.b64decode(detail.get("value")).decode() == ExplicitVRLittleEndian
    identifier = dcmread(BytesIO(base64.b64decode(found.findtext("ParticipantObjectQuery"))), force=True)
    return found.get("ParticipantObjectID"), identifier


def who(message: Any) -> list[tuple[str, str, bool]]:
    """(user, role, whether it asked for it) of each participant."""
    return [
        (
            p.get("UserID"),
            "" if p.find("RoleIDCode") is None else p.find("RoleIDCode").get("csd-code"),
            p.get("UserIsRequestor") == "true",
        )
        for p in message.findall("ActiveParticipant")
    ]


def outcome(message: Any) -> str:
    return str(message.find("EventIdentification").get("EventOutcomeIndicator"))


def sent_to(folder: Path) -> Series:
    return write_series(folder, ramp((4, 8, 8)), grid())


def test_on_the_command_line(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text("[audit]\n")
    sent = sent_to(tmp_path / "sent")
    study, us = sent.first.study_uid, "WORKSTATION"
    with Receiver(Archive(tmp_path / "moved")) as receiver, dcmqrscp(tmp_path / "pacs", receiver.port) as peer:
        send(sent.instances, peer)
        assert command("peers", "add", "pacs", peer.host, str(peer.port), "-aec", peer.ae_title).code == 0
        said = command("query", "pacs", "--patient-name", "Müller*", "--patient-id", "P-4711", "--dates", "20260301-")
        command("query", "pacs", "--study", study)
        command("query", "pacs", "--study", study, "--series", sent.uid)
        assert command("query", "pacs", "--worklist", "--modality", "CT").code == 1  # it has none
        assert command("retrieve", "pacs", study).code == 0
        assert command("retrieve", "pacs", study).code == 0
        assert command("retrieve", "pacs", study, "--how", "move").code == 0
    assert "P-4711" not in said.err and "Müller" not in said.err
    assert command("retrieve", "pacs", study).code == 1  # nobody listens there any more
    assert command("peers", "remove", "pacs").code == 0

    found = messages(root)
    assert events(root) == [
        ("110113", "110128"), QUERY, QUERY, QUERY, QUERY,
        BEGIN, TRANSFER, BEGIN, TRANSFER, BEGIN, BEGIN, TRANSFER, ("110113", "110128"),
    ]  # fmt: skip
    added, studies, series, instances, worklist = found[:5]
    assert who(added) == [(account(), "", True)]
    words = added.find("ParticipantObjectIdentification/ParticipantObjectDetail").get("value")
    assert f"DCMQRSCP at 127.0.0.1:{peer.port}" in base64.b64decode(words).decode()
    ends = [(us, "110153", False), ("DCMQRSCP", "110152", False), (account(), "", True)]
    assert all(who(message) == ends for message in found[1:5])
    model, identifier = asked_for(studies)
    assert model == STUDY_ROOT_FIND and outcome(studies) == "0"
    assert identifier.QueryRetrieveLevel == "STUDY" and str(identifier.PatientName) == "Müller*"
    assert (identifier.PatientID, identifier.StudyDate) == ("P-4711", "20260301-")
    _, identifier = asked_for(series)
    assert (identifier.QueryRetrieveLevel, identifier.StudyInstanceUID) == ("SERIES", study)
    _, identifier = asked_for(instances)
    assert (identifier.QueryRetrieveLevel, identifier.SeriesInstanceUID) == ("IMAGE", sent.uid)
    model, identifier = asked_for(worklist)
    assert model == MODALITY_WORKLIST_FIND and outcome(worklist) == "4"
    assert identifier.ScheduledProcedureStepSequence[0].Modality == "CT"

    back = [("DCMQRSCP", "110153", False), (us, "110152", False), (account(), "", True)]
    assert all(who(message) == back for message in found[5:-1])
    first, second, failed = found[6], found[8], found[11]
    assert [m.find("EventIdentification").get("EventActionCode") for m in (first, second)] == ["C", "R"]
    assert [outcome(m) for m in (first, second, failed)] == ["0", "0", "4"]
    objects = {o.get("ParticipantObjectID") for o in first.findall("ParticipantObjectIdentification")}
    assert objects == {study, sent.first.patient_id}
    counted = first.find("ParticipantObjectIdentification/ParticipantObjectDescription/SOPClass")
    assert (counted.get("UID"), counted.get("NumberOfInstances")) == (CT, "4")
    assert failed.find("ParticipantObjectIdentification").get("ParticipantObjectID") == study


def test_at_the_desktop(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path / "root", Config(audit=AuditSettings()))
    sent = sent_to(tmp_path / "sent")
    tell: Progress = lambda what, part: None  # noqa: E731 - it is asked to be a function of that kind
    with dcmqrscp(tmp_path / "pacs") as peer:
        send(sent.instances, peer)
        add_peer(site.root, KnownPeer("pacs", peer.host, peer.port, peer.ae_title))
        remote = Remote(site, "DR1")
        (found,) = remote.find("pacs", {"patient_id": sent.first.patient_id, "accession": ""})
        assert "4 instances" in remote.fetch("pacs", found, tell)
    assert events(site.root) == [QUERY, BEGIN, TRANSFER]
    query, begin, transfer = messages(site.root)
    assert all(who(message)[2] == ("DR1", "", True) for message in (query, begin, transfer))
    patients = [
        [o.get("ParticipantObjectID") for o in m.findall("ParticipantObjectIdentification")][1]
        for m in (begin, transfer)
    ]
    assert patients == [sent.first.patient_id] * 2


def test_by_ourselves_and_by_the_web(command: Command, tmp_path: Path, site_at: Callable[..., Site]) -> None:
    (nobody,) = free_ports(1)
    config = Config(
        audit=AuditSettings(), worklist=WorklistSettings("ris"), receiver=ReceiverSettings(expected_from="ris")
    )
    site = site_at(tmp_path / "root", config)
    add_peer(site.root, KnownPeer("ris", "127.0.0.1", nobody, "RIS"))
    assert poll(site) == 0
    (query,) = messages(site.root)
    assert who(query) == [("WORKSTATION", "110153", True), ("RIS", "110152", False)] and outcome(query) == "4"
    assert asked_for(query)[1].ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate.endswith("-")

    url = f"http://127.0.0.1:{nobody}/dicom-web"
    add_peer(site.root, KnownPeer("web", "127.0.0.1", nobody, "WEB", retrieve="web", url=url))
    (site.root / "config.toml").write_text("[audit]\n")
    assert command("query", "web", "--accession", "A-1").code == 1
    query = messages(site.root)[-1]
    assert [user for user, _, _ in who(query)] == ["WORKSTATION", url, account()]
    assert asked_for(query)[1].AccessionNumber == "A-1"


def test_who_may_sign_in(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSTATION_PASSWORD", "a long password")
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text("[audit]\n")
    assert command("people", "add", "DR1", "--name", "Sample^Radiologist", "--role", "physician").code == 0
    assert command("people", "add", "DR2", "--name", "X", "--role", "automatic").code != 0
    assert command("people", "remove", "DR1").code == 0
    assert events(root) == [("110113", "110137")] * 2
    added, removed = messages(root)
    objects = [m.find("ParticipantObjectIdentification").get("ParticipantObjectID") for m in (added, removed)]
    assert objects == ["DR1", "DR1"] and who(added) == [(account(), "", True)]
    assert "long password" not in (root / "audit.log").read_text()


def test_wrong_settings_stop_a_change_before_it_is_made(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text("[audit]\ncolour = 1\n")
    assert command("peers", "add", "pacs", "127.0.0.1", "104", "-aec", "PACS").code == 1
    assert not (root / "peers.toml").exists()


def test_without_a_trail_nothing_is_written(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path / "root")
    add_peer(site.root, KnownPeer("away", "127.0.0.1", free_ports(1)[0], "AWAY"))
    with pytest.raises(DicomIOError):
        Remote(site, "DR1").find("away", {})
    assert not (site.root / "audit.log").exists()
