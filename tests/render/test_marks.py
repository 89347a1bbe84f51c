"""Measures drawn on copies: where they lie on the plane, smooth, and nothing of those on other planes."""

import numpy as np

from render.geometry import Plane
from render.marks import DrawnMark, with_marks, with_sides

PLANE = Plane((0.0, 0.0, 10.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0))
GREY = np.full((200, 200, 3), 90, np.uint8)


def test_a_mark_is_drawn_where_it_lies_and_its_numbers_stay_in_the_picture() -> None:
    mark = DrawnMark((((10.0, 50.0, 10.0), (99.0, 50.0, 10.0)),), ("89.0 mm", "second line"))
    found = with_marks(GREY, PLANE, [mark])
    assert (GREY == 90).all(), "the pixels that were given stay"
    changed = (found != 90).any(axis=-1)
    assert changed[100, 20:198].all() and not changed[90, :60].any() and not changed[:80].any()
    assert changed[103:130, 100:].any() and not changed[140:].any()
    line, edge = found[100, 60].tolist(), found[101:103, 60].min()
    assert line[0] > 200 > line[2] and edge < 90, "yellow, on a dark edge"


def test_a_mark_of_another_plane_is_not_drawn() -> None:
    beside = DrawnMark((((10.0, 50.0, 10.0), (99.0, 50.0, 10.6)),), ("89.0 mm",))
    assert with_marks(GREY, PLANE, [beside]) is GREY
    assert with_marks(GREY, PLANE, [DrawnMark((), ("a volume",))]) is GREY
    assert with_marks(GREY, PLANE, [beside], near_mm=1.0) is not GREY


def test_the_sides_are_named_at_the_edges() -> None:
    found = (with_sides(GREY, PLANE) != 90).any(axis=-1)
    assert found[90:110, :25].any() and found[90:110, 170:].any()
    assert found[:25, 90:112].any() and found[175:, 90:112].any() and not found[40:80].any()
