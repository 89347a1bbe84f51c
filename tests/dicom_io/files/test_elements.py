"""The quick reading of headers sees what pydicom's parser sees, in every file, or leaves the file to it."""

import tempfile
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.capabilities import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_io.errors import NotReadable
from dicom_io.files import headers
from dicom_io.files.elements import NotPlain, read_header
from dicom_io.files.instance import Instance
from tests.dicom_io.real import real_set
from tests.dicom_io.synthetic import J2K, RLE, grid, image, ramp, save
from tests.thorough import examples

# Sets of every maker, with how many of their files at least are read quickly.
SETS = [
    ("ct_chest_iv_lidc0001_jls", 133), ("ct_tilt_minus18_philips_phantom", 54), ("mr_ge_fruit_sag_196", 196),
    ("mr_ge_dualvolume_b0map", 160), ("mr_siemens_two_echo_mag", 72), ("mr_siemens_mosaic_oblique", 6),
    ("mr_siemens_phantom_j2k_96", 96), ("mr_philips_4d_4x35", 0), ("mr_siemens_enhanced_4_timepoints", 0),
    ("codec_wg04_ct_mr", 30), ("codec_one_ct_13_syntaxes", 10), ("d2n_failing", 20), ("multiframe_pydicom", 0),
]  # fmt: skip


def slowly(path: Path) -> Instance | None:
    try:
        return headers._read(path)[0]
    except NotReadable:
        return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "least"), SETS)
def test_both_ways_read_the_same(name: str, least: int) -> None:
    quick = 0
    for file in sorted(p for p in real_set(name).rglob("*") if p.is_file()):
        found = headers._quickly(file)
        if found is not None:
            quick += 1
            assert found == slowly(file)
    assert quick >= least


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE, J2K])
def test_our_own_files_are_plain(tmp_path: Path, syntax: str) -> None:
    path = save(image(ramp((1, 32, 32))[0], grid(), 0), tmp_path / "x.dcm", syntax)
    assert headers._quickly(path) == slowly(path) is not None


@pytest.mark.parametrize("implicit", [True, False])
def test_sequences_that_nobody_needs_are_passed_over(tmp_path: Path, implicit: bool) -> None:
    ds = image(ramp((1, 32, 32))[0], grid(), 0)
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "1"
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    ds.ReferencedImageSequence = Sequence([outer, Dataset()])
    for sequence in (ds["ReferencedImageSequence"], outer["PurposeOfReferenceCodeSequence"]):
        sequence.is_undefined_length = True
    for item in (inner, outer):
        item.is_undefined_length_sequence_item = True
    path = save(ds, tmp_path / "x.dcm", IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE)
    assert headers._quickly(path) == slowly(path) is not None


def test_what_is_not_plain_is_left_to_pydicom(tmp_path: Path) -> None:
    path = save(image(ramp((1, 32, 32))[0], grid(), 0), tmp_path / "x.dcm", EXPLICIT_BIG)
    with FileIO(path) as file, pytest.raises(NotPlain):
        read_header(file)
    assert headers.read_instance(path).rows == 32


@settings(max_examples=examples(150), deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(132, 1400), st.integers(0, 255)), max_size=4),
    cut=st.one_of(st.none(), st.integers(100, 2000)),
    syntax=st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE]),
)
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_read_quickly_of_a_damaged_file_could_be_drawn(
    flips: list[tuple[int, int]], cut: int | None, syntax: str
) -> None:
    """Damage may be read in one way or the other, but never as pixels that lie outside of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(image(ramp((1, 32, 32))[0], grid(), 0), Path(folder) / "x.dcm", syntax)
        data = bytearray(path.read_bytes())
        for place, value in flips:
            if place < len(data):
                data[place] = value
        path.write_bytes(bytes(data[:cut]))
        found = headers._quickly(path)
        if found is not None:
            assert found.pixel_offset < path.stat().st_size
            assert found.sop_instance_uid
