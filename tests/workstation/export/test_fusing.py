"""`workstation render --fuse`, and what a record of a fused picture gives again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.evidence import ImageReference
from dicom_io.files.series import Series
from dicom_io.objects.derived import derive, products
from dicom_io.sr.evidence_sr import read_sr, write_sr
from dicom_io.uids import derived
from dicom_io.volumes import build_volume
from render.draw import draw
from render.fusion import COLOUR_MAPS
from render.geometry import inverse
from render.recipe import Fusion, Reformat, Window, canonical_json
from tests.conformance.objects import STAMP, evidence
from tests.dicom_io.synthetic import MR, write_series
from tests.render.heads import head, matrix_of, move_of
from tests.workstation.conftest import Command
from tests.workstation.samples import tiny_protocol
from workstation import pipeline
from workstation.case import Case, CaseError
from workstation.records.remake import remake
from workstation.site import open_site

MOVE = move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))
RECIPE = Reformat(Window(500.0, 1000.0), rows=48, columns=48, pixel_mm=4.0, name="fused")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Series, Series]:
    """A folder with two series of heads, the second where MOVE puts the first."""
    folder = tmp_path_factory.mktemp("both")
    fixed, moving = (
        write_series(folder / name, volume.voxels, volume.affine, sop_class=MR, series=name, change=_one_study)
        for name, volume in {"first": head(), "second": head(MOVE)}.items()
    )
    return folder, fixed, moving


def test_a_second_series_is_fused_from_the_command_line(
    command: Command, both: tuple[Path, Series, Series], tmp_path: Path
) -> None:
    folder, first, second = both
    (tmp_path / "recipe.json").write_text(canonical_json(RECIPE), encoding="utf-8")
    (tmp_path / "move.json").write_text(f'{{"transform": {np.linalg.inv(MOVE).tolist()}}}', encoding="utf-8")
    said = ["render", folder / "first", "--recipe", tmp_path / "recipe.json", "--fuse", folder / "second"]
    made = command(*said, "--move", tmp_path / "move.json", "--dicom", "-o", tmp_path / "out", "--json").json
    pixels = np.asarray(Image.open(next(f for f in made["files"] if f.endswith(".png"))))
    assert (pixels[..., 0] > pixels[..., 2]).any(), "the second series is in colour"
    ds = dcmread(next(f for f in made["files"] if f.endswith(".dcm")))
    assert ds.PhotometricInterpretation == "RGB"
    named = {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence}
    assert named == {i.sop_instance_uid for series in (first, second) for i in series.instances}
    assert command(*said[:4], "--move", tmp_path / "move.json", "-o", tmp_path / "out").code == 2
    (tmp_path / "move.json").write_text('{"transform": null}', encoding="utf-8")
    answer = command(*said, "--move", tmp_path / "move.json", "-o", tmp_path / "out")
    assert answer.code == 1 and "no `transform` of four rows" in answer.err


def test_a_recorded_fusion_is_drawn_again_from_both_series(both: tuple[Path, Series, Series]) -> None:
    folder, first, second = both
    over = Fusion(matrix_of(inverse(MOVE)), Window(500.0, 800.0), COLOUR_MAPS["hot_iron"])
    picture = draw(build_volume(first), replace(RECIPE, fusion=over), second=build_volume(second))
    datasets = derive([picture], first, STAMP, fused=[second])
    drawn = products([picture], datasets, "head")
    sources = tuple(
        ImageReference(i.sop_class_uid, i.sop_instance_uid, i.series_uid)
        for series in (first, second)
        for i in series.instances
    )
    recorded = replace(evidence(first, drawn, bare=False), sources=sources)
    document = write_sr(recorded, dcmread(first.first.path), STAMP)
    [again] = remake(read_sr(document), folder)
    assert again.same


def test_a_case_with_a_second_series_is_recorded_and_drawn_again(
    both: tuple[Path, Series, Series], tmp_path: Path
) -> None:
    """From reception to the record; both series share a frame of reference, so nothing is registered."""
    folder, first, second = both
    site = open_site(tmp_path / "state")
    site.archive.import_files(folder)
    protocol = replace(tiny_protocol(), recipes=(RECIPE, replace(RECIPE, count=2, name="two planes")))
    case = Case(first.uid, protocol, region="HEAD", fuse=second.uid)
    made = pipeline.run(case, site)
    assert {image.series_uid for image in made.evidence.sources} == {first.uid, second.uid}
    assert all(picture.unit == "RGB" for picture in made.pictures)
    assert [again.same for again in remake(made.evidence, site.archive)] == [True, True]
    assert pipeline.run(case, site).sr.sop_instance_uid == made.sr.sop_instance_uid
    write_series(folder / "third", head().voxels, head().affine, sop_class=MR, series="third")
    site.archive.import_files(folder / "third")
    with pytest.raises(CaseError, match="another study"):
        pipeline.run(replace(case, fuse=derived("third")), site)


def _one_study(ds: Dataset, _: int) -> None:
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4.5", "1.2.3.4.6"
