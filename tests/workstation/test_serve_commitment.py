"""A charge that waits for its pictures: released only when the PACS has taken responsibility for them."""

import shutil
import threading
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.associate import Peer
from dicom_io.capabilities import STORAGE_COMMITMENT
from dicom_io.commitment import Committed, service
from dicom_io.receive import Receiver
from tests.workstation.conftest import Command
from tests.workstation.running import Serving
from tests.workstation.samples import CT_HEAD, DOCUMENTED, SERIES_UID

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


@pytest.mark.parametrize("when", ["committed", "acknowledged"])
def test_the_charge_follows_the_pictures(command: Command, tmp_path: Path, when: str) -> None:
    root, pacs, peers = tmp_path / "root", Archive(tmp_path / "pacs"), dict[str, Peer]()
    known = threading.Event()

    def find(title: str) -> Peer | None:
        assert known.wait(60)  # it may ask before we have read where it listens
        return peers.get(title)

    def never(answer: Committed) -> None:
        raise AssertionError("the PACS asks nobody")

    with Receiver(pacs, services={STORAGE_COMMITMENT: service(pacs, find, never, "PACS")}) as receiver:
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
            if when == "committed":
                committed = serving.next("committed")
                assert committed["failed"] == 0
            while (decided := serving.next("decided"))["state"] != "charged":
                assert decided["reasons"] == ["NOT_ARCHIVED"]
            while serving.next("acknowledged")["destination"] != "billing":
                pass
            assert serving.terminate() == (0, "stopped")
    assert [p.suffix for p in (root / "outgoing").iterdir()] == [".hl7"]
    assert sum(len(s.instances) for s in pacs.all_series()) == 5
