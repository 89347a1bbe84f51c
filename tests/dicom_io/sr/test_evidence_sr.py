"""The record is the evidence: what is written into the SR comes back out of it, whole and unchanged."""

import contextlib
import copy
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io import codes
from dicom_io.errors import NotReadable
from dicom_io.evidence import (
    PLACES,
    Act,
    Attestation,
    Evidence,
    ImageReference,
    Measurement,
    MeasurementKind,
    Person,
    Product,
    Quantity,
    QuantityName,
    Response,
    Role,
    Side,
    Unit,
)
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, objects_in_order, read_sr, write_sr
from dicom_io.stamp import Stamp
from dicom_io.uids import derived
from tests.dicom_io.synthetic import grid, image, ramp
from tests.thorough import examples

STAMP = Stamp(datetime(2026, 3, 2, 16, 5, 7, tzinfo=UTC), "1.2.3", "WS-1", "2.25.4711", ("0.1.0",), "Sample Hospital")

# Letters of several scripts. A backslash separates values in most VRs, ^ and = the parts of a name; control characters
# no VR takes; spaces at the ends are not significant (PS3.5 6.2).
LETTERS = st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters="\\^=")
WORDS = st.text(LETTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
LINES = st.text(LETTERS, max_size=60).map(str.strip)
ONE_WORD = st.text(LETTERS, min_size=1, max_size=16).map(lambda s: "".join(s.split())).filter(bool)
NAMES = st.lists(WORDS, min_size=1, max_size=5).map("^".join)
UIDS = st.integers(0, 10**30).map(lambda n: f"2.25.{n}")
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).flatmap(
    lambda at: st.integers(-12 * 60, 14 * 60).map(
        lambda minutes: at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    )
)
PEOPLE = st.builds(Person, ONE_WORD, NAMES, st.sampled_from(get_args(Role)))
REFERENCES = st.builds(ImageReference, st.just("1.2.840.10008.5.1.4.1.1.2"), UIDS, UIDS)
# An instance lies in one series: the series follows from the instance.
IMAGES = st.lists(st.tuples(UIDS, st.one_of(st.just(""), DIGESTS)), max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: tuple(ImageReference("1.2.840.10008.5.1.4.1.1.2", u, derived(u), d) for u, d in pairs)
)
PRODUCTS = st.builds(
    Product,
    technique=st.sampled_from(list(codes.DERIVATIONS)),
    region=LINES,
    purpose=LINES,
    base_procedure=LINES,
    name=WORDS,
    recipe=LINES.map(lambda s: '{"name":"' + s.replace('"', "'") + '"}'),
    recipe_digest=DIGESTS,
    pixel_digest=DIGESTS,
    volume_digest=DIGESTS,
    engine=st.sampled_from(["cpu", "vtk"]),
    engine_version=WORDS,
    graphics_device=LINES,
    performed_here=st.booleans(),
    images=IMAGES,
    warnings=st.lists(WORDS, max_size=3).map(tuple),
    laterality=st.sampled_from(get_args(Side)),
    prepared=st.booleans(),
)
POINTS = st.tuples(*[st.floats(-1e4, 1e4, allow_subnormal=False)] * 3)


def _measurements(kind: MeasurementKind) -> st.SearchStrategy[Measurement]:
    least, most = PLACES[kind]
    return st.builds(
        Measurement,
        name=WORDS,
        kind=st.just(kind),
        points_mm=st.lists(POINTS, min_size=least, max_size=int(min(most, 5))).map(tuple),
        view=LINES,
        frame_of_reference=st.just(derived("frame") if most else ""),
        volume_digest=DIGESTS,
        quantities=st.lists(QUANTITIES, min_size=1, max_size=4).map(tuple),
        finding=LINES,
        steps=st.just("") if most else st.one_of(st.just(""), WORDS),
        responses=st.sets(st.sampled_from(get_args(Response)) if kind == "targets" else st.nothing()).map(
            lambda told: tuple(each for each in get_args(Response) if each in told)
        ),
        references_mm=st.lists(POINTS, max_size=3 if kind == "vessel" else 0).map(tuple),
    )


