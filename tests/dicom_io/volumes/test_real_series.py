"""Series of real scanners: what we build of them, what we refuse, and an independent reader beside us.

Where another reader and we differ on purpose, the table of readers says why.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from dicom_io.errors import NotReadable
from dicom_io.files.decode import stored_values
from dicom_io.files.series import Series, open_series, read_instance, scan
from dicom_io.volumes.build import RefusedImages, Stack, assemble, find_stacks
from render.geometry import cross, point
from render.volume import Volume
from tests.dicom_io.readers import by_dcm2niix, by_itk, same_places
from tests.dicom_io.real import SAMPLE, failing_input, real_set
from tests.thorough import one_in


@dataclass(frozen=True)
class Found:
    """One volume: (K, J, I), spacing k, j, i in mm, and words of its label and warnings."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    label: str = ""
    warning: str = ""
    unit: str = "1"


def several(count: int, label: str, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[Found]:
    return [Found(shape, spacing, label)] * count


# (set, part of the set, volumes, words of the refusals). From the scanners' own protocols; see the sets' sources.
TABLE: list[tuple[str, str, list[Found], list[str]]] = [
    (
        "ct_chest_iv_lidc0001_jls", "",
        [Found((133, 512, 512), (2.5, 0.703125, 0.703125), unit="HU", warning="different frames of reference")], [],
    ),
    ("ct_ctpa_rider_jls", "", [Found((95, 512, 512), (0.8, 0.644531, 0.644531), unit="HU")], []),
    (
        "ct_tilt_minus18_philips_phantom", "",
        [Found((54, 512, 512), (2.5, 0.482422, 0.482422), unit="HU", warning="gantry was tilted by 18.5°")], [],
    ),
    (
        "ct_secondary_captures_philips", "", [],
        ["Secondary Capture Image is none of the SOP classes", "a single image is no volume"],
    ),
    ("mr_ge_fruit_sag_196", "", [Found((196, 256, 256), (1.2, 1.0547, 1.0547))], []),
    ("mr_siemens_phantom_j2k_96", "", [Found((96, 128, 128), (2.0, 2.0, 2.0))], []),
    ("mr_ge_dualvolume_b0map", "", several(2, "instances ", (80, 128, 128), (2.0, 2.0, 2.0)), []),
    ("mr_siemens_two_echo_mag", "", several(2, "echo time ", (36, 64, 64), (3.6, 3.25, 3.25)), []),
    ("mr_siemens_mosaic_oblique", "", several(6, "acquisition number ", (36, 64, 64), (3.6, 3.203125, 3.203125)), []),
    ("mr_siemens_mosaic_7_transfer_syntaxes", "", several(9, "", (35, 64, 64), (3.6, 3.25, 3.25)), []),
    ("mr_philips_enhanced_fmap_64fr", "", several(2, "image type ", (32, 64, 64), (4.0, 4.0, 4.0)), []),
    ("mr_siemens_enhanced_4_timepoints", "", several(4, "temporal position ", (6, 64, 64), (2.4, 3.375, 3.375)), []),
    ("mr_siemens_xa30_enhanced_fieldmap_e1e2", "", several(2, "echo time ", (33, 64, 64), (3.4, 3.375, 3.375)), []),
    # SimpleITK reads a spacing of 1 x 1 x 1 mm and one axis of 520 slices here.
    ("mr_canon_enhanced_double_oblique_520fr", "", several(13, "b-value ", (40, 80, 80), (3.0, 3.0, 3.0)), []),
    ("mr_ge_epi_10x15_SI", "", several(10, "instances ", (15, 64, 64), (5.0, 3.75, 3.75)), []),
    ("mr_philips_4d_4x35", "", several(4, "temporal position ", (35, 80, 80), (3.3, 3.0, 3.0)), []),
    (
        "mr_nema_enhanced", "",
        [Found((20, 256, 256), (6.0, 0.8203, 0.8203)), Found((24, 256, 256), (6.0, 0.8203, 0.8203))],
        ["holds no image pixels"],
    ),
    ("d2n_failing", "gantrytilting", [Found((4, 512, 512), (5.0, 0.418, 0.418), unit="HU", warning="14.0°")], []),
    ("d2n_failing", "notavolume", [], ["imaged more than once and nothing known sets the images apart"]),
    ("d2n_failing", "sliceincrement/001", [], ["gap of 10 mm between instances 9 and 10, expected 5 ± 0.15 mm"]),
    ("d2n_failing", "sliceincrement/002", [], ["gap of 1.5 mm between instances 3 and 5, expected 0.75"]),
    (
        "d2n_failing", "sliceorientation",
        [
            Found((2, 288, 288), (3.3, 0.3195, 0.3195), "sagittal 288 x 288"),
            Found((2, 288, 288), (4.4, 0.5556, 0.5556), "axial 288 x 288"),
        ],
        [],
    ),
    *(
        ("d2n_compressed", folder, [Found((4, 256, 256), (1.0, 1.0, 1.0))], [])
        for folder in ("compressed", "compressed_j2k", "compressed_jpeg", "compressed_jpegls", "compressed_rle")
    ),
    # A test object without any position, and an enhanced CT of two frames whose Rescale Type is "unspecified".
    ("multiframe_pydicom", "", [Found((2, 512, 512), (10.0, 0.388672, 0.388672))],
     ["no Image Position and Orientation"]),
    ("d2n_hitachi", "", [Found((4, 64, 64), (4.0, 2.34375, 2.34375))], []),
    ("d2n_hyperfine_enhanced", "", [Found((8, 138, 112), (5.0, 1.61, 1.59))], []),
    ("d2n_philips_enhanced", "", [Found((8, 256, 256), (1.2, 1.0, 1.0))], []),
    ("refuse_seg_rt_pet", "", [Found((3, 38, 24), (2.5, 0.7, 0.7))], []),  # a legacy converted CT after all
    ("us_enhanced_volume_phantom", "", [Found((104, 106, 147), (0.5, 0.5, 0.5), warning="Ultrasound")], []),
]  # fmt: skip
# The same for series on which this project once went wrong; each folder says what is right and why.
FAILING: list[tuple[str, list[Found], list[str]]] = [
    (
        "ct_two_phases_half_a_step_apart",
        [Found((20, 16, 16), (5.0, 1.0, 1.0), "acquisition number ", unit="HU")] * 2, [],
    ),
    (
        "ct_bolus_tracking_blocks_split",
        [
            Found((21, 16, 16), (5.0, 1.0, 1.0), "acquisition number ", unit="HU"),
            Found((40, 16, 16), (5.0, 1.0, 1.0), "acquisition number ", unit="HU"),
        ],
        ["a few images beside a volume"],
    ),
    (
        "ct_bolus_slice_off_grid_mixed_in",
        [Found((20, 16, 16), (2.0, 1.0, 1.0), "acquisition number 2", unit="HU")], ["a single image is no volume"],
    ),
    (
        "ct_every_other_slice_lost_in_part", [],
        ["gap of 2 mm between instances 24 and 25, expected 1 ± 0.03 mm (12 such places; all slices are 1 mm thick"],
    ),
    ("ct_four_slices_gap_called_two_passes", [], ["gap of 202 mm between instances 18 and 180, expected 1.25"]),
    (
        "mr_xa_interrupted_timepoint", [],
        ["gap of 8 mm between frames 18 and 19, expected 4 ± 0.12 mm (8 such places; In-Stack Positions 19, 21, 23"],
    ),
    (
        "mr_philips_asl_multiphase_label_control",
        [Found((6, 20, 20), (6.6, 12.0, 12.0), "phase number ", unit="normalized")] * 16, [],
    ),
    ("mr_uih_vframe_grid", [Found((20, 64, 64), (4.2, 3.5, 3.5))], []),
    ("mr_philips_fmri_numbered_slice_by_slice", several(4, "instance number ", (2, 80, 80), (3.3, 3.0, 3.0)), []),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "part", "volumes", "refusals"), TABLE, ids=[f"{t[0]}/{t[1]}" for t in TABLE])
