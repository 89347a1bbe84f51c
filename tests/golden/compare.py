"""Golden pictures: small PNG files that a drawn picture must look like.

A picture that differs leaves three files in `golden-differences/` of the checkout: what was expected, what was drawn,
and the difference times four. After a change that is meant, and looked at, one command writes all of them anew:

    python -m pytest tests/golden --new-goldens

The tolerance allows for kernels that round otherwise, not for another picture.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

LEAST_SIMILARITY = 0.98
MOST_GREY_LEVELS = 2.0  # mean difference: similarity hardly sees a picture that is darker as a whole
_BLACK = 4
DIFFERENCES = Path(__file__).parents[2] / "golden-differences"


def compare(drawn: NDArray[np.uint8], golden: Path, *, new: bool) -> None:
    """Fails where the two differ, or where there is no golden picture. new : writes it instead.

    drawn : (rows, columns, 3) uint8.
    """
    if new:
        golden.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(golden, optimize=True)
        return
    name = golden.stem
    if not golden.exists():
        _leave(name, drawn=drawn)
        pytest.fail(f"There is no golden picture {golden.name}; look at {DIFFERENCES}, then use --new-goldens.")
    with Image.open(golden) as file:
        expected = np.asarray(file.convert("RGB"), dtype=np.uint8)
    if expected.shape != drawn.shape:
        _leave(name, drawn=drawn, expected=expected)
        pytest.fail(f"{name}: {drawn.shape} was drawn, {expected.shape} expected; both are in {DIFFERENCES}.")
    # Only where one of them shows something: a black background is alike in all pictures.
    _, alike = structural_similarity(expected, drawn, channel_axis=-1, full=True)
    off = np.abs(expected.astype(np.int16) - drawn)
    shown = np.maximum(expected, drawn).max(axis=-1) > _BLACK
    similarity = float(alike[shown].mean()) if shown.any() else 1.0
    apart = float(off[shown].mean()) if shown.any() else 0.0
    if similarity < LEAST_SIMILARITY or apart > MOST_GREY_LEVELS:
        difference = np.clip(off * 4, 0, 255).astype(np.uint8)
        _leave(name, drawn=drawn, expected=expected, difference=difference)
        pytest.fail(
            f"{name}: similarity {similarity:.3f} (at least {LEAST_SIMILARITY}), {apart:.2f} grey levels apart on "
            f"average where something is shown (at most {MOST_GREY_LEVELS:g}); the pictures are in {DIFFERENCES}."
        )


def _leave(name: str, **pictures: NDArray[np.uint8]) -> None:
    DIFFERENCES.mkdir(exist_ok=True)
    for what, pixels in pictures.items():
        Image.fromarray(pixels).save(DIFFERENCES / f"{name}-{what}.png")
