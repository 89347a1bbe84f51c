"""Which rule of the sample real series meet, or why none: from their headers alone."""

import pytest

from dicom_io.files.series import open_series
from tests.dicom_io.real import real_set
from tests.workstation.samples import DATA
from workstation.preparation.traits import OrderedExamination, traits_of
from workstation.preparing import match_rules, rules_in

# A set, and for each of its series, by UID, the rule that is followed, or words of the reason why none is.
MEET = {
    "ct_chest_iv_lidc0001_jls": ["Chest"],
    "ct_ctpa_rider_jls": ["CTA"],
    "cta_aorta_dissection_heart": ["CTA"],
    "ct_colon_pelvis_hips": ["Other CT"],
    "mra_circle_of_willis": ["TOF"],
    "mr_siemens_phantom_j2k_96": ["MR volume"],
    "us_enhanced_volume_phantom": ["Ultrasound volume"],
    "ct_secondary_captures_philips": ["none of the SOP classes", "a single image is no volume"],
    "mr_brain_tumour_t1_se": ["slice thickness is 5 mm"],
}


@pytest.mark.parametrize("name", MEET)
def test_a_real_series_meets_its_rule_or_a_reason(name: str) -> None:
    given = rules_in(DATA / "prepare.toml")
    found = []
    for series in open_series(real_set(name)):
        traits = traits_of(series, OrderedExamination())
        matched = match_rules(given.prepare, traits, given.preparation.match)
        found.append([rule.name for rule in matched.rules] or [traits.refusal or str(matched.misfits)])
    assert len(found) == len(MEET[name])
    for (said,), wanted in zip(found, MEET[name], strict=True):
        assert wanted == said or wanted in said
