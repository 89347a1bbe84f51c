"""What pages with pictures share: a scale, and the sides of the patient."""

from typing import Any

from render.geometry import letters
from render.picture import Picture


def scale_and_sides(axes: Any, picture: Picture, frame: int = 0) -> None:
    """Draws a line of 10 mm, and which sides of the patient are on the left and on top, on matplotlib axes."""
    plane = picture.planes[frame]
    side, rows = plane.pixel_spacing_mm[1], picture.pixels.shape[1]
    axes.plot([0.03 * rows, 0.03 * rows + 10.0 / side], [0.96 * rows] * 2, color="white", linewidth=2)
    axes.text(0.03 * rows, 0.945 * rows, "10 mm", color="white", fontsize=7, va="bottom")
    for at, way in (((0.02 * rows, 0.5 * rows), plane.right_mm), ((0.5 * rows, 0.05 * rows), plane.down_mm)):
        axes.text(*at, letters([-step for step in way]), color="khaki", fontsize=8, va="center")
