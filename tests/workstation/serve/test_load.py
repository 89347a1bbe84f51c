"""Eight senders at once, 20,000 small instances in four transfer syntaxes: all of them kept, and memory stays flat."""

import subprocess
import time
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.archive.upkeep import verify
from dicom_io.capabilities import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.dicom_io.synthetic import JPEG_LS, RLE, grid, image, ramp, save
from tests.peers.servers import program
from tests.workstation.serve.running import Serving

SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, JPEG_LS, RLE)
SENDERS, COUNT = 8, 20_000
# The template's UID, and what takes its place: of the same length, so that nothing else in the file changes.
TEMPLATE = "1.2.826.0.1.3680043.8.498.1000000"


def write(folder: Path, sender: int) -> list[Path]:
    """The instances of one sender: one series of its own, each file a copy of a template with another UID."""
    folder.mkdir(parents=True)
    files = []
    for n, syntax in enumerate(SYNTAXES):
        ds = image(ramp((1, 16, 16))[0], grid(), 0, series=f"load {sender}")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = TEMPLATE
        template = save(ds, folder / "template.dcm", syntax).read_bytes()
        for k in range(COUNT // SENDERS // len(SYNTAXES)):
            uid = f"{TEMPLATE[:-7]}2{sender}{n}{k:04}"
            assert len(uid) == len(TEMPLATE)
            files.append(folder / f"{n}-{k}.dcm")
            files[-1].write_bytes(template.replace(TEMPLATE.encode(), uid.encode()))
    (folder / "template.dcm").unlink()
    return files


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.campaign
def test_eight_senders_and_twenty_thousand_instances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dcmsend = program("dcmsend")
    for sender in range(SENDERS):
        write(tmp_path / "sent" / str(sender), sender)
    root = tmp_path / "root"
    with Serving(root, limit_s=900, receivers=0) as serving:
        command = [dcmsend, "-q", "--decompress-never", "+sd", "+r", "127.0.0.1", str(serving.port)]
        start = time.perf_counter()
        senders = [subprocess.Popen([*command, str(tmp_path / "sent" / str(n))]) for n in range(SENDERS)]
        receivers = [pid for name, pid in serving.processes.items() if name.startswith("receive")]
        serving.received(COUNT // 4)
        early = [resident_mb(pid) for pid in receivers]
        serving.received(COUNT - COUNT // 4)
        took = time.perf_counter() - start
        late = [resident_mb(pid) for pid in receivers]
        assert [sender.wait(60) for sender in senders] == [0] * SENDERS
        assert serving.terminate() == (0, "stopped")
    archive = Archive(root)
    series = archive.all_series()
    assert [len(s.instances) for s in series] == [COUNT // SENDERS] * SENDERS
    # dcmsend writes implicit little endian as explicit where both are taken.
    assert {i.transfer_syntax_uid for s in series for i in s.instances} >= {*SYNTAXES} - {IMPLICIT_LITTLE}
    assert list(verify(archive)) == []
    with capsys.disabled():
        memory = ", ".join(f"{before:.0f} to {after:.0f} MB" for before, after in zip(early, late, strict=True))
        print(f"\n{COUNT} instances by {SENDERS} senders in {took:.0f} s, {COUNT / took:.0f} a second; memory {memory}")
    assert all(after < before + 25 for before, after in zip(early, late, strict=True))
