"""A whole day for each clinical use, at a real window by mouse and keys alone, on real series: a study from the list to
its signature and charge, left, opened again, amended and signed again. What came of it is looked for in the state
folder, and pictures of the screen are left in `desktop-screenshots/`, to be looked at."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image, ImageGrab
from pydicom import Dataset, dcmread

from render.geometry import Vector
from render.recipe import CurvedReformat
from tests.dicom_io.real import real_set
from tests.workstation.desktop.conftest import DOCTOR, PASSWORD
from tests.workstation.desktop.hands import Reader, display_of, needs_a_window
from tests.workstation.desktop.test_screens import FOLDER
from tests.workstation.samples import DOCUMENTED
from workstation.desktop.model.screen import Screen, Target
from workstation.desktop.model.session import Draft, LeftSession, left_in, session_file
from workstation.desktop.model.signing import unfinished
from workstation.people import people_of
from workstation.records.recist import TreatmentCourse
from workstation.site import Site, open_site
from workstation.store.papers import read_papers

ROOT = Path(__file__).parents[3]
PIN = "246810"
_STILL_TRIES = 12
SMALL, LARGE = (1366, 768), (1920, 1080)
pytestmark = [needs_a_window, pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Case:
    """A series of the public data as it comes into a state folder. uids : of its study and series, where it is made to
    be another one."""

    folder: str
    accession: str
    base: str
    day: str = "20260302"
    uids: tuple[str, str] | None = None
    patient: str = ""


def instances(case: Case) -> Iterator[Dataset]:
    """The images of a case, with an accession number and a day of today's rules."""
    for file in sorted(real_set(case.folder.split("/")[0]).joinpath(*case.folder.split("/")[1:]).rglob("*")):
        if not file.is_file() or file.suffix == ".txt":
            continue
        ds = dcmread(file)
        ds.AccessionNumber, ds.StudyDate = case.accession, case.day
        if case.patient:
            ds.PatientID = case.patient
        if case.uids is not None:
            ds.StudyInstanceUID, ds.SeriesInstanceUID = case.uids
            ds.SOPInstanceUID = f"{case.uids[1]}.{int(ds.InstanceNumber)}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        yield ds


def site_with(root: Path, *cases: Case) -> tuple[Site, str]:
    """A state folder with the cases, the order and base procedure of the first one, and a physician. Returns it, and
    the series of that first one."""
    site, series = open_site(root), ""
    people_of(root).add(DOCTOR, PASSWORD, PIN)
    for number, case in enumerate(cases):
        images = list(instances(case))
        site.archive.keep(images)
        if number == 0:
            series = str(images[0].SeriesInstanceUID)
            on_file = read_papers(DOCUMENTED).on_file
            assert on_file is not None
            base = replace(
                on_file.base_procedures[0], code=case.base, study_instance_uid=str(images[0].StudyInstanceUID)
            )
            report = replace(on_file.report, patient_id=str(images[0].PatientID))
            site.papers.put(case.accession, replace(on_file, base_procedures=(base,), report=report), site.clock())
    return site, series


