"""Money and measure of a month: sums, shares, ages, what was lost; as words, CSV and a page."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dicom_io.objects.derived import derive
from dicom_io.volumes import build_volume
from render import Projection, VolumeRendering, draw
from render.recipe import Rotation
from tests.workstation.charge.test_cms_imports import FEES, write
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import DAY, JD, Ris, Study, journalled, objects
from tests.workstation.samples import SERIES_UID, tiny_protocol
from workstation.charge.cms_imports import import_fees
from workstation.coder import lost_work, month_page, month_report
from workstation.coder.acts import credit
from workstation.coder.expected_amount import NOT_KNOWN
from workstation.coder.work_list import WorkError


def study(number: int, **more: Any) -> Study:
    return Study(f"ACC{number}", f"P{number}", f"A{number}", f"V{number}", **more)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each test gets a copy of: one charged, one credited, one held, one denied, and eleven examinations without
    3D."""
    root = tmp_path_factory.mktemp("lived")
    with desk(root, clock=lambda: DAY + timedelta(hours=12)) as here:
        for number, more in enumerate(({}, {}, {}, {"attended": False}), 1):
            one = study(number, **more)
            ris = Ris(one)
            here.sr(one)
            here.hear(ris.order(payer="OTHER" if number == 2 else "MCARE"))
            if number != 3:
                here.hear(ris.report())
        credit(here.site, "ACC2", JD, "wrong class")
        for number in range(20, 31):
            here.hear(Ris(study(number)).order(three_d=False))
    return root


@pytest.fixture
def month(lived: Path, tmp_path: Path) -> Iterator[Desk]:
    """The same 40 days later."""
    shutil.copytree(lived, tmp_path, dirs_exist_ok=True)
    with desk(tmp_path, clock=lambda: DAY + timedelta(days=40, hours=12)) as here:
        yield here


def sums(found: dict[str, Any], key: str, column: str) -> dict[str, tuple[int, int]]:
    return {row[column]: (row["cases"], row["charged"]) for row in found[key]}


def test_the_sums(month: Desk) -> None:
    found = month_report.report(month.site, "2026-03")
    assert sums(found, "states", "state") == {"queued": (1, 1), "credited": (1, 0), "held": (1, 0), "denied": (1, 0)}
    assert sums(found, "by_physician", "physician") == {"DR1": (3, 1), "(none)": (1, 0)}
    assert sums(found, "by_payer", "payer") == {"MCARE": (3, 1), "OTHER": (1, 0)}
    assert sums(found, "by_technique", "techniques") == {"volume_rendering": (4, 1)}
    assert sums(found, "by_reason", "reasons") == {
        "CREDITED_BY_CODER": (1, 0),
        "NO_CONCURRENT_SUPERVISION": (1, 0),
        "REPORT_NOT_FINAL": (1, 0),
    }
    assert found["hold_ageing"] == {"up to 7 days": 0, "8 to 30 days": 0, "31 to 90 days": 1, "more than 90 days": 0}
    outcomes = {row["accession"]: row["outcome"] for row in found["cases"]}
    assert outcomes == {"ACC1": "charged", "ACC2": "lost", "ACC3": "held", "ACC4": "lost"}


def test_the_share_is_flagged_above_the_limit(month: Desk) -> None:
    share = month_report.report(month.site, "2026-03")["share"]
    by_modality = share.pop("by_modality")
    assert share == {"with_3d": 4, "examinations": 15, "share": 0.2667, "limit": 0.2, "above_limit": True}
    assert by_modality["CT"] == share
    assert by_modality["MR"] == {**share, "with_3d": 0, "examinations": 0, "share": None, "above_limit": False}
    site = replace(month.site, config=replace(month.site.config, share_limit=0.325))
    found = month_report.report(site, "2026-03")
    assert found["share"]["above_limit"] is False
    assert month_report.limit_in_words(found) == [
        "A month is flagged when more than 32.5% of CT and MR have 3D (share_limit of the settings). "
        "This one: 4 of 15, 26.7%, within the limit.",
        "By modality: CT 4 of 15, 26.7%, within the limit; MR none on file.",
    ]


def test_another_month_is_empty(month: Desk) -> None:
    found = month_report.report(month.site, "2026-04")
    assert (found["cases"], found["share"]["share"]) == ([], None)
    assert "0 cases" in month_report.in_words(found)
    for word in ("2026", "2026-13", "March"):
        with pytest.raises(WorkError, match="not a month"):
            month_report.report(month.site, word)


def test_not_known_until_there_is_a_fee_file(month: Desk, tmp_path: Path) -> None:
    """The site bills the professional component, for which the guide has no range."""

    def charged() -> tuple[str, str, str]:
        (row,) = [row for row in month_report.report(month.site, "2026-03")["cases"] if row["state"] == "queued"]
        return row["expected_low"], row["expected_high"], row["basis"]

    assert charged() == ("", "", NOT_KNOWN)
    import_fees(write(tmp_path, "PFALL26.txt", FEES), month.site.root, accept=True)
    assert charged() == ("41.50", "41.50", "PFALL26.txt")


def total(cases: int, amount: str, unknown: int) -> dict[str, Any]:
    return {"cases": cases, "expected_low": amount, "expected_high": amount, "unknown": unknown}


