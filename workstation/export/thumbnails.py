"""A small picture of a volume: its middle planes in the usual order, axial, coronal, sagittal."""

from pathlib import Path

import numpy as np
from PIL import Image

from render.annotate import annotated
from render.draw import draw
from render.geometry import View, corners_mm
from render.recipe import Reformat, Window
from render.volume import Volume

_SIZE_PX = 256
# Seen from the feet, from the front, and from the patient's left.
_VIEWS = ("foot", "anterior", "left")
# Voxels beyond these percentiles are shown black or white; the few extreme ones are noise or metal.
_PARTS = (1.0, 99.5)
_SAMPLES = 200_000


def save_thumbnail(volume: Volume, path: Path) -> Path:
    """Writes three planes side by side as one PNG, with orientation letters and no patient data."""
    window = _window(volume)
    corners = np.array(corners_mm(volume.shape, volume.affine))
    pixel_mm = float(np.ptp(corners, axis=0).max()) * 1.05 / _SIZE_PX
    planes = []
    for name in _VIEWS:
        recipe = Reformat(window, View.parse(name), rows=_SIZE_PX, columns=_SIZE_PX, pixel_mm=pixel_mm, name=name)
        planes.append(annotated(draw(volume, recipe)))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(planes, axis=1)).save(path)
    return path


def _window(volume: Volume) -> Window:
    """Returns the soft tissue window for CT, else the range of most voxels."""
    if volume.unit == "HU":
        return Window(40.0, 400.0)
    every = max(1, volume.voxels.size // _SAMPLES)
    low, high = np.percentile(volume.voxels.reshape(-1)[::every].astype(np.float64), _PARTS)
    return Window(float(low + high) / 2, max(float(high - low), 1e-6))
