"""The facts that come from a record: the side of what was rendered, and whether it was only prepared."""

from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.workstation.orders.ris import Study, config, evidence
from workstation.billing.gather_facts import facts_of
from workstation.case import laterality_of
from workstation.charge import Facts
from workstation.store.papers import NOTHING


def facts(**product: Any) -> Facts:
    said = evidence(Study("ACC1"), ())
    said = replace(said, sop_instance_uid="1.2.9", products=(replace(said.products[0], **product),))
    return facts_of(said, NOTHING, [], lambda image: True, config())


def test_a_record_without_a_side_has_none() -> None:
    (rendering,) = facts().renderings
    assert rendering.laterality is None
    assert rendering.prepared is False


@pytest.mark.parametrize("side", ["L", "R"])
def test_side_and_preparation_are_what_the_record_says(side: str) -> None:
    (rendering,) = facts(laterality=side, prepared=True).renderings
    assert (rendering.laterality, rendering.prepared) == (side, True)


def _frames(side: str) -> Dataset:
    anatomy, groups, ds = Dataset(), Dataset(), Dataset()
    anatomy.FrameLaterality = side
    groups.FrameAnatomySequence = [anatomy]
    ds.SharedFunctionalGroupsSequence = [groups]
    return ds


def _image(keyword: str, side: str) -> Dataset:
    ds = Dataset()
    setattr(ds, keyword, side)
    return ds


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("region", ["UPPER_EXTREMITY", "LOWER_EXTREMITY", "EXTREMITY", "ORBIT", "BREAST"])
def test_the_side_is_the_images(region: str, side: str) -> None:
    for ds in (_image("Laterality", side), _image("ImageLaterality", side), _frames(side)):
        assert laterality_of(ds, region) == side


def test_a_region_without_sides_has_none() -> None:
    assert laterality_of(_image("Laterality", "L"), "HEAD") == ""


@pytest.mark.parametrize("ds", [Dataset(), _image("Laterality", ""), _image("ImageLaterality", "B"), _frames("U")])
def test_what_the_images_do_not_tell_is_not_guessed(ds: Dataset) -> None:
    assert laterality_of(ds, "EXTREMITY") == ""
