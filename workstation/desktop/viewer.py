"""Four panes, and what hands do in them: every gesture becomes an edit of the session's screen."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from render import View, Window, coarser, draw
from render.geometry import Plane, Vector, point
from render.measure import Statistics, angle_deg, cobb_deg, distance_mm, ellipse, within
from render.picture import Picture
from render.recipe import Recipe, Solid
from workstation.desktop import screen as edits
from workstation.desktop.drawing import Drawer, Wish
from workstation.desktop.looks import TABLE_ABOVE_HU, presets_for, transfer_of, window_of, windows_for
from workstation.desktop.pane import Mark, Overlay, Pane, crosshair
from workstation.desktop.screen import MODES, PANES, POINTS, SLICES, STYLES, Measure, MeasureKind, PaneName, SliceName
from workstation.desktop.session import Session

TOOLS = ("window", "pan", "zoom", "crosshair", "tilt", "distance", "angle", "cobb", "ellipse", "polygon")
_TURN_DEG = 0.4  # for each point of the mouse
_NEAR_MM = 2.0  # a measure shows on planes this close to it
_CINE_MS = 80
_STILL_MS = 120  # a wheel that has not moved for so long is still
_SLAB_STEP_MM = 5.0


class Viewer(QWidget):
    """changed : the screen is another one. chose_tool : its name. said : a sentence for the status bar."""

    changed = Signal()
    chose_tool = Signal(str)
    said = Signal(str)

    def __init__(self, session: Session, engine: Callable[[Recipe], str], buttons: dict[str, str]) -> None:
        super().__init__()
        self.session, self.tool = session, "window"
        self._buttons = {Qt.MouseButton.MiddleButton: buttons["middle"], Qt.MouseButton.RightButton: buttons["right"]}
        self._first = session.screen
        self._drag: tuple[PaneName, str, QPointF] | None = None
        self._points: list[Vector] = []
        self._wanted: dict[PaneName, Recipe] = {}
        self._shown: dict[PaneName, Recipe] = {}
        self._statistics: dict[Measure, Statistics | str] = {}
        self.under: PaneName = "axial"
        self.panes: dict[PaneName, Pane] = {name: Pane(name) for name in PANES}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for number, name in enumerate(("axial", "sagittal", "coronal", "solid")):
            grid.addWidget(self.panes[name], number // 2, number % 2)  # type: ignore[index]
        for pane in self.panes.values():
            pane.pressed.connect(self._pressed)
            pane.moved.connect(self._moved)
            pane.released.connect(self._released)
            pane.turned.connect(self._wheel)
            pane.doubled.connect(self._doubled)
            pane.resized.connect(lambda name: self._ask(name, moving=False))
        self.drawer = Drawer(session.volume, engine)
        self.drawer.drawn.connect(self._drawn)
        self.drawer.failed.connect(lambda name, sentence: self.panes[name].show_message(sentence))
        self._cine = QTimer(self)
        self._cine.setInterval(_CINE_MS)
        self._cine.timeout.connect(self._cine_step)
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(_STILL_MS)
        self._still.timeout.connect(self._settled)
        self._lay_out()

    def close_session(self) -> None:
        self._cine.stop()
        self.drawer.stop()

    # ------------------------------------------------------------------------------------------------ showing

    def visible_panes(self) -> tuple[PaneName, ...]:
        layout = self.session.screen.layout
        return PANES if layout == "four" else (layout,)

    def refresh(self, moving: bool = False) -> None:
        """Asks for the pictures of the screen as it is now."""
        self._lay_out()
        for name in self.visible_panes():
            self._ask(name, moving)
            self._overlay(name)
        self.changed.emit()

    def _lay_out(self) -> None:
        shown = self.visible_panes()
        for name, pane in self.panes.items():
            pane.setVisible(name in shown)

    def _ask(self, name: PaneName, moving: bool) -> None:
        if name not in self.visible_panes():
            return
        recipe = edits.recipe_of(self.session.screen, name, *self.panes[name].picture_size())
        self._wanted[name] = recipe
        self.drawer.ask(Wish(name, recipe, moving))

    def is_settled(self) -> bool:
        """Whether every pane shows the full picture of the screen as it is."""
        return all(self._shown.get(name) == self._wanted.get(name) is not None for name in self.visible_panes())

    def _drawn(self, name: PaneName, picture: Picture, full: bool) -> None:
        self._shown[name] = picture.recipe
        self.panes[name].show_picture(picture, full)
        self._overlay(name)

    def _overlay(self, name: PaneName) -> None:
        pane, screen = self.panes[name], self.session.screen
        if pane.plane is None:
            return
        others = [(other, screen.slice(other).view.towards_observer) for other in SLICES if other != name]
        lines = crosshair(screen.cursor_mm, others, pane.plane) if name != "solid" else ()
        pane.show_overlay(Overlay(self._text(name), lines, self._marks(name)))

    def _text(self, name: PaneName) -> tuple[str, ...]:
        screen = self.session.screen
        window = f"C {screen.window.centre:g} W {screen.window.width:g}"
        if name == "solid":
            solid = screen.solid
            what = solid.transfer.name.replace("_", " ") if solid.style == "rendering" else f"{solid.style} {window}"
            return (what, _rounded(solid.view).words)
        plane = screen.slice(name)
        slab = "" if plane.slab_mm == 0.0 else f"{plane.mode} {plane.slab_mm:g} mm"
        return tuple(text for text in (name, window, slab) if text)

    # ------------------------------------------------------------------------------------------------ measures

    def _marks(self, name: PaneName) -> tuple[Mark, ...]:
        plane = self.panes[name].plane
        if plane is None or name == "solid":
            return ()
        n, o = plane.normal, plane.origin_mm
        near = _NEAR_MM + self.session.screen.slice(name).slab_mm / 2.0
        marks = []
        for measure in self.session.screen.measures:
            deep = [abs(sum((p - q) * a for p, q, a in zip(point, o, n, strict=True))) for point in measure.points_mm]
            if max(deep) <= near:
                marks.append(self._mark(name, measure))
        if self._points and name == self.under:
            marks.append(Mark(tuple(self._points), False, ""))
        return tuple(marks)

    def _mark(self, name: PaneName, measure: Measure) -> Mark:
        outline = self._outline(measure)
        return Mark(outline or measure.points_mm, bool(outline), self.said_of(measure))

    def _outline(self, measure: Measure) -> tuple[Vector, ...]:
        if measure.kind == "polygon":
            return measure.points_mm
        if measure.kind == "ellipse":
            return ellipse(measure.points_mm[0], measure.points_mm[1], _plane_of(measure))
        return ()

    def said_of(self, measure: Measure) -> str:
        """A measure in words, its numbers with their unit."""
        points = measure.points_mm
        if measure.kind == "distance":
            return f"{distance_mm(*points):.1f} mm"
        try:
            if measure.kind == "angle":
                return f"{angle_deg(*points):.1f}°"
            if measure.kind == "cobb":
                return f"Cobb {cobb_deg(*points):.1f}°"
        except ValueError as error:
            return str(error)
        if measure not in self._statistics:
            try:
                self._statistics[measure] = within(self.session.volume, self._outline(measure), measure.view)
            except ValueError as error:
                self._statistics[measure] = str(error)
        found, unit = self._statistics[measure], self.session.volume.unit
        if isinstance(found, str):
            return found
        return (
            f"{found.area_mm2:.0f} mm²\n{found.mean:.0f} ± {found.deviation:.0f} {unit}\n"
            f"{found.least:.0f} … {found.greatest:.0f} {unit}"
        )

    def _add_point(self, name: SliceName, place: Vector) -> None:
        self.under = name
        self._points.append(place)
        kind: MeasureKind = self.tool  # type: ignore[assignment]
        if len(self._points) == POINTS[kind]:
            self._finish_measure(name)
        else:
            self._overlay(name)

    def _finish_measure(self, name: SliceName) -> None:
        points, self._points = tuple(self._points), []
        kind: MeasureKind = self.tool  # type: ignore[assignment]
        if len(points) < (POINTS[kind] or 3) or len(set(points)) < 2:
            self.said.emit("A measure needs places apart from each other; nothing was measured.")
        else:
            self.do(edits.measured, Measure(kind, points, self.session.screen.slice(name).view))

    # ------------------------------------------------------------------------------------------------ hands

    def do(self, edit: Callable[..., edits.Screen], *arguments: Any, moving: bool = False) -> None:
        if self.session.change(edit, *arguments):
            self.refresh(moving)

    def choose_tool(self, tool: str) -> None:
        self.tool, self._points = tool, []
        self.chose_tool.emit(tool)

    def _pressed(self, name: PaneName, event: QMouseEvent) -> None:
        self.under, pane = name, self.panes[name]
        what = self._buttons.get(event.button(), self.tool)
        if event.button() == Qt.MouseButton.LeftButton:
            place = pane.place(event.position())
            if name == "solid" and what not in ("pan", "zoom", "window"):
                what = "turn"
            elif what in POINTS:
                if place is not None and name != "solid":
                    self._add_point(name, place)
                return
            elif what == "crosshair" and place is not None:
                self.do(edits.at_cursor, place)
        if name == "solid" and what == "window" and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            what = "turn"
        self.session.begin()
        self._drag = (name, what, event.position())

    def _moved(self, name: PaneName, event: QMouseEvent) -> None:
        if self._drag is None:
            self.under = name
            return
        start, what, last = self._drag
        pane, at = self.panes[start], event.position()
        dx, dy = at.x() - last.x(), at.y() - last.y()
        self._drag = (start, what, at)
        mm = pane.mm_per_point()
        if what == "turn":
            self.do(edits.rotated, dx * _TURN_DEG, dy * _TURN_DEG, moving=True)
        elif what == "pan":
            self.do(edits.panned, start, dx * mm, dy * mm, moving=True)
        elif what == "zoom":
            self.do(edits.zoomed, start, math.exp(-dy * 0.01), moving=True)
        elif what == "window" and start == "solid":
            self.do(edits.shifted, dy, moving=True)
        elif what == "window":
            self._drag_window(dx, dy)
        elif what == "crosshair" and start != "solid":
            place = pane.place(at)
            if place is not None:
                self.do(edits.at_cursor, place, moving=True)
        elif what == "tilt" and start != "solid" and pane.plane is not None:
            centre = pane.on_widget(self.session.screen.cursor_mm)
            before = math.atan2(last.y() - centre.y(), last.x() - centre.x())
            after = math.atan2(at.y() - centre.y(), at.x() - centre.x())
            turn = (math.degrees(after - before) + 180.0) % 360.0 - 180.0
            self.do(edits.tilted, start, turn, moving=True)

    def _drag_window(self, dx: float, dy: float) -> None:
        window = self.session.screen.window
        pace = max(window.width, 50.0) / 300.0
        self.do(edits.windowed, Window(window.centre - dy * pace, max(window.width + dx * pace, 1.0)), moving=True)

    def _released(self, name: PaneName, event: QMouseEvent) -> None:
        if self._drag is not None:
            self._drag = None
            self.session.end()
            self.refresh()

    def _doubled(self, name: PaneName, event: QMouseEvent) -> None:
        if self.tool == "polygon" and self._points and name != "solid":
            self._finish_measure(name)
        elif self.tool not in POINTS:
            self.one_or_four(name)

    def _wheel(self, name: PaneName, delta: int, modifiers: Qt.KeyboardModifier) -> None:
        steps = delta / 120.0
        if name == "solid":
            self._glide(edits.zoomed, name, 1.1**steps)
        elif modifiers & Qt.KeyboardModifier.ControlModifier:
            self.thicken(steps * _SLAB_STEP_MM, name)
        else:
            self._glide(edits.scrolled, name, -steps, min(self.session.volume.spacing_mm))

    def _glide(self, edit: Callable[..., edits.Screen], *arguments: Any) -> None:
        """An edit by wheel: those that follow fast on each other are one step back."""
        self.session.begin()
        self.do(edit, *arguments, moving=True)
        self._still.start()

    def _settled(self) -> None:
        if self._drag is None:
            self.session.end()
            self.refresh()

    # ------------------------------------------------------------------------------------------------ commands

    def one_or_four(self, name: PaneName | None = None) -> None:
        self.do(edits.laid_out, "four" if self.session.screen.layout != "four" else name or self.under)

    def thicken(self, by_mm: float, name: PaneName | None = None) -> None:
        pane = name or self.under
        if pane != "solid":
            self.do(edits.thickened, pane, self.session.screen.slice(pane).slab_mm + by_mm)

    def next_mode(self) -> None:
        if self.under != "solid":
            mode = self.session.screen.slice(self.under).mode
            self.do(edits.with_mode, self.under, MODES[(MODES.index(mode) + 1) % len(MODES)])

    def next_style(self) -> None:
        style = self.session.screen.solid.style
        self.do(edits.with_style, STYLES[(STYLES.index(style) + 1) % len(STYLES)])

    def next_preset(self) -> None:
        names = presets_for(self.session.volume.unit)
        current = self.session.screen.solid.transfer.name
        following = names[(names.index(current) + 1) % len(names)] if current in names else names[0]
        self.choose_preset(following)

    def choose_preset(self, name: str) -> None:
        self.do(edits.with_transfer, transfer_of(self.session.volume, name))

    def choose_window(self, name: str) -> None:
        chosen = next(window for window in windows_for(self.session.volume.unit) if window.name == name)
        self.do(edits.windowed, window_of(self.session.volume, chosen.window))

    def scroll_by(self, steps: int) -> None:
        if self.under == "solid":
            self.do(edits.rotated, 5.0 * steps, 0.0)
        else:
            self.do(edits.scrolled, self.under, steps, min(self.session.volume.spacing_mm))

    def toggle_table(self) -> None:
        above = self.session.screen.solid.body_above
        if self.session.volume.unit != "HU":
            self.said.emit("Table and holder are known by their Hounsfield units; this volume has none.")
        else:
            self.do(edits.without_table, None if above is not None else TABLE_ABOVE_HU)

    def toggle_cine(self) -> None:
        if self._cine.isActive():
            self._cine.stop()
            self.session.end()
            self.refresh()
        else:
            self.session.begin()
            self._cine.start()

    def _cine_step(self) -> None:
        if self.under == "solid":
            self.do(edits.rotated, 6.0, 0.0, moving=True)
            return
        step = min(self.session.volume.spacing_mm)
        self.do(edits.scrolled, self.under, 1, step, moving=True)
        if not _inside(self.session):
            extent = max(n * s for n, s in zip(self.session.volume.shape, self.session.volume.spacing_mm, strict=True))
            self.do(edits.scrolled, self.under, -round(extent / step), step, moving=True)

    def undo(self) -> None:
        if self.session.undo():
            self.refresh()

    def redo(self) -> None:
        if self.session.redo():
            self.refresh()

    def reset(self) -> None:
        first = self._first
        self.do(lambda screen: replace(first, measures=screen.measures, captures=screen.captures))

    def delete_measure(self) -> None:
        if self.session.screen.measures:
            self.do(edits.unmeasured, len(self.session.screen.measures) - 1)

    def capture(self, frames: int = 1) -> None:
        pane = "solid" if frames > 1 else self.under
        self.do(edits.captured, pane, 512, frames)
        self.said.emit(f"Captured: {self.session.screen.captures[-1].recipe.name}")

    def thumbnail(self, recipe: Recipe) -> Picture:
        """A small picture of a captured recipe."""
        still = replace(recipe, rotation=None) if isinstance(recipe, Solid) else recipe
        return draw(self.session.volume, coarser(self.session.volume, still, max(1, recipe.rows // 96)))


def _rounded(view: View) -> View:
    return View(round(view.azimuth_deg, 1), round(view.elevation_deg, 1), round(view.roll_deg, 1))


def _plane_of(measure: Measure) -> Plane:
    """The plane a measure was drawn on, a pixel a millimetre."""
    x, y, z = measure.view.up
    return Plane(measure.points_mm[0], measure.view.right, (-x, -y, -z))


def _inside(session: Session) -> bool:
    index = point(session.volume.to_index, session.screen.cursor_mm)
    return all(-1.0 <= i <= n for i, n in zip(index, session.volume.shape, strict=True))
