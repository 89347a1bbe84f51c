"""Pictures made again from their SR, and the other ways to draw from the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from dicom_io.archive import Archive
from dicom_io.files.series import open_series
from dicom_io.sr.evidence_sr import read_sr
from render.engine.choice import choose
from render.protocols import Protocol
from render.recipe import Reformat, canonical_json
from tests.workstation.conftest import Command
from tests.workstation.samples import DOCUMENTED, SERIES_UID
from workstation.records.remake import Remade, remake


def test_an_sr_is_drawn_like_its_protocol(command: Command, sr: Path, slices: Path, tmp_path: Path) -> None:
    again = command("render", sr, "-o", tmp_path / "sr", "--json").json
    first = command("render", slices, "--protocol", "tiny", "-o", tmp_path / "protocol", "--json").json
    assert again["digests"] == first["digests"]


def test_a_site_that_asks_for_vtk_without_a_card_gets_the_cpu_engine_and_the_record_says_so(
    command: Command, slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workstation.pipeline.choose", lambda wish: choose(wish, lambda: ""))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_text('engine = "vtk"\n', encoding="utf-8")
    command("import", slices)
    made = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json").json
    products = read_sr(pydicom.dcmread(made["sr"]["path"])).products
    assert {(p.engine, p.graphics_device) for p in products} == {("cpu", "")}


def test_another_graphics_processor_is_named_as_the_reason(sr: Path, slices: Path) -> None:
    evidence = read_sr(pydicom.dcmread(sr))
    one = next(iter(remake(evidence, slices)))
    product = replace(one.product, engine="vtk", graphics_device="NVIDIA H100", pixel_digest="0" * 64)
    picture = replace(one.picture, provenance=replace(one.picture.provenance, engine="vtk", device="NVIDIA H200"))
    assert Remade(product, picture).difference == "recorded on NVIDIA H100, this is NVIDIA H200"


def test_the_sources_of_an_sr_are_drawn_by_another_protocol_or_recipe(
    command: Command, sr: Path, slices: Path, tiny: Protocol, tmp_path: Path
) -> None:
    first = command("render", slices, "--protocol", "tiny", "-o", tmp_path / "folder", "--json").json
    again = command("render", sr, "--protocol", "tiny", "-o", tmp_path / "sr", "--json").json
    assert again["digests"] == first["digests"]
    recipe = tmp_path / "recipe.json"
    recipe.write_text(canonical_json(replace(tiny.recipes[1], name="Another", rows=40)))
    one = command("render", sr, "--recipe", recipe, "--sources", slices, "-o", tmp_path / "one", "--json")
    assert list(one.json["digests"]) == ["Another"]
    assert command("render", sr, "--protocol", "tiny", "--recipe", recipe, "-o", tmp_path / "both").code == 2


def test_the_pictures_of_an_sr_are_written_as_dicom_too(
    command: Command, sr: Path, slices: Path, tmp_path: Path
) -> None:
    done = command("render", sr, "--sources", slices, "--dicom", "-o", tmp_path / "out", "--json")
    assert done.code == 0
    written = [pydicom.dcmread(f) for f in sorted((tmp_path / "out").glob("*.dcm"))]
    assert {str(ds.ImageComments) for ds in written} == {"Bone", "MIP", "Axial"}
    assert {ds.PatientID for ds in written} == {pydicom.dcmread(sr).PatientID}


def test_a_recipe_from_a_file(command: Command, slices: Path, tiny: Protocol, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(canonical_json(tiny.recipes[0]))
    drawn = command("render", slices, "--recipe", file, "-o", tmp_path / "out", "--json").json
    assert list(drawn["digests"]) == [tiny.recipes[0].name]
    both = command("render", slices, "--recipe", file, "--protocol", "tiny", "-o", tmp_path / "out")
    assert both.code == 2
    file.write_text(json.dumps({"kind": "projection", "mode": "sum"}))
    wrong = command("render", slices, "--recipe", file, "-o", tmp_path / "out")
    assert wrong.code == 1
    assert "recipe.json" in wrong.err and "mode" in wrong.err


def test_annotated_pngs_gifs_and_dicom_files(command: Command, slices: Path, tiny: Protocol, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = command("render", slices, "--protocol", "tiny", "-o", tmp_path / "plain", "--json").json
    drawn = command("render", slices, "--protocol", "tiny", "-o", out, "--annotate", "--gif", "--dicom", "--json").json
    assert drawn["digests"] == plain["digests"]
    name = Path(plain["files"][0]).name
    assert (np.asarray(Image.open(out / name)) != np.asarray(Image.open(tmp_path / "plain" / name))).any()
    several = sum((isinstance(r, Reformat) and r.count > 1) or getattr(r, "rotation", None) is not None
                  for r in tiny.recipes)  # fmt: skip
    gifs = sorted(out.glob("*.gif"))
    assert len(gifs) == several > 0
    for file in gifs:
        with Image.open(file) as animation:
            assert isinstance(animation, GifImageFile)
            assert animation.n_frames == len(list(out.glob(f"{file.stem}-*.png"))) > 1
    series = open_series(out)
    assert sum(len(s.instances) for s in series) == len(list(out.glob("*.dcm"))) > 0
    # Drawing for a look stores nothing.
    assert Archive(tmp_path / "root").all_series() == ()
