"""Where annotation stands on a picture: within it, and never one text over another."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from render import AnnotationError, Picture, Projection, View, Window, annotated, draw, fonts, to_rgb
from render import annotate as module
from tests.render.phantom import phantom

LINES = ("Doe, Jane", "ID 4711", "born 1961-02-03 F", "2026-03-02 15:12")


def picture(rows: int, columns: int, view: str = "anterior") -> Picture:
    """Black but for its annotation, and the scale of a real one."""
    recipe = Projection("mip", Window(5000.0, 1000.0), View.parse(view), rows=rows, columns=columns, name="Dark")
    return draw(phantom(), recipe)


def written(made: Picture, *banner: str) -> NDArray[np.bool_]:
    """(rows, columns) where the banner changed the annotated picture."""
    return np.asarray((annotated(made, 0, banner) != annotated(made)).any(axis=-1), dtype=np.bool_)


def test_beside_the_description_where_there_is_room() -> None:
    made = picture(512, 512)
    assert not to_rgb(made).any()
    rows, columns = np.nonzero(written(made, *LINES))
    assert rows.min() < 14
    assert columns.min() > 256
    assert columns.max() < 512


def test_below_the_description_where_there_is_none() -> None:
    made = picture(300, 170, "anterior, 20 towards left, 10 up")
    size = 9
    lines = [part for line in module.description(made) for part in module._wrapped(line, 170 - size, size)]
    rows, _ = np.nonzero(written(made, *LINES))
    assert rows.min() >= len(lines) * (size + 2)


def test_a_long_name_is_written_smaller_and_whole() -> None:
    made = picture(400, 400)
    name = "Wolfeschlegelsteinhausenbergerdorff, Hubert Blaine"
    short, long = written(made, "Doe, Jane"), written(made, name)
    assert np.nonzero(long)[1].min() > 0
    assert np.ptp(np.nonzero(long)[0]) <= np.ptp(np.nonzero(short)[0]) + 2
    with pytest.raises(AnnotationError, match="400 x 60 pixels"):
        annotated(replace(made, pixels=made.pixels[:, :, :60]), 0, [name])


def test_a_view_of_many_words_is_broken_and_stays_within() -> None:
    line = f"seen from {View(190.0, 45.0, 170.0).words}"
    parts = module._wrapped(line, 150, 9)
    assert ", ".join(parts) == line
    assert len(parts) > 1
    assert all(fonts.length(fonts.nearly(part, 9)) <= 150 for part in parts)