class Desk:
    """A reader at the desktop with one study. scale : of the window, as `QT_SCALE_FACTOR`. browsing : whether the
    window has room for the series of the patient and shows them, as it does where there are others."""

    def __init__(
        self,
        reader: Reader,
        display: str,
        size: tuple[int, int],
        scale: int,
        site: Site,
        series: str,
        name: str,
        browsing: bool,
    ) -> None:
        self.reader, self.site = reader, site
        self._display, self._size, self._scale, self._name = display, size, scale, name
        self._file = session_file(site.root, series, None)
        self._taken = 0
        width, height = size[0] / scale, size[1] / scale
        # Beside the panes: tools on the left, panels on the right, menus and commands above, the status bar below.
        left, right, top, bottom = 359.0 if browsing else 105.0, width - 390.0, 54.0, height - 30.0
        self._across, self._down = (left, right), (top, bottom)

    def keep(self, what: str) -> None:
        """Keeps a picture of the screen, to be looked at."""
        self._taken += 1
        FOLDER.mkdir(exist_ok=True)
        self.still().save(FOLDER / f"day_{self._name}_{self._taken:02}_{what}.png")

    def still(self) -> Image.Image:
        """Waits until nothing moves on the screen any more: a click means what its pane shows."""
        picture = ImageGrab.grab(xdisplay=self._display)
        for _ in range(_STILL_TRIES):  # until nothing moves any more
            before, picture = picture, self.reader.grabbed_later()
            if before == picture:
                break
        return picture

    @property
    def left(self) -> LeftSession | None:
        return left_in(self._file)

    @property
    def screen(self) -> Screen:
        left = self.left
        assert left is not None
        return left.screen

    @property
    def draft(self) -> Draft:
        left = self.left
        assert left is not None
        return left.draft

    def pane(self, column: float, row: float) -> tuple[float, float]:
        """Where the panes are, in parts of their width and height from the upper left, in pixels of the screen."""
        (left, right), (top, bottom) = self._across, self._down
        return (left + (right - left) * column) * self._scale, (top + (bottom - top) * row) * self._scale

    @property
    def axial(self) -> tuple[float, float]:
        return self.pane(0.25, 0.25)

    @property
    def coronal(self) -> tuple[float, float]:
        return self.pane(0.25, 0.75)

    @property
    def solid(self) -> tuple[float, float]:
        return self.pane(0.75, 0.75)

    def until(self, holds: Callable[[], bool], what: str, act: Callable[[], object] = lambda: None) -> None:
        """Acts, slowly, until something holds."""
        self.reader.until(holds, what, act, again_s=3.0)

    def key(self, *keys: str) -> None:
        self.reader.does("key", *keys)

    def writes(self, text: str) -> None:
        self.reader.does("type", "--delay", "4", text)

    def command(self, name: str) -> None:
        """Runs a command by its name. Without a window manager, keys go to what is under the mouse or was clicked."""
        self.until(lambda: self.reader.sees("Commands"), "no list of commands", lambda: self.key("ctrl+k"))
        self.reader.answers("Commands", name)  # types again where keys came before its field did
        self.rests()

    def rests(self) -> None:
        """Clicks where nothing is, for the window to have the keys again."""
        self.reader.clicks((self._size[0] * 0.55, self._size[1] - 8.0 * self._scale))

    def opens(self) -> None:
        """Signs in and opens the first of the list, and turns it a little, so that its session is on the disk."""
        search = (300.0 * self._scale, 76.0 * self._scale)
        self.reader.clicks(search)
        self.keep("list")
        self.until(lambda: self.reader.sees("Sign in"), "no sign-in", lambda: self.reader.presses(search, "ctrl+l"))
        self.reader.answers("Sign in", PASSWORD)
        self.reader.clicks(search)
        self.key("Return")
        self.until(self._file.exists, "not opened", lambda: self.reader.drags(self.solid, (20, 0)))
        self.keep("opened")

    def crosshair_at(self, at: tuple[float, float]) -> Vector:
        """Clicks with the crosshair, and says where that is in the patient."""
        before = self.screen.cursor_mm
        self.until(lambda: self.screen.cursor_mm != before, "the crosshair stays", lambda: self.reader.clicks(at))
        return self.screen.cursor_mm

    def finds(self, at: tuple[float, float], axes: tuple[int, int], signs: tuple[int, int]) -> "Found":
        """Finds out by two clicks with the crosshair where the places of a plane are in its pane."""
        one = (at[0] - 30, at[1] - 20)
        here, there = self.crosshair_at(one), self.crosshair_at((at[0] + 30, at[1] + 20))
        return Found(one, here, (there[axes[0]] - here[axes[0]]) / 60.0 * signs[0], axes, signs)

    def goes_to(self, place: Vector) -> tuple["Found", "Found"]:
        """Brings the crosshair to a place in the patient, by clicks in the axial and the coronal pane; once more where
        it did not come there."""
        self.reader.presses(self.axial, "t")
        seen: list[Found] = []

        def go() -> None:
            axial = self.finds(self.axial, (0, 1), (1, 1))
            coronal = self.finds(self.coronal, (0, 2), (1, -1))
            for found in (axial, coronal, axial):
                self.reader.clicks(found.at(place))
            seen[:] = axial, coronal

        def there() -> bool:
            away = [abs(a - b) for a, b in zip(self.screen.cursor_mm, place, strict=True)]
            return bool(seen) and max(away) <= 2.0 * seen[0].mm

        self.until(there, f"the crosshair is not at {place}", go)
        self.still()
        return seen[0], seen[1]

    def finds_segment(self, first_letters: str, tabs: int) -> None:
        """Finds a structure by keys alone: the panel of segments, its list of structures, Find."""
        self.key("F8", *["Tab"] * tabs)
        self.writes(first_letters)
        self.key("Tab", "space")

    def drops_the_second(self) -> None:
        """Drags the second series of the list onto a pane."""
        card, (x, y) = (200 * self._scale, 275 * self._scale), self.axial
        self.reader.does("mousemove", *map(str, card), "mousedown", "1")
        for part in (0.02, 0.05, 0.3, 0.6, 0.9, 1.0):  # a drag begins when the mouse has moved a little
            at = (card[0] + (x - card[0]) * part, card[1] + (y - card[1]) * part)
            self.reader.does("mousemove", "--sync", *(str(round(v)) for v in at))
        self.reader.does("mouseup", "1")

    def reports(self, use: str, indication: str, findings: str, impression: str) -> None:
        """Chooses a template by its first letter, and writes over what it asks for."""
        self.key("F6", "shift+Tab")
        self.writes(use)
        self.key("Tab")
        self.until(lambda: self.draft.clinical_use is not None, "no template")
        self.keep("template")
        for text in (indication, findings, impression, "Needed for planning", "Shows it in 3D", "On a workstation"):
            self.key("ctrl+a")
            self.writes(text)
            self.key("Tab")
        for _ in range(2):
            self.key("Down", "Tab")
        self.until(lambda: self.draft.required is True and self.draft.concurrent is True, "not attested")
        assert self.draft.impression == impression and self.draft.findings == findings
        self.keep("report")

    def signs(self) -> None:
        """Signs, and waits for the decision about the charge."""
        self.until(
            lambda: self.reader.sees("Sign"), "no signature", lambda: self.reader.presses(self.solid, "ctrl+Return")
        )
        self.keep("signature")
        self.reader.answers("Sign", PIN)
        self.until(lambda: self.left is None and not list(unfinished(self.site)), "it was not stored")
        self.until(lambda: bool(self.site.casebook.newest()), "nothing was decided")
        self.until(lambda: all(e.done for e in self.site.outbox.list()), "not everything was sent")
        self.rests()
        self.keep("signed")

    def amends(self) -> None:
        """Leaves the study, opens it again, finds it signed, and signs an addendum."""
        self.key("ctrl+w")
        search = (300.0 * self._scale, 76.0 * self._scale)
        self.reader.clicks(search)
        self.keep("list_after")
        self.key("Return")
        assert self.left is None

        # What is signed is not changed by keys that would capture.
        def opens_addendum() -> None:
            self.reader.presses(self.solid, "c")
            assert self.left is None, "a signed study was changed"
            self.command("Addendum")

        self.until(lambda: self.left is not None, "no addendum", opens_addendum)
        self.keep("amending")
        self.key("F6", "Tab", "Tab")  # the place that is to be written over is chosen there
        self.writes("Seen again with the clinicians.")
        self.until(lambda: "clinicians." in self.draft.impression, "no addendum was written")
        self.signs()


