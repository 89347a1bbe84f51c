"""A real Orthanc with DICOM TLS, both ways: each shows the other a certificate, and wants one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable
from dicom_io.files.series import Series
from dicom_io.network.query import find_instances, find_series, find_studies
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, echo
from dicom_io.network.retrieve import retrieve
from dicom_io.network.send import send
from dicom_io.network.tls import Tls, server_context
from tests.dicom_io.certificates import both_sides, shown
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import orthanc, orthanc_tls


@dataclass(frozen=True)
class Pair:
    """Theirs, as we reach it, and ours, as it reaches us. folder : of the certificates."""

    peer: Peer
    url: str
    receiver: Receiver
    archive: Archive
    folder: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return both_sides(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pair(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    archive = Archive(folder / "ours")
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver(archive, tls=server_context(shown(certificates, "ours"))))
        theirs = stack.enter_context(orthanc(folder / "it", **orthanc_tls(certificates, receiver.port)))
        peer = replace(theirs.peer, tls=shown(certificates, "ours"))
        yield Pair(peer, theirs.url, receiver, archive, certificates)


@pytest.fixture(scope="module")
def sent(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Series:
    """A series that we sent it by TLS."""
    series = write_series(tmp_path_factory.mktemp("sent"), ramp((4, 16, 16)), grid())
    assert all(r.accepted for r in send(series.instances, pair.peer))
    return series


def post(url: str, body: object) -> Any:
    data = body if isinstance(body, str) else json.dumps(body)
    with urlopen(Request(url, data.encode(), method="POST"), timeout=60) as answer:
        return json.loads(answer.read())


def test_without_tls_or_with_another_certificate_nobody_is_let_in(pair: Pair) -> None:
    echo(pair.peer)
    folder = pair.folder
    for wrong in (
        None,
        Tls(str(folder / "authority.pem")),
        Tls(str(folder / "authority.pem"), str(folder / "stranger.pem"), str(folder / "stranger.key")),
        Tls(str(folder / "elsewhere.pem"), str(folder / "ours.pem"), str(folder / "ours.key")),
    ):
        with pytest.raises(PeerUnreachable):
            echo(replace(pair.peer, tls=wrong))


def test_it_is_asked_what_it_has(pair: Pair, sent: Series) -> None:
    (study,) = find_studies(pair.peer, patient_id=sent.first.patient_id)
    (series,) = find_series(pair.peer, study.study_uid)
    assert (study.study_uid, series.series_uid) == (sent.first.study_uid, sent.uid)
    found = find_instances(pair.peer, study.study_uid, series.series_uid)
    assert {i.sop_instance_uid for i in found} == {i.sop_instance_uid for i in sent.instances}


def test_we_get_from_it(pair: Pair, sent: Series, tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    assert retrieve(pair.peer, archive, sent.first.study_uid).completed == 4
    assert archive.digests(sent.uid) == _digests(sent, tmp_path / "same")


def test_it_moves_to_us(pair: Pair, sent: Series) -> None:
    got = retrieve(pair.peer, pair.archive, sent.first.study_uid, [sent.uid], how="move")
    assert (got.completed, got.whole) == (4, True)
    assert len(pair.archive.series(sent.uid).instances) == 4


def test_it_sends_to_us(pair: Pair, tmp_path: Path) -> None:
    series = write_series(tmp_path / "sent", ramp((3, 16, 16)), grid(), series="another")
    assert all(r.accepted for r in send(series.instances, pair.peer))
    (known,) = post(f"{pair.url}/tools/lookup", series.uid)
    assert post(f"{pair.url}/modalities/us/echo", {}) == {}
    done = post(f"{pair.url}/modalities/us/store", [known["ID"]])
    assert (done["InstancesCount"], done["FailedInstancesCount"]) == (3, 0)
    assert pair.archive.digests(series.uid) == _digests(series, tmp_path / "same")


def _digests(series: Series, folder: Path) -> dict[str, str]:
    """As an archive has them that was given the files themselves."""
    archive = Archive(folder)
    archive.import_files(Path(series.first.path).parent)
    return archive.digests(series.uid)
