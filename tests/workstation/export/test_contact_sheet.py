"""The contact sheet says which side is which, and nothing where the edges of a picture are no sides of the patient."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render import CurvedReformat, Recipe, Reformat, View, Window, draw
from tests.render.phantom import CENTRE_MM, phantom
from workstation.export.contact_sheet import contact_sheet

WINDOW = Window(300.0, 2000.0)
UPWARDS = (CENTRE_MM, (CENTRE_MM[0], CENTRE_MM[1], CENTRE_MM[2] + 30.0))  # its beginning, on top, is nearer to the feet


@pytest.mark.parametrize(
    ("recipe", "lettered"),
    [
        (Reformat(WINDOW, View(), rows=40, columns=40), True),
        (CurvedReformat(WINDOW, UPWARDS, rows=40, columns=40), False),
        (CurvedReformat(WINDOW, UPWARDS, "stretched", rows=40, columns=40), False),
    ],
)
def test_letters_stand_only_where_they_are_true(recipe: Recipe, lettered: bool, tmp_path: Path) -> None:
    sheet = contact_sheet([draw(phantom(), recipe)], tmp_path / "sheet.png")
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 2] < 130)
    assert yellow.any() == lettered