@dataclass(frozen=True, slots=True)
class Found:
    """A pane of a plane as clicks have found it: a place in it, what is there, and mm of a pixel."""

    pixel: tuple[float, float]
    place: Vector
    mm: float
    axes: tuple[int, int]
    signs: tuple[int, int]

    def at(self, place: Vector) -> tuple[float, float]:
        x, y = (
            at + sign * (place[axis] - self.place[axis]) / self.mm
            for at, axis, sign in zip(self.pixel, self.axes, self.signs, strict=True)
        )
        return (x, y)


@contextmanager
def desk(root: Path, name: str, size: tuple[int, int], scale: int, *cases: Case) -> Iterator[Desk]:
    site, series = site_with(root, *cases)
    with display_of(*size) as display:
        command = [sys.executable, "-m", "workstation", "--root", str(root), "desktop"]
        environment = {
            **os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "QT_SCALE_FACTOR": str(scale)
        }  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, text=True) as process:
            reader = Reader(display, process, *size)
            try:
                assert reader.does("search", "--sync", "--onlyvisible", "--name", "3D workstation")
                browsing = len(cases) > 1 and size[0] / scale >= 1600.0
                made = Desk(reader, display, size, scale, site, series, name, browsing)
                try:
                    made.opens()
                    yield made
                finally:
                    made.keep("last")
            finally:
                process.kill()
    site.papers.engine.dispose()


