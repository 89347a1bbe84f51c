"""Reading in 2D what makes no volume: the images of a series in order, each as a picture with a window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_io.volumes import SeriesImage


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a series that makes no volume. why : the reason, as a sentence. title : patient and series."""

    images: tuple[SeriesImage, ...]
    why: str
    title: str


def first_window(image: SeriesImage, values: NDArray[np.float32]) -> tuple[float, float]:
    """Returns (centre, width): what the image proposes, else its range without the outermost percent."""
    if image.window is not None and image.window[1] >= 1.0:
        return image.window
    low, high = (float(v) for v in np.percentile(values, (1.0, 99.0)))
    return (low + high) / 2.0, max(high - low, 1.0)


def shown(values: NDArray[np.float32], window: tuple[float, float], inverse: bool) -> NDArray[np.uint8]:
    """Returns (rows, columns) grey levels. inverse : MONOCHROME1. Source: PS3.3 C.11.2.1.2.1 (LINEAR), C.7.6.3.1.2."""
    centre, width = window
    part = (values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5
    grey = np.clip(np.nan_to_num(part), 0.0, 1.0)
    return np.asarray(np.round((1.0 - grey if inverse else grey) * 255.0), np.uint8)


def words(images: Images, n: int) -> str:
    """Returns what stands below image n: its number, and where it lies as far as it says so."""
    plane = images.images[n].plane
    where = "" if plane is None else "   ({:.1f}, {:.1f}, {:.1f}) mm".format(*plane[:3, 2])
    return f"{n + 1} / {len(images.images)}{where}"
