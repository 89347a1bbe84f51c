"""The result of `draw`: pixels, their place in the patient, and how they were made."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render.geometry import Plane
from render.recipe import Recipe, VolumeRendering, digest, in_colour
from render.volume import Volume

Pixels = NDArray[np.uint8] | NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a picture was made: enough to make it again from the same sources.

    engine, engine_version : e.g. `cpu`, `0.2.0`; `device` names the GPU for the vtk engine, else empty.
    volume : the drawn volume; its digest reads all voxels, so it is computed when first used, not before the first
        picture.
    second : the volume that a fusion drew over it, else None.
    mask_digest : `Mask.digest` where the recipe's `masking` needs a mask, else empty.
    """

    recipe: Recipe
    engine: str
    engine_version: str
    device: str
    volume: Volume
    mask_digest: str = ""
    second: Volume | None = None

    @property
    def volume_digest(self) -> str:
        """`Volume.digest` of the volume."""
        return self.volume.digest

    @property
    def source_uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs of the volume, then of the one fused with it."""
        return self.volume.source_uids + (self.second.source_uids if self.second is not None else ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings from building the volume, and the one fused with it."""
        return self.volume.warnings + (self.second.warnings if self.second is not None else ())

    @property
    def recipe_digest(self) -> str:
        return digest(self.recipe)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One drawn recipe; a rotation or a stack has several frames.

    pixels : volume rendering and fused reformat (F, rows, columns, 3) uint8 RGB; projection and reformat (F, rows,
        columns) in the volume's dtype and unit. Read-only.
    planes : one `Plane` a frame: the plane itself for a reformat, the plane through the middle of what was drawn,
        facing the observer, for renderings and projections (parallel projection, so its scale holds everywhere).
        Empty for perspective, which has no such scale.
    unit : the volume's unit for values, `RGB` for a rendering.
    """

    pixels: Pixels
    planes: tuple[Plane, ...]
    unit: str
    provenance: Provenance
    _digest: list[str] = field(default_factory=list, init=False, repr=False)

    @property
    def recipe(self) -> Recipe:
        return self.provenance.recipe

    @property
    def digest(self) -> str:
        """The sha256 of shape, type (little endian) and bytes of the pixels."""
        if not self._digest:
            pixels = np.ascontiguousarray(self.pixels)
            h = hashlib.sha256(f"{pixels.shape} {pixels.dtype.str}".encode())
            h.update(pixels.data)
            self._digest.append(h.hexdigest())
        return self._digest[0]


def to_rgb(picture: Picture, frame: int = 0) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 for a screen or a PNG; values go through the recipe's window."""
    shown = to_8bit(picture, frame)
    return shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=-1)


def to_8bit(picture: Picture, frame: int = 0) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 where the picture is in colour, else (rows, columns): its values through the
    recipe's window.

    Source: PS3.3 C.11.2.1.2.1 (LINEAR VOI LUT function).
    """
    recipe, pixels = picture.recipe, picture.pixels[frame]
    if isinstance(recipe, VolumeRendering) or in_colour(recipe):
        return np.asarray(pixels, dtype=np.uint8)
    return window_8bit(pixels, recipe.window.centre, recipe.window.width)


def window_8bit(values: Pixels, centre: float, width: float) -> NDArray[np.uint8]:
    """Maps values through a LINEAR window to 0…255. Source: PS3.3 C.11.2.1.2.1."""
    if values.dtype == np.int16 and values.size > _INT16.size:
        return np.take(_window_table(centre, width), values.view(np.uint16))
    return _windowed(values, centre, width)


# Every value of int16, at the place of its bits read as a number from 0.
_INT16 = np.arange(1 << 16, dtype=np.uint16).view(np.int16)


@lru_cache(maxsize=32)
def _window_table(centre: float, width: float) -> NDArray[np.uint8]:
    return _windowed(_INT16, centre, width)


def _windowed(values: Pixels, centre: float, width: float) -> NDArray[np.uint8]:
    scaled = values.astype(np.float64)
    scaled -= centre - 0.5
    scaled /= max(width - 1.0, 1e-6)
    scaled += 0.5
    scaled *= 255.0
    np.rint(scaled, out=scaled)
    return np.asarray(np.clip(scaled, 0, 255, out=scaled), dtype=np.uint8)
