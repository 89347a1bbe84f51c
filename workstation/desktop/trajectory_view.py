"""The selected trajectory: a depth along it, and ways to see it in the panes."""

import math

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from render.geometry import Vector, vector
from render.recipe import Reformat
from render.trajectory import trajectory_pictures
from workstation.desktop.language import tr
from workstation.desktop.model import edits
from workstation.desktop.plain import PlainLabel
from workstation.desktop.viewer import Viewer

_PER_MM = 2  # steps of the slider


class TrajectoryView(QWidget):
    """Shown while a trajectory is selected: a place along it, chosen by the slider, is the crosshair of the panes."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.slider, self.said = QSlider(Qt.Orientation.Horizontal), PlainLabel()
        self.slider.setAccessibleName(tr("Depth along the trajectory"))
        self.slider.setPageStep(5 * _PER_MM)
        self.slider.valueChanged.connect(self._go)
        self.slider.sliderPressed.connect(lambda: viewer.session.begin())
        self.slider.sliderReleased.connect(lambda: viewer.session.end())
        self.along, self.eye, self.take = (
            QPushButton(tr("Plane along it")),
            QPushButton(tr("Probe's eye")),
            QPushButton(tr("Capture pictures")),
        )
        self.along.setToolTip(tr("Turns the coronal pane so that it holds the trajectory"))
        self.eye.setToolTip(tr("Turns the axial pane across the trajectory; the wheel goes along it"))
        self.take.setToolTip(tr("Two planes that hold it, and the probe's-eye view from the entry to the target"))
        self.along.clicked.connect(self._face_along)
        self.eye.clicked.connect(self._face_across)
        self.take.clicked.connect(self._capture)
        buttons, layout = QHBoxLayout(), QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.along, self.eye, self.take):
            buttons.addWidget(button)
        layout.addWidget(self.slider)
        layout.addWidget(self.said)
        layout.addLayout(buttons)
        viewer.selection.connect(self.refresh)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def _ends(self) -> tuple[Vector, Vector] | None:
        """Returns entry and target of the trajectory that is selected, LPS mm; None where none is."""
        number, measures = self._viewer.selected, self._viewer.session.screen.measures
        if number is None or measures[number].kind != "trajectory":
            return None
        return measures[number].points_mm[0], measures[number].points_mm[1]

    def refresh(self) -> None:
        """Shows how deep the crosshair is along the trajectory: where it is nearest to it."""
        ends = self._ends()
        self.setVisible(ends is not None)
        if ends is None:
            return
        entry, target = ends
        long_mm = math.dist(entry, target)
        way = [(t - e) / max(long_mm, 1e-9) for e, t in zip(entry, target, strict=True)]
        cursor = self._viewer.session.screen.cursor_mm
        deep = sum((c - e) * w for c, e, w in zip(cursor, entry, way, strict=True))
        deep = min(max(deep, 0.0), long_mm)
        self.slider.blockSignals(True)
        self.slider.setRange(0, math.ceil(long_mm * _PER_MM))
        self.slider.setValue(round(deep * _PER_MM))
        self.slider.blockSignals(False)
        self.said.setText(tr("{mm} mm from the entry", mm=f"{deep:.1f}"))

    def _go(self, step: int) -> None:
        ends = self._ends()
        if ends is not None:
            part = min(step / _PER_MM / max(math.dist(*ends), 1e-9), 1.0)
            self._viewer.do(edits.at_cursor, vector(e + part * (t - e) for e, t in zip(*ends, strict=True)))

    def _pictures(self) -> tuple[Reformat, ...]:
        ends, viewer = self._ends(), self._viewer
        if ends is None:
            return ()
        found = trajectory_pictures(viewer.session.volume, *ends, viewer.session.screen.window)
        return tuple(recipe for recipe in found if isinstance(recipe, Reformat))

    def _face_along(self) -> None:
        for recipe in self._pictures()[:1]:
            assert recipe.centre_mm is not None
            self._viewer.do(edits.at_cursor, recipe.centre_mm)
            self._viewer.do(edits.faced, "coronal", recipe.view)

    def _face_across(self) -> None:
        ends = self._ends()
        for recipe in self._pictures()[-1:] if ends is not None else ():
            assert ends is not None
            self._viewer.do(edits.at_cursor, ends[0])
            self._viewer.do(edits.faced, "axial", recipe.view)

    def _capture(self) -> None:
        recipes = self._pictures()
        if recipes:
            self._viewer.do(edits.collected, recipes)
            self._viewer.say(tr("{count} pictures captured.", count=len(recipes)))
