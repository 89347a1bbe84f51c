"""The images of a series in order, for reading in 2D: also of a series that makes no volume."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_io.files.colour import colours, why_no_colour
from dicom_io.files.decode import open_pixels
from dicom_io.files.instance import Instance
from dicom_io.files.series import Series
from dicom_io.volumes.slices import Slice, places_along
from render.geometry import Affine


@dataclass(frozen=True, slots=True)
class SeriesImage:
    """One image of a series. frame : its number within its instance, from 0.

    plane : (4, 3) float64, maps homogeneous (j, i, 1) pixel indices to LPS mm in its first three rows, pixel centres;
    None where the image does not say where it is. Source: PS3.3 C.7.6.2.1.1.
    slope, intercept : from stored values to those of `unit`. window : (centre, width) that the image proposes, in
    rescaled values, None where it proposes none. in_colour : whether it has `colours` instead of values.
    """

    instance: Instance
    frame: int
    plane: NDArray[np.float64] | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    in_colour: bool = False

    def stored_values(self) -> NDArray[Any]:
        """Returns (rows, columns) integers or floats as they are stored. Raises NotReadable."""
        return open_pixels(self.instance)(self.frame)

    def values(self) -> NDArray[np.float32]:
        """Returns (rows, columns) rescaled values. Raises NotReadable. Source: PS3.3 C.11.1.1.2."""
        return np.asarray(self.stored_values() * self.slope + self.intercept, np.float32)

    def colours(self) -> NDArray[np.uint8]:
        """Returns (rows, columns, 3) uint8 red, green, blue of an image in colour. Raises NotReadable."""
        return colours(self.instance, self.frame)


@dataclass(frozen=True, slots=True)
class ImageStack:
    """The images of a series in order, and in `left_out` the reasons why instances are not among them, with counts."""

    images: tuple[SeriesImage, ...]
    left_out: tuple[tuple[str, int], ...] = ()


def stack_of(series: Series) -> ImageStack:
    """Returns the images of a series for reading in 2D, whatever they make together.

    They are in order along their common normal where each has a place of its own on it, else by instance number and
    frame. Images in colour are among them (8 bits a colour, or a palette); instances without pixels are left out, with
    the reason. No pixels are read here.
    """
    images: list[SeriesImage] = []
    left_out: Counter[str] = Counter()
    for instance in sorted(series.instances, key=lambda i: (i.instance_number, i.sop_instance_uid)):
        if not instance.is_image:
            left_out["it holds no image pixels"] += 1
            continue
        in_colour = instance.samples != 1 or instance.photometric == "PALETTE COLOR"
        if in_colour and (why := why_no_colour(instance)):
            left_out[why] += 1
        else:
            images += [_image(instance, n, in_colour) for n in range(len(instance.frames))]
    return ImageStack(tuple(_by_place(images) or images), tuple(left_out.items()))


def _image(instance: Instance, n: int, in_colour: bool) -> SeriesImage:
    frame = instance.frames[n]
    plane: Affine | None = None
    if frame.position_mm and frame.orientation and frame.spacing_mm and min(frame.spacing_mm) > 0.0:
        plane = np.zeros((4, 3))
        plane[:3, 0] = np.array(frame.orientation[3:]) * frame.spacing_mm[0]
        plane[:3, 1] = np.array(frame.orientation[:3]) * frame.spacing_mm[1]
        plane[:3, 2], plane[3, 2] = frame.position_mm, 1.0
        plane.setflags(write=False)
    return SeriesImage(instance, n, plane, frame.slope, frame.intercept, frame.window, in_colour)


def _by_place(images: list[SeriesImage]) -> list[SeriesImage]:
    """Returns the images in order along their normal; nothing unless they share one and none lies where another is."""
    slices = [Slice(image.instance, image.frame) for image in images if image.plane is not None]
    if len(slices) < max(2, len(images)):
        return []
    directions = np.array([s.frame.orientation for s in slices])
    if not np.isfinite(directions).all() or np.ptp(directions, axis=0).max() > 1e-3 or not directions[0].any():
        return []
    along = places_along(slices)
    if (np.diff(np.sort(along)) < 0.01).any():
        return []
    return [images[n] for n in np.argsort(along, kind="stable")]