QUANTITIES = st.builds(
    Quantity,
    st.sampled_from(get_args(QuantityName)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(get_args(Unit)),
)
MEASUREMENTS = st.sampled_from(list(PLACES)).flatmap(_measurements)
STATED = st.sampled_from([None, True, False])
EVIDENCE = st.builds(
    Evidence,
    sop_instance_uid=UIDS,
    verified_by=st.one_of(st.just(""), NAMES),
    patient_id=st.just("P-1"),
    accession=st.just("A-1"),
    study_uid=st.just(derived("series", "study")),
    study_date=st.just("20260302"),
    modality=st.sampled_from([*codes.MODALITIES, "OT"]),
    device_uid=UIDS,
    station_name=WORDS,
    independent=st.booleans(),
    operator=PEOPLE,
    supervisor=st.one_of(st.none(), PEOPLE),
    acts=st.lists(st.builds(Act, TIMES, ONE_WORD, st.sampled_from(get_args(Role)), ONE_WORD, LINES), max_size=4).map(
        tuple
    ),
    attestation=st.one_of(st.none(), st.builds(Attestation, PEOPLE, TIMES, LINES, STATED, STATED)),
    products=st.lists(PRODUCTS, max_size=3).map(tuple),
    sources=IMAGES,
    measurements=st.lists(MEASUREMENTS, max_size=3).map(tuple),
    session_uid=st.one_of(st.just(""), UIDS),
    journal_head=st.one_of(st.just(""), DIGESTS),
    predecessor=st.one_of(st.none(), st.builds(ImageReference, st.just(COMPREHENSIVE_3D_SR), UIDS, UIDS)),
    # They are what the evidence names beside sources and pictures, so they are neither.
    objects=IMAGES.map(lambda images: tuple(replace(i, sop_instance_uid=f"2.16.{n}") for n, i in enumerate(images))),
)


def source() -> Dataset:
    return image(ramp((1, 4, 4))[0], grid(), 0)


def as_file(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(EVIDENCE)
def test_what_is_written_is_read_again(evidence: Evidence) -> None:
    data = as_file(write_sr(evidence, source(), STAMP))
    assert read_sr(dcmread(io.BytesIO(data))) == replace(evidence, objects=objects_in_order(evidence))
    assert as_file(write_sr(evidence, source(), STAMP)) == data


def test_each_object_keeps_its_own_digest_whatever_their_order() -> None:
    """References are written series by series; a digest that stays behind would belong to another object."""
    series = ("2.25.7", "2.25.8", "2.25.7", "1.2.4")
    objects = tuple(ImageReference("1.2.3", f"2.16.{n}", uid, f"{n:064}") for n, uid in enumerate(series))
    found = read_sr(dcmread(io.BytesIO(as_file(write_sr(replace(simple(), objects=objects), source(), STAMP)))))
    assert set(found.objects) == set(objects)
    assert [o.sop_instance_uid for o in found.objects] == ["2.16.3", "2.16.0", "2.16.2", "2.16.1"]


def simple() -> Evidence:
    at = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    anna = Person("meier", "Meier^Anna", "physician")
    references = (ImageReference("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.4"),)
    text = '{"kind":"projection"}'
    product = Product("mip", "head", "diagnosis", "", "MIP", text, "a", "b", "c", "cpu", "1", "", True, references)
    study = derived("series", "study")
    return Evidence(
        "1.2.9", "", "P-1", "A-1", study, "20260302", "CT", "2.25.1", "WS", True, anna, anna,
        (Act(at, "meier", "physician", "opened"),), Attestation(anna, at, "", True, None), (product,), references,
    )  # fmt: skip


def test_side_and_preparation_are_written_only_where_there_is_something_to_say() -> None:
    """Records from before they were known keep their bytes, and are read as without a side and as worked on."""

    def groups(product: Product) -> list[str]:
        sr = write_sr(replace(simple(), products=(product,)), source(), STAMP)
        found = [item for item in sr.iterall() if item.keyword == "CodeValue"]
        return [str(item.value) for item in found if item.value in ("laterality", "prepared")]

    plain = simple().products[0]
    assert groups(plain) == []
    assert groups(replace(plain, laterality="L", prepared=True)) == ["prepared", "laterality"]


def test_a_side_that_is_none_is_refused() -> None:
    sr = write_sr(replace(simple(), products=(replace(simple().products[0], laterality="L"),)), source(), STAMP)
    (side,) = [item for item in sr.iterall() if item.keyword == "TextValue" and item.value == "L"]
    side.value = "B"
    with pytest.raises(NotReadable, match="damaged 3D post-processing record"):
        read_sr(sr)


def test_a_very_long_recipe_and_lines_survive() -> None:
    """Text values have no length that a recipe reaches (VR UT), and line ends are part of a text."""
    product = replace(simple().products[0], recipe='{"points":[' + "0.123456789," * 20000 + "1]}")
    assert simple().attestation is not None
    stated = replace(simple().attestation, text="First line.\r\nSecond line.")  # type: ignore[type-var]
    evidence = replace(simple(), products=(product,), attestation=stated)
    assert read_sr(dcmread(io.BytesIO(as_file(write_sr(evidence, source(), STAMP))))) == evidence


def test_what_is_no_record_of_ours_is_said() -> None:
    sr = write_sr(simple(), source(), STAMP)
    other_class = copy.deepcopy(sr)
    other_class.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    empty = copy.deepcopy(sr)
    empty.ContentSequence = Sequence()
    foreign = copy.deepcopy(sr)
    foreign.ContentSequence = Sequence(list(sr.ContentSequence)[:-1])
    for ds, words in (
        (other_class, "1.2.9: not a Comprehensive 3D SR"),
        (empty, "1.2.9: not a Comprehensive 3D SR"),
        (foreign, "1.2.9: an SR, but not a 3D post-processing record of this kind"),
        (source(), "not a Comprehensive 3D SR"),
    ):
        with pytest.raises(NotReadable, match=words):
            read_sr(ds)


def test_a_damaged_record_is_never_anything_but_not_readable() -> None:
    """Every item of the tree is taken out, and every text in it spoiled, one after the other."""
    count = sum(1 for _ in _items(write_sr(simple(), source(), STAMP)))
    assert count > 30
    for number in range(count):
        for spoil in (_removed, _spoiled):
            sr = write_sr(simple(), source(), STAMP)
            parent, index = list(_items(sr))[number]
            spoil(parent, index)
            with contextlib.suppress(NotReadable):
                read_sr(sr)


def _items(ds: Dataset) -> list[tuple[Dataset, int]]:
    found = []
    for index, child in enumerate(ds.get("ContentSequence", ())):
        found.append((ds, index))
        found += _items(child)
    return found


def _removed(parent: Dataset, index: int) -> None:
    del parent.ContentSequence[index]


def _spoiled(parent: Dataset, index: int) -> None:
    item = parent.ContentSequence[index]
    for keyword, value in (("TextValue", "?"), ("UID", ""), ("PersonName", "")):
        if keyword in item:
            setattr(item, keyword, value)
    for keyword in ("ConceptCodeSequence", "ReferencedSOPSequence"):
        if keyword in item:
            setattr(item, keyword, Sequence())
