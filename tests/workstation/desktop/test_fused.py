"""Two series over one another: captured, recorded and drawn again as they were seen; priors with gaps beside them."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pytestqt.qtbot import QtBot

from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.uids import derived
from render import Volume, Window, draw
from render.geometry import Matrix
from render.mask_steps import Values
from render.recipe import ControlPoint, Reformat, TransferFunction
from tests.dicom_io.synthetic import grid, write_series
from tests.thorough import slowly
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import ticking
from workstation.case import CaseError
from workstation.desktop.app import make_window
from workstation.desktop.model import edits, tray_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.exporting import ExportWanted, export
from workstation.desktop.model.offers import comparable_volumes_of
from workstation.desktop.model.screen import CUT_AWAY, Compared, is_fused, recipe_of
from workstation.desktop.model.studies import Opened
from workstation.people import people_of
from workstation.records.verify import holds, verify
from workstation.site import open_site

CT, PET, PRIOR = (derived(name) for name in ("ct", "pet", "prior"))
STUDY, FRAME = "1.2.3.4", "1.2.3.5"
WINDOW = Window(1500.0, 3000.0)
MOVE: Matrix = ((1.0, 0.0, 0.0, 2.0), (0.0, 1.0, 0.0, -1.5), (0.0, 0.0, 1.0, 3.0), (0.0, 0.0, 0.0, 1.0))


def values(affine: np.ndarray, shape: tuple[int, int, int], gains: tuple[float, float, float]) -> np.ndarray:
    """Values that grow along x, y and z, each otherwise: interpolated they are the same from any grid."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    places = [affine[n, 0] * k + affine[n, 1] * j + affine[n, 2] * i + affine[n, 3] for n in range(3)]
    found = 1000.0 + gains[0] * places[0] + gains[1] * places[1] + gains[2] * places[2]
    return np.asarray(np.rint(found), dtype=np.int16)


@pytest.fixture
def site_root(three_series: Path, tmp_path: Path) -> Path:
    return shutil.copytree(three_series, tmp_path / "root")


