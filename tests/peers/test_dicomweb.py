"""DICOMweb with Orthanc's plugin: what we store there is found there, and comes back as it was."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable, QueryFailed
from dicom_io.files.series import Series, open_series
from dicom_io.network import query
from dicom_io.network.dicomweb import Server, find_instances, find_series, find_studies, retrieve, store
from dicom_io.volumes import build_volume
from tests.dicom_io.real import SAMPLE
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import Orthanc, free_ports, orthanc


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Series]:
    folder = tmp_path_factory.mktemp("sent")
    write_series(folder, ramp((4, 16, 16)), grid())
    real = open_series(SAMPLE)[0]
    return [*open_series(folder), Series(real.uid, real.instances[:5])]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, sent: list[Series]) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc") / "it") as server:
        for series in sent:
            assert store(Server(server.dicomweb), [Path(i.path) for i in series.instances]) == {}
        yield server


def test_it_finds_what_c_find_finds(theirs: Orthanc, sent: list[Series]) -> None:
    server = Server(theirs.dicomweb)
    assert {s.study_uid for s in find_studies(server)} == {s.first.study_uid for s in sent}
    for series in sent:
        study = series.first.study_uid
        (found,) = find_studies(server, study_uid=study)
        (same,) = query.find_studies(theirs.peer, study_uid=study)
        assert (found.patient_id, found.patient_name, found.study_date, found.accession) == (
            same.patient_id,
            same.patient_name,
            same.study_date,
            same.accession,
        )
        assert [s.series_uid for s in find_series(server, study)] == [series.uid]
        assert find_instances(server, study, series.uid) == query.find_instances(theirs.peer, study, series.uid)
    assert find_studies(server, patient_id="NOBODY") == []


def test_what_comes_back_is_what_was_stored(theirs: Orthanc, sent: list[Series], tmp_path: Path) -> None:
    archive, seen = Archive(tmp_path), list[tuple[int, int]]()
    for series in sent:
        got = retrieve(
            Server(theirs.dicomweb), archive, series.first.study_uid, progress=lambda done, of: seen.append((done, of))
        )
        assert (got.completed, got.whole) == (len(series.instances), True), got
        assert seen[-1] == (len(series.instances),) * 2
        for instance in series.instances:
            kept = archive.instance(instance.sop_instance_uid)
            assert kept.transfer_syntax_uid == instance.transfer_syntax_uid
            assert dcmread(kept.path).PixelData == dcmread(instance.path).PixelData
        np.testing.assert_array_equal(build_volume(archive.series(series.uid)).voxels, build_volume(series).voxels)


def test_one_instance_and_a_stop(theirs: Orthanc, sent: list[Series], tmp_path: Path) -> None:
    series, server = sent[1], Server(theirs.dicomweb)
    one = series.instances[0].sop_instance_uid
    got = retrieve(server, Archive(tmp_path / "a"), series.first.study_uid, [series.uid], [one])
    assert (got.completed, got.whole) == (1, True)
    got = retrieve(server, Archive(tmp_path / "b"), series.first.study_uid, [series.uid], cancelled=lambda: True)
    assert got.cancelled and got.completed == 1


def test_what_is_not_there_is_said(theirs: Orthanc, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(PeerUnreachable, match="cannot be reached"):
        find_studies(Server(f"http://127.0.0.1:{port}/dicom-web"))
    with pytest.raises(QueryFailed, match="HTTP 404"):
        find_studies(Server(f"{theirs.url}/nothing"))
    assert retrieve(Server(theirs.dicomweb), Archive(tmp_path), "1.2.3").completed == 0
