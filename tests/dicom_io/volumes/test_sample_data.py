"""The series this repository carries: whole, licensed, and what its page says it is."""

import hashlib

import pytest

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from tests.dicom_io.real import SAMPLE


def test_every_file_is_the_one_that_was_checked() -> None:
    sums = dict(line.split()[::-1] for line in (SAMPLE / "SHA256SUMS").read_text().splitlines())
    files = sorted(p.name for p in SAMPLE.glob("*.dcm"))
    assert len(files) == 108
    assert set(files) <= set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((SAMPLE / name).read_bytes()).hexdigest() == digest, name


def test_licence_and_source_lie_beside_it() -> None:
    source = (SAMPLE / "SOURCE.md").read_text()
    assert "GPL-2" in source and "InVesalius" in source and "LICENSE" in source
    assert "GPL-2" in (SAMPLE / "LICENSE").read_text()


def test_it_is_the_volume_its_page_says() -> None:
    (series,) = open_series(SAMPLE)
    volume = build_volume(series)
    assert volume.shape == (108, 256, 256)
    assert volume.spacing_mm == pytest.approx((1.5, 0.957031, 0.957031), abs=1e-6)
    assert (volume.unit, volume.voxels.dtype.name, volume.warnings) == ("HU", "int16", ())
    assert series.first.accession == "DEMO-0001"
    assert volume.affine[:3, 3] == pytest.approx((-122.021478, -122.021478, 0.0))
    # Air around, bone inside.
    assert volume.voxels[0, 0, 0] < -900
    assert volume.voxels.max() > 1500
