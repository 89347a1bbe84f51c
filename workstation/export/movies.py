"""Writes rotations and stacks as GIF, which every program shows, and as MP4 (H.264), which has all colours."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workstation import DISTRIBUTION
from workstation.errors import WorkstationError

FRAMES_PER_S = 10
# The first that the installed FFmpeg has. H.264 plays in every browser and office program, MPEG-4 part 2 in most.
_ENCODERS = ("libx264", "libopenh264", "mpeg4")

RgbFrame = NDArray[np.uint8]


class VideoError(WorkstationError):
    """MP4 cannot be written on this machine; the message says what to install."""


def encoder() -> str:
    """Returns the name of the encoder for MP4 files. Raises VideoError when there is none."""
    try:
        import av
    except ImportError as error:
        raise VideoError(
            f"MP4 files need the package `av`, which cannot be loaded here ({error}). Nothing was drawn; install it "
            f"with pip install '{DISTRIBUTION}[video]', or ask for GIF."
        ) from error
    found = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if found is None:
        raise VideoError(
            f"The installed `av` {av.__version__} has none of the encoders {', '.join(_ENCODERS)}. Nothing was drawn; "
            "install its wheel with pip install --force-reinstall av, or ask for GIF."
        )
    return found


def save_gif(frames: Sequence[RgbFrame], path: Path) -> Path:
    """An endless animation. frames : (rows, columns, 3) uint8 RGB each, all of one size."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=1000 // FRAMES_PER_S, loop=0)
    return path


def save_mp4(frames: Iterable[RgbFrame], path: Path) -> Path:
    """H.264 in an MP4 file, for looking at: lossy, while the PNG and DICOM files are not.

    frames : (rows, columns, 3) uint8 RGB each, all of one size; an odd size gets a black row or column, because the
        colours have half the resolution (4:2:0, the one that every player knows).
    Raises VideoError when there is no encoder, ValueError for no frames.
    """
    codec = encoder()
    import av

    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise ValueError(f"{path}: no frames.")
    rows, columns = (size + size % 2 for size in first.shape[:2])
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        stream: Any = file.add_stream(codec, rate=FRAMES_PER_S)
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        stream.options = {"crf": "16", "preset": "medium"} if codec == "libx264" else {}
        if codec != "libx264":
            stream.bit_rate = 8_000_000
        for frame in _even(chain((first,), coming), rows, columns):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def _even(frames: Iterable[RgbFrame], rows: int, columns: int) -> Iterator[RgbFrame]:
    for frame in frames:
        more = ((0, rows - frame.shape[0]), (0, columns - frame.shape[1]), (0, 0))
        yield np.ascontiguousarray(np.pad(frame, more))
