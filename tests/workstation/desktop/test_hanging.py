"""How series are hung: each kind in the window and preset of its question, a site's own rules first."""

from pathlib import Path

import numpy as np
import pytest

from render import Volume, load_window
from render.geometry import affine_from
from workstation.desktop.model.hanging import HangingError, hung, load_hanging
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.looks import Looks
from workstation.desktop.model.screen import LAYOUTS

AFFINE = affine_from((0.0, 0.0, 0.0), (0.0, 0.0, 2.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
VOXELS = np.random.default_rng(1).integers(-900, 1500, (8, 12, 10)).astype(np.int16)
CT, OTHER = Volume(VOXELS, AFFINE, "HU"), Volume(VOXELS, AFFINE, "1")


@pytest.mark.parametrize(
    ("modality", "body_part", "series", "window", "preset", "layout"),
    [
        ("CT", "HEAD", "Cranium 1.5 mm", "brain", "ct_bone", "four"),
        ("CT", "HEAD", "CTA head and neck", "angio", "ct_vessels", "four"),
        ("CT", "CHEST", "Thorax 5.0", "mediastinum", "ct_bone", "four"),
        ("CT", "CHEST", "HRCT_1.0", "lung", "ct_lung", "four"),
        ("CT", "ABDOMEN", "portal venous", "abdomen", "ct_soft_tissue", "four"),
        ("CT", "KNEE", "", "bone", "ct_bone", "large_solid"),
        ("CT", "", "", "soft_tissue", "ct_bone", "four"),
        ("MR", "BRAIN", "TOF MRA", "full", "mr_angio_tof", "four"),
        ("MR", "BRAIN", "t1_mpr", "full", "mr_brain", "four"),
        ("MR", "KNEE", "pd fs", "full", "mr_default", "four"),
        ("US", "", "", "full", "us_volume", "large_solid"),
        ("PT", "", "", "full", "mr_default", "four"),
    ],
)
def test_each_kind_is_hung_for_its_question(
    modality: str, body_part: str, series: str, window: str, preset: str, layout: str
) -> None:
    identity = SeriesIdentity(modality=modality, body_part=body_part, series=series)
    volume = CT if modality == "CT" else OTHER
    screen = hung(volume, identity, load_hanging())
    assert screen.solid.transfer.name == preset and screen.layout == layout
    if window != "full":
        assert screen.window == load_window(window)
    assert (screen.axial.slab_mm > 0.0) == ("TOF" in series)


def test_values_without_a_unit_get_no_window_of_hounsfield_units() -> None:
    screen = hung(OTHER, SeriesIdentity(modality="CT", body_part="HEAD"), load_hanging())
    assert screen.solid.transfer.name == "mr_default" and screen.solid.body_above is None


def test_a_word_is_a_whole_word() -> None:
    screen = hung(CT, SeriesIdentity(modality="CT", series="Schipper"), load_hanging())  # no HIP
    assert screen.layout == "four"


def test_a_sites_own_rules_come_first(tmp_path: Path) -> None:
    own = tmp_path / "hanging.toml"
    own.write_text(
        '[[hanging]]\ntitle = "Ours"\nmodality = "CT"\nwords = ["Temporal"]\nwindow = "bone"\npreset = "ct_skin"\n'
        'layout = "planes"\n'
    )
    rules = load_hanging(own)
    screen = hung(CT, SeriesIdentity(modality="CT", body_part="HEAD", study="temporal bone"), rules)
    assert (screen.solid.transfer.name, screen.layout) == ("ct_skin", "planes")
    assert hung(CT, SeriesIdentity(modality="CT", body_part="HEAD"), rules).solid.transfer.name == "ct_bone"
    agent = load_hanging()[0]
    assert agent.fits(SeriesIdentity(modality="CT", series="CTA"), "HU")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('title = "x"\nwindow = "bone"', "0.preset|preset: Field required"),
        ('title = "x"\nwindow = "bones"\npreset = "ct_bone"', "no window 'bones'"),
        ('title = "x"\nwindow = "bone"\npreset = "ct_bones"', "no preset 'ct_bones'"),
        ('title = "x"\nwindow = "bone"\npreset = "ct_bone"\nlayout = "five"', "layout"),
        ('title = "x"\nwindow = "bone"\npreset = "ct_bone"\nzoom = 2', "zoom"),
        ('title = "x"\nwindow = "bone"\npreset = "ct_bone"\nslab_mm = nan', "slab_mm"),
        ('title = "x"\nwindow = "bone"\npreset = "ct_bone"\nslab_mm = -5', "slab_mm"),
    ],
)
def test_a_file_with_a_fault_says_where(tmp_path: Path, text: str, found: str) -> None:
    own = tmp_path / "hanging.toml"
    own.write_text(f"[[hanging]]\n{text}\n")
    with pytest.raises(HangingError, match=found) as told:
        load_hanging(own)
    assert str(own) in str(told.value)


@pytest.mark.parametrize(("text", "found"), [("hanging = 1", "a rule is a table"), (None, "cannot be read")])
def test_a_file_that_holds_no_rules_says_so(tmp_path: Path, text: str | None, found: str) -> None:
    own = tmp_path / "hanging.toml"
    own.mkdir() if text is None else own.write_text(text)
    with pytest.raises(HangingError, match=found):
        load_hanging(own)


def test_presets_are_those_of_the_modality(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    assert all(name.startswith("mr_") for name in looks.presets_for("1", "MR"))
    assert looks.presets_for("1", "US") == ["us_volume"]
    assert all(name.startswith("ct_") for name in looks.presets_for("HU", "CT"))


def test_every_shipped_rule_can_be_used() -> None:
    for rule in load_hanging():
        unit = "HU" if rule.modality == "CT" else "1"
        said = SeriesIdentity(modality=rule.modality, series=rule.words[0] if rule.words else "")
        assert rule.fits(said, unit), rule.title
        assert rule.layout in LAYOUTS
