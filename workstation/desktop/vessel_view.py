"""A vessel that was followed: its diameter along the way, the section at a place, and ways to see it in the panes."""

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from render import Picture, draw
from render.geometry import Vector, vector
from render.vessels.centreline import points_of_line
from render.vessels.pictures import path_of, section_at, vessel_pictures
from workstation.desktop.language import tr
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.plain import PlainLabel
from workstation.desktop.vessel_section import AlongVessel, VesselSection
from workstation.desktop.viewer import Viewer
from workstation.export.vessel_files import MeasuredVessel

_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 8.0, 22.0  # around the curve
_STILL_MS = 200  # what goes along the vessel in quick succession is one step to undo
_BAND, _LINE, _NARROW, _WIDE, _HERE = (
    QColor(74, 163, 223, 70),
    QColor(74, 163, 223),
    QColor(230, 90, 80),
    QColor(255, 190, 60),
    QColor(225, 225, 225),
)


class DiameterPlot(AlongVessel):
    """The mean diameter along a vessel over the band from its least to its greatest."""

    def __init__(self) -> None:
        super().__init__()
        self.found: MeasuredVessel | None = None
        self.at_mm = 0.0
        self.setMinimumHeight(130)
        self.setAccessibleName(tr("Diameter along the vessel"))
        self.setToolTip(tr("A click or the arrow keys go along the vessel; Page Up and Page Down further"))

    def show_vessel(self, found: MeasuredVessel | None, at_mm: float) -> None:
        self.found, self.at_mm = found, at_mm
        self.update()

    def _inner(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)

    def place(self, along_mm: float, diameter_mm: float) -> QPointF:
        """Returns the position on the widget."""
        assert self.found is not None
        inner, vessel = self._inner(), self.found.vessel
        most = float(vessel.sections.diameters_mm[1].max()) * 1.1
        return QPointF(
            inner.left() + along_mm / max(vessel.length_mm, 1e-6) * inner.width(),
            inner.bottom() - min(diameter_mm / most, 1.0) * inner.height(),
        )

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(12, 14, 16))
        if self.found is not None:
            self._paint(painter, self.found)
        self.paint_focus(painter)
        painter.end()

    def _paint(self, painter: QPainter, found: MeasuredVessel) -> None:
        inner, along = self._inner(), found.vessel.along_mm
        least, greatest, mean = found.vessel.sections.diameters_mm
        every = max(1, len(along) // 400)
        low, high, line = (
            [self.place(float(a), float(d)) for a, d in zip(along[::every], curve[::every], strict=True)]
            for curve in (least, greatest, mean)
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_BAND)
        painter.drawPolygon(QPolygonF([*low, *reversed(high)]))
        painter.setPen(QPen(_LINE, 1.5))
        painter.drawPolyline(QPolygonF(line))
        for at, colour, word in (
            (found.stenosis.at_mm, _NARROW, tr("narrowest")),
            (found.widest.at_mm, _WIDE, tr("widest")),
        ):
            x = self.place(at, 0.0).x()
            painter.setPen(QPen(colour, 1.0, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, inner.top()), QPointF(x, inner.bottom()))
            width = painter.fontMetrics().horizontalAdvance(word)
            painter.drawText(QPointF(min(x + 3, self.width() - width - 2.0), inner.top() + 10), word)
        x = self.place(self.at_mm, 0.0).x()
        painter.setPen(QPen(_HERE, 2.0))
        painter.drawLine(QPointF(x, inner.top()), QPointF(x, inner.bottom()))
        painter.setPen(_HERE)
        most = float(greatest.max()) * 1.1
        for value in (0.0, most / 2.0, most):
            y = self.place(0.0, value).y()
            painter.drawText(QPointF(2.0, y + 4.0), f"{value:.0f}")
        painter.drawText(QPointF(inner.left(), self.height() - 6.0), "0")
        end = f"{found.vessel.length_mm:.0f} mm"
        painter.drawText(
            QPointF(inner.right() - painter.fontMetrics().horizontalAdvance(end), self.height() - 6.0), end
        )

    def _go(self, x: float) -> None:
        if self.found is not None:
            inner = self._inner()
            part = min(max((x - inner.left()) / max(inner.width(), 1.0), 0.0), 1.0)
            self.moved.emit(part * self.found.vessel.length_mm - self.at_mm)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self.held.emit()
        self._go(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.let_go.emit()


class VesselView(QWidget):
    """The selected vessel: a place along it, chosen in the curve, is the crosshair of the panes. at_mm : that place."""

    _drawn = Signal(object, object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.found: MeasuredVessel | None = None
        self.at_mm = 0.0
        self._number_shown: int | None = None
        self._brought: Vector | None = None  # where a line is that is being measured again
        self.plot, self.section, self.said = DiameterPlot(), VesselSection(), PlainLabel()
        self._is_held = False
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(_STILL_MS)
        self._still.timeout.connect(lambda: viewer.session.end())
        self.said.setWordWrap(True)
        self.said.setAlignment(Qt.AlignmentFlag.AlignTop)
        for each in (self.plot, self.section):
            each.moved.connect(self._go_on)
            each.held.connect(self._hold)
            each.let_go.connect(self._let_go)
        self.section.centred.connect(self._bend)
        self.curved, self.across, self.take = (
            QPushButton(tr("Curved picture")),
            QPushButton(tr("Plane across")),
            QPushButton(tr("Capture pictures")),
        )
        self.curved.setToolTip(tr("Lays the vessel flat in the curved pane"))
        self.across.setToolTip(tr("Tilts the axial pane across the vessel at this place"))
        self.take.setToolTip(tr("Curved pictures, and sections at the narrowest and the widest place"))
        self.line = QPushButton(tr("Line by hand"))
        self.line.setToolTip(tr("Gives the line points to be dragged, in planes and on the curved picture"))
        self.line.clicked.connect(self._lay_by_hand)
        self.fly = QPushButton(tr("Fly through"))
        self.fly.setToolTip(tr("Captures a flight along the vessel, as a film"))
        self.fly.clicked.connect(self._fly)
        self.curved.clicked.connect(self._lay_flat)
        self.across.clicked.connect(self._cut_across)
        self.take.clicked.connect(self._capture)
        self._drawn.connect(self._show_section)
        middle, buttons, layout = QHBoxLayout(), QGridLayout(), QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        middle.addWidget(self.section)
        middle.addWidget(self.said, 1)
        for number, button in enumerate((self.curved, self.across, self.line, self.take, self.fly)):
            buttons.addWidget(button, number // 2, number % 2)
        layout.addWidget(self.plot)
        layout.addLayout(middle)
        layout.addLayout(buttons)
        viewer.selection.connect(self.refresh)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the vessel that is selected, at its narrowest place; nothing where none is."""
        number, measures = self._viewer.selected, self._viewer.session.screen.measures
        thing = self._viewer.measuring.found(measures[number]) if number is not None else None
        found = thing.vessel if thing is not None else None
        if thing is None and number is not None and number == self._number_shown and measures[number].by_hand:
            return  # its line was dragged, and is being measured again
        self.setVisible(found is not None)
        self.line.setEnabled(number is not None and not measures[number].by_hand)
        if found is not self.found:
            self.found = found
            if found is not None:  # of the same line, dragged, the same place stays
                dragged = number == self._number_shown and number is not None and measures[number].by_hand
                brought, self._brought = self._brought, None
                if dragged and brought is not None:
                    self._show(found.vessel.places_of((brought,))[0])
                else:
                    self._show(min(self.at_mm, found.vessel.length_mm) if dragged else found.stenosis.at_mm)
                self._number_shown = number

    def go(self, at_mm: float) -> None:
        """Goes to a place along the vessel, the panes with it."""
        if self.found is None:
            return
        self._show(at_mm)
        self._viewer.do(edits.at_cursor, vector(self.found.vessel.centreline_mm[self._number()]))

    def _go_on(self, by_mm: float) -> None:
        """Goes further along the vessel, or back; what follows soon is the same step to undo."""
        if self.found is not None:
            self._viewer.session.begin()
            self.go(min(max(self.at_mm + by_mm, 0.0), self.found.vessel.length_mm))
            if not self._is_held:
                self._still.start()

    def _hold(self) -> None:
        self._is_held = True
        self._viewer.session.begin()

    def _let_go(self) -> None:
        self._is_held = False
        self._viewer.session.end()

    def _bend(self, place_mm: Vector) -> None:
        """Has the line of the vessel go through a place of the section that is shown. A line that was followed becomes
        one by hand."""
        viewer, number = self._viewer, self._viewer.selected
        if number is None or self.found is None or self.section.middle_mm is None:
            return
        vessel, followed = self.found.vessel, not viewer.session.screen.measures[number].by_hand
        self._brought = place_mm
        viewer.session.begin()
        if followed:
            viewer.do(measure_edits.line_by_hand, number, points_of_line(vessel), path_of(vessel))
        viewer.do(measure_edits.line_bent, number, self.section.middle_mm, place_mm)
        viewer.do(edits.at_cursor, place_mm)
        viewer.session.end()
        if followed:
            viewer.say(tr("The line is laid by hand now; undo brings back the one that was followed."))

    def _number(self) -> int:
        assert self.found is not None
        return int(np.argmin(np.abs(self.found.vessel.along_mm - self.at_mm)))

    def _show(self, at_mm: float) -> None:
        found = self.found
        assert found is not None
        self.at_mm = at_mm
        self.plot.show_vessel(found, at_mm)
        n, sections = self._number(), found.vessel.sections
        least, greatest, mean = (float(curve[n]) for curve in sections.diameters_mm)
        narrow = found.stenosis
        lines = [
            tr("At {at} mm", at=f"{found.vessel.along_mm[n]:.1f}"),
            f"{greatest:.1f} × {least:.1f} mm, ⌀ {mean:.1f} mm",
            f"{float(sections.areas_mm2[n]):.0f} mm²",
            "" if bool(sections.closed[n]) else tr("The edge of the lumen is not seen all round here."),
            tr("Reference {mm} mm", mm=f"{narrow.reference_mm:.1f}"),
            f"NASCET {narrow.nascet_percent:.0f} %, ECST {narrow.ecst_percent:.0f} %",
            tr("Area −{percent} %", percent=f"{narrow.area_percent:.0f}"),
            tr("An estimate: the lumen is too narrow to be resolved.") if found.is_estimate else "",
        ]
        self.said.setText("\n".join(line for line in lines if line))
        recipe, volume = section_at(found.vessel, at_mm, "section"), self._viewer.session.volume

        def drawn() -> None:
            if self.at_mm == at_mm:  # else the mouse has gone on
                self._drawn.emit(found, draw(volume, recipe))

        self._viewer.drawer.ask_errand(drawn, tell=False)

    def _show_section(self, found: MeasuredVessel, picture: Picture) -> None:
        sections, n = found.vessel.sections, self._number() if found is self.found else -1
        middle = vector(sections.middles[n])
        if n < 0 or picture.recipe != section_at(found.vessel, self.at_mm, "section"):
            return  # of another vessel, or another place along it
        aside, below = sections.corners[n].T
        edge = sections.middles[n] + aside[:, None] * sections.right[n] + below[:, None] * sections.down[n]
        self.section.show_section(picture, middle, tuple(vector(p) for p in edge), bool(sections.closed[n]))

    def _lay_flat(self) -> None:
        number = self._viewer.selected
        if number is not None and self.found is not None:
            line = self._viewer.measuring.line_of(self._viewer.session.screen.measures[number])
            self._viewer.do(edits.path_laid, line)

    def _lay_by_hand(self) -> None:
        number = self._viewer.selected
        if number is not None and self.found is not None:
            vessel = self.found.vessel
            self._viewer.do(measure_edits.line_by_hand, number, points_of_line(vessel), path_of(vessel))
            self._viewer.choose_tool("window")
            self._viewer.say(tr("Drag the points of the line; undo brings back the one that was followed."))

    def _cut_across(self) -> None:
        if self.found is not None:
            view = section_at(self.found.vessel, self.at_mm, "section").view
            self._viewer.do(edits.faced, "axial", view)

    def _capture(self) -> None:
        if self.found is not None:
            places = {"Narrowest": self.found.stenosis.at_mm, "Widest": self.found.widest.at_mm}
            recipes = vessel_pictures(self.found.vessel, places)
            self._viewer.do(edits.collected, recipes)
            self._viewer.say(tr("{count} pictures captured.", count=len(recipes)))

    def _fly(self) -> None:
        number = self._viewer.selected
        if number is not None:
            self._viewer.finding.fly("vessel", self._viewer.session.screen.measures[number].points_mm)