def test_what_is_built_and_what_is_refused(name: str, part: str, volumes: list[Found], refusals: list[str]) -> None:
    check_what_is_found(real_set(name) / part, volumes, refusals)


@pytest.mark.parametrize(("name", "volumes", "refusals"), FAILING, ids=[t[0] for t in FAILING])
def test_what_once_went_wrong(name: str, volumes: list[Found], refusals: list[str]) -> None:
    check_what_is_found(failing_input(name), volumes, refusals)


def check_what_is_found(place: Path, volumes: list[Found], refusals: list[str]) -> None:
    found = [s for series in open_series(place) for s in find_stacks(series)]
    built = [(s, assemble(s)) for s in found if isinstance(s, Stack)]
    assert sorted(v.shape for _, v in built) == sorted(f.shape for f in volumes)
    for expected in volumes:
        like = [(s, v) for s, v in built if v.spacing_mm == pytest.approx(expected.spacing_mm, abs=5e-4)]
        assert like, [v.spacing_mm for _, v in built]
        for stack, volume in like:
            assert stack.label.startswith(expected.label)
            assert volume.unit == expected.unit
            assert expected.warning in " ".join(volume.warnings)
            assert bool(expected.warning) == bool(volume.warnings)
            # Never left-handed by accident: (i, j, k) is right-handed in LPS.
            i, j, k = (volume.affine[:3, c] for c in (2, 1, 0))
            assert float(np.array(cross(tuple(i), tuple(j))) @ k) > 0
    reasons = [s.reason for s in found if isinstance(s, RefusedImages)]
    assert len(reasons) == len(refusals)
    for words in refusals:
        assert any(words in reason for reason in reasons), reasons


