"""A planning sheet from words on the pictures: which places it takes, what it says, and what goes into the report."""

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from render import View
from render.geometry import Vector
from tests.render.vessels.phantoms import Aorta, aorta, root
from workstation.desktop.model import measure_edits
from workstation.desktop.model.measuring import Measuring
from workstation.desktop.model.screen import Measure
from workstation.desktop.model.sheet_points import POINT_NAMES, findings_of, points_named, said
from workstation.desktop.sheet_commands import SheetPage
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.export.vessel_sheets import planning_sheet
from workstation.translation import recognised, translated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def known() -> Aorta:
    return aorta(np.random.default_rng(0), (1.2, 1.2, 1.2))


def words(text: str, place: Vector) -> Measure:
    return Measure("text", (place,), View(), text=text)


def test_words_name_the_points_of_the_sheet_that_most_of_them_are_of(known: Aorta) -> None:
    written = [words(name.replace("_", " ").capitalize(), place) for name, place in known.points.items()]
    arrow = Measure("arrow", ((1.0, 2.0, 3.0), (9.0, 9.0, 9.0)), View(), text="right access")
    kind, points = points_named([*written, words("calcified", (0.0, 0.0, 0.0)), arrow])
    assert kind == "evar" and points == {**known.points, "right_access": (1.0, 2.0, 3.0)}
    cusps = [words(f"{which} cusp", (0.0, 0.0, float(n))) for n, which in enumerate(("right", "left", "non"))]
    assert points_named(cusps)[0] == "tavi" and points_named([]) == ("evar", {})


def test_what_it_says_is_what_is_known(known: Aorta) -> None:
    found = findings_of(planning_sheet("evar", known.made.volume, known.points))
    neck, *others = found.split("\n")
    pieces = [
        piece.removesuffix(" mm").removesuffix("°") for piece in neck.removeprefix("Neck: ").rstrip(".").split("; ")
    ]
    parts = {name: value for name, _, value in (piece.rpartition(" ") for piece in pieces)}
    assert float(parts["diameter at 0 mm"]) == pytest.approx(known.neck_diameter_mm, abs=0.4)
    assert float(parts["alpha, suprarenal to neck"]) == pytest.approx(known.alpha_deg, abs=4.0)
    assert float(parts["length"]) == pytest.approx(known.neck_mm, abs=1.2)
    assert any(line.startswith("Right iliac: ") for line in others) and "thrombus" in found


def in_german(text: str) -> str:
    return translated(text, "de")


def test_in_german_all_of_it_is_german(known: Aorta) -> None:
    made = root(np.random.default_rng(3), 1.2)
    for sheet in (
        planning_sheet("evar", known.made.volume, known.points),
        planning_sheet("tavi", made.volume, made.points),
    ):
        words = {word for row in sheet.rows for word in (row.part.capitalize(), row.measure)}
        words |= {*sheet.words, *sheet.warnings, *(recipe.name for recipe in sheet.recipes)}
        assert [text for text in words if recognised(text, "de") is None] == []
    found = findings_of(planning_sheet("evar", known.made.volume, known.points), in_german)
    assert found.startswith("Hals: Durchmesser bei 0 mm ") and "Iliakal rechts: Durchmesser am Ende" in found


def test_points_are_named_in_german_too(known: Aorta) -> None:
    places = {
        "Unterste  Nierenarterie": (0.0, 0.0, 1.0),
        "bifurcation": (0.0, 0.0, 2.0),
        "Zugang rechts": (0.0, 0.0, 3.0),
    }
    kind, points = points_named([words(name, place) for name, place in places.items()], in_german)
    assert kind == "evar" and set(points) == {"lowest_renal", "bifurcation", "right_access"}
    names = [in_german(said(name)).lower() for one in POINT_NAMES.values() for name in one]
    assert len(set(names)) == len(names)  # no two are called the same


@pytest.fixture
def reader(reading: Viewer, known: Aorta, monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewer]:
    """The panes, with the aorta as the volume that is measured."""
    volume = reading.session.volume
    reading.session.volume = known.made.volume
    yield reading
    reading.session.volume = volume
    reading.measuring = Measuring(volume)


def test_it_is_looked_at_and_taken_into_the_report(
    reading_window: MainWindow, reader: Viewer, known: Aorta, qtbot: QtBot
) -> None:
    heard: list[str] = []
    reading_window.menus.actions["sheet"].trigger()
    qtbot.waitUntil(lambda: "lowest renal" in reading_window.statusBar().currentMessage())
    for name, place in known.points.items():
        reader.session.change(measure_edits.measured, words(name.replace("_", " "), place))

    def page() -> None:
        shown = QApplication.activeModalWidget()
        if not isinstance(shown, SheetPage):
            QTimer.singleShot(20, page)
            return
        heard.append(shown.windowTitle())
        shown.accept()

    QTimer.singleShot(0, page)
    reading_window.menus.actions["sheet"].trigger()
    qtbot.waitUntil(lambda: bool(reader.session.screen.captures), timeout=100_000)
    names = {capture.recipe.name for capture in reader.session.screen.captures}
    assert heard and {"Sac, widest", "Straightened, right", "Neck, 0 mm below"} <= names
    report = reading_window.reader.report
    assert report is not None and "Neck: diameter at 0 mm" in report.fields["findings"].toPlainText()
    assert reader.session.draft.findings == report.fields["findings"].toPlainText()
    report.fields["findings"].setPlainText("")