def test_vascular(tmp_path: Path) -> None:
    """A vessel along the descending aorta, laid flat, captured."""
    case = Case("cta_aorta_dissection_heart/images", "DAY-1", "71275")
    path: tuple[Vector, ...] = ((28.0, -101.0, 714.2), (32.9, -98.4, 678.2), (29.3, -104.8, 642.2))
    with desk(tmp_path / "root", "vascular", SMALL, 1, case) as day:
        _, coronal = day.goes_to((30.0, -101.4, 678.2))
        day.reader.presses(day.coronal, "shift+v")
        for place in path:
            day.reader.clicks(coronal.at(place))
        day.reader.does("click", "--repeat", "2", "1")
        day.until(lambda: any(m.kind == "vessel" for m in day.screen.measures), "no vessel")
        day.keep("vessel")
        day.until(
            lambda: day.screen.layout == "curved" and bool(day.screen.curve.path_mm),
            "the vessel is not laid flat",
            lambda: day.command("Layout Curved reformat"),
        )
        day.keep("curved")
        day.until(
            lambda: any(isinstance(each.recipe, CurvedReformat) for each in day.screen.captures),
            "no capture",
            lambda: day.reader.presses(day.pane(0.83, 0.5), "c"),
        )
        day.reports("v", "Dissection of the aorta", "Descending aorta followed in 3D.", "Dissection, treated.")
        day.signs()
        day.amends()


def test_oncology(tmp_path: Path) -> None:
    """A lesion measured, the study beside a made-up one before it."""
    now = Case("ct_chest_iv_lidc0001_jls", "DAY-2", "71260")
    before = replace(now, accession="DAY-0", day="20250901", uids=("1.2.826.0.1.1.1", "1.2.826.0.1.1.2"))
    with desk(tmp_path / "root", "oncology", LARGE, 1, now, before) as day:
        axial, _ = day.goes_to((56.4, 86.3, -116.0))
        day.reader.presses(day.axial, "shift+l")
        day.until(
            lambda: any(m.kind == "lesion" for m in day.screen.measures),
            "no lesion",
            lambda: day.reader.clicks(axial.at((56.4, 86.3, -116.0))),
        )
        day.key("F5")
        day.keep("lesion")
        day.until(
            lambda: day.reader.sees(r"Target lesions \(RECIST 1.1\)"),
            "no targets",
            lambda: day.reader.presses(day.axial, "ctrl+t"),
        )
        day.key("space", "Tab", "Tab")
        day.writes("30")
        day.key("Tab")
        day.writes("20")
        day.keep("targets")
        day.key("Return")
        day.until(lambda: day.screen.course == TreatmentCourse(30.0, 20.0), "no earlier sums")
        assert [m.target for m in day.screen.measures] == [Target()]
        day.keep("sum")
        day.until(lambda: day.screen.compared is not None, "nothing is compared", day.drops_the_second)
        day.command("Comparison, planes")
        day.until(lambda: day.screen.layout == "compare", "no comparison")
        day.keep("compared")
        day.until(lambda: bool(day.screen.captures), "no capture", lambda: day.reader.presses(day.axial, "c"))
        day.key("F4")
        day.keep("captures")
        day.reports("o", "Nodule of the lung", "Nodule in the left lung, as before.", "No growth.")
        day.signs()
        day.amends()


