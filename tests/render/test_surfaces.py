"""Surfaces as drawn, against the same surfaces with ten times as many samples."""

from dataclasses import replace

import numpy as np
import pytest

from render import View, Volume, VolumeRendering, draw, load_preset
from render.geometry import affine_from


def ball(edge: int = 48, radius: float = 17.0) -> Volume:
    """A ball of 1000 in 0, voxels of 1 mm, with an edge of 1.4 mm as partial volume gives it."""
    middle = (edge - 1) / 2.0
    k, j, i = np.indices((edge, edge, edge)) - middle
    away = np.sqrt(k * k + j * j + i * i)
    values = np.clip(1000.0 * (radius + 0.7 - away) / 1.4, 0.0, 1000.0)
    return Volume(values.astype(np.int16), affine_from((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "1")


@pytest.mark.parametrize("preset", ["mr_default", "us_volume"])
def test_a_ball_shows_no_rings_of_the_samples(preset: str) -> None:
    """Root mean square of the difference in grey levels: 1.4 and 2.7 with whole steps at the surface."""
    view = View.parse("anterior, 20 towards left, 10 up")
    recipe = VolumeRendering(load_preset(preset), view, rows=120, columns=120, field_of_view_mm=40.0)
    found, fine = (draw(ball(), replace(recipe, step_voxels=step)).pixels.astype(float) for step in (1.0, 0.1))
    difference = (found - fine)[fine.max(axis=-1) > 0.0]
    assert np.sqrt(np.mean(difference**2)) < 1.1