@pytest.fixture(scope="session")
def three_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with two series of other spacings, and a prior in whose middle two slices are missing. Each test gets a
    copy."""
    folder = tmp_path_factory.mktemp("three")
    site = open_site(folder / "root")
    of_series = {
        "ct": (grid(spacing_mm=(1.5, 0.8, 0.8)), (24, 40, 40), (10.0, -20.0, 40.0), STUDY, ()),
        "pet": (grid(spacing_mm=(3.0, 2.0, 2.0)), (12, 16, 16), (30.0, 10.0, -10.0), STUDY, ()),
        "prior": (grid(spacing_mm=(2.0, 1.0, 1.0)), (18, 32, 32), (10.0, -20.0, 40.0), "1.2.3.9", (8, 9)),
    }
    for name, (affine, shape, gains, study, missing) in of_series.items():

        def change(ds: Dataset, _: int, study: str = study) -> None:
            ds.StudyInstanceUID, ds.FrameOfReferenceUID, ds.BodyPartExamined = study, FRAME, "HEAD"

        write_series(folder / name, values(affine, shape, gains), affine, series=name, change=change)
        for k in missing:
            (folder / name / f"{k:04}.dcm").unlink()
        site.archive.import_files(folder / name)
        shutil.rmtree(folder / name)
    people_of(site.root).add(DOCTOR, "correct horse")
    site.papers.engine.dispose()
    return site.root


@pytest.fixture
def desk(site_root: Path) -> Iterator[ReadingDesk]:
    made = ReadingDesk(open_site(site_root, clock=ticking()))
    yield made
    made.close()


def fused(desk: ReadingDesk) -> tuple[Opened, Volume]:
    """The CT with half of the PET over it, moved as a registration would."""
    opened = desk.studies.open(CT, None)
    compared, other = desk.studies.compared(opened, PET)
    assert compared.same_study and compared.offset_mm == (0.0, 0.0, 0.0)
    opened.session.change(edits.windowed, WINDOW)
    opened.session.change(edits.compared_with, compared)
    opened.session.change(edits.registered, MOVE)
    opened.session.change(edits.blended, 0.6)
    opened.session.change(edits.captured, "axial", 96)
    return opened, other


def test_what_the_pane_shows_is_what_the_record_draws_again(desk: ReadingDesk, site_root: Path) -> None:
    opened, other = fused(desk)
    (capture,) = opened.session.screen.captures
    assert capture.second == (PET, None, False)
    pane = recipe_of(opened.session.screen, "axial", 96, 96)
    assert isinstance(pane, Reformat) and pane == replace(capture.recipe, name=pane.name)
    shown = draw(opened.session.volume, pane, second=other)
    assert (
        np.ptp(shown.pixels[0].astype(int) - shown.pixels[0].astype(int).mean(axis=2, keepdims=True)) > 30
    )  # coloured
    opened.session.change(edits.compared_no_more)  # what is looked at afterwards changes no capture
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    (product,) = evidence.products
    assert product.pixel_digest == shown.digest
    assert {source.series_uid for source in evidence.sources} == {CT, PET}
    said = json.loads(product.recipe)["fusion"]
    assert (said["blend"], said["volume_digest"]) == (0.6, other.digest)
    inverse = np.linalg.inv(np.array(MOVE))
    assert np.allclose(np.array(said["transform"]), inverse)
    (image,) = (dcmread(desk.site.archive.instance(each.sop_instance_uid).path) for each in product.images)
    named = {str(item.ReferencedSOPInstanceUID) for item in image.SourceImageSequence}
    assert {i.sop_instance_uid for i in desk.site.archive.series(PET).instances} <= named
    checks = list(verify(Path(sr.path), desk.site))
    assert holds(checks) and all(check.agrees is not False for check in checks)


@pytest.mark.parametrize("kept", [True, *slowly(False)])
def test_signed_captures_come_back_with_what_lies_over_them(desk: ReadingDesk, site_root: Path, kept: bool) -> None:
    opened, _ = fused(desk)
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    if not kept:  # the archive alone
        shutil.rmtree(site_root / "signed")
    again = desk.studies.open(CT, None)
    (capture,) = again.session.screen.captures
    assert again.session.sealed and capture.second == (PET, None, False)
    assert (again.session.screen.captures == opened.session.screen.captures) == kept


def test_taken_anew_it_has_what_the_pane_has_now(desk: ReadingDesk) -> None:
    opened, _ = fused(desk)
    opened.session.change(edits.blended, 0.0)
    opened.session.change(tray_edits.retaken, 0)
    (plain,) = opened.session.screen.captures
    assert plain.second is None and getattr(plain.recipe, "fusion", 0) is None
    opened.session.change(edits.blended, 0.3)
    opened.session.change(tray_edits.retaken, 0)
    assert opened.session.screen.captures[0].second == (PET, None, False)


def test_files_have_it_too(desk: ReadingDesk, tmp_path: Path) -> None:
    opened, other = fused(desk)
    wanted = ExportWanted(opened.session.screen.captures, ("png", "dicom"), tmp_path / "out")
    assert export(opened, (), wanted, desk.site, "DR1", lambda what, part: None, desk.studies.volume) == 2
    (file,) = (tmp_path / "out").glob("*.dcm")
    ds = dcmread(file)
    expected = draw(opened.session.volume, opened.session.screen.captures[0].recipe, second=other)
    middle = slice(40, 56)  # letters are at the edges
    assert np.array_equal(ds.pixel_array[middle, middle], expected.pixels[0][middle, middle])


def test_a_picture_with_another_study_over_it_is_not_recorded(desk: ReadingDesk) -> None:
    opened, _ = fused(desk)
    compared, _ = desk.studies.compared(opened, PRIOR, bridged=True)
    assert not compared.same_study
    opened.session.change(edits.compared_with, replace(compared, blend=0.5))
    opened.session.change(edits.captured, "axial", 64)  # the window refuses it before
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    with pytest.raises(CaseError, match="another study"):
        desk.deliver(opened, DOCTOR)


def test_a_prior_with_a_gap_and_another_spacing_shows_the_same_place(desk: ReadingDesk) -> None:
    opened = desk.studies.open(CT, None)
    (offer,) = comparable_volumes_of(desk.site.archive.series(PRIOR))
    assert offer.bridged
    compared, other = desk.studies.compared(opened, PRIOR, offer.which, bridged=offer.bridged)
    assert any("bridged" in warning for warning in other.warnings)
    session = opened.session
    session.change(edits.windowed, WINDOW)
    session.change(edits.compared_with, compared)
    # A plane amid the missing slices, nearer to one side.
    gap = cast(Compared, session.screen.compared).to_other[:3, 3] + other.affine[:3, 3] + 8.4 * other.affine[:3, 0]
    session.change(edits.at_cursor, (6.0, 20.0, float(gap[2])))
    session.change(edits.zoomed, "axial", 3.0)
    pictures = []
    for name, volume in (("axial", session.volume), ("axial_other", other)):
        recipe = recipe_of(session.screen, name, 48, 48)  # type: ignore[arg-type]
        assert recipe is not None
        pictures.append(draw(volume, recipe).pixels[0].astype(float))
    here = pictures[0][12:36, 12:36]
    assert here.std() > 20.0
    assert np.abs(here - pictures[1][12:36, 12:36]).max() <= 2.0
    again = desk.studies.volume(compared.key)
    assert again.digest == other.digest


def test_a_tray_that_is_opened_again_draws_it(desk: ReadingDesk, site_root: Path, qtbot: QtBot) -> None:
    """Its second volume is built for that, beside the panes; what is compared now is another matter."""
    opened, _ = fused(desk)
    opened.session.change(edits.compared_no_more)
    window = make_window(site_root)
    qtbot.addWidget(window)
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(CT)
    tray = window.tray
    assert tray is not None
    (name,) = (capture.recipe.name for capture in opened.session.screen.captures)
    assert name == "Axial, fused"
    qtbot.waitUntil(lambda: not tray.icons[name].isNull(), timeout=60_000)
    small = tray.icons[name].pixmap(96, 96).toImage()
    seen = [small.pixelColor(x, y) for x in range(10, 86, 4) for y in range(10, 86, 4)]
    assert any(colour.red() > colour.blue() + 30 for colour in seen)


@pytest.mark.slow
def test_a_rendering_of_both_is_recorded_and_drawn_again(desk: ReadingDesk, site_root: Path) -> None:
    """With the cuts of the first volume, in the colours over planes and in a look of its own."""
    opened, other = fused(desk)
    change = opened.session.change
    low, high = (float(v) for v in (other.voxels.min(), other.voxels.max()))
    points = (ControlPoint(low, 0.1, 0.2, 1.0, 0.0), ControlPoint(high, 0.1, 0.4, 1.0, 0.4))
    change(edits.cut_out, Values(1300.0, 4000.0, CUT_AWAY))
    change(edits.captured, "solid", 64)
    change(edits.other_looks, TransferFunction("blue", other.unit, points))
    change(edits.captured, "solid", 64, 4)
    change(edits.blended, 0.0)
    change(edits.captured, "solid", 64)
    _, first, turning, plain = opened.session.screen.captures
    assert first.second == turning.second == (PET, None, False) and plain.second is None
    assert "fused" in first.recipe.name and not is_fused(plain.recipe)
    recipes = [c.recipe for c in (first, turning, plain)]
    pictures = [draw(opened.session.volume, recipe, second=other) for recipe in recipes]
    assert len({picture.digest for picture in pictures}) == 3
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    assert evidence.products[1].pixel_digest == pictures[0].digest
    checks = list(verify(Path(sr.path), desk.site))
    assert holds(checks) and all(check.agrees is not False for check in checks)
    shutil.rmtree(site_root / "signed")
    again = desk.studies.open(CT, None)
    assert [c.second for c in again.session.screen.captures[1:]] == [first.second, turning.second, None]


def test_the_compared_panes_show_the_other_one_alone(desk: ReadingDesk) -> None:
    opened, _ = fused(desk)
    recipe = recipe_of(opened.session.screen, "solid_other", 64, 64)
    assert is_fused(recipe_of(opened.session.screen, "solid", 64, 64)) and not is_fused(recipe)
    assert recipe is not None and "fused" not in recipe.name
    opened.session.change(edits.with_style, "mip")
    assert not is_fused(recipe_of(opened.session.screen, "solid", 64, 64))
