"""After any acts every pane shows what `draw` makes of the model: the same pixels, and nothing of another geometry."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtGui import QImage

from render import View, draw
from render.geometry import vector
from render.mask_steps import Brush, Values
from render.picture import to_rgb
from tests.thorough import THOROUGH, slowly
from workstation.desktop.model import edits, measure_edits, segment_edits
from workstation.desktop.model.screen import LAYOUTS, SLICES, STYLES, Compared, Measure
from workstation.desktop.model.stepping import stepped
from workstation.desktop.viewer import Viewer

Act = Callable[[Viewer, random.Random], object]


def _place(viewer: Viewer, dice: random.Random) -> tuple[float, float, float]:
    return vector(c + dice.uniform(-40.0, 40.0) for c in viewer.session.volume.centre_mm)


def _compare(viewer: Viewer, dice: random.Random) -> None:
    viewer.other = viewer.session.volume
    viewer.do(edits.compared_with, Compared("1.2.4", None, (dice.uniform(-9, 9), 0.0, 3.0)))


ACTS: tuple[Act, ...] = (
    lambda v, d: v.do(edits.at_cursor, _place(v, d)),
    lambda v, d: v.do(stepped, d.choice(SLICES), d.randint(-9, 9), v.session.volume, v.other),
    lambda v, d: v.do(edits.panned, d.choice(["axial", "coronal", "sagittal", "solid"]), d.uniform(-30, 30), 7.0),
    lambda v, d: v.do(edits.zoomed, d.choice(["axial", "coronal", "sagittal", "solid"]), d.uniform(0.5, 2.0)),
    lambda v, d: v.do(edits.tilted, d.choice(SLICES), d.uniform(-40, 40)),
    lambda v, d: v.do(edits.faced, d.choice(SLICES), View(d.uniform(-60, 60), d.uniform(-60, 60))),
    lambda v, d: v.do(edits.rotated, d.uniform(-90, 90), d.uniform(-30, 30), moving=True),
    lambda v, d: v.do(edits.thickened, d.choice(SLICES), d.choice([0.0, 5.0])),
    lambda v, d: v.do(edits.with_style, d.choice(STYLES)),
    lambda v, d: v.do(edits.laid_out, d.choice(list(LAYOUTS))),
    lambda v, d: v.do(edits.path_added, _place(v, d)),
    lambda v, d: v.do(edits.cut),
    lambda v, d: v.do(segment_edits.marked, Values(700.0, 3000.0, 2), "Skull"),
    lambda v, d: v.do(segment_edits.marked, Brush((_place(v, d),), 9.0, label=2), "Skull"),
    lambda v, d: v.do(segment_edits.seen_through, d.uniform(0.0, 1.0)),
    lambda v, d: v.do(measure_edits.measured, Measure("distance", (_place(v, d), _place(v, d)), View())),
    lambda v, d: v.choose_window("bone"),
    lambda v, d: v.choose_preset("ct_skin"),
    lambda v, d: _compare(v, d),
    lambda v, d: v.do(edits.blended, d.choice([0.0, 0.5])),
    lambda v, d: v.resize(d.randint(500, 900), d.randint(400, 700)),
    lambda v, d: v.undo(),
    lambda v, d: v.redo(),
)


@pytest.mark.parametrize("seed", range(40) if THOROUGH else [0, 1, *slowly(2, 3)])
def test_each_pane_shows_what_the_model_says(reading: Viewer, settled: Callable[[Viewer], None], seed: int) -> None:
    dice = random.Random(seed)
    for act in dice.choices(ACTS, k=10):
        act(reading, dice)
    reading.refresh()
    settled(reading)
    for name in reading.visible_panes():
        request, pane = reading._shown.get(name), reading.panes[name]
        if reading._wanted.get(name) is None:
            continue
        assert request is not None and request.recipe == reading._wanted[name]
        assert (pane.rows, pane.columns) == pane.picture_size(), name
        assert pane._image is not None
        image = pane._image.convertToFormat(QImage.Format.Format_RGB888)
        flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        shown = flat[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
        second = reading.other if getattr(request.recipe, "fusion", None) is not None else None
        expected = draw(reading.volume_of(name) or reading.session.volume, request.recipe, second=second)
        np.testing.assert_array_equal(shown, to_rgb(expected), err_msg=name)
