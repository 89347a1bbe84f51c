"""`workstation register` on made-up heads, and what it writes as others and we read it."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom import dcmread

from dicom_io.errors import NotReadable
from dicom_io.files.series import open_series
from dicom_io.objects.spatial_registration import read_spatial_registration
from dicom_io.volumes import build_volume
from render.geometry import Affine
from tests.dicom_io.synthetic import MR, write_series
from tests.render.heads import head, move_of, target_error_mm
from tests.workstation.conftest import Command

MOVE = move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a head, the same head moved, and another head, each a series of its own frame of reference."""
    folder = tmp_path_factory.mktemp("heads")
    for name, volume in {"fixed": head(), "moved": head(MOVE), "other": head(seed=2)}.items():
        write_series(folder / name, volume.voxels, volume.affine, sop_class=MR, series=name)
    return {name: folder / name for name in ("fixed", "moved", "other")}


@pytest.mark.slow
def test_a_move_is_found_and_written_in_every_format(command: Command, heads: dict[str, Path], tmp_path: Path) -> None:
    fixed, moving = heads["fixed"], heads["moved"]
    found = command("register", fixed, moving, "-o", tmp_path / "move.dcm", "--json").json
    transform = np.array(found["transform"])
    assert target_error_mm(head(), MOVE, transform) < 0.3 * 3.5
    assert found["overlap"] > 0.9 and not found["declined"]

    read = read_spatial_registration(dcmread(tmp_path / "move.dcm"))
    volumes = [build_volume(open_series(path)[0]) for path in (moving, fixed)]
    assert np.allclose(read.move(*volumes), transform, atol=1e-8)
    assert np.allclose(np.array(read.move(*volumes[::-1])) @ transform, np.eye(4), atol=1e-8)
    with pytest.raises(NotReadable, match="neither the frame of reference"):
        read.move(head(frame="1.2.3"), volumes[1])

    assert command("register", fixed, moving, "-o", tmp_path / "move.json").code == 0
    assert json.loads((tmp_path / "move.json").read_text(encoding="utf-8")) == found
    assert command("register", fixed, moving, "-o", tmp_path / "move.tfm").code == 0
    assert np.allclose(_by_itk(tmp_path / "move.tfm", (10.0, 20.0, 90.0)), np.linalg.inv(transform) @ (10, 20, 90, 1))


def _by_itk(path: Path, at: tuple[float, float, float]) -> Affine:
    """Where ITK's reader takes a point of the fixed volume, homogeneous."""
    return np.array([*sitk.ReadTransform(str(path)).TransformPoint(at), 1.0])


@pytest.mark.slow
def test_another_head_is_declined_and_nothing_is_written(
    command: Command, heads: dict[str, Path], tmp_path: Path
) -> None:
    answer = command("register", heads["fixed"], heads["other"], "-o", tmp_path / "move.dcm", "--json")
    assert answer.code == 1
    assert answer.json["transform"] is None and "Edges of the two agree" in answer.json["declined"]
    assert not (tmp_path / "move.dcm").exists()


def test_an_unknown_ending_is_told_before_anything_is_read(command: Command, tmp_path: Path) -> None:
    answer = command("register", "nowhere", "nowhere", "-o", tmp_path / "move.txt")
    assert answer.code == 1 and "there are .dcm, .json, .tfm" in answer.err