def test_volumes_of_one_series_differ() -> None:
    """Split, and not the same pictures twice."""
    for name in ("mr_ge_dualvolume_b0map", "mr_siemens_two_echo_mag", "mr_philips_enhanced_fmap_64fr"):
        (series,) = open_series(real_set(name))
        one, two = (assemble(s) for s in find_stacks(series) if isinstance(s, Stack))
        assert not np.array_equal(one.voxels, two.voxels)
        np.testing.assert_array_equal(one.affine, two.affine)


def test_dcm2niix_unfolds_a_grid_as_we_do(tmp_path: Path) -> None:
    (series,) = open_series(failing_input("mr_uih_vframe_grid"))
    (stack,) = find_stacks(series)
    assert isinstance(stack, Stack)
    volume = assemble(stack)
    (seen,) = by_dcm2niix([stack.slices[0].instance.path], tmp_path)
    # It takes the distance of slices from Spacing Between Slices (4.19999981), we from their positions.
    theirs = same_places(volume, seen, within_mm=1e-3)
    assert theirs is not None, (volume.affine, seen.affine)
    np.testing.assert_array_equal(volume.voxels, theirs)


def only_stack(series: Series) -> Stack:
    (stack,) = [s for s in find_stacks(series) if isinstance(s, Stack)]
    return stack


# Who sees the same as we do, by set and part: every voxel and, within 1e-4 mm, every place. `dcm2niix` where SimpleITK
# stacks several volumes into one or has no tiles. Where the geometry differs on purpose, `values` (of SimpleITK) are
# compared, and the reason is said.
READERS: dict[tuple[str, str], tuple[str, str]] = {
    ("ct_tilt_minus18_philips_phantom", ""): ("values", "SimpleITK drops the shear of a tilted gantry"),
    ("d2n_failing", "gantrytilting"): ("values", "SimpleITK drops the shear of a tilted gantry"),
    ("mr_siemens_mosaic_oblique", ""): ("dcm2niix", ""),
    ("mr_siemens_mosaic_7_transfer_syntaxes", ""): ("dcm2niix", ""),
    ("mr_philips_enhanced_fmap_64fr", ""): ("dcm2niix", ""),
    ("mr_canon_enhanced_double_oblique_520fr", ""): ("dcm2niix", ""),
    ("mr_nema_enhanced", ""): ("values", "SimpleITK reads 1 x 1 x 1 mm, dcm2niix takes the thickness for the spacing"),
    ("us_enhanced_volume_phantom", ""): ("values", "SimpleITK reads 1 x 1 x 1 mm, dcm2niix knows no place"),
}


def compare(volume: Volume, stack: Stack, theirs: Any) -> None:
    """Voxel for voxel, but for padding: we replace it by the lowest true value, other readers leave it."""
    ours, padding = volume.voxels, stack.slices[0].instance.padding
    if padding is not None:
        frame = stack.slices[0].frame
        low, high = (value * frame.slope + frame.intercept for value in padding)
        padded = (theirs >= low) & (theirs <= high)
        assert not ((ours >= low) & (ours <= high) & padded).any()
        ours, theirs = ours[~padded], theirs[~padded]
    if ours.dtype == np.int16:
        np.testing.assert_array_equal(ours, theirs)
    else:  # they scale in single precision
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6 * float(np.abs(ours).max()))


def many_files(stack: Stack) -> bool:
    return len({s.instance.path for s in stack.slices}) == len(stack.slices)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"),
    [("sample", ""), *((t[0], t[1]) for t in TABLE if t[2])][:: one_in(2)],
    ids=lambda value: value or "all",
)
def test_an_independent_reader_sees_the_same(name: str, part: str, tmp_path: Path) -> None:
    place = SAMPLE if name == "sample" else real_set(name) / part
    stacks = [s for series in open_series(place) for s in find_stacks(series) if isinstance(s, Stack)]
    reader, why = READERS.get((name, part), ("SimpleITK", ""))
    if reader == "dcm2niix":
        seen = by_dcm2niix((s.instance.path for stack in stacks for s in stack.slices), tmp_path)
        for stack in stacks:
            volume = assemble(stack)
            there = [v for v in (same_places(volume, one) for one in seen) if v is not None]
            assert there, "dcm2niix has no volume at this place"
            # Several time points lie at one place: one of them is ours.
            nearest = min(there, key=lambda v: float(np.abs(v - volume.voxels.astype(np.float64)).mean()))
            compare(volume, stack, nearest)
        return
    for stack in stacks:
        # A few slices at the start of a large series say as much as all: the step is the same everywhere.
        part_of = Stack(stack.slices[:24] if many_files(stack) else stack.slices, stack.label)
        volume, one = assemble(part_of), by_itk(part_of)
        theirs = same_places(volume, one)
        if reader == "values":
            assert why
            frames = one.voxels if many_files(stack) else one.voxels[[s.index for s in stack.slices]]
            compare(volume, part_of, frames)
        else:
            assert theirs is not None, (volume.affine, one.affine)
            compare(volume, part_of, theirs)


