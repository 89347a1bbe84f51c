"""What comes may be made to fill the memory: it is refused with its reason, and little memory is taken meanwhile."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.capabilities import DEFLATED, EXPLICIT_LITTLE
from dicom_io.errors import NotReadable
from dicom_io.files import headers
from dicom_io.files.series import read_instance
from tests.dicom_io.synthetic import grid, ramp, write_series

# Reads a file and prints its fault and the most memory that this took, in megabytes.
PROGRAM = """
import resource, sys
from dicom_io.errors import NotReadable
from dicom_io.files.series import read_instance
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_instance(sys.argv[1])
except NotReadable as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def inflating(folder: Path, size: int) -> Path:
    """A deflated instance with a private element of so many zeros before its pixels."""
    (instance,) = write_series(folder, ramp((1, 16, 16)), grid()).instances
    ds = dcmread(instance.path)
    ds.private_block(0x0009, "TEST", create=True).add_new(1, "OB", b"")
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    plain = folder / "plain.dcm"
    ds.save_as(plain)
    data = plain.read_bytes()
    empty = b"\x09\x00\x01\x10OB\x00\x00" + (0).to_bytes(4, "little")
    assert data.count(empty) == 1
    meta = 144 + int.from_bytes(data[140:144], "little")
    front, behind = data[meta:].split(empty)
    deflating = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = [deflating.compress(front + empty[:8] + size.to_bytes(4, "little"))]
    out += [deflating.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    out += [deflating.compress(bytes(size % (1 << 20)) + behind), deflating.flush()]
    old, new = (uid.encode() + b"\0" * (len(uid) % 2) for uid in (EXPLICIT_LITTLE, DEFLATED))
    head = data[:meta]
    at = head.index(b"\x02\x00\x10\x00UI") + 6
    head = head[:at] + len(new).to_bytes(2, "little") + new + head[at + 2 + len(old) :]
    head = head[:140] + (len(head) - 144).to_bytes(4, "little") + head[144:]
    file = folder / "deflated.dcm"
    file.write_bytes(head + b"".join(out))
    return file


def test_a_deflated_instance_is_read(tmp_path: Path) -> None:
    assert read_instance(inflating(tmp_path, 1000)).transfer_syntax_uid == DEFLATED


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="resident memory is read from Linux's /proc")
def test_one_that_inflates_beyond_measure_is_refused(tmp_path: Path) -> None:
    file = inflating(tmp_path, 300 << 20)
    assert file.stat().st_size < 1 << 20
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, timeout=120, check=True
    ).stdout.splitlines()
    assert "inflates to more than 256 MB" in said[0]
    assert int(said[1]) < 60


@pytest.mark.parametrize("vr", ["OB", "UN"])
def test_a_long_element_before_the_pixels_is_not_held(tmp_path: Path, vr: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_MOST_HELD_BYTES", 1 << 20)
    (instance,) = write_series(tmp_path, ramp((1, 16, 16)), grid()).instances
    ds = dcmread(instance.path)
    ds.private_block(0x0009, "TEST", create=True).add_new(1, vr, bytes(2 << 20))
    ds.save_as(instance.path)
    assert read_instance(Path(instance.path)).rows == 16, "passed over by our own parser"
    with pytest.raises(NotReadable, match="more than 1 MB beside the pixel data"):
        headers.read_dataset(instance.path)