def test_orthopaedics(tmp_path: Path) -> None:
    """Bones in parts, one of them hidden, and a rotation captured."""
    case = Case("ct_colon_pelvis_hips", "DAY-3", "72192")
    with desk(tmp_path / "root", "orthopaedics", LARGE, 2, case) as day:
        day.finds_segment("Bones", 4)
        day.until(lambda: len(day.screen.segments) > 1, "no bones in parts")
        day.keep("parts")
        day.key("F8", "Tab", "Down", "Right", "Right", "Right", "space")
        day.until(lambda: any(not each.in_3d for each in day.screen.segments), "none is hidden")
        day.keep("hidden")
        day.until(lambda: bool(day.screen.captures), "no capture", lambda: day.reader.presses(day.solid, "shift+c"))
        day.reports("or", "Pain in the hip", "Joint surfaces smooth.", "No fracture.")
        day.signs()
        day.amends()


def test_neurosurgery(tmp_path: Path) -> None:
    """T1 with FLAIR beside it, registered, and laid over it."""
    one = Case("mr_stroke_t1_t2_flair/T1", "DAY-4", "70551")
    other = replace(one, folder="mr_stroke_t1_t2_flair/FLAIR", day="20260301")
    with desk(tmp_path / "root", "neurosurgery", SMALL, 1, one, other) as day:
        day.key("F10", "Down", "ctrl+Return")
        day.until(lambda: day.screen.compared is not None, "nothing is compared")
        day.keep("compared")
        day.key("F10")
        day.until(
            lambda: day.screen.compared is not None and day.screen.compared.matrix is not None,
            "not registered",
            lambda: day.reader.presses(day.axial, "ctrl+g"),
        )
        day.keep("registered")
        day.until(
            lambda: day.screen.compared is not None and day.screen.compared.blend > 0.25,
            "nothing lies over the planes",
            lambda: day.reader.presses(day.axial, "ctrl+plus"),
        )
        day.keep("laid_over")
        day.command("Layout Four panes")
        day.keep("four")
        # A record speaks of one study: with another one over it, in 3D too, nothing is captured.
        day.until(
            lambda: day.screen.compared is not None and day.screen.compared.blend == 0.0,
            "something still lies over the panes",
            lambda: day.reader.presses(day.axial, "ctrl+minus"),
        )
        day.until(lambda: bool(day.screen.captures), "no capture", lambda: day.reader.presses(day.solid, "c"))
        day.reports("n", "Stroke", "Lesion seen in FLAIR over T1.", "Infarct.")
        day.signs()
        day.amends()


def test_chest(tmp_path: Path) -> None:
    """Lungs and airways as segments, and a flight through the airways."""
    case = Case("ct_chest_iv_lidc0001_jls", "DAY-5", "71260")
    with desk(tmp_path / "root", "chest", LARGE, 1, case) as day:
        day.finds_segment("Lungs", 4)
        day.until(lambda: len(day.screen.segments) == 1, "no lungs")
        day.finds_segment("Airways", 8)
        day.until(lambda: len(day.screen.segments) == 2, "no airways")
        day.keep("segments")
        day.command("capture a flight")
        day.until(lambda: bool(day.screen.captures), "no flight")
        day.key("F4")
        day.keep("flight")
        day.reports("o", "Stenosis of an airway", "Airways open.", "No stenosis.")
        day.signs()
        day.amends()
