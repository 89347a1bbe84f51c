"""A peer that is asked, and a destination that is sent to, over DICOMweb: Orthanc with its plugin."""

from pathlib import Path

from dicom_io.files.series import Series
from dicom_io.network.dicomweb import Server, store
from tests.dicom_io.synthetic import grid, image, ramp, write_series
from tests.peers.servers import Orthanc, orthanc
from tests.workstation.conftest import Command
from workstation.config import Config
from workstation.destinations import DicomWebDestination
from workstation.site import open_site
from workstation.store.messages import Message
from workstation.transports.deliver import drain, reach_destinations


def test_a_peer_and_a_destination_that_speak_it(tmp_path: Path, command: Command) -> None:
    sent = write_series(tmp_path / "sent", ramp((4, 16, 16)), grid())
    with orthanc(tmp_path / "orthanc") as theirs:
        assert store(Server(theirs.dicomweb), [Path(i.path) for i in sent.instances]) == {}
        _both(theirs, sent, tmp_path / "root", command)


def _both(theirs: Orthanc, series: Series, root: Path, command: Command) -> None:
    web = DicomWebDestination(name="web", takes=("images",), url=theirs.dicomweb)
    site = open_site(root, Config(destinations=(web,)))
    assert [row["state"] for row in reach_destinations(site)] == ["reached"]
    (made,) = site.archive.keep([image(ramp((1, 8, 8))[0], grid(), 0, series="by STOW")])
    path = str(Path(made.path).relative_to(root))
    site.outbox.queue([Message("web", "dicom", made.sop_instance_uid, "A-1", path=path)], site.clock())
    assert [d.outcome for _, d in drain(site)] == ["acknowledged"]
    site.papers.engine.dispose()

    peer = theirs.peer
    words = ["peers", "add", "pacs", peer.host, str(peer.port), "-aec", peer.ae_title, "--retrieve", "web"]
    assert command(*words).code == 1
    assert command(*words, "--url", theirs.dicomweb).code == 0
    studies = {row["study_uid"] for row in command("query", "pacs", "--json").json}
    assert studies == {made.study_uid, series.first.study_uid}
    study = series.first.study_uid
    assert command("query", "pacs", "--study", study, "--json").json[0]["series_uid"] == series.uid
    assert len(command("query", "pacs", "--study", study, "--series", series.uid, "--json").json) == 4
    assert command("retrieve", "pacs", study, "--dry-run", "--json").json[0]["series_uid"] == series.uid
    assert command("retrieve", "pacs", study, "--json").json["completed"] == 4
