"""One captured picture large, with letters, scale and measures, beside the pane that shows the same now."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPixmap
from PySide6.QtWidgets import QDialog, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from render.annotate import annotated
from render.marks import marks_on
from render.picture import Picture
from workstation.desktop.images import image_from
from workstation.desktop.language import tr
from workstation.desktop.model.notes import marks_of
from workstation.desktop.model.tray_edits import pane_of
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with
from workstation.desktop.viewer import Viewer


class CapturePreview(QDialog):
    """A captured picture, and its pane. stepped : the reader wants the next one, or the one before."""

    stepped = Signal(int)

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._wanted = viewer, ""
        self.picture, self.pane = _Shown(tr("The captured picture")), _Shown(tr("The pane as it is now"))
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        row, layout = QHBoxLayout(), QVBoxLayout(self)
        row.addWidget(self.picture)
        row.addWidget(self.pane)
        layout.addLayout(row, 1)
        layout.addWidget(self.said)
        open_with(self, 1100, 640)
        viewer.drawer.large.connect(self._drawn)

    def show_capture(self, number: int) -> None:
        """Shows the captured picture of that number."""
        captures = self._viewer.session.screen.captures
        if not 0 <= number < len(captures):
            return
        recipe = captures[number].recipe
        self.setWindowTitle(recipe.name)
        count = getattr(recipe, "count", 1) if getattr(recipe, "rotation", None) is None else recipe.rotation.frames  # type: ignore[union-attr]
        words = [tr("{number} of {count}", number=number + 1, count=len(captures)), recipe.name]
        if count > 1:
            words.append(tr("the first of {count} pictures", count=count))
        self.said.setText("   ".join(words) + "   " + tr("Arrows: the next one; Esc: close."))
        self._wanted = recipe.name
        self._viewer.drawer.ask_large(recipe.name, recipe, captures[number].second)
        name = pane_of(self._viewer.session.screen, number)
        self.pane.setVisible(name in self._viewer.visible_panes())
        self.pane.show_image(self._viewer.panes[name].grab().toImage())

    def _drawn(self, name: str, picture: Picture) -> None:
        if name == self._wanted:
            self.picture.show_image(self._with_measures(picture))

    def _with_measures(self, picture: Picture) -> QImage:
        """Returns a picture with its letters, and with the measures on it, which are stored beside it."""
        session = self._viewer.session
        marks = marks_of(session.screen.measures, session.volume)
        return image_from(marks_on(picture, 0, annotated(picture), marks))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1}
        if event.key() in steps:
            self.stepped.emit(steps[Qt.Key(event.key())])
        elif event.key() == Qt.Key.Key_Space:
            self.close()
        else:
            super().keyPressEvent(event)


class _Shown(QWidget):
    """A picture as large as there is room, with a title."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._whole = QPixmap()
        self.label = PlainLabel()
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.label.setMinimumSize(200, 200)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.label.setAccessibleName(title)
        layout = QVBoxLayout(self)
        layout.addWidget(PlainLabel(title))
        layout.addWidget(self.label, 1)

    def show_image(self, image: QImage) -> None:
        self._whole = QPixmap.fromImage(image)
        self._fit()

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        self._fit()

    def _fit(self) -> None:
        if not self._whole.isNull():
            size = self.label.size()
            smooth = Qt.TransformationMode.SmoothTransformation
            self.label.setPixmap(self._whole.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, smooth))
