"""Our archive as others see it: asked and fetched from by DCMTK and Orthanc, beside what Orthanc itself answers."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.capabilities import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from dicom_io.errors import QueryFailed
from dicom_io.files.instance import Instance
from dicom_io.files.series import Series, open_series
from dicom_io.network.commands import C_FIND, C_GET, C_MOVE
from dicom_io.network.provide import archive_services
from dicom_io.network.query import find_instances, find_series, find_studies
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, Proposal, associate
from dicom_io.network.retrieve import retrieve
from dicom_io.network.send import send
from dicom_io.network.services import Request
from dicom_io.uids import derived
from tests.dicom_io.real import SAMPLE
from tests.dicom_io.synthetic import JPEG_LS, grid, ramp, write_series
from tests.peers.servers import Orthanc, orthanc, program, run, storescp


@dataclass
class Ours:
    peer: Peer
    archive: Archive
    sent: list[Series]
    known: dict[str, Peer]
    asked: list[Request]
    given: list[tuple[str, int]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ours, Orthanc]]:
    """We and Orthanc with the same: three studies of two patients, one of them compressed."""
    folder = tmp_path_factory.mktemp("provide")

    def named(name: str, study: str, day: str, accession: str) -> Any:
        def change(ds: Dataset, _: int) -> None:
            ds.SpecificCharacterSet = "ISO_IR 192"
            ds.PatientName, ds.PatientID, ds.AccessionNumber = name, f"P-{name[:1]}", accession
            ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime = derived(study), day, "101500"
            ds.StudyDescription, ds.SeriesDescription = f"Schädel {study}", f"Serie {study}"

        return change

    first = named("Müller^Jörg", "one", "20260302", "ACC-1")
    write_series(folder / "in/a", ramp((5, 16, 16)), grid(), series="a", change=first)
    write_series(folder / "in/b", ramp((3, 16, 16)), grid(), series="b", change=first, syntax=JPEG_LS)
    write_series(
        folder / "in/c", ramp((2, 16, 16)), grid(), series="c", change=named("Adams^Ann", "two", "20260305", "ACC-2")
    )
    real = open_series(SAMPLE)[0]
    sent = [*open_series(folder / "in"), Series(real.uid, real.instances[:6])]
    archive = Archive(folder / "ours")
    known: dict[str, Peer] = {}
    asked: list[Request] = []
    given: list[tuple[str, int]] = []

    def gave(request: Request, instances: Any) -> None:
        given.append((request.calling, len(instances)))

    services = archive_services(archive, known.get, "WORKSTATION", asked.append, gave)
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver(archive, services=services))
        theirs = stack.enter_context(orthanc(folder / "it", receiver.port))
        known["ORTHANC"] = theirs.peer
        ours = Peer("127.0.0.1", receiver.port, "WORKSTATION")
        for peer in (ours, theirs.peer):
            assert all(r.accepted for series in sent for r in send(series.instances, peer))
        yield Ours(ours, archive, sent, known, asked, given), theirs


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"accession": "ACC-1"},
        {"accession": "ACC-*"},
        {"accession": "acc-1"},
        {"accession": "NONE"},
        {"patient_id": "P-M"},
        {"patient_id": "P-?"},
        {"patient_name": "Müller^Jörg"},
        {"patient_name": "M*"},
        {"patient_name": "adams*"},
        {"patient_name": "*^Ann"},
        {"dates": "20260302"},
        {"dates": "20260301-20260303"},
        {"dates": "-20260303"},
        {"dates": "20260304-"},
        {"modality": "CT"},
        {"modality": "MR"},
        {"description": "*one"},
        {"study_uid": derived("two")},
        {"patient_id": "P-M", "dates": "20260305-"},
    ],
)
def test_the_same_studies_as_orthanc_finds(both: tuple[Ours, Orthanc], conditions: dict[str, str]) -> None:
    ours, theirs = both
    found = find_studies(ours.peer, **conditions)  # type: ignore[arg-type]
    assert found == find_studies(theirs.peer, **conditions)  # type: ignore[arg-type]
    assert find_studies(ours.peer)[0] in found or conditions


def test_the_same_series_and_instances_as_orthanc_finds(both: tuple[Ours, Orthanc]) -> None:
    ours, theirs = both
    for study in find_studies(ours.peer):
        series = find_series(ours.peer, study.study_uid)
        assert series == find_series(theirs.peer, study.study_uid) and len(series) == study.series
        for one in series:
            found = find_instances(ours.peer, study.study_uid, one.series_uid)
            assert found == find_instances(theirs.peer, study.study_uid, one.series_uid)
            assert len(found) == one.instances


def test_findscu_and_getscu(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    there = ["-aec", "WORKSTATION", ours.peer.host, str(ours.peer.port)]
    said = run(
        program("findscu"), "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=P-M", "-k", "StudyInstanceUID",
        "-k", "NumberOfStudyRelatedInstances", *there,
    )  # fmt: skip
    assert derived("one") in said and derived("two") not in said and "[8 ]" in said
    study = derived("one")
    run(
        program("getscu"), "-S", "-od", str(tmp_path), "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={study}", "+B", *there,
    )  # fmt: skip
    got = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, tmp_path.iterdir())}
    wanted = {i.sop_instance_uid: i for s in ours.sent if s.first.study_uid == study for i in s.instances}
    assert set(got) == set(wanted)
    for uid, ds in got.items():  # getscu proposes no compression: ours comes as it is or without
        np_same(ds, wanted[uid])


def np_same(ds: Dataset, instance: Instance) -> None:
    assert (ds.pixel_array == dcmread(instance.path).pixel_array).all()


def test_fetched_by_ourselves_as_it_is_kept(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    archive = Archive(tmp_path)
    for series in ours.sent:
        got = retrieve(ours.peer, archive, series.first.study_uid, [series.uid])
        assert got.whole and got.completed == len(series.instances)
        for one, other in zip(archive.series(series.uid).instances, series.instances, strict=True):
            assert replace(one, path="", pixel_offset=0) == replace(other, path="", pixel_offset=0)
    uid = ours.sent[0].instances[2].sop_instance_uid
    study = ours.sent[0].first.study_uid
    again = Archive(tmp_path / "one")
    assert retrieve(ours.peer, again, study, [ours.sent[0].uid], [uid]).completed == 1
    assert again.instance(uid).sop_instance_uid == uid


def test_fetching_is_stopped(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    archive, series = Archive(tmp_path), ours.sent[3]
    got = retrieve(ours.peer, archive, series.first.study_uid, [series.uid], cancelled=lambda: True)
    assert got.cancelled and got.completed < len(series.instances)
    assert got.completed == sum(archive.counts().values())


def test_movescu_has_us_send_to_a_peer_that_we_know(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    with storescp(tmp_path / "theirs", "+xa") as peer:
        ours.known["STORESCP"] = peer
        run(
            program("movescu"), "-S", "-aem", "STORESCP", "-k", "QueryRetrieveLevel=SERIES",
            "-k", f"StudyInstanceUID={derived('one')}", "-k", f"SeriesInstanceUID={ours.sent[0].uid}",
            "-aec", "WORKSTATION", ours.peer.host, str(ours.peer.port),
        )  # fmt: skip
        del ours.known["STORESCP"]
    assert len(list((tmp_path / "theirs").iterdir())) == len(ours.sent[0].instances)


def test_orthanc_asks_and_fetches(both: tuple[Ours, Orthanc]) -> None:
    ours, theirs = both

    def rest(method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(theirs.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)

    query = rest("POST", "/modalities/us/query", {"Level": "Study", "Query": {"PatientID": "P-A"}})
    (found,) = rest("GET", f"{query['Path']}/answers?expand")
    study = derived("two")
    assert found["0020,000d"]["Value"] == study
    (theirs_of_it,) = rest("POST", "/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": study}})
    rest("DELETE", f"/studies/{theirs_of_it}")
    assert find_studies(theirs.peer, study_uid=study) == []
    wanted = {"Level": "Study", "Resources": [{"StudyInstanceUID": study}], "TargetAet": "ORTHANC"}
    rest("POST", "/modalities/us/move", wanted)
    assert find_studies(theirs.peer, study_uid=study) == find_studies(ours.peer, study_uid=study) != []


@pytest.mark.parametrize(
    ("field", "model", "keys", "more", "status"),
    [
        (C_FIND, STUDY_ROOT_FIND, {"QueryRetrieveLevel": "PATIENT"}, {}, 0xA900),
        (C_FIND, STUDY_ROOT_FIND, {"QueryRetrieveLevel": "SERIES"}, {}, 0xA900),
        (C_FIND, STUDY_ROOT_FIND, {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}, {}, 0xA900),
        (C_GET, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY"}, {}, 0xA900),
        (C_GET, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}, {}, 0x0000),
        (C_MOVE, STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": derived("one")},
         {"move_destination": "NOBODY"}, 0xA801),
    ],
)  # fmt: skip
def test_what_the_model_does_not_allow_is_refused(
    both: tuple[Ours, Orthanc], field: int, model: str, keys: dict[str, str], more: dict[str, str], status: int
) -> None:
    ours, _ = both
    ds = Dataset()
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    with associate(ours.peer, "TEST", [Proposal(model)]) as association:
        *_, last = association.ask(field, model, data=ds, **more)  # type: ignore[arg-type]
    assert last.status == status


def test_a_destination_that_is_away_fails_every_instance(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    ours.known["AWAY"] = Peer("127.0.0.1", 1, "AWAY")
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.StudyInstanceUID = "STUDY", derived("one")
    with associate(ours.peer, "TEST", [Proposal(STUDY_ROOT_MOVE)]) as association:
        *_, last = association.ask(C_MOVE, STUDY_ROOT_MOVE, data=ds, move_destination="AWAY")
    assert (last.status, last.command.failed, last.command.completed, last.command.remaining) == (0xB000, 8, 0, None)
    assert last.data_set is not None and len(last.data_set.FailedSOPInstanceUIDList) == 8
    assert "nobody listens there" in last.command.comment or last.command.comment
    del ours.known["AWAY"]


def test_who_asked_and_what_was_given_is_told(both: tuple[Ours, Orthanc], tmp_path: Path) -> None:
    ours, _ = both
    ours.asked.clear()
    ours.given.clear()
    find_studies(ours.peer, "ASKER", accession="ACC-2")
    (request,) = ours.asked
    assert (request.calling, request.address, request.data_set.AccessionNumber) == ("ASKER", "127.0.0.1", "ACC-2")
    retrieve(ours.peer, Archive(tmp_path), derived("two"), calling="ASKER")
    end = time.monotonic() + 60  # it is told once the last answer is out, which the peer may read first
    while not ours.given:
        assert time.monotonic() < end
    assert ours.given == [("ASKER", 2)]


def test_without_the_service_it_is_not_offered(tmp_path: Path) -> None:
    with Receiver(Archive(tmp_path)) as receiver, pytest.raises(QueryFailed, match="does not offer"):
        find_studies(Peer("127.0.0.1", receiver.port, "WORKSTATION"))
