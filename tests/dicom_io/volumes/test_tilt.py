"""A tilted gantry from files to pictures: what is straight in the patient is straight, angles and lengths are his."""

import math
from pathlib import Path

import numpy as np
import pytest

from dicom_io.volumes import build_volume
from render import Reformat, View, Window, draw
from render.geometry import Affine
from tests.dicom_io.synthetic import grid, write_series

SHAPE = (40, 64, 64)
# A rod from one LPS point to another, and its half-width in mm.
LOW, HIGH, RADIUS = np.array([22.0, 14.0, 12.0]), np.array([22.0, 40.0, 66.0]), 3.0


def stored(affine: Affine) -> np.ndarray:
    """The rod, sampled where the scanner's slices lie: soft at its edge, so that its middle can be found exactly."""
    index = np.indices(SHAPE).reshape(3, -1)
    places = (affine[:3, :3] @ index + affine[:3, 3:]).T
    axis = (HIGH - LOW) / np.linalg.norm(HIGH - LOW)
    along = np.clip((places - LOW) @ axis, 0, np.linalg.norm(HIGH - LOW))
    away = np.linalg.norm(places - (LOW + along[:, None] * axis), axis=1)
    return np.asarray((1000 * np.clip(1.5 - away / RADIUS, 0, 1)).astype(np.int16).reshape(SHAPE))


@pytest.mark.parametrize("degrees", [0.0, 18.5, -27.0])
def test_a_rod_stays_straight_with_its_angle_and_length(tmp_path: Path, degrees: float) -> None:
    tilt = 2.0 * math.tan(math.radians(degrees))
    # So that the rod lies within the slices whichever way they are shifted.
    origin = (-10.0, -5.0 - 20 * tilt, 0.0)
    affine = grid(spacing_mm=(2.0, 1.0, 1.0), origin_mm=origin, tilt_mm=(tilt, 0.0))
    volume = build_volume(write_series(tmp_path, stored(affine), affine))
    middle = (LOW + HIGH) / 2
    recipe = Reformat(
        Window(500.0, 1000.0), View.parse("left"), rows=160, columns=160, pixel_mm=0.5, centre_mm=tuple(middle)
    )
    picture = draw(volume, recipe)
    pixels = np.asarray(picture.pixels[0], dtype=np.float64)
    plane = picture.planes[0]
    rows, columns = np.nonzero(pixels > pixels.max() * 0.5)
    assert rows.size > 500
    # The rod's middle in each row, as LPS mm.
    middles = np.array(
        [
            plane.at(row, float(np.average(np.arange(pixels.shape[1]), weights=pixels[row] - pixels.min())))
            for row in range(rows.min() + 14, rows.max() - 14)
        ]
    )
    fit = np.polyfit(middles[:, 2], middles[:, 1], 1)
    assert np.abs(np.polyval(fit, middles[:, 2]) - middles[:, 1]).max() < 0.25  # straight, to half a pixel
    slope = (HIGH - LOW)[1] / (HIGH - LOW)[2]
    assert math.degrees(math.atan(fit[0])) == pytest.approx(math.degrees(math.atan(slope)), abs=0.5)
    ends = [np.array(plane.at(float(rows[n]), float(columns[n]))) for n in (rows.argmin(), rows.argmax())]
    # Half the highest value is met one radius beyond each end.
    assert float(np.linalg.norm(ends[0] - ends[1])) == pytest.approx(
        float(np.linalg.norm(HIGH - LOW)) + 2 * RADIUS, abs=1.5
    )
    assert any("gantry was tilted" in w for w in volume.warnings) == (degrees != 0.0)
