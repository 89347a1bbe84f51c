"""We ask DCMTK's and Orthanc's archives what they have, and fetch it; both keep what we sent them first."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable, QueryFailed
from dicom_io.files.series import Series, open_series
from dicom_io.network.query import find_instances, find_scheduled, find_series, find_studies
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer
from dicom_io.network.retrieve import retrieve
from dicom_io.network.send import send
from dicom_io.uids import UidError, derived
from dicom_io.volumes import build_volume
from tests.dicom_io.real import SAMPLE
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import dcmqrscp, listening, orthanc, program, run, storescp


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Series]:
    """Two series of one study, and ten images of the sample, compressed."""
    folder = tmp_path_factory.mktemp("sent")

    def named(ds: Dataset, _: int) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.PatientName, ds.PatientID, ds.AccessionNumber = "Müller^Jörg", "P-1", "ACC-1"
        ds.StudyInstanceUID = derived("one study")
        ds.StudyDate, ds.StudyDescription = "20260302", "Kopf nativ"

    write_series(folder / "a", ramp((5, 16, 16)), grid(), series="a", change=named)
    write_series(folder / "b", ramp((3, 16, 16)), grid(), series="b", change=named)
    real = open_series(SAMPLE)[0]
    return [*open_series(folder), Series(real.uid, real.instances[:10])]


@dataclass(frozen=True)
class Pacs:
    """Theirs, which keeps what was sent, and where it moves things to."""

    peer: Peer
    moved: Archive
    compressed: bool


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def pacs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sent: list[Series]
) -> Iterator[Pacs]:
    folder = tmp_path_factory.mktemp("pacs")
    moved = Archive(folder / "ours")
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver(moved))
        if request.param == "dcmqrscp":
            peer = stack.enter_context(dcmqrscp(folder / "it", receiver.port))
        else:
            peer = stack.enter_context(orthanc(folder / "it", receiver.port)).peer
        assert all(r.accepted for series in sent for r in send(series.instances, peer))
        yield Pacs(peer, moved, request.param == "orthanc")  # dcmqrscp takes uncompressed images alone


def test_studies_series_and_instances(pacs: Pacs, sent: list[Series]) -> None:
    assert {s.study_uid for s in find_studies(pacs.peer)} == {s.first.study_uid for s in sent}
    (study,) = find_studies(pacs.peer, accession="ACC-1")
    assert (study.patient_name, study.patient_id, study.study_date) == ("Müller^Jörg", "P-1", "20260302")
    assert study.description == "Kopf nativ"
    assert find_studies(pacs.peer, patient_id="P-1", dates="20260301-20260303", modality="CT") == find_studies(
        pacs.peer, study_uid=study.study_uid, modality="CT"
    )
    assert find_studies(pacs.peer, patient_id="P-1", dates="-20260301") == []
    assert find_studies(pacs.peer, accession="ACC-1", modality="MR") == []

    series = find_series(pacs.peer, study.study_uid)
    assert {s.series_uid for s in series} == {s.uid for s in sent[:2]} and {s.modality for s in series} == {"CT"}
    for one in sent[:2]:
        found = find_instances(pacs.peer, study.study_uid, one.uid)
        assert [(i.sop_instance_uid, i.number) for i in found] == [
            (i.sop_instance_uid, i.instance_number) for i in one.instances
        ]
        assert {i.sop_class_uid for i in found} <= {one.first.sop_class_uid, ""}  # DCMTK's does not say


def test_a_patients_name_beyond_ascii_is_asked_for(pacs: Pacs) -> None:
    assert [s.accession for s in find_studies(pacs.peer, patient_name="M*^J*")] == ["ACC-1"]


def test_the_peer_is_asked_to_stop(pacs: Pacs) -> None:
    assert len(find_studies(pacs.peer, limit=1)) == 1


def test_get_brings_the_bytes_that_were_sent(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    seen: list[tuple[int, int]] = []
    for series in sent:
        before = len(seen)
        got = retrieve(
            pacs.peer, archive, series.first.study_uid, [series.uid], progress=lambda done, of: seen.append((done, of))
        )
        assert (got.completed, got.whole) == (len(series.instances), True), got
        assert seen[before:] == sorted(seen[before:]) and seen[-1] == (len(series.instances),) * 2
        for instance in series.instances:
            kept = archive.instance(instance.sop_instance_uid)
            if pacs.compressed or series is not sent[2]:
                assert kept.transfer_syntax_uid == instance.transfer_syntax_uid
                assert dcmread(kept.path).PixelData == dcmread(instance.path).PixelData
        np.testing.assert_array_equal(build_volume(archive.series(series.uid)).voxels, build_volume(series).voxels)


def test_get_of_a_study_and_of_one_instance(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    study, (one, other) = sent[0].first.study_uid, sent[1].instances[:2]
    archive = Archive(tmp_path / "some")
    got = retrieve(pacs.peer, archive, study, [sent[1].uid], [one.sop_instance_uid, other.sop_instance_uid])
    assert got.completed == 2 == len(archive.series(sent[1].uid).instances)
    assert retrieve(pacs.peer, Archive(tmp_path / "all"), study).completed == 8


def test_move_has_them_sent_to_our_receiver(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    series = sent[2]
    one = series.instances[0].sop_instance_uid
    assert retrieve(pacs.peer, pacs.moved, series.first.study_uid, [series.uid], [one], how="move").whole
    got = retrieve(pacs.peer, pacs.moved, series.first.study_uid, [series.uid], how="move")
    assert (got.completed, got.whole) == (10, True)
    assert [i.sop_instance_uid for i in pacs.moved.series(series.uid).instances] == [
        i.sop_instance_uid for i in series.instances
    ]


def test_what_a_peer_sends_elsewhere_in_our_name_is_missed(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    """It knows another address for our AE title than that of the machine that asks."""
    got = retrieve(pacs.peer, Archive(tmp_path), sent[2].first.study_uid, [sent[2].uid], how="move")
    assert not got.whole
    assert "sent 10 instances to WORKSTATION, and 0 of them are here" in got.problems[0]


def test_a_move_to_somebody_unknown_is_said(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    with pytest.raises(QueryFailed, match=r"refused C-MOVE: status 0x(A801.* knows no address|C000)"):
        retrieve(pacs.peer, Archive(tmp_path), sent[0].first.study_uid, how="move", move_to="NOBODY")


def test_fetching_is_stopped(pacs: Pacs, sent: list[Series], tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    got = retrieve(pacs.peer, archive, sent[2].first.study_uid, [sent[2].uid], cancelled=lambda: True)
    assert got.cancelled and not got.whole
    kept = sum(len(s.instances) for s in archive.all_series())
    assert kept == got.completed


def test_what_a_full_disk_does_to_a_retrieval_is_said(
    pacs: Pacs, sent: list[Series], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = Archive(tmp_path)
    monkeypatch.setattr(Archive, "spool", full)
    got = retrieve(pacs.peer, archive, sent[0].first.study_uid, [sent[0].uid])
    assert not got.whole and archive.all_series() == ()
    assert "No space left on device" in got.problems[0]


def test_nobody_there_and_no_such_service(tmp_path: Path) -> None:
    with storescp(tmp_path / "theirs") as peer:
        with pytest.raises(QueryFailed, match="does not offer this kind of query"):
            find_studies(peer)
        with pytest.raises(QueryFailed, match="does not offer C-GET; try C-MOVE"):
            retrieve(peer, Archive(tmp_path), "1.2.3")
    with pytest.raises(PeerUnreachable):
        find_studies(peer)
    with pytest.raises(UidError):
        find_series(peer, "../x")


WORKLIST = """
(0010,0010) PN [Doe^Jane]
(0010,0020) LO [P-7]
(0010,0030) DA [19700101]
(0010,0040) CS [F]
(0008,0050) SH [ACC-7]
(0008,0090) PN [Refer^Anna]
(0020,000d) UI [1.2.276.0.7230010.3.2.101]
(0032,1060) LO [CT head with 3D]
(0032,1064) SQ
(fffe,e000) -
(0008,0100) SH [70450]
(0008,0102) SH [C4]
(0008,0104) LO [CT head]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [RP-7]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [CT]
(0040,0001) AE [SCANNER]
(0040,0002) DA [20260302]
(0040,0003) TM [101500]
(0040,0007) LO [CT head]
(0040,0009) SH [SPS-7]
(fffe,e00d) -
(fffe,e0dd) -
"""


def test_a_worklist_of_dcmtk(tmp_path: Path) -> None:
    folder = tmp_path / "lists" / "WLM"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    (tmp_path / "item.dump").write_text(WORKLIST)
    run(program("dump2dcm"), tmp_path / "item.dump", folder / "item.wl")
    name = program("wlmscpfs")
    with listening(lambda ports: [name, "-dfp", tmp_path / "lists", str(ports[0])]) as (port,):
        peer = Peer("127.0.0.1", port, "WLM")
        (step,) = find_scheduled(peer, dates="20260302", modality="CT")
        assert (step.accession, step.procedure_code, step.step_id) == ("ACC-7", "70450", "SPS-7")
        assert (step.patient_id, step.sex, step.start_time) == ("P-7", "F", "101500")
        assert step.procedure_description == "CT head with 3D" and step.study_uid == "1.2.276.0.7230010.3.2.101"
        assert find_scheduled(peer, modality="MR") == []
