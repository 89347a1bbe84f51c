"""What the series browser lists: of one patient alone, by study, with its age and a small picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workstation.desktop.patient import FLAT, NOW, PRIOR, STRANGER, patient_site, uid_of
from workstation.desktop.model.browsing import AGES, THUMBNAIL_PX, BrowsedStudy, SeriesShelf, age_of
from workstation.desktop.model.studies import Studies
from workstation.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return patient_site(tmp_path_factory.mktemp("browsing"))


@pytest.fixture
def shelf(site: Site) -> SeriesShelf:
    return SeriesShelf(Studies(site))


def listed(shelf: SeriesShelf, name: str = NOW) -> tuple[BrowsedStudy, ...]:
    return shelf.listed(uid_of(name))


def test_the_open_study_comes_first_then_the_patients_others(shelf: SeriesShelf) -> None:
    studies = listed(shelf)
    assert [(each.date, each.is_open) for each in studies] == [
        ("20260302", True), ("20251202", False), ("20240101", False),
    ]  # fmt: skip
    assert [(each.age, each.count) for each in studies] == [
        ("", 0), ("{count} months before", 3), ("{count} years before", 2),
    ]  # fmt: skip
    names = [each.title for each in studies[0].series]
    assert names == ["1  Thick", "2  Thin", f"9  {FLAT}", "901  CT Image"]
    of_another = uid_of(STRANGER)
    assert of_another not in {one.series_uid for study in studies for one in study.series}
    assert listed(shelf, PRIOR)[1].age == "{count} months after"


def test_each_says_what_it_is(shelf: SeriesShelf, site: Site) -> None:
    study, prior, renamed = listed(shelf)
    thin, ours = study.series[1], study.series[3]
    assert (thin.thickness, thin.instances, thin.identity.modality) == ("1.25 mm", 3, "CT")
    assert thin.size == sum(Path(i.path).stat().st_size for i in site.archive.series(thin.series_uid).instances)
    assert thin.row is not None and thin.kind == "source" and thin.mebibytes.endswith(" KiB")
    assert ours.kind == "ours" and ours.row is None  # nothing to open as a volume
    assert [replace(ours, size=size).mebibytes for size in (1 << 19, 1 << 23, 40 << 20)] == [
        "0.5 MiB", "8.0 MiB", "40 MiB",
    ]  # fmt: skip
    assert prior.series[0].identity.body_part == "CHEST" and prior.series[0].doubt == ()
    assert renamed.series[0].doubt == ("name",)  # the same ID; the reader is told
    assert thin.says("thi ct") and thin.says("2026-03") and not thin.says("thick")


def test_a_small_picture_of_what_makes_a_volume_and_what_makes_none(shelf: SeriesShelf) -> None:
    study = listed(shelf)[0]
    volume, flat = (shelf.thumbnail(study.series[n]) for n in (1, 2))
    assert volume is not None and volume.shape == (THUMBNAIL_PX, THUMBNAIL_PX, 3)
    assert flat is not None and flat.shape == (4, 6, 3) and flat.dtype == np.uint8
    assert int(np.ptp(flat)) > 100 and (flat[..., 0] == flat[..., 2]).all()


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("20260302", "the same day"), ("20260301", "1 day before"), ("20260217", "13 days before"),
        ("20260216", "2 weeks before"), ("20251230", "8 weeks before"), ("20251229", "2 months before"),
        ("20240303", "23 months before"), ("20240302", "2 years before"), ("20260303", "1 day after"),
        ("20280401", "2 years after"), ("", ""), ("2026", ""),
    ],
)  # fmt: skip
def test_ages(then: str, said: str) -> None:
    sentence, count = age_of(then, "20260302")
    assert sentence.format(count=count) == said and (sentence in AGES or not said)
