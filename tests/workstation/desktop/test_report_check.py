"""A report that is not finished is not signed, and the reader is led to the place."""

from dataclasses import replace

import pytest

from tests.workstation.desktop.test_preview import DOCTOR, TECHNOLOGIST, WRITTEN
from tests.workstation.desktop.test_session import session
from workstation.config import ReportField
from workstation.desktop.model import edits, report_check
from workstation.desktop.model.report_check import FIELD_TITLES, obstacle_to_signing
from workstation.desktop.model.session import Draft
from workstation.desktop.report_panel import TEMPLATES

NEEDED: tuple[ReportField, ...] = ("indication", "impression")


@pytest.mark.parametrize("name", FIELD_TITLES)
@pytest.mark.parametrize("mark", ["…", "..."])
def test_a_place_left_open_is_named_in_any_field(name: ReportField, mark: str) -> None:
    reading = session()
    reading.change(edits.captured, "solid")
    reading.write(**WRITTEN)
    assert obstacle_to_signing(DOCTOR, reading, NEEDED) is None
    reading.write(**{name: f"Stenosis of {mark} %."})
    found = obstacle_to_signing(DOCTOR, reading, ())
    assert found is not None and (found.report_field, found.start, found.end) == (name, 12, 12 + len(mark))
    assert FIELD_TITLES[name] in str(found) and mark in str(found)


@pytest.mark.parametrize("use", TEMPLATES)
def test_no_template_can_be_signed_as_it_is(use: str) -> None:
    assert report_check.unfinished_field(Draft(**TEMPLATES[use])) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["", " \n", "---", "?", "1."])
def test_what_a_site_needs_has_to_say_something(said: str) -> None:
    written = replace(Draft(), indication="Fall.", impression=said)
    found = report_check.empty_field(written, NEEDED)
    assert found is not None and found.report_field == "impression" and "Impression" in str(found)
    assert report_check.empty_field(written, ("indication",)) is None


def test_people_and_pictures_come_first() -> None:
    reading = session()
    for person, sentence in (
        (None, report_check.NOBODY_SIGNED_IN),
        (TECHNOLOGIST, report_check.NOT_A_PHYSICIAN),
        (DOCTOR, report_check.NO_PICTURE),
    ):
        found = obstacle_to_signing(person, reading, NEEDED)
        assert found is not None and found.sentence == sentence and found.report_field is None
