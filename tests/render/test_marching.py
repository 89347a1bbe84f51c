"""A surface is marched a few slices at a time: the same vertices and triangles as at once, and other threads run."""

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st

from render import surface as module
from render.geometry import affine_from
from render.mask import Mask
from render.surface import surface
from render.volume import Volume
from tests.render.beside import turns_beside


def volume_of(shape: tuple[int, int, int]) -> Volume:
    affine = affine_from((-3.0, 7.0, 11.0), (0.0, 0.0, 2.5), (0.0, 0.7, 0.0), (0.9, 0.0, 0.0))
    return Volume(np.zeros(shape, dtype=np.int16), affine, "1")


@settings(deadline=None)
@given(st.integers(0, 2**31), st.tuples(*[st.integers(2, 8)] * 3), st.floats(0.0, 1.0), st.sampled_from((1, 70, 200)))
def test_it_is_the_surface_of_all_slices_at_once(
    seed: int, shape: tuple[int, int, int], filled: float, at_once: int
) -> None:
    inside = np.random.default_rng(seed).random(shape) < filled
    volume = volume_of(shape)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_VOXELS_AT_ONCE", at_once)
        found = surface(Mask(inside.astype(np.uint8) * 3), 3, volume)
    if not inside.any():
        assert found is None
        return
    indices, faces, _, _ = skimage.measure.marching_cubes(
        np.pad(inside, 1).astype(np.float32), 0.5, gradient_direction="ascent", allow_degenerate=False
    )
    vertices = (indices.astype(np.float64) - 1.0) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert found is not None
    np.testing.assert_array_equal(found.vertices_mm, vertices.astype(np.float32))
    turned = np.linalg.det(volume.affine[:3, :3]) < 0
    np.testing.assert_array_equal(found.triangles, faces[:, ::-1] if turned else faces)


def test_other_threads_run_meanwhile() -> None:
    """At once, scikit-image would keep the interpreter for as long as it takes, and a window with it."""
    shape = (90, 200, 200)
    k, j, i = np.indices(shape)
    ball = Mask((np.hypot(np.hypot(2.2 * (k - 45), j - 100), i - 100) < 95.0).astype(np.uint8))
    assert turns_beside(lambda: surface(ball, 1, volume_of(shape))) > 5
