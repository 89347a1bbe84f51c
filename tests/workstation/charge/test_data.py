"""The facts reader, the code table and the policy files: what they accept and what they say when they do not."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.charge.strategies import FIRST_CASES, RELEASING
from workstation.charge import FactsError, PolicyError, decide, load_policy, read_facts
from workstation.charge.codes import CodesError, read_code_rows, shipped_codes
from workstation.charge.facts import as_first_edition, facts_to_json
from workstation.charge.policy import read_policy

DAY = date(2026, 3, 2)
HEADER = "code,class,modality,region,effective_from,effective_to,basis,verified\n"


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of every object in `value`, as the way to it."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*path, key)
            yield from paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, (*path, index))


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    facts = copy.deepcopy(RELEASING)
    place: Any = facts
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return facts


def spelled(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


@pytest.mark.parametrize("path", list(paths(RELEASING)), ids=spelled)
def test_a_missing_key_is_named(path: tuple[Any, ...]) -> None:
    with pytest.raises(FactsError, match=r"this key is missing") as caught:
        read_facts(changed(path, ...))
    assert str(caught.value).startswith(spelled(path) + ": ")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("report", "status"), "finall", "report.status: 'finall' is not one of final, preliminary, none"),
        (("setting", "site"), None, "setting.site: null is not one of hospital, office"),
        (("payer", "rate"), 3, "payer.rate: this key is not known; remove it or correct its spelling"),
        (("renderings", 0, "archived"), 1, "renderings[0].archived: found 1, expected true or false"),
        (("order",), None, "order: found null, expected an object"),
        (("diagnoses",), "S02", 'diagnoses: found "S02", expected a list'),
        (("accession",), "", 'accession: "" is empty, has a blank at an end, or has a control character'),
        (("date_of_service",), "20260302", 'date_of_service: "20260302": not a date written as YYYY-MM-DD'),
        (("date_of_service",), 20260302, "date_of_service: 20260302: not a date written as YYYY-MM-DD"),
        (("patient_id",), 7, "patient_id: found 7, expected text"),
        (("renderings", 0, "laterality"), "B", "renderings[0].laterality: 'B' is not one of L, R"),
        (("renderings", 0, "prepared"), None, "renderings[0].prepared: found null, expected true or false"),
        (
            ("supervision", "acts"),
            ["coffee"],
            "supervision.acts[0]: 'coffee' is not one of region_design, structure_selection, image_selection, "
            "view_adjustment, mask_editing, monitoring, approval",
        ),
        (("contract",), 1, "contract: this key is not known; remove it or correct its spelling"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_wrong_value_is_named(path: tuple[Any, ...], value: Any, sentence: str) -> None:
    with pytest.raises(FactsError) as caught:
        read_facts(changed(path, value))
    assert str(caught.value) == sentence


PREVIOUS = {
    "key": "K1", "code": "76377", "accession": "ACC1", "base": "70486", "state": "sent", "sr_uid": "1.2.3",
    "date_of_service": "2026-03-02", "regions": ["FACE"],
}  # fmt: skip


@pytest.mark.parametrize("key", list(PREVIOUS))
def test_a_missing_key_of_an_earlier_charge_is_named(key: str) -> None:
    earlier = {name: value for name, value in PREVIOUS.items() if name != key}
    assert read_facts({**RELEASING, "previous_charges": [PREVIOUS]})
    with pytest.raises(FactsError, match=rf"^previous_charges\[0\]\.{key}: this key is missing"):
        read_facts({**RELEASING, "previous_charges": [earlier]})


class TestFirstEdition:
    """Facts that were written down before the second edition of the contract."""

    def test_its_facts_are_no_facts_of_the_second(self) -> None:
        first = FIRST_CASES[0]["facts"]
        with pytest.raises(FactsError, match=r"renderings\[0\]\.laterality: this key is missing"):
            read_facts(first)
        assert facts_to_json(read_facts(first, 1)) == first

    @pytest.mark.parametrize(
        ("table", "key"),
        [("renderings", "laterality"), ("renderings", "prepared")]
        + [("previous_charges", key) for key in ("date_of_service", "regions")],
    )
    def test_what_came_later_is_not_known_to_it(self, table: str, key: str) -> None:
        second = {**RELEASING, "previous_charges": [PREVIOUS]}
        first = as_first_edition(second)
        assert key not in first[table][0]
        assert key in second[table][0]
        first[table][0][key] = second[table][0][key]
        with pytest.raises(FactsError, match=rf"^{table}\[0\]\.{key}: this key is not known"):
            read_facts(first, 1)

    @pytest.mark.parametrize("path", list(paths(FIRST_CASES[0]["facts"])), ids=spelled)
    def test_a_missing_key_is_named(self, path: tuple[Any, ...]) -> None:
        facts = copy.deepcopy(FIRST_CASES[0]["facts"])
        place = facts
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        with pytest.raises(FactsError, match=r"this key is missing") as caught:
            read_facts(facts, 1)
        assert str(caught.value).startswith(spelled(path) + ": ")

    @pytest.mark.parametrize("value", [None, [], 3, {"renderings": 3}, {"renderings": [3]}])
    def test_what_is_no_facts_object_is_refused(self, value: object) -> None:
        with pytest.raises(FactsError):
            read_facts(value, 1)


def test_every_problem_is_listed() -> None:
    facts = changed(("report", "status"), "finall")
    del facts["order"]["urgent"]
    facts["study"]["modality"] = "ct"
    with pytest.raises(FactsError) as caught:
        read_facts(facts)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "study.modality",
        "report.status",
        "order.urgent",
    ]


@pytest.mark.parametrize("value", [None, [], 3, "facts", float("nan"), object(), {"patient_id": "\ud800"}])
def test_what_is_no_facts_object_is_refused(value: object) -> None:
    with pytest.raises(FactsError, match=r"^facts: "):
        read_facts(value)


def test_no_code_descriptor_is_shipped() -> None:
    for entry in (*shipped_codes().entries, *shipped_codes().first_edition):
        assert len(entry.basis.split()) <= 6
    assert set(HEADER.strip().split(",")).isdisjoint({"descriptor", "description", "name"})


@pytest.mark.parametrize(
    ("code", "day", "code_class"),
    [
        ("70486", DAY, "eligible"),
        ("0159T", date(2012, 12, 31), None),
        ("0159T", date(2018, 12, 31), "procedure_includes_3d"),
        ("0159T", date(2019, 1, 1), None),
        ("70486", date(2005, 12, 31), None),
        ("71275", date(2012, 12, 31), None),
        ("71275", date(2013, 1, 1), "includes_3d"),
        ("78011", DAY, None),
        ("78012", DAY, "includes_3d"),
        ("78815", DAY, "includes_3d"),
        ("78999", DAY, "includes_3d"),
        ("7899", DAY, None),
        ("789990", DAY, None),
        ("31627", DAY, "procedure_includes_3d"),
        ("99999", DAY, None),
    ],
)
def test_lookup(code: str, day: date, code_class: str | None) -> None:
    entry = shipped_codes().lookup(code, day)
    assert (entry and entry.code_class) == code_class


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("7048,eligible,CT,,2006-01-01,,b,yes", "t.csv line 2: code '7048' is neither a code of five characters"),
        ("70490-70480,eligible,CT,,2006-01-01,,b,yes", "t.csv line 2: code '70490-70480' is neither"),
        (
            "70486,elegible,CT,,2006-01-01,,b,yes",
            "t.csv line 2: class 'elegible' is not one of eligible, includes_3d",
        ),
        ("70486,eligible,CAT,,2006-01-01,,b,yes", "t.csv line 2: modality 'CAT' is not one of"),
        ("70486,eligible,,,2006-01-01,,b,yes", "t.csv line 2: an eligible base needs its modality"),
        ("70486,eligible,CT,KNEE,2006-01-01,,b,yes", "t.csv line 2: region 'KNEE' is not one of"),
        ("70486,eligible,CT,,,,b,yes", "t.csv line 2: effective_from is empty"),
        ("70486,eligible,CT,,2006-13-01,,b,yes", "t.csv line 2: effective_from '2006-13-01' is not a date"),
        ("70486,eligible,CT,,2006-01-01,2005-01-01,b,yes", "t.csv line 2: effective_to 2005-01-01 is before"),
        ("70486,eligible,CT,,2006-01-01,,,yes", "t.csv line 2: basis is empty"),
        ("70486,eligible,CT,,2006-01-01,,b,maybe", "t.csv line 2: verified 'maybe' is not one of yes, no"),
        ("70486,eligible,CT,,2006-01-01,,b", "t.csv line 2: the row does not have 8 columns"),
        (
            "70480-70490,eligible,CT,,2006-01-01,,b,yes\n70486,review,CT,,2010-01-01,,b,yes",
            "t.csv line 3: 70486 from 2010-01-01 overlaps the row 70480 from 2006-01-01",
        ),
    ],
)
def test_a_wrong_row_is_named(rows: str, sentence: str) -> None:
    with pytest.raises(CodesError) as caught:
        read_code_rows(HEADER + rows + "\n", "t.csv")
    assert str(caught.value).startswith(sentence)


def test_a_wrong_header_is_named() -> None:
    with pytest.raises(CodesError, match=r"^t.csv: the columns are"):
        read_code_rows("code,descriptor\n", "t.csv")


def test_a_site_adds_rows_and_settles_open_ones(tmp_path: Path) -> None:
    site = tmp_path / "site.csv"
    site.write_text(
        HEADER + "99001,eligible,CT,FACE,2020-01-01,,site,yes\n71271,eligible,CT,CHEST,2020-01-01,,site,yes\n"
    )
    table = shipped_codes().with_site_rows(site)
    for code, region in (("99001", "FACE"), ("71271", "CHEST")):
        facts = copy.deepcopy(RELEASING)
        facts["base_procedures"][0]["code"] = code
        facts["renderings"][0]["region"] = region
        assert decide(read_facts(facts), load_policy("guide")).disposition == "hold"
        assert decide(read_facts(facts), load_policy("guide").with_codes(table)).disposition == "release"


def test_a_site_row_that_is_not_verified_may_only_hold(tmp_path: Path) -> None:
    site = tmp_path / "site.csv"
    site.write_text(HEADER + "99001,eligible,CT,,2020-01-01,,site,no\n99002,includes_3d,CT,,2020-01-01,,site,no\n")
    policy = load_policy("guide").with_codes(shipped_codes().with_site_rows(site))
    for code in ("99001", "99002"):
        facts = copy.deepcopy(RELEASING)
        facts["base_procedures"][0]["code"] = code
        assert [each.code for each in decide(read_facts(facts), policy).reasons] == ["BASE_UNCLASSIFIED"]


def test_a_site_does_not_contradict_us(tmp_path: Path) -> None:
    site = tmp_path / "site.csv"
    site.write_text(HEADER + "71275,eligible,CT,CHEST,2020-01-01,,site,yes\n")
    with pytest.raises(CodesError, match=r"site.csv: 71275 is listed as eligible, but the shipped table has it"):
        shipped_codes().with_site_rows(site)


def _file(name: str) -> str:
    return (resources.files("workstation.charge") / "policies" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["guide", "cpt"])
def test_editions_are_chosen_by_date_of_service(name: Any) -> None:
    policy = load_policy(name)
    assert policy.edition_on(date(2005, 12, 31)) is None
    first = policy.edition_on(date(2006, 1, 1))
    assert first is policy.editions[1]
    ended = replace(first, effective_to=date(2009, 12, 31))
    second = replace(first, name="second", effective_from=date(2011, 1, 1))
    both = replace(policy, editions=(policy.editions[0], ended, second))
    assert both.edition_on(date(2009, 12, 31)) is ended
    assert both.edition_on(date(2010, 6, 1)) is None
    assert both.edition_on(date(2011, 1, 1)) is second
    # Facts of the first edition of the contract have their own.
    assert {both.edition_on(date(year, 6, 1), 1) for year in (2006, 2010, 2026)} == {policy.editions[0]}
    assert policy.edition_on(date(2005, 12, 31), 1) is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('policy = "guide"', 'policy = "ours"', "x.toml: policy: 'ours' is not one of guide, cpt"),
        (
            'statement = "never"',
            'statment = "never"',
            "x.toml: edition[0].volumetric.statment: this key is not known",
        ),
        ('treatment = "hold"', 'treatment = "wait"', "x.toml: edition[0].reformat.treatment: 'wait' is not one of"),
        ('modalities = "2006"', 'modalities = "1999"', "x.toml: edition guide-2006 wants modalities '1999'"),
        ("effective_from = 2006-01-01", "", "x.toml: edition[0].effective_from: this key is missing"),
        ("contract = 2", "contract = 3", "x.toml: edition[1].contract: 3 is not one of 1, 2"),
        ("contract = 1", "", "x.toml: edition[0].contract: this key is missing"),
        ("[[edition]]", "[[edition]", "x.toml: this is not TOML"),
    ],
)
def test_a_wrong_policy_file_is_named(old: str, new: str, sentence: str) -> None:
    text = _file("guide.toml")
    assert old in text
    with pytest.raises(PolicyError) as caught:
        read_policy(text.replace(old, new), _file("common.toml"), "x.toml")
    assert sentence in str(caught.value)


def test_editions_follow_one_another() -> None:
    text = _file("guide.toml")
    second = text[text.rindex("[[edition]]") :]
    with pytest.raises(PolicyError, match=r"does not begin after guide-2006\.2"):
        read_policy(text + "\n" + second, _file("common.toml"), "x.toml")
    later = second.replace("guide-2006.2", "guide-2030").replace("2006-01-01", "2030-01-01")
    policy = read_policy(text + "\n" + later, _file("common.toml"), "x.toml")
    assert [edition.name for edition in policy.editions] == ["guide-2006", "guide-2006.2", "guide-2030"]
    ending = text.replace("effective_from = 2006-01-01", "effective_from = 2006-01-01\neffective_to = 2030-01-01")
    assert read_policy(ending, _file("common.toml"), "x.toml").editions[1].effective_to == date(2030, 1, 1)
    with pytest.raises(PolicyError, match=r"edition guide-2006\.2 ends after guide-2030 begins"):
        read_policy(ending + "\n" + later, _file("common.toml"), "x.toml")


def test_every_technique_has_one_kind() -> None:
    common = _file("common.toml").replace('"mip", ', "")
    with pytest.raises(PolicyError, match=r"every technique must be listed once"):
        read_policy(_file("guide.toml"), common, "x.toml")


def test_a_site_cannot_set_reformats_under_cpt() -> None:
    with pytest.raises(PolicyError, match=r"^Policy cpt: reformats alone cannot be set to release"):
        load_policy("cpt").with_reformats("release")


def test_unknown_names_are_refused() -> None:
    unknown: Any = "ours"
    with pytest.raises(PolicyError, match=r"'ours' is not one of guide, cpt"):
        load_policy(unknown)
    with pytest.raises(PolicyError, match=r"'ours' is not one of hold, release, deny"):
        load_policy("guide").with_reformats(unknown)
