"""The brush: a stroke in a plane marks the chosen segment, or erases."""

from PySide6.QtCore import QPointF

from render.geometry import Vector, vector
from render.mask_steps import Brush
from render.segment.grid import steps_mm
from workstation.desktop.edited_panes import EditedPanes
from workstation.desktop.model import segment_edits
from workstation.desktop.model.screen import PaneName, plane_name

_STEP_PX = 3.0  # between points of a stroke


class BrushHand:
    """Collects a stroke while the button is held, and makes a step of it."""

    def __init__(self, viewer: EditedPanes) -> None:
        self._viewer = viewer
        self._stroke: list[Vector] = []
        self._last: QPointF | None = None
        self._erases = False

    def begin(self, name: PaneName, at: QPointF, erases: bool) -> None:
        self._stroke, self._last, self._erases = [], None, erases
        self.move(name, at)

    def move(self, name: PaneName, at: QPointF) -> None:
        """Goes on with the stroke; the pane shows where it was."""
        pane, far = self._viewer.panes[name], self._last is None or (at - self._last).manhattanLength() >= _STEP_PX
        place = pane.place(at) if far else None
        if place is not None:
            self._last = at
            self._stroke.append(vector(round(v, 2) for v in place))
            pane.show_stroke([*pane.stroke, at], self._viewer.brush_mm / max(pane.mm_per_point(), 1e-9))

    def end(self, name: PaneName) -> None:
        """Marks what the stroke covers, in the plane of the pane alone."""
        viewer, stroke = self._viewer, tuple(dict.fromkeys(self._stroke))
        self._stroke = []
        viewer.panes[name].show_stroke([], 0.0)
        if not stroke:
            return
        screen = viewer.session.screen
        label = 0 if self._erases else viewer.segment_to_mark()
        if label is None:
            return
        plane = screen.slice(plane_name(name))
        # As thick as a voxel is along the line of sight: that is one slice, wherever between two the plane lies.
        n, steps = plane.view.towards_observer, steps_mm(viewer.session.volume)
        voxel = sum(abs(sum(a * b for a, b in zip(n, step, strict=True))) for step in steps)
        thick = max(round(voxel, 3) + 0.001, plane.slab_mm)
        step = Brush(stroke, viewer.brush_mm, "disc", plane.view, thick, label)
        viewer.do(segment_edits.marked, step)
