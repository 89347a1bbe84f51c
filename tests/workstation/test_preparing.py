"""Rules of what is prepared: what they fit, and what of them is refused."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from tests.workstation.samples import DATA
from workstation.config import ConfigError, load_config
from workstation.preparing import PreparationSettings, PrepareRule, SeriesTraits, match_rules, rules_in

CTA = SeriesTraits(
    modality="CT", body_part="CHEST", descriptions=("CTA thorax", "Dissection?"), protocol_name="Aorta", contrast=True,
    thickness_mm=1.0, rows=512, columns=400, images=300, station="CT2", procedure_codes=("71275",), volumes=("", ),
)  # fmt: skip
# A condition that fits CTA and one that does not, by key.
CONDITIONS: dict[str, tuple[Any, Any]] = {
    "modality": ("CT", "MR"),
    "body_part": ("chest|lung", "head"),
    "description": (r"dissection\?", "^thorax"),
    "protocol_name": ("AORTA", "runoff"),
    "station": ("^CT[12]$", "^CT1$"),
    "phase": ("cta", "portal"),
    "contrast": (True, False),
    "min_thickness_mm": (1.0, 1.1),
    "max_thickness_mm": (1.0, 0.9),
    "min_matrix": (400, 401),
    "max_matrix": (512, 511),
    "min_images": (300, 301),
    "max_images": (300, 299),
    "procedure_codes": (("70496", "71275"), ("70496",)),
}


def _possible(chosen: dict[str, bool]) -> dict[str, bool]:
    """Without a greatest value beside a least one, unless both fit: a rule whose bounds cross is refused."""
    least = {key.replace("min_", "max_"): fits for key, fits in chosen.items() if key.startswith("min_")}
    return {key: fits for key, fits in chosen.items() if key not in least or (fits and least[key])}


_chosen = st.dictionaries(st.sampled_from(sorted(CONDITIONS)), st.booleans()).map(_possible)


def rule(name: str = "r", **conditions: Any) -> PrepareRule:
    return PrepareRule(name, protocol="ct_generic", **conditions)


def test_every_condition_is_tried_here() -> None:
    assert set(CONDITIONS) == {f.name for f in fields(PrepareRule)} - {"name", "protocol", "tools", "prior", "priority"}


@given(_chosen)
@settings(max_examples=examples(40), deadline=None)
def test_a_rule_fits_where_each_of_its_conditions_does(chosen: dict[str, bool]) -> None:
    conditions = {key: CONDITIONS[key][0 if fits else 1] for key, fits in chosen.items()}
    made = rule(**conditions)
    assert (made.misfit(CTA) == "") == all(chosen.values())
    for key, fits in chosen.items():  # one condition less fits no less
        fewer = rule(**{other: value for other, value in conditions.items() if other != key})
        assert made.misfit(CTA) or not fewer.misfit(CTA)
        assert fits or made.misfit(CTA)


@given(st.lists(_chosen, max_size=5))
@settings(max_examples=examples(20), deadline=None)
def test_the_first_rule_or_all_in_their_order(several: list[dict[str, bool]]) -> None:
    rules = tuple(
        rule(f"r{n}", **{key: CONDITIONS[key][0 if fits else 1] for key, fits in chosen.items()})
        for n, chosen in enumerate(several)
    )
    fitting = tuple(each for each in rules if not each.misfit(CTA))
    every, first = match_rules(rules, CTA, "all"), match_rules(rules, CTA, "first")
    assert every.rules == fitting and first.rules == fitting[:1]
    assert {name for name, _ in every.misfits} == {each.name for each in rules} - {each.name for each in fitting}


def test_what_is_not_stated_fits_no_bound() -> None:
    assert rule(max_thickness_mm=5.0).misfit(replace(CTA, thickness_mm=None)) == "slice thickness is not stated"
    assert rule(body_part="x").misfit(replace(CTA, body_part="")) == "body part is not stated"
    assert rule(max_images=10).misfit(CTA) == "number of images is 300"


def test_a_phase_picks_one_of_several_volumes() -> None:
    phases = replace(CTA, volumes=("phase 40 %", "phase 75 %"), descriptions=("Heart", ""))
    assert rule(phase="75").volumes_of(phases) == (1,) and not rule(phase="75").misfit(phases)
    assert rule().misfit(phases) == "2 volumes fit (phase 40 %; phase 75 %); pick one by `phase`"
    assert rule(phase="90").misfit(phases) == "no volume is of phase '90'"


def test_a_protocol_of_another_modality_and_a_series_without_a_volume() -> None:
    assert match_rules((rule(),), replace(CTA, modality="MR"), "first").misfits == (
        ("r", "protocol ct_generic is for CT"),
    )
    tools = PrepareRule("t", tools=("bone",))
    assert match_rules((tools,), replace(CTA, modality="MR"), "first").misfits == (("t", "its tools are for CT"),)
    assert rule().misfit(replace(CTA, refusal="a scout")) == "a scout"


def test_pauses_grow_up_to_the_longest() -> None:
    pauses = PreparationSettings(retry_s=10.0, retry_max_s=60.0)
    assert [pauses.pause_s(n) for n in (1, 2, 3, 4, 99)] == [10.0, 20.0, 40.0, 60.0, 60.0]


_RULE = '[[prepare]]\nname = "a"\nprotocol = "ct_chest"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_RULE + "modalty = 'CT'\n", "prepare[0].modalty: this key is not known"),
        ('[[prepare]]\nname = "a"\n', "it says nothing to do; give `protocol`, `tools` or `prior`"),
        (_RULE.replace("ct_chest", "ct_ches"), "no protocol 'ct_ches'; there are ct_aneurysm"),
        (_RULE + "description = '('\n", 'prepare[0].description: "(": not a regular expression'),
        (_RULE + "station = ''\n", "this is empty; leave the key out"),
        (_RULE + "min_images = 9\nmax_images = 8\n", "min_images 9 is more than max_images 8"),
        (_RULE + "contrast = 'yes'\n", 'prepare[0].contrast: found "yes", expected true or false'),
        (_RULE + "tools = ['liver']\n", "'liver' is not one of bone, vessels, lungs"),
        (_RULE + _RULE, "two rules of prepare have the same name"),
        ("[preparation]\nmatch = 'some'\n", "preparation.match: 'some' is not one of first, all"),
        ("[preparation]\nprocesses = 0\n", "preparation.processes"),
        ("[preparation]\nproceses = 1\n", "preparation.proceses: this key is not known"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path)
    assert words in str(error.value) and "config.toml" in str(error.value)


def test_the_sample_of_rules_is_read_as_settings_are(tmp_path: Path) -> None:
    sample = DATA / "prepare.toml"
    (tmp_path / "config.toml").write_text(sample.read_text(encoding="utf-8"), encoding="utf-8")
    config, found = load_config(tmp_path), rules_in(sample)
    assert (config.prepare, config.preparation) == (found.prepare, found.preparation)
    assert [each.name for each in match_rules(found.prepare, CTA, "first").rules] == ["CTA"]
