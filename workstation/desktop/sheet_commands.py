"""The planning sheet of a stent graft or a valve: measured from named places, looked at, and taken into the report."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QDialog, QScrollArea, QVBoxLayout, QWidget

from workstation.desktop import dialogs
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model import edits
from workstation.desktop.model.sheet_points import POINT_NAMES, findings_of, points_named, said
from workstation.desktop.open_readings import DeskReader, OpenReading
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with
from workstation.export.vessel_sheets import PlanningSheet, planning_sheet, sheet_page


@dataclass(frozen=True, slots=True)
class _Made:
    sheet: PlanningSheet
    page: bytes


class SheetCommands:
    """Makes planning sheets."""

    def __init__(self, reader: DeskReader, works: Works, say: Callable[[str, bool], None], parent: QWidget) -> None:
        self._reader, self._works, self._say, self._parent = reader, works, say, parent

    def make(self) -> None:
        """Measures the sheet of the places that words on the pictures name, and shows its page."""
        reading = self._reader.reading
        if reading is None:
            return
        kind, points = points_named(reading.viewer.session.screen.measures, tr)
        if not points:
            names = ", ".join(tr(said(name)) for name in POINT_NAMES["evar"][:4])
            self._say(tr("Write where they are with the text tool, then again: {names}.", names=names), True)
            return
        volume, person = reading.viewer.session.volume, reading.viewer.identity.person

        def work() -> _Made:
            sheet = planning_sheet(kind, volume, points)
            return _Made(sheet, sheet_page(sheet, volume, tr))

        def done(made: object) -> None:
            assert isinstance(made, _Made)
            if self._reader.reading is reading and SheetPage(made.page, person, self._parent).exec():
                self._take(reading, made.sheet)

        self._works.run(lambda tell: work(), done, tr("Measuring the sheet"))

    def _take(self, reading: OpenReading, sheet: PlanningSheet) -> None:
        """Puts the sheet's pictures into the tray, and its measures under the findings."""
        if reading.viewer.session.sealed:
            reading.viewer.session.refused()
            return
        reading.viewer.do(edits.collected, sheet.recipes)
        reading.report.put(f"sheet {sheet.kind}", findings_of(sheet, tr).split("\n"))
        self._say(
            tr("{count} pictures captured, and the measures are in the findings.", count=len(sheet.recipes)), False
        )


class SheetPage(QDialog):
    """Shows the page of a sheet, and asks whether it is taken into the report. person : whose it is, in a line."""

    def __init__(self, page: bytes, person: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Planning sheet"))
        picture, shown, area = QPixmap(), PlainLabel(), QScrollArea()
        picture.loadFromData(page)
        shown.setAccessibleName(tr("Planning sheet"))
        area.setWidgetResizable(True)
        area.setAlignment(Qt.AlignmentFlag.AlignCenter)
        open_with(self, 1500, 980)
        wide = picture.scaledToWidth(
            min(picture.width(), round(self.width() * self.devicePixelRatioF()) - 40),
            Qt.TransformationMode.SmoothTransformation,
        )
        shown.setPixmap(wide)
        area.setWidget(shown)
        layout = QVBoxLayout(self)
        layout.addWidget(PlainLabel(person))
        layout.addWidget(area)
        layout.addWidget(dialogs.buttons(self, tr("Take into the report")))