def test_the_table_of_readers_excuses_nobody_who_is_right() -> None:
    """Where only values are compared, SimpleITK has one volume at least at another place than the files say."""
    for (name, part), (reader, _) in READERS.items():
        if reader == "values":
            stacks = [s for series in open_series(real_set(name) / part) for s in find_stacks(series)]
            assert any(same_places(assemble(s), by_itk(s)) is None for s in stacks if isinstance(s, Stack)), name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "part"), [k for k, v in READERS.items() if v[0] == "values"])
def test_where_readers_differ_the_positions_in_the_files_are_ours(name: str, part: str) -> None:
    """The first pixel of every slice lies where its own Image Position says, read here by pydicom alone."""
    for series in open_series(real_set(name) / part):
        for stack in find_stacks(series):
            if not isinstance(stack, Stack):
                continue
            volume = assemble(stack)
            for k, item in enumerate(stack.slices):
                ds = dcmread(item.instance.path, stop_before_pixels=True)
                if "PerFrameFunctionalGroupsSequence" in ds:
                    own = ds.PerFrameFunctionalGroupsSequence[item.index]
                    said = (
                        own.PlanePositionSequence[0].ImagePositionPatient
                        if "PlanePositionSequence" in own
                        else own.PlanePositionVolumeSequence[0].ImagePositionVolume
                    )
                else:
                    said = ds.ImagePositionPatient
                assert point(volume.affine, (k, 0, 0)) == pytest.approx([float(v) for v in said], abs=2e-3)


# Every one of these holds one and the same slice, compressed without loss.
LOSSLESS = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)  # fmt: skip
LOSSY = ("1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91")


def test_one_slice_in_thirteen_syntaxes() -> None:
    instances = {}
    for path in sorted(real_set("codec_one_ct_13_syntaxes").glob("*.dcm*")):
        instance = read_instance(path)
        instances[instance.transfer_syntax_uid] = instance
    truth = stored_values(instances["1.2.840.10008.1.2.1"]).astype(int)
    for syntax in LOSSLESS:
        np.testing.assert_array_equal(stored_values(instances[syntax]), truth)
    for syntax in LOSSY:
        assert 0 < np.abs(stored_values(instances[syntax]).astype(int) - truth).mean() < 20
    with pytest.raises(NotReadable, match="cannot be decoded"):  # retired, and in no table of ours
        stored_values(instances["1.2.840.10008.1.2.4.55"])


@pytest.mark.parametrize("image", ["CT1", "CT2", "MR1", "MR3", "MR4"])
def test_the_standards_own_test_images(image: str) -> None:
    folder = real_set("codec_wg04_ct_mr")
    values = {}
    for kind in ("RLE", "J2KR", "JLSL", "JPLL"):
        path = folder / f"{image}_{kind}"
        if not path.exists():
            continue
        # One JPEG-LS stream there is off the standard; some decoders take it, others say so.
        with contextlib.suppress(NotReadable) if (image, kind) == ("MR1", "JLSL") else contextlib.nullcontext():
            values[kind] = stored_values(read_instance(path))
    assert len(values) >= 3
    for other in values.values():
        np.testing.assert_array_equal(other, values["RLE"])


def test_multi_frame_in_five_syntaxes() -> None:
    folder = real_set("multiframe_pydicom")
    values = [
        stored_values(read_instance(folder / f"emri_small{suffix}.dcm"))
        for suffix in ("", "_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_ls_lossless")
    ]
    for other in values[1:]:
        np.testing.assert_array_equal(other, values[0])
    with pytest.raises(NotReadable, match="cut short"):
        read_instance(folder / "emri_small_jpeg_2k_lossless_too_short.dcm")


def test_nothing_in_a_folder_is_passed_over_silently(tmp_path: Path) -> None:
    folder = real_set("codec_wg04_ct_mr")
    found = scan(folder)
    files = [p for p in folder.rglob("*") if p.is_file()]
    uids = {read_instance(p).sop_instance_uid for p in files if p.suffix != ".zst"}
    assert len(found.unreadable) == sum(p.suffix == ".zst" for p in files)
    assert sum(len(s.instances) for s in found.series) == len(uids)
