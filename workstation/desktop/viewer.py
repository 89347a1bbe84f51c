"""The panes of a study: what they show, and the commands of menus and keys. `gestures.py` handles the mouse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from render import StepError, Volume
from render.engine.framing import outer_corners
from render.geometry import Box, Plane, Vector, direction, point, vector
from render.mask_steps import Automatic
from render.recipe import Recipe
from workstation.desktop.crosshair import crosshair
from workstation.desktop.drawer import Drawer, PictureRequest
from workstation.desktop.finding import SeekingTools
from workstation.desktop.gestures import Gestures
from workstation.desktop.images import PaneImage
from workstation.desktop.language import tr
from workstation.desktop.marks import MeasureMark
from workstation.desktop.measure_marks import MeasureMarks, crop_marks, line_on_curved, names_said, path_marks, said_of
from workstation.desktop.model import corners, edits, measure_edits, segment_edits
from workstation.desktop.model.corners import CornerTexts, TextLevel, load_corners
from workstation.desktop.model.identity import UNKNOWN, SeriesIdentity
from workstation.desktop.model.looks import TABLE_ABOVE_HU, Looks, window_of, windows_for
from workstation.desktop.model.measuring import Measuring, segments_to_avoid
from workstation.desktop.model.screen import (
    CUT_AWAY,
    LAYOUTS,
    MAIN,
    MODES,
    OTHERS,
    PANES,
    SLICES,
    STYLES,
    Layout,
    Measure,
    PaneName,
    Screen,
    is_fused,
    is_slice,
    main_pane,
    plane_name,
    recipe_of,
    to_shown,
    unfused,
)
from workstation.desktop.model.session import ReadingSession
from workstation.desktop.model.stepping import stepped
from workstation.desktop.pane import Overlay, Pane
from workstation.desktop.segment_masks import SegmentMasks

# The tools in groups: to look, to cut, to mark, to measure.
TOOL_GROUPS = (
    ("window", "pan", "zoom", "crosshair", "tilt"),
    ("crop", "scissors", "piece"),
    ("brush", "grow", "lesion", "vessel", "path"),
    ("distance", "angle", "cobb", "ellipse", "polygon", "volume", "trajectory", "arrow", "text"),
)
TOOLS = tuple(tool for group in TOOL_GROUPS for tool in group)
_CINE_MS = 80
_BEYOND = 1_000_000  # more images than a study has


class Viewer(QWidget):
    """The panes. changed : the screen has changed. chose_tool : the tool's name. said : a sentence for the status
    bar. selection : another measure is selected. words_wanted : number of a text or arrow that has no words yet.
    prior_wanted : number of a lesion whose earlier diameter is asked for. targets_wanted : which lesions are
    targets is asked for. work_wanted : slow work as for
    `background.Works.run`. first_drawn : every pane has its first full picture or cannot be drawn. active : the label
    of the chosen segment, 0 for none."""

    changed = Signal()
    chose_tool = Signal(str)
    said = Signal(str)
    selection = Signal()
    first_drawn = Signal()
    words_wanted = Signal(int)
    prior_wanted = Signal(int)
    targets_wanted = Signal()
    work_wanted = Signal(object, object, str)

    def __init__(
        self,
        session: ReadingSession,
        buttons: dict[str, str],
        looks: Looks,
        identity: SeriesIdentity = UNKNOWN,
        texts: CornerTexts | None = None,
    ) -> None:
        super().__init__()
        self.identity, self.other_identity = identity, UNKNOWN
        self._texts = texts or load_corners()
        self.text_level: TextLevel = "all"
        self.session, self.tool, self.looks = session, "window", looks
        self.measuring = Measuring(session.volume)
        self.selected: int | None = None
        self.active, self.brush_mm = 0, 5.0
        self.grow_range = max(round(session.screen.window.width * 0.15), 1.0)
        self._left = False
        self.finding = SeekingTools(self, self.work_wanted.emit, lambda: self._left)
        self.other: Volume | None = None
        self.first = session.screen
        self._wanted: dict[PaneName, Recipe | None] = {}
        self._shown: dict[PaneName, PictureRequest] = {}
        self.has_drawn = False
        self._asked: dict[PaneName, PictureRequest] = {}
        self.under: PaneName = "axial"
        self.panes: dict[PaneName, Pane] = {name: Pane(name) for name in PANES}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self._laid_out: Layout | None = None
        self._elsewhere: PaneName | None = None
        self._apart: _Apart | None = None
        self.gestures = Gestures(self, buttons, self)
        for pane in self.panes.values():
            pane.setParent(self)
            pane.resized.connect(lambda name: self._ask(name, moving=False))
            pane.hovered.connect(self._hovered)
        self.drawer = Drawer(session.volume)
        self.masks = SegmentMasks(session.volume, self.drawer.ask_errand)
        self.drawer.drawn.connect(self._drawn)
        self.drawer.filled.connect(self.refresh)
        self.drawer.troubled.connect(self.say)
        self.drawer.failed.connect(self._failed)
        self._cine = QTimer(self)
        self._cine.setInterval(_CINE_MS)
        self._cine.timeout.connect(self._cine_step)
        self._lay_out()
        QTimer.singleShot(0, self, self._seek)  # a study that is opened again has measures and segments already

    def rest(self) -> None:
        """Stops what moves, and brings every pane back: another series is shown now."""
        if self._cine.isActive():
            self.toggle_cine()
        self.gestures.hand.forget()
        self.session.end()
        self.dock_pane()

    def close_session(self) -> None:
        self._left = True
        self._cine.stop()
        self.dock_pane()
        self.session.settle()
        self.drawer.stop()

    # ------------------------------------------------------------------------------------------------ showing

    def visible_panes(self) -> tuple[PaneName, ...]:
        found = tuple(LAYOUTS[self.session.screen.layout])
        return found if self._elsewhere is None or self._elsewhere in found else (*found, self._elsewhere)

    def refresh(self, moving: bool = False) -> None:
        """Asks for the pictures of the current screen."""
        self._lay_out()
        for name in self.visible_panes():
            self._ask(name, moving)
            self.show_overlay(name)
        # While a point is being dragged nothing is sought: it would be another place with every move.
        if not moving:
            self._avoid()
            self._seek()
        self.changed.emit()

    def _avoid(self) -> None:
        """Says what trajectories have to avoid, once the mask of the segments is there."""
        screen = self.session.screen
        segments, mask = segments_to_avoid(screen), self.masks.of(screen)
        if mask is not None or not segments:
            self.measuring.avoid(mask, segments)

    def _seek(self) -> None:
        """Has what tools find measured, and what is marked made, where that is still to be done."""
        for measure in self.measuring.to_seek(self.session.screen.measures):
            self.drawer.ask_errand(lambda measure=measure: self.measuring.fill(measure))  # type: ignore[misc]
        self.masks.seek(self.session.screen)

    def _lay_out(self) -> None:
        layout = self.session.screen.layout
        if layout == self._laid_out:
            return
        self._laid_out, shown = layout, LAYOUTS[layout]
        for name, pane in self.panes.items():
            if name == self._elsewhere:
                continue
            self._grid.removeWidget(pane)
            if name in shown:
                self._grid.addWidget(pane, *shown[name])
            pane.setVisible(name in shown)
        for n in range(4):
            rows = any(place[0] <= n < place[0] + place[2] for place in shown.values())
            columns = any(place[1] <= n < place[1] + place[3] for place in shown.values())
            self._grid.setRowStretch(n, int(rows))
            self._grid.setColumnStretch(n, int(columns))
        self._grid.activate()  # now: pictures are asked for in the sizes that panes will have

    def undock_pane(self, name: PaneName) -> QWidget:
        """Moves a pane into a window of its own, for another monitor. Closing that brings the pane back."""
        self.dock_pane()
        self._elsewhere, pane = name, self.panes[name]
        self._grid.removeWidget(pane)
        self._apart = _Apart(pane)
        self._apart.closed.connect(self.dock_pane)
        self._apart.setWindowTitle(name)
        self._apart.resize(900, 900)
        self._apart.show()
        self.refresh()
        return self._apart

    def dock_pane(self) -> None:
        """Moves every pane back to its place in the layout."""
        if self._elsewhere is None or self._apart is None:
            return
        pane, self._elsewhere = self.panes[self._elsewhere], None
        pane.setParent(self)
        apart, self._apart = self._apart, None
        apart.hide()
        apart.deleteLater()
        self._laid_out = None
        self.refresh()

    def compare_with(self, other: Volume | None, identity: SeriesIdentity = UNKNOWN) -> None:
        """Sets the volume that the screen compares with, and whose it is; None for none."""
        self.other, self.other_identity = other, identity
        if other is not None and (names := self.identity.differs_from(identity)):
            self.said.emit(tr("Another patient? {names} of what is compared differ.", names=", ".join(map(tr, names))))
        self.refresh()

    def volume_of(self, name: PaneName) -> Volume | None:
        return self.other if name in OTHERS else self.session.volume

    def _ask(self, name: PaneName, moving: bool) -> None:
        if name not in self.visible_panes():
            return
        volume, recipe = self.volume_of(name), recipe_of(self.session.screen, name, *self.panes[name].picture_size())
        if recipe is not None and self.other is None:
            recipe = unfused(recipe)  # until what lies over it is there
        self._wanted[name] = recipe if volume is not None else None
        if name in OTHERS and volume is None:
            self._asked.pop(name, None)
        if volume is None:
            self.panes[name].show_message(tr("Opening what is compared …"))
        elif recipe is None:
            self.panes[name].show_message(tr("Click a path with the path tool, in any plane."))
        else:
            tinted = self.measuring.shapes(self.session.screen.measures) if name in SLICES else ()
            mask, colours = self.masks.over(self.session.screen, name)
            second = self.other if is_fused(recipe) else None
            request = PictureRequest(name, recipe, moving, volume, tinted, mask, colours, second)
            # What was asked for last in full serves a moving mouse too: most edits leave most panes as they are.
            if self._asked.get(name) not in (request, replace(request, moving=False)):
                self._asked[name] = request
                self.drawer.ask(request)

    def is_settled(self) -> bool:
        """Whether every pane shows the full picture of the current screen."""
        wanted = {name: self._wanted.get(name) for name in self.visible_panes()}
        return all(recipe is None or self._shows(name, recipe) for name, recipe in wanted.items())

    def _shows(self, name: PaneName, recipe: Recipe) -> bool:
        shown = self._shown.get(name)
        return shown is not None and shown == self._asked.get(name) and shown.recipe == recipe and self.panes[name].full

    def _drawn(self, request: PictureRequest, shown: PaneImage) -> None:
        name = request.pane
        if request.volume is not self.volume_of(name):
            return  # the other study was changed meanwhile
        self._shown[name] = request
        self.panes[name].show_picture(shown)
        self.show_overlay(name)
        if self.is_settled():
            self._first_drawn()

    def _failed(self, name: PaneName, sentence: str) -> None:
        self.panes[name].show_message(tr(sentence))
        self._first_drawn()

    def _first_drawn(self) -> None:
        if not self.has_drawn:
            self.has_drawn = True
            self.first_drawn.emit()

    def show_overlay(self, name: PaneName) -> None:
        """Updates the overlay of a pane."""
        pane, screen = self.panes[name], self.session.screen
        if name == "curved":
            pane.show_overlay(Overlay(self._corners(name), (), self._curved_marks(pane)))
        if pane.plane is None:
            return
        if not is_slice(name):
            marks = self._solid_marks() if name == "solid" else ()
            pane.show_overlay(Overlay(self._corners(name), (), marks, screen.solid.view, self._stranger(name)))
            return
        move = to_shown(screen, name)
        others = [(o, direction(move, screen.slice(o).view.towards_observer)) for o in SLICES if o != main_pane(name)]
        cursor = point(move, screen.cursor_mm)
        lines = crosshair(cursor, others, pane.plane)
        marks = self._marks(name, pane.plane) if name in MAIN else ()
        pane.show_overlay(Overlay(self._corners(name), lines, marks, None, self._stranger(name)))

    def _corners(self, name: PaneName) -> dict[corners.Corner, tuple[str, ...]]:
        """Returns the text in the corners of a pane."""
        pane, volume = self.panes[name], self.volume_of(name)
        if volume is None or self.text_level == "none":
            return {}
        identity = self.other_identity if name in OTHERS else self.identity
        compared = self.session.screen.compared
        over = self.other_identity if compared is not None and compared.blend > 0.0 and self.other is not None else None
        look = tr(self.looks.title_of(self.session.screen.solid.transfer.name))
        values = corners.pane_values(self.session.screen, name, volume, identity, pane.mm_per_point(), tr, over, look)
        place, value = pane.under_mouse()
        unit = volume.unit if pane.full else ""
        values |= corners.under_the_mouse(place, value, unit)
        level: TextLevel = "few" if self.text_level == "all" and pane.is_small() else self.text_level
        return self._texts.filled(level, values)

    def _stranger(self, name: PaneName) -> bool:
        """Whether a pane shows somebody who seems to be another patient."""
        return name in OTHERS and bool(self.identity.differs_from(self.other_identity))

    def _hovered(self, name: PaneName) -> None:
        """Says what is under the mouse, now in this pane."""
        self.panes[name].say_corners(self._corners(name))

    def next_text_level(self) -> None:
        """Shows all corner texts, few, or none."""
        levels = corners.TEXT_LEVELS
        self.text_level = levels[(levels.index(self.text_level) + 1) % len(levels)]
        for name in self.visible_panes():
            self.show_overlay(name)
        said = {"all": tr("Corner texts: all"), "few": tr("Corner texts: few"), "none": tr("Corner texts: none")}
        self.said.emit(said[self.text_level])

    # ------------------------------------------------------------------------------------------------ measures

    def _marks(self, name: PaneName, plane: Plane) -> tuple[MeasureMark, ...]:
        """Returns what lies over a pane that shows a plane of the study."""
        screen = self.session.screen
        marks = MeasureMarks(self.measuring).in_plane(screen, name, plane, self.selected)
        crop = screen.solid.crop or (self.whole_box if self.tool == "crop" else None)
        return (
            *marks,
            *self._unfinished(name),
            *path_marks(screen, self.tool),
            *(crop_marks(screen, crop, plane) if crop is not None else ()),
        )

    def _curved_marks(self, pane: Pane) -> tuple[MeasureMark, ...]:
        if pane.surface is None:
            return ()
        marks = MeasureMarks(self.measuring).on_curved(self.session.screen, pane.surface, self.selected)
        held = self.gestures.hand.held_line()
        dragged = (MeasureMark(held, False, "", is_path=True),) if held else ()
        line = line_on_curved(self.session.screen, self.tool, self.selected)
        return (*marks, *line, *dragged, *self._unfinished("curved"))

    def _solid_marks(self) -> tuple[MeasureMark, ...]:
        screen = self.session.screen
        marks = MeasureMarks(self.measuring).in_space(screen, self.selected)
        path = tuple(replace(mark, number=None) for mark in path_marks(screen)) if screen.layout == "curved" else ()
        return (*path, *marks, *self._unfinished("solid"))

    def _unfinished(self, name: PaneName) -> tuple[MeasureMark, ...]:
        """Returns the measure that is being drawn on a pane."""
        hand = self.gestures.hand
        if not hand.points or name != self.under:
            return ()
        marks, shape = MeasureMarks(self.measuring), self.panes[name].shape
        return (marks.unfinished(self.session.screen, name, self.tool, hand.drawn(), shape),)

    def select(self, number: int | None) -> None:
        """Selects a measure, or none: what is selected can be dragged, named, coloured, copied and deleted."""
        if number is not None and not 0 <= number < len(self.session.screen.measures):
            number = None
        if number != self.selected:
            self.selected = number
            for name in self.visible_panes():
                self.show_overlay(name)
            self.selection.emit()

    def go_to(self, number: int) -> None:
        """Selects a measure and brings its plane."""
        self.select(number)
        self.do(edits.at_cursor, self.session.screen.measures[number].points_mm[0])

    def ask_words(self, number: int) -> None:
        """Asks for the words of a text or an arrow."""
        self.words_wanted.emit(number)

    def leave_tool(self) -> None:
        """Leaves what was begun: an unfinished measure, then a selection, then the tool."""
        if self.gestures.hand.points:
            self.gestures.hand.forget()
            for name in self.visible_panes():
                self.show_overlay(name)
        elif self.selected is not None:
            self.select(None)
        elif self.tool != "window":
            self.choose_tool("window")

    def copy_measures(self) -> None:
        """Copies the selected measure as words, or all of them, for a report."""
        measures = self.session.screen.measures
        chosen = range(len(measures)) if self.selected is None else (self.selected,)
        names = names_said(measures)
        lines = [f"{names[n]}: {self.said_of(measures[n])}".replace("\n", ", ") for n in chosen]
        if lines:
            QApplication.clipboard().setText("\n".join(lines))
            self.said.emit(tr("Copied: {count} measures.", count=len(lines)))

    def ask_prior(self) -> None:
        """Asks how the selected lesion was earlier; where none is selected, the only one."""
        lesions = [n for n, measure in enumerate(self.session.screen.measures) if measure.kind == "lesion"]
        if self.selected in lesions:
            lesions = [self.selected]
        if len(lesions) == 1:
            self.prior_wanted.emit(lesions[0])
        else:
            self.say(tr("Select a lesion first.") if lesions else tr("Measure a lesion first."))

    def duplicate_measure(self) -> None:
        """Copies the selected measure into the plane of the crosshair."""
        if self.selected is None:
            return
        if self.session.screen.measures[self.selected].in_space:
            self.say(tr("What lies in space lies in no plane; it is not copied into another one."))
            return
        self.do(measure_edits.duplicated, self.selected)
        self.select(len(self.session.screen.measures) - 1)

    def said_of(self, measure: Measure) -> str:
        """Returns a measure in words of the window, its numbers with their unit."""
        return said_of(self.measuring, measure)

    @property
    def whole_box(self) -> Box:
        """The box that crops nothing."""
        corners = outer_corners(self.session.volume)
        ends = [(min(c[axis] for c in corners), max(c[axis] for c in corners)) for axis in range(3)]
        return Box(vector(low for low, _ in ends), vector(high for _, high in ends))

    def index_of(self, place_mm: Vector) -> tuple[int, int, int]:
        """Returns (k, j, i) of the voxel of the volume that is nearest to a point."""
        at = zip(point(self.session.volume.to_index, place_mm), self.session.volume.shape, strict=True)
        k, j, i = (min(max(round(v), 0), n - 1) for v, n in at)
        return (k, j, i)

    # ------------------------------------------------------------------------------------------------ commands

    def say(self, sentence: str) -> None:
        """Shows a sentence in the status bar."""
        self.said.emit(sentence)

    def do(self, edit: Callable[..., Screen], *arguments: Any, moving: bool = False) -> None:
        """Makes an edit; every change of the screen goes through here."""
        if self.session.change(edit, *arguments):
            self.select(self.selected)  # none, where it is gone
            self.refresh(moving)

    def try_to(self, edit: Callable[..., Screen], *arguments: Any) -> None:
        """Makes an edit that may be refused: then the status bar says why, and the screen stays."""
        try:
            self.do(edit, *arguments)
        except StepError as error:
            self.said.emit(str(error))

    def new_segment(self) -> None:
        """Adds an empty segment; the brush and growing mark it."""
        self.try_to(segment_edits.segment_added, tr("Segment"))
        segments = self.session.screen.segments
        if segments:
            self.active = segments[-1].label
            self.changed.emit()

    def segment_to_mark(self) -> int | None:
        """Returns the label of the chosen segment; of a new one where none is; None where there can be no more."""
        if segment_edits.segment_of(self.session.screen, self.active) is None:
            before = len(self.session.screen.segments)
            self.new_segment()
            if len(self.session.screen.segments) == before:
                return None
        return self.active

    def choose_tool(self, tool: str) -> None:
        self.tool = tool
        self.gestures.hand.forget()
        self.chose_tool.emit(tool)
        for name in self.visible_panes():
            self.show_overlay(name)

    def blend_more(self, by: float) -> None:
        """Lays more or less of what is compared over the planes."""
        compared = self.session.screen.compared
        if compared is None:
            self.say(tr("Nothing is compared; choose a study under View > Compare with."))
        else:
            self.do(edits.blended, compared.blend + by)

    def one_or_four(self, name: PaneName | None = None) -> None:
        one = main_pane(name or self.under)
        alone: Layout = one if one != "curved" else "curved"
        self.do(edits.laid_out, "four" if self.session.screen.layout != "four" else alone)

    def lay_out(self, layout: Layout) -> None:
        """Chooses a layout. A curved one without a path lays the vessel flat that is selected, or measured last."""
        screen = self.session.screen
        if layout == "curved" and not screen.curve.path_mm:
            chosen = screen.measures if self.selected is None else (screen.measures[self.selected],)
            for line in filter(None, (self.measuring.line_of(measure) for measure in reversed(chosen))):
                self.do(edits.path_laid, line)
                return
        self.do(edits.laid_out, layout)

    def thicken(self, by_mm: float, name: PaneName | None = None) -> None:
        pane = name or self.under
        self.do(edits.thickened, pane, edits.slab_of(self.session.screen, pane) + by_mm)

    def next_mode(self) -> None:
        if main_pane(self.under) != "solid":
            mode = edits.mode_of(self.session.screen, self.under)
            self.do(edits.with_mode, self.under, MODES[(MODES.index(mode) + 1) % len(MODES)])

    def next_style(self) -> None:
        style = self.session.screen.solid.style
        self.do(edits.with_style, STYLES[(STYLES.index(style) + 1) % len(STYLES)])

    def next_form(self) -> None:
        """Switches the curved picture between straightened, and stretched with the view of the 3D pane."""
        straight = self.session.screen.curve.form == "straightened"
        view = corners.rounded(self.session.screen.solid.view)
        self.do(edits.curve_formed, "stretched" if straight else "straightened", view)

    def next_preset(self) -> None:
        names = self.looks.presets_for(self.session.volume.unit, self.identity.modality)
        current = self.session.screen.solid.transfer.name
        following = names[(names.index(current) + 1) % len(names)] if current in names else names[0]
        self.choose_preset(following)

    def choose_preset(self, name: str) -> None:
        self.do(edits.with_transfer, self.looks.transfer_of(self.session.volume, name))

    def next_other_look(self) -> None:
        """Gives what is compared another look in the 3D of this one: its colours over planes, then the presets."""
        compared, other = self.session.screen.compared, self.other
        if compared is None or other is None:
            self.say(tr("Nothing is compared; choose a study under View > Compare with."))
            return
        names = ["", *self.looks.presets_for(other.unit, self.other_identity.modality)]
        now = compared.transfer.name if compared.transfer is not None else ""
        following = names[(names.index(now) + 1) % len(names)] if now in names else ""
        self.do(edits.other_looks, self.looks.transfer_of(other, following) if following else None)
        look = tr(self.looks.title_of(following)) if following else tr("as over planes")
        self.say(tr("The other study in 3D: {look}", look=look))

    def choose_window(self, name: str) -> None:
        chosen = next(window for window in windows_for(self.session.volume.unit) if window.name == name)
        self.do(edits.windowed, window_of(self.session.volume, chosen.window))

    def scroll_by(self, steps: int) -> None:
        if is_slice(self.under):
            self.do(stepped, plane_name(self.under), steps, self.session.volume, self.other)
        elif self.under == "curved":
            self.do(edits.curve_turned, 5.0 * steps)
        else:
            self.do(edits.rotated, 5.0 * steps, 0.0)

    def toggle_table(self) -> None:
        if self._in_hounsfield(tr("Table and holder are known by Hounsfield units; this volume has none.")):
            above = self.session.screen.solid.body_above
            self.do(edits.without_table, None if above is not None else TABLE_ABOVE_HU)

    def toggle_bone(self) -> None:
        if self._in_hounsfield(tr("Bone is known by Hounsfield units; this volume has none.")):
            if edits.has_no_bone(self.session.screen):
                self.do(edits.with_bone)
            else:
                self.finding.propose(Automatic("bone", CUT_AWAY), tr("Bone"))

    def _in_hounsfield(self, why_not: str) -> bool:
        if self.session.volume.unit != "HU":
            self.said.emit(why_not)
        return self.session.volume.unit == "HU"

    def toggle_cine(self) -> None:
        if self._cine.isActive():
            self._cine.stop()
            self.session.end()
            self.refresh()
        else:
            self.session.begin()
            self._cine.start()

    def _cine_step(self) -> None:
        if not is_slice(self.under):
            turn = edits.curve_turned if self.under == "curved" else edits.rotated
            self.do(turn, 6.0, *(() if self.under == "curved" else (0.0,)), moving=True)
            return
        name, volumes, before = plane_name(self.under), (self.session.volume, self.other), self.session.screen
        self.do(stepped, name, 1, *volumes, moving=True)
        if self.session.screen is before:  # the last one: from the first again
            self.do(stepped, name, -_BEYOND, *volumes, moving=True)

    def undo(self) -> None:
        self.gestures.hand.let_go()  # another measure may have its number now
        if self.session.undo():
            self.select(self.selected)
            self.refresh()

    def redo(self) -> None:
        self.gestures.hand.let_go()
        if self.session.redo():
            self.select(self.selected)
            self.refresh()

    def reset(self) -> None:
        first = self.first
        self.do(
            lambda screen: replace(
                first, measures=screen.measures, captures=screen.captures, curve=screen.curve, compared=screen.compared
            )
        )

    def delete_last(self) -> None:
        """Deletes the selected measure; else the last point of the path while one is being clicked, or the last
        measure."""
        self.gestures.hand.let_go()
        if self.selected is not None:
            number, self.selected = self.selected, None
            self.do(measure_edits.unmeasured, number)
            self.selection.emit()
        elif self.tool == "path" and self.session.screen.curve.path_mm:
            self.do(edits.path_shortened)
        elif self.session.screen.measures:
            self.do(measure_edits.unmeasured, len(self.session.screen.measures) - 1)

    def capture(self, frames: int = 1) -> None:
        pane = "solid" if frames > 1 else main_pane(self.under)
        if self.under in OTHERS:
            self.said.emit(tr("Pictures are captured of the study that is open, not of what it is compared with."))
            return
        compared = self.session.screen.compared
        if compared is not None and is_fused(recipe_of(self.session.screen, pane, 8, 8)):
            if self.other is None:
                self.say(tr("Opening what is compared …"))
                return
            if not compared.same_study:
                self.say(tr("A record speaks of one study: a picture with another study over it is not captured."))
                return
            self.drawer.have(compared.key, self.other)
        before = len(self.session.screen.captures)
        self.do(edits.captured, pane, 512, frames)
        if len(self.session.screen.captures) > before:
            self.said.emit(tr("Captured: {name}", name=self.session.screen.captures[-1].recipe.name))


class _Apart(QWidget):
    """A separate window for one pane."""

    closed = Signal()

    def __init__(self, pane: Pane) -> None:
        super().__init__(None)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(pane)
        pane.show()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        super().closeEvent(event)
        # Emitted later: a window must not be deleted while it is being closed.
        QTimer.singleShot(0, self.closed.emit)
