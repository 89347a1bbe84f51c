"""Captures as files: every format, measures and letters on copies, and the patient only where that is asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicom_io.volumes import build_volume
from render import Rotation, Volume, VolumeRendering, Window, load_preset
from render.draw import draw
from render.engine.framing import planes
from render.picture import to_rgb
from render.recipe import Recipe, Reformat
from tests.workstation.samples import SERIES_UID, tiny_protocol
from workstation.config import Config
from workstation.desktop.model.exporting import ExportWanted, export
from workstation.desktop.model.notes import marks_of
from workstation.desktop.model.screen import Capture, Measure, VolumeKey, opening_screen
from workstation.desktop.model.session import ReadingSession
from workstation.desktop.model.studies import Opened
from workstation.export.captures import draw_captures, pages, slide
from workstation.site import Site


@pytest.fixture
def opened(site_at: Callable[..., Site], tmp_path: Path, slices: Path) -> tuple[Site, Opened]:
    site = site_at(tmp_path / "root", Config())
    site.archive.import_files(slices)
    series = site.archive.series(SERIES_UID)
    volume = build_volume(series)
    screen = opening_screen(volume, Window(50.0, 400.0), load_preset("ct_bone"))
    return site, Opened(series, ReadingSession(volume, series.uid, screen), "")


def recipes(rows: int) -> tuple[Recipe, ...]:
    bone, _, axial = tiny_protocol().recipes
    assert isinstance(bone, VolumeRendering) and isinstance(axial, Reformat)
    turning = replace(bone, rotation=Rotation(3), name="Turning")
    still = replace(
        axial, count=1, rows=rows, columns=rows, pixel_mm=192.0 / rows, name=("A very long name " * 20).strip()
    )
    return turning, still


def no_second(key: VolumeKey) -> Volume:
    raise AssertionError(f"nothing here fuses {key}")


def test_every_format_is_written(opened: tuple[Site, Opened], tmp_path: Path) -> None:
    site, study = opened
    captures = tuple(Capture(recipe) for recipe in recipes(48))
    wanted = ExportWanted(captures, ("png", "jpeg", "mp4", "gif", "slides", "pdf", "dicom"), tmp_path / "out")
    told: list[str] = []
    count = export(study, (), wanted, site, "DR1", lambda what, part: told.append(what), no_second)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert count == len(files) and "writing files" in told
    assert {f"01-turning-00{n}.png" for n in (1, 2, 3)} <= files
    assert {"01-turning.jpg", "01-turning.mp4", "01-turning.gif", "01-turning-slide.png", "captures.pdf"} <= files
    assert (tmp_path / "out" / "captures.pdf").read_bytes().startswith(b"%PDF")
    objects = [dcmread(path) for path in (tmp_path / "out").glob("*.dcm")]
    assert {ds.ImageComments for ds in objects} == {recipe.name for recipe in recipes(48)}
    for path in (tmp_path / "out").glob("*-slide.png"):
        with Image.open(path) as image:
            assert image.size == (1920, 1080)
    assert max(len(name) for name in files) < 100, "a long name is no file's"


def test_measures_are_drawn_on_copies_and_the_patient_only_on_demand(opened: tuple[Site, Opened]) -> None:
    site, study = opened
    volume, recipe = study.session.volume, recipes(256)[1]
    plane = planes(volume, recipe)[0]
    measure = Measure("distance", (plane.at(128, 60), plane.at(128, 200)), recipe.view)

    def frames(measures: tuple[Measure, ...], identity: bool) -> np.ndarray:
        marks = marks_of(measures, volume)
        args = ([recipe], volume, study.series, marks, site.config, identity, lambda what, part: None)
        return draw_captures(*args)[0].still

    plain, measured, named = frames((), False), frames((measure,), False), frames((), True)
    line = np.abs(measured.astype(int) - plain).sum(axis=-1)
    assert (line[127:130, 62:198] > 0).any(axis=0).all() and not line[200:].any(), "the line, and nothing far from it"
    assert (named != plain).any() and draw(volume, recipe).digest == draw(volume, recipe).digest
    assert to_rgb(draw(volume, recipe)).shape == plain.shape


@pytest.mark.slow
def test_slides_and_pages_hold_any_name(opened: tuple[Site, Opened]) -> None:
    site, study = opened
    made = draw_captures(
        recipes(48), study.session.volume, study.series, (), site.config, False, lambda what, part: None
    )
    shown = np.asarray(slide(made[1]))
    assert shown.shape == (1080, 1920, 3) and shown[:, :20].max() == 0
    assert [page.size for page in pages(made * 4)] == [(1654, 2339)] * 2
