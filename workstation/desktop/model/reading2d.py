"""Reading in 2D what makes no volume: the images of a series in order, each as a picture with a window."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_io.volumes import SeriesImage
from workstation.desktop.model.identity import UNKNOWN, SeriesIdentity
from workstation.desktop.model.offers import VolumeOffer


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a series that are read in 2D. why : the reason, as a sentence. title : patient and series.
    identity : whose they are. offers : volumes that can be made of them all the same."""

    images: tuple[SeriesImage, ...]
    why: str
    title: str
    identity: SeriesIdentity = UNKNOWN
    offers: tuple[VolumeOffer, ...] = ()


# A line on an image: row and column of its beginning, then of its end; 0 is the middle of the first pixel.
PixelLine = tuple[float, float, float, float]


def spacing_of(image: SeriesImage) -> tuple[float, float] | None:
    """Returns (row spacing, column spacing) in mm; None where the image says none."""
    frames = image.instance.frames
    return frames[min(image.frame, len(frames) - 1)].spacing_mm if frames else None


def length_words(line: PixelLine, spacing_mm: tuple[float, float] | None) -> str:
    """Returns the length of a line in mm; in pixels where the image says no spacing. Source: PS3.3 10.7.1.3."""
    down, along = line[2] - line[0], line[3] - line[1]
    if spacing_mm is None:
        return f"{math.hypot(down, along):.1f} px"
    return f"{math.hypot(down * spacing_mm[0], along * spacing_mm[1]):.1f} mm"


def value_words(values: NDArray[np.float32] | None, row: int, column: int) -> str:
    """Returns the value of a pixel; nothing for one outside the image, and for colours."""
    if values is None or not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
        return ""
    return f"{float(values[row, column]):.4g}"


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
