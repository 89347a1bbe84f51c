"""Whose picture it is, in every pane: what the corners say, and what they say of somebody else."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from render.geometry import View, point
from render.mask_steps import Values
from render.volume import Volume
from tests.workstation.desktop.conftest import DOCTOR
from tests.workstation.desktop.sentences import FOLDER
from workstation.desktop import window as window_module
from workstation.desktop.model import edits
from workstation.desktop.model.corners import (
    CORNERS,
    FIELDS,
    VIEW_WORDS,
    CornersError,
    load_corners,
    pane_values,
    rounded,
    under_the_mouse,
    view_said,
)
from workstation.desktop.model.identity import UNKNOWN, SeriesIdentity, identity_of
from workstation.desktop.model.measuring import Measuring
from workstation.desktop.model.screen import Compared, Measure
from workstation.desktop.plain import plain_tip, plain_title
from workstation.desktop.sign_dialog import Sign
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

Settled = Callable[[Viewer], None]


def hover(reading: Viewer, name: str, x: float, y: float) -> None:
    pane, none = reading.panes[name], Qt.MouseButton.NoButton  # type: ignore[index]
    at = QPointF(x, y)
    kind = QEvent.Type.MouseMove
    event = QMouseEvent(kind, at, pane.mapToGlobal(at), none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(pane, event)


def said(reading: Viewer, name: str) -> list[str]:
    """Every line in the corners of a pane."""
    corners = reading.panes[name].overlay.corners  # type: ignore[index]
    return [line for corner in CORNERS for line in corners.get(corner, ())]


def test_every_pane_says_who_what_and_where(reading: Viewer, reading_window: MainWindow) -> None:
    for name in reading.visible_panes():
        lines = " | ".join(said(reading, name))
        for word in ("CRANIUM, SAMPLE", "SAMPLE-CRANIUM", "2026-03-02", "Cranium 1.5 mm"):
            assert word in lines, (name, word)
    axial = said(reading, "axial")
    at = round(point(reading.session.volume.to_index, reading.session.screen.cursor_mm)[0]) + 1
    assert f"Im {at} / {reading.session.volume.shape[0]}" in axial and "thick 1.5 mm" in axial
    assert "CRANIUM, SAMPLE" in reading_window.windowTitle()
    reading_window.back_to_list()
    assert "CRANIUM" not in reading_window.windowTitle()


def test_the_value_and_the_place_under_the_mouse(reading: Viewer, settled: Settled) -> None:
    pane = reading.panes["axial"]
    hover(reading, "axial", 150.0, 120.0)
    place = pane.place(QPointF(150.0, 120.0))
    assert place is not None
    k, j, i = reading.index_of(place)
    voxels = reading.session.volume.voxels[k, j - 1 : j + 2, i - 1 : i + 2]
    value, where = pane.overlay.corners["bottom_left"]
    assert voxels.min() - 1 <= float(value.removesuffix(" HU")) <= voxels.max() + 1
    assert where == "L {:.1f}  P {:.1f}  H {:.1f}".format(*(round(v, 1) + 0.0 for v in place))
    QApplication.sendEvent(pane, QEvent(QEvent.Type.Leave))
    assert not pane.overlay.corners["bottom_left"]


def test_a_tilted_plane_says_that_it_is_oblique(reading: Viewer, settled: Settled) -> None:
    assert "Coronal" in said(reading, "coronal")
    reading.do(edits.tilted, "axial", 12.0)
    settled(reading)
    assert "Coronal, oblique 12°" in said(reading, "coronal") and "Axial" in said(reading, "axial")
    assert not any(line.startswith("Im") for line in said(reading, "coronal"))


def test_all_few_and_none(reading: Viewer, qtbot: QtBot) -> None:
    counts = []
    for _ in range(3):
        counts.append(len(said(reading, "axial")))
        qtbot.keyClick(reading.window(), Qt.Key.Key_V)
    assert counts[0] > counts[1] > counts[2] == 0


def test_somebody_else_beside_this_patient_is_told_in_red(reading: Viewer, settled: Settled) -> None:
    told: list[str] = []
    reading.said.connect(told.append)
    reading.other = reading.session.volume
    reading.do(edits.compared_with, Compared(reading.session.series_uid))
    prior = SeriesIdentity(reading.identity.patient, reading.identity.patient_id, study_date="2020-01-01")
    reading.compare_with(reading.session.volume, prior)
    settled(reading)
    assert "compared, 2020-01-01" in said(reading, "axial_other")
    assert not reading.panes["axial_other"].overlay.stranger and not told
    reading.compare_with(reading.session.volume, SeriesIdentity("Meier, Anna", "X-1", "1960-01-01", "F"))
    settled(reading)
    assert reading.panes["axial_other"].overlay.stranger and not reading.panes["axial"].overlay.stranger
    assert "Meier, Anna" in " ".join(said(reading, "axial_other")) and "name, ID" in told[-1]


def test_what_a_header_lacks_is_left_out() -> None:
    assert identity_of(Dataset()) == UNKNOWN
    assert UNKNOWN.differs_from(SeriesIdentity("Meier, Anna")) == ()
    ds = Dataset()
    ds.PatientName, ds.PatientBirthDate, ds.SliceThickness = "Meier^Anna=井上", "1960", "5.0"
    found = identity_of(ds)
    assert (found.patient, found.birth_date, found.thickness_mm) == ("Meier, Anna", "1960", 5.0)
    assert found.person == "Meier, Anna  1960"


def test_a_file_of_ones_own_takes_the_place_of_a_level(tmp_path: Path, reading: Viewer) -> None:
    own = tmp_path / "corners.toml"
    own.write_text('[few]\ntop_left = ["{patient_id} / {accession}", "{institution}"]\n')
    texts = load_corners(own)
    values = pane_values(reading.session.screen, "axial", reading.session.volume, reading.identity, 0.5)
    assert set(values) == set(FIELDS)
    assert texts.filled("few", values)["top_left"] == ("SAMPLE-CRANIUM / DEMO-0001",)
    assert texts.filled("all", values) == load_corners().filled("all", values)


def test_a_line_of_words_alone_is_shown(tmp_path: Path) -> None:
    own = tmp_path / "corners.toml"
    own.write_text('[few]\ntop_left = ["St. Mary", "{patient_id}"]\n')
    assert load_corners(own).filled("few", {})["top_left"] == ("St. Mary",)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A\x1b[31mB\x00^C\r\nD", "A[31mB, C D"),
        ("\u202egnaW^\u2066Li", "gnaW, Li"),  # would turn round what stands after it, the ID too
        ("{patient_id}^<b>x</b>", "{patient_id}, <b>x</b>"),
        ("כהן^דוד", "כהן, דוד"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
    ],
)
def test_a_name_is_shown_as_words_and_nothing_else(name: str, shown: str) -> None:
    ds = Dataset()
    ds.PatientName, ds.PatientID = name, "A\n7"
    found = identity_of(ds)
    assert (found.patient, found.patient_id) == (shown, "A 7")
    lines = load_corners().filled("all", {"patient": found.patient, "patient_id": found.patient_id})
    assert shown in " ".join(lines["top_left"]) and "A 7" in " ".join(lines["top_left"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[most]\n", "unknown level 'most'"),
        ("[few]\nmiddle = []\n", "unknown corner 'middle'"),
        ('[few]\ntop_left = ["{patient_nmae}"]\n', "unknown field 'patient_nmae'"),
        ('[few]\ntop_left = "x"\n', "a list of lines"),
        ('[few]\ntop_left = ["{patient.name}"]\n', "{patient.name}"),
        ("[few\n", "Nothing was taken"),
        (None, "cannot be read"),
    ],
)
def test_a_file_with_a_fault_says_where(tmp_path: Path, text: str | None, found: str) -> None:
    own = tmp_path / "corners.toml"
    own.mkdir() if text is None else own.write_text(text)
    with pytest.raises(CornersError, match=found) as told:
        load_corners(own)
    assert str(own) in str(told.value)


def test_a_locked_window_tells_of_nobody_whatever_comes(
    reading_window: MainWindow, reading: Viewer, qtbot: QtBot
) -> None:
    def told() -> str:
        return " ".join((reading_window.windowTitle(), reading_window.statusBar().currentMessage()))

    reading_window.reader.person = DOCTOR
    with qtbot.waitSignal(reading_window.ready, timeout=60_000):
        reading_window.reload()
        reading_window.screen_lock.lock()
        assert "CRANIUM" not in told()
    assert "CRANIUM" not in told() and "Locked" in told()
    assert not reading_window.dock.isVisible() and not reading_window.centralWidget().isVisible()
    assert not reading_window.menus.actions["capture"].isEnabled() and reading_window.menus.actions["lock"].isEnabled()
    reading_window.screen_lock.uncover()
    assert (
        "CRANIUM" in reading_window.windowTitle()
        and reading_window.dock.isVisible()
        and reading_window.centralWidget().isVisible()
    )


def test_no_label_of_the_desktop_reads_words_as_html(reading_window: MainWindow, reading: Viewer) -> None:
    labels = [
        label for label in reading_window.findChildren(QLabel) if type(label).__module__.startswith("workstation")
    ]
    assert len(labels) > 10 and all(label.textFormat() == Qt.TextFormat.PlainText for label in labels)
    source = Path(window_module.__file__).parent
    made = {file.name for file in source.glob("*.py") if re.search(r"\bQLabel\(", file.read_text(encoding="utf-8"))}
    assert not made, "a label takes its words as they are: make a PlainLabel"
    assert plain_tip("a & b") == "a & b" and plain_tip("<b>x</b>") == "<qt>&lt;b&gt;x&lt;/b&gt;</qt>"


def test_a_name_with_an_ampersand_is_whole_where_that_marks_a_key(reading_window: MainWindow, reading: Viewer) -> None:
    reading_window.menus.protocols.addAction(plain_title("Head & Neck"))
    assert any(name.endswith("› Head & Neck") for name, _ in reading_window.menus.commands())


def test_what_comes_while_it_is_being_signed_is_not_signed_unseen(
    reading_window: MainWindow, reading: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, signed = reading.session, []
    reading.capture()
    session.write(indication="Fall.", impression="Fracture.")
    reading_window.reader.person = DOCTOR
    monkeypatch.setattr(reading_window.desk, "sign", lambda opened, person: signed.append(opened))
    monkeypatch.setattr(reading_window.signing, "finish", lambda *_: None)

    def found_late(_: Sign) -> int:
        reading.finding.propose(Values(700.0, 3000.0, 2), "Skull")
        while reading_window.works.busy:
            QApplication.processEvents()
        return 1

    monkeypatch.setattr(Sign, "exec", found_late)
    reading_window.signing.sign_and_deliver()
    assert signed == [] and len(session.screen.segments) == 1
    assert "sign again" in reading_window.statusBar().currentMessage()
    monkeypatch.setattr(Sign, "exec", lambda _: 1)
    reading_window.signing.sign_and_deliver()
    assert len(signed) == 1
    session.write(indication="", impression="")


def test_values_without_a_unit_have_none() -> None:
    """MR values are in units of 1, which a reader would take for a number."""
    assert under_the_mouse(None, 67.0, "1")["value"] == "67" and under_the_mouse(None, 67.0, "HU")["value"] == "67 HU"
    voxels = np.full((8, 8, 8), 5.0, np.float32)
    outlined = Measure("ellipse", ((1.0, 1.0, 4.0), (6.0, 6.0, 4.0)), View.parse("foot"))
    assert Measuring(Volume(voxels, np.eye(4)[[2, 1, 0, 3]], "1")).said_of(outlined).endswith("5 ± 0\n5 … 5")


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(-180, 180))
def test_every_word_of_a_view_is_said_in_the_language_of_the_window(azimuth: float, up: float, roll: float) -> None:
    view = View(azimuth, up, roll)
    said = view_said(view, lambda words: f"<{VIEW_WORDS.index(words)}>")
    assert not re.search("[a-z]", said) and view_said(view) == rounded(view).words


def test_a_view_in_german() -> None:
    catalogue = tomllib.loads((FOLDER / "languages" / "de.toml").read_text(encoding="utf-8"))["sentences"]
    view = View.parse("anterior, 20 towards left, 10 up, rolled 5 clockwise")
    assert view_said(view, catalogue.__getitem__) == "anterior, 20 nach links, 10 aufwärts, gedreht 5 im Uhrzeigersinn"
