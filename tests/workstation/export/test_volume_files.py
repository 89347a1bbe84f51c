"""Exported volumes, read back by an independent reader."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from render import Volume
from tests.thorough import examples
from tests.workstation.conftest import Command
from workstation.export.volume_files import ExportError, export

ENDINGS = [".nrrd", ".mha", ".nii", ".nii.gz"]


def volume(dtype: type[np.generic] = np.int16, tilt: float = 0.0, turn: float = 0.3) -> Volume:
    voxels = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    i, j, k = rotation @ [0.7, 0, 0], rotation @ [0, 0.8, 0], rotation @ [0, 2.5 * np.tan(tilt), 2.5]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = k, j, i, (-10.0, 20.0, 35.5)
    return Volume(voxels, affine, "HU")


def same_place(read: sitk.Image, made: Volume) -> None:
    assert np.array_equal(sitk.GetArrayFromImage(read), made.voxels)
    for k, j, i in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (3, 4, 5)):
        theirs = np.array(read.TransformIndexToPhysicalPoint((i, j, k)))
        ours = (made.affine @ [k, j, i, 1])[:3]
        assert np.abs(theirs - ours).max() < 1e-4


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(turn=st.floats(-3.1, 3.1))
def test_every_format_keeps_values_and_places(
    tmp_path: Path, ending: str, dtype: type[np.generic], turn: float
) -> None:
    made = volume(dtype, turn=turn)
    same_place(sitk.ReadImage(str(export(made, tmp_path / f"v{ending}"))), made)


def test_a_tilted_gantry_keeps_its_shear_or_is_refused(tmp_path: Path) -> None:
    made = volume(tilt=np.radians(18.5))
    with pytest.raises(ExportError, match="holds no sheared grid"):
        export(made, tmp_path / "v.mha")
    assert list(tmp_path.iterdir()) == []
    text = export(made, tmp_path / "v.nrrd").read_bytes().split(b"\n\n")[0].decode()
    directions = next(line for line in text.splitlines() if line.startswith("space directions"))
    third = [float(v) for v in directions.rsplit("(", 1)[1].rstrip(")").split(",")]
    assert np.allclose(third, made.affine[:3, 0], atol=1e-9)


def test_the_command(command: Command, slices: Path, tmp_path: Path) -> None:
    file = tmp_path / "head.nrrd"
    assert command("export", slices, "-o", file).code == 0
    assert sitk.ReadImage(str(file)).GetSize() == (256, 256, 16)
    wrong = command("export", slices, "-o", tmp_path / "head.doc")
    assert wrong.code == 1
    assert ".nrrd, .mha, .nii, .nii.gz" in wrong.err