def test_money_is_charged_held_and_lost(month: Desk, tmp_path: Path) -> None:
    money = month_report.report(month.site, "2026-03")["money"]
    assert money == {"charged": total(1, "0.00", 1), "held": total(1, "0.00", 1), "lost": total(2, "0.00", 2)}
    import_fees(write(tmp_path, "PFALL26.txt", FEES), month.site.root, accept=True)
    month.site.archive.keep(journalled(study(50), month.site.journal))
    found = month_report.report(month.site, "2026-03")
    # ACC2 is of a payer whose fees nobody knows; of the SR that nobody has decided, nobody knows what it bears.
    assert found["money"] == {
        "charged": total(1, "41.50", 0),
        "held": total(1, "41.50", 0),
        "lost": total(3, "41.50", 2),
    }
    words = month_report.in_words(found)
    assert re.search(r"lost +3 +41\.50 +2\n", words)
    assert re.search(r"OTHER +1 +0 +not known +1\n", words)


def test_the_lost_work_is_listed(month: Desk, tmp_path: Path) -> None:
    import_fees(write(tmp_path, "PFALL26.txt", FEES), month.site.root, accept=True)
    lost = month_report.report(month.site, "2026-03")["lost"]
    assert [(row["accession"], row["techniques"], row["why"], row["expected_low"]) for row in lost] == [
        ("ACC2", ["volume_rendering"], "CREDITED_BY_CODER", ""),
        ("ACC4", ["volume_rendering"], "NO_CONCURRENT_SUPERVISION", "41.50"),
    ]


def test_what_no_rule_allows_is_not_lost() -> None:
    assert lost_work.is_lost("denied", ("NO_CONCURRENT_SUPERVISION",))
    assert lost_work.is_lost("denied", ("DENIED_BY_CODER",))
    assert not lost_work.is_lost("denied", ("NO_CONCURRENT_SUPERVISION", "BASE_INCLUDES_3D"))
    assert not lost_work.is_lost("denied", ("DUPLICATE",))
    assert not lost_work.is_lost("held", ("REPORT_NOT_FINAL",))


def test_what_has_no_decision_is_lost(month: Desk) -> None:
    picture, sr = journalled(study(50), month.site.journal)
    month.site.archive.keep([picture, sr, objects(study(51))[0]])
    lost = lost_work.undecided(month.site, "2026-03")
    # The picture of the SR is no second loss.
    assert [(row["accession"], row["techniques"]) for row in lost] == [
        ("ACC50", ["volume_rendering"]),
        ("ACC51", lost[1]["techniques"]),
    ]
    assert lost[0]["why"] == f"SR {sr.SOPInstanceUID} has no decision: run `charge recheck`"
    assert lost[1]["why"].startswith("1 3D images of study ")
    assert {row["basis"] for row in lost} == {NOT_KNOWN}
    assert lost_work.undecided(month.site, "2026-04") == []


def test_every_kind_of_picture_of_ours_is_looked_for(month: Desk, slices: Path) -> None:
    """What the writer makes of a volume rendering, a MIP, and rotations of both; none of them is told of by an SR."""
    month.site.archive.import_files(slices)
    series = month.site.archive.series(SERIES_UID)
    volume = build_volume(series)
    bone, mip, _ = tiny_protocol().recipes
    assert isinstance(bone, VolumeRendering) and isinstance(mip, Projection)
    recipes = (
        bone,
        mip,
        replace(bone, name="Bone, rotation", rotation=Rotation(3)),
        replace(mip, name="MIP, rotation", rotation=Rotation(3)),
    )
    pictures = [draw(volume, recipe) for recipe in recipes]
    stored = derive(pictures, series, month.site.stamp("1.2.3", DAY), None)
    month.site.archive.keep(stored)
    day = series.first.study_date
    rows = lost_work.undecided(month.site, f"{day[:4]}-{day[4:6]}" if day else "2026-03")
    (row,) = [row for row in rows if series.first.study_uid in row["why"]]
    assert row["why"] == f"{len(recipes)} 3D images of study {series.first.study_uid} that no SR tells of"
    assert row["techniques"] == ["mip", "volume_rendering"]


def test_as_words_csv_and_page(month: Desk, tmp_path: Path) -> None:
    found = month_report.report(month.site, "2026-03")
    words = month_report.in_words(found)
    assert "more than 20% of CT and MR have 3D (share_limit of the settings). This one: 4 of 15, 26.7%, ABOVE" in words
    assert "Lost: nothing found." in month_report.in_words(month_report.report(month.site, "2026-04"))
    month_report.write_csv(found, tmp_path / "march.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "march.csv").read_text(encoding="utf-8"))))
    assert [row["accession"] for row in rows] == ["ACC1", "ACC2", "ACC3", "ACC4"]
    for name in ("march.png", "march.pdf", "march.svg"):
        month_page.write_page(found, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    with Image.open(tmp_path / "march.png") as page:
        assert page.size == (1755, 1245)
        assert len(page.convert("RGB").getcolors(1 << 20) or []) > 10
    with pytest.raises(WorkError, match=r"is a \.png, \.pdf or \.svg file"):
        month_page.write_page(found, tmp_path / "march.bmp")


def test_no_patient_is_in_it(month: Desk) -> None:
    found = repr(month_report.report(month.site, "2026-03"))
    assert "Of^" not in found
    assert "'P1'" not in found
