"""Mouse gestures in the panes: each becomes an edit of the session's screen."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent

from render import Piece, Scissors, Window
from render.errors import RenderError
from render.geometry import Vector, inverse, point, vector
from render.mask_steps import Grown
from render.pick import first_seen, visible_from
from render.recipe import Solid, VolumeRendering
from workstation.desktop.brush_hand import BrushHand
from workstation.desktop.edited_panes import EditedPanes
from workstation.desktop.language import tr
from workstation.desktop.measure_hand import DRAWN_PX, IN_SOLID, MeasureHand
from workstation.desktop.model import edits
from workstation.desktop.model.screen import (
    CUT_AWAY,
    OTHERS,
    POINTS,
    PaneName,
    Screen,
    is_slice,
    main_pane,
    plane_name,
    recipe_of,
    to_shown,
)
from workstation.desktop.model.stepping import stepped
from workstation.desktop.pane import Pane

_TURN_DEG = 0.4  # for each point of the mouse
_STILL_MS = 120  # the wheel has stopped when it has not moved for this long
_SLAB_STEP_MM = 5.0
_CURVE_STEP_DEG = 5.0
_EDGE_PX = 12.0  # the mouse grabs an edge of the crop box within this distance
_LASSO_PX = 4.0  # distance between corners of the scissors' outline
_RIM_VOXELS = 1


class Gestures(QObject):
    """Turns mouse events into edits. hand : what measures."""

    def __init__(self, viewer: EditedPanes, buttons: dict[str, str], parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._buttons = {Qt.MouseButton.MiddleButton: buttons["middle"], Qt.MouseButton.RightButton: buttons["right"]}
        self.hand, self._brush = MeasureHand(viewer), BrushHand(viewer)
        self._drag: tuple[PaneName, str, QPointF] | None = None
        self._edge: tuple[int, bool] | None = None
        self._pressed_at: QPointF | None = None  # in 3D, where a click measures and a drag turns
        for pane in viewer.panes.values():
            pane.pressed.connect(self._pressed)
            pane.moved.connect(self._moved)
            pane.released.connect(self._released)
            pane.turned.connect(self._wheel)
            pane.doubled.connect(self._doubled)
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(_STILL_MS)
        self._still.timeout.connect(self._settled)

    # ------------------------------------------------------------------------------------------------ the mouse

    def _pressed(self, name: PaneName, event: QMouseEvent) -> None:
        viewer = self._viewer
        viewer.under, pane = name, viewer.panes[name]
        left = event.button() == Qt.MouseButton.LeftButton
        what = viewer.tool if left else self._buttons.get(event.button(), viewer.tool)
        self._pressed_at = event.position() if left and name == "solid" and what in POINTS else None
        if left and name not in OTHERS and self.hand.grasp(name, event.position(), pane.place(event.position())):
            viewer.session.begin()
            self._drag = (name, "measure", event.position())
            return
        if left and self._clicked(what, name, pane, event):
            return
        what = self._meant(what, name, event)
        if what == "brush":
            self._brush.begin(name, event.position(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            self._drag = (name, what, event.position())
            return
        if what == "scissors":
            pane.lasso = [event.position()]
        elif what == "crop":
            self._edge = self._edge_near(name, event.position())
            if self._edge is None:
                return
        viewer.session.begin()
        self._drag = (name, what, event.position())

    def _clicked(self, tool: str, name: PaneName, pane: Pane, event: QMouseEvent) -> bool:
        """Does what the tool does on a click. Returns whether no drag can follow."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        place = self._place(name, event.position())
        if tool in POINTS and (is_slice(name) or name == "curved"):
            if name in OTHERS:
                self._viewer.say(tr("Measures are of the study that is open; what is compared is for looking."))
            elif pane.is_folded(event.position()):
                self._viewer.say(tr("The picture folds over itself there; measure nearer to the path."))
            elif place is not None:
                self.hand.press(name, event.position(), place)
            return True
        if tool == "path" and place is not None and name != "curved":
            self._viewer.do(edits.path_added, place)
            return True
        if tool == "piece" and place is not None and name not in OTHERS:
            self._cut_piece(place, shift)
            return True
        if tool == "grow" and place is not None and name not in OTHERS:
            self._grow(place)
            return True
        if tool == "crosshair" and place is not None:
            self._viewer.do(edits.at_cursor, place)
            return main_pane(name) == "solid"
        return False

    def _measure_solid(self, at: QPointF) -> None:
        """Adds the point of the surface under the mouse to what is measured in 3D."""
        if self._viewer.tool not in IN_SOLID:
            self._viewer.say(
                tr("3D has lengths, angles and trajectories between places that are seen; use a plane for all else.")
            )
            return
        if self._viewer.session.screen.solid.style == "average":
            self._viewer.say(tr("An average shows no surface; show 3D in another way to measure there."))
            return
        place = self._place("solid", at)
        if place is not None:
            self.hand.add("solid", place)

    def _meant(self, tool: str, name: PaneName, event: QMouseEvent) -> str:
        """Returns what a drag with a tool does in that pane."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if name in OTHERS and tool == "pan" and shift:
            return "align"
        if tool in ("brush", "grow") and (name in OTHERS or not is_slice(name)):
            tool = "window"
        if name == "curved":
            return tool if tool in ("window", "crosshair") else "swivel"
        if main_pane(name) == "solid" and (tool not in ("pan", "zoom", "window", "scissors") or name in OTHERS):
            return tool if tool in ("pan", "zoom") else "turn"
        if name == "solid" and tool == "window" and not shift:
            return "turn"
        return "pan" if tool == "scissors" and name != "solid" else tool

    def _place(self, name: PaneName, at: QPointF) -> Vector | None:
        """Returns the point under the mouse, LPS mm in this volume; in 3D on the visible surface."""
        pane, screen = self._viewer.panes[name], self._viewer.session.screen
        if is_slice(name) or name == "curved":
            place = pane.place(at)
        elif main_pane(name) == "solid":
            place = self._surface(name, at)
        else:
            return None
        return None if place is None else point(inverse(to_shown(screen, name)), place)

    def _surface(self, name: PaneName, at: QPointF, *, quiet: bool = False) -> Vector | None:
        pane, volume = self._viewer.panes[name], self._viewer.volume_of(name)
        recipe = recipe_of(self._viewer.session.screen, name, pane.rows, pane.columns)
        if volume is None or not isinstance(recipe, Solid):
            return None
        row, column = pane.pixel(at)
        try:
            found = first_seen(volume, recipe, row, column)
        except RenderError as error:  # what cannot be drawn has no surface; the pane says the same
            self._viewer.say(str(error))
            return None
        if found is None and not quiet:
            self._viewer.say(tr("There is nothing to be seen at that place."))
        return found

    def _moved(self, name: PaneName, event: QMouseEvent) -> None:
        if self._drag is None:
            self.hand.move(name, self._loose(name, event.position()) if self.hand.points else None)
            if not self.hand.points:
                self._viewer.under = name
            return
        start, what, last = self._drag
        at = event.position()
        self._drag = (start, what, at)
        self._dragged(start, what, last, at)

    def _loose(self, name: PaneName, at: QPointF) -> Vector | None:
        """Returns where the next point of a measure would be."""
        pane = self._viewer.panes[name]
        if main_pane(name) != "solid":
            return None if pane.is_folded(at) else pane.place(at)
        return self._surface("solid", at, quiet=True) if name == "solid" else None

    def _dragged(self, name: PaneName, action: str, last: QPointF, at: QPointF) -> None:
        viewer, pane = self._viewer, self._viewer.panes[name]
        dx, dy, mm = at.x() - last.x(), at.y() - last.y(), pane.mm_per_point()
        if action == "brush":
            self._brush.move(name, at)
        elif action == "measure":
            place = self._loose(name, at)
            if place is not None:
                self.hand.drag(name, place)
        elif action == "turn":
            viewer.do(edits.rotated, dx * _TURN_DEG, dy * _TURN_DEG, moving=True)
        elif action == "swivel":
            viewer.do(edits.curve_turned, dx * _TURN_DEG, moving=True)
        elif action == "pan":
            viewer.do(edits.panned, name, dx * mm, dy * mm, moving=True)
        elif action == "align":
            viewer.do(edits.other_moved, name, dx * mm, dy * mm, moving=True)
        elif action == "zoom":
            viewer.do(edits.zoomed, name, math.exp(-dy * 0.01), moving=True)
        elif action == "window" and name == "solid":
            viewer.do(edits.shifted, dy, moving=True)
        elif action == "window":
            self._drag_window(dx, dy)
        elif action == "crosshair" and (is_slice(name) or name == "curved"):
            place = self._place(name, at)
            if place is not None:
                viewer.do(edits.at_cursor, place, moving=True)
        elif action == "tilt" and is_slice(name) and pane.plane is not None:
            self._drag_tilt(name, pane, last, at)
        elif action == "scissors":
            if math.hypot(at.x() - pane.lasso[-1].x(), at.y() - pane.lasso[-1].y()) >= _LASSO_PX:
                pane.lasso.append(at)
                pane.update()
        elif action == "crop":
            self._drag_crop(name, at)

    def _drag_window(self, dx: float, dy: float) -> None:
        window = self._viewer.session.screen.window
        pace = max(window.width, 50.0) / 300.0
        wider = Window(window.centre - dy * pace, max(window.width + dx * pace, 1.0))
        self._viewer.do(edits.windowed, wider, moving=True)

    def _drag_tilt(self, name: PaneName, pane: Pane, last: QPointF, at: QPointF) -> None:
        screen = self._viewer.session.screen
        centre = pane.on_widget(point(to_shown(screen, name), screen.cursor_mm))
        before = math.atan2(last.y() - centre.y(), last.x() - centre.x())
        after = math.atan2(at.y() - centre.y(), at.x() - centre.x())
        turn = (math.degrees(after - before) + 180.0) % 360.0 - 180.0
        self._viewer.do(edits.tilted, plane_name(name), turn, moving=True)

    def _released(self, name: PaneName, event: QMouseEvent) -> None:
        if self._drag is None:
            if (is_slice(name) or name == "curved") and name not in OTHERS:
                self.hand.release(name, event.position(), self._loose(name, event.position()))
            return
        start, what, _ = self._drag
        self._drag, self._edge = None, None
        self.hand.drop()
        self.hand.let_go()
        if what == "brush":
            self._brush.end(start)
            return
        if what == "scissors":
            self._cut_outline(self._viewer.panes[start], bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        self._viewer.session.end()
        self._viewer.refresh()
        pressed, self._pressed_at = self._pressed_at, None
        if what == "turn" and pressed is not None:
            way = event.position() - pressed
            if math.hypot(way.x(), way.y()) < DRAWN_PX:
                self._measure_solid(event.position())

    def _doubled(self, name: PaneName, event: QMouseEvent) -> None:
        viewer = self._viewer
        if viewer.tool in ("polygon", "vessel") and self.hand.points and (is_slice(name) or name == "curved"):
            self.hand.finish(name)
        elif viewer.tool == "path":
            viewer.do(edits.laid_out, "curved")
        elif viewer.tool not in POINTS:
            viewer.one_or_four(name)

    # ------------------------------------------------------------------------------------------------ the wheel

    def _wheel(self, name: PaneName, delta: int, modifiers: Qt.KeyboardModifier) -> None:
        steps, viewer = delta / 120.0, self._viewer
        viewer.under = name
        if modifiers & Qt.KeyboardModifier.ControlModifier and main_pane(name) != "solid":
            viewer.thicken(steps * _SLAB_STEP_MM, name)
        elif main_pane(name) == "solid":
            self._glide(edits.zoomed, name, 1.1**steps)
        elif name == "curved":
            self._glide(edits.curve_turned, steps * _CURVE_STEP_DEG)
        else:
            self._glide(stepped, plane_name(name), -steps, viewer.session.volume, viewer.other)

    def _glide(self, edit: Callable[..., Screen], *arguments: Any) -> None:
        """Makes an edit by wheel; edits in quick succession are one step to undo."""
        self._viewer.session.begin()
        self._viewer.do(edit, *arguments, moving=True)
        self._still.start()

    def _settled(self) -> None:
        if self._drag is None:
            self._viewer.session.end()
            self._viewer.refresh()

    # ------------------------------------------------------------------------------------------------ cutting

    def _cut_outline(self, pane: Pane, keep: bool) -> None:
        """Scissors: cuts away the circled part, or all the rest with `keep`."""
        corners, pane.lasso = pane.lasso, []
        places = tuple(place for place in map(pane.place, corners) if place is not None)
        pane.update()
        if len(places) < 3:
            self._viewer.say(tr("Circle what is to go with the button held; nothing was cut."))
            return
        rounded = tuple(vector(round(v, 3) for v in place) for place in places)
        view = self._viewer.session.screen.solid.view
        self._viewer.try_to(edits.cut_out, Scissors(rounded, view, CUT_AWAY, outside=keep))

    def _cut_piece(self, place: Vector, keep: bool) -> None:
        """Cuts away the visible piece that is connected with a point, or all the rest with `keep`."""
        viewer = self._viewer
        volume, screen = viewer.session.volume, viewer.session.screen
        if self._is_beside(place):
            return
        recipe = recipe_of(screen, "solid", 64, 64)
        low = visible_from(recipe) if isinstance(recipe, VolumeRendering) else screen.window.centre
        k, j, i = viewer.index_of(place)
        value = float(volume.voxels[k, j, i])
        # A click on a value below the visible ones selects down to that value.
        low = min(low, value) if math.isfinite(low) else value
        seed = vector(round(v, 3) for v in place)
        step = Piece(seed, round(low - 0.5, 3), volume.ends[1], None, 0 if keep else _RIM_VOXELS, CUT_AWAY)
        viewer.try_to(edits.cut_out, replace(step, outside=keep))

    def _is_beside(self, place: Vector) -> bool:
        """Whether a click is beside the volume; the status bar says so then."""
        volume = self._viewer.session.volume
        index = (round(v) for v in point(volume.to_index, place))
        beside = not all(0 <= at < n for at, n in zip(index, volume.shape, strict=True))
        if beside:
            self._viewer.say(tr("There is no volume there; click into a structure."))
        return beside

    def _grow(self, place: Vector) -> None:
        """Marks what hangs together with a point and is about as bright, in the chosen segment."""
        viewer, volume = self._viewer, self._viewer.session.volume
        if self._is_beside(place):
            return
        k, j, i = viewer.index_of(place)
        around = volume.voxels[max(k - 1, 0) : k + 2, max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2]
        value, spread, own = float(np.median(around)), viewer.grow_range, float(volume.voxels[k, j, i])
        seed = (vector(round(v, 3) for v in place),)
        low, high = min(value - spread, own), max(value + spread, own)  # the place itself is always within
        label = viewer.segment_to_mark()
        if label is not None:
            viewer.finding.propose(Grown(seed, round(low, 3), round(high, 3), label=label), tr("Grown"))

    def _edge_near(self, name: PaneName, at: QPointF) -> tuple[int, bool] | None:
        """Returns (axis, whether the upper one) of the crop box's face that is under the mouse in a plane."""
        pane, viewer = self._viewer.panes[name], self._viewer
        if not is_slice(name) or name in OTHERS or pane.plane is None:
            return None
        box = viewer.session.screen.solid.crop or viewer.whole_box
        best: tuple[float, tuple[int, bool]] | None = None
        for axis in range(3):
            along = [0.0, 0.0, 0.0]
            along[axis] = 1.0
            if abs(sum(a * b for a, b in zip(along, pane.plane.normal, strict=True))) > 0.99:
                continue  # the axis is along the line of sight
            for upper, end in ((False, box.lower_mm[axis]), (True, box.upper_mm[axis])):
                place = pane.place(at)
                assert place is not None
                beside = abs(place[axis] - end) / max(pane.mm_per_point(), 1e-9)
                if beside <= _EDGE_PX and (best is None or beside < best[0]):
                    best = (beside, (axis, upper))
        return best[1] if best else None

    def _drag_crop(self, name: PaneName, at: QPointF) -> None:
        place = self._viewer.panes[name].place(at)
        if place is not None and self._edge is not None:
            axis, upper = self._edge
            whole = self._viewer.whole_box
            self._viewer.do(edits.crop_moved, whole, axis, upper, round(place[axis], 3), moving=True)
