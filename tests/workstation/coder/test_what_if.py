"""What would be: other facts, a correction field by field, other phrases. Nothing of it leaves a trace."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import JD, WHOLE, Ris, Study
from workstation.coder import acts
from workstation.coder.phrase_trial import phrases_in, try_apart, try_phrases
from workstation.coder.what_if import corrections, differences, what_if
from workstation.coder.work_list import WorkError

STUDY = Study("ACC1")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A case that lacks what the report says of utility, and a flat one; read only."""
    with desk(tmp_path_factory.mktemp("what_if")) as here:
        for study, text in (
            (STUDY, (*WHOLE[:3], "3D helped.")),
            (replace(STUDY, accession="ACC2", patient="P2", technique="mpr"), WHOLE),
        ):
            here.sr(study)
            here.hear(Ris(study).order(), Ris(study, minute=1).report(text=text))
        yield here


@pytest.fixture(autouse=True)
def nothing_is_written(request: pytest.FixtureRequest) -> Iterator[None]:
    """The chain over all that decides has the same head afterwards."""
    here = request.getfixturevalue("two") if "two" in request.fixturenames else None
    head = here.site.ledger.head() if here is not None else ""
    yield
    if here is not None:
        assert here.site.ledger.head() == head and here.site.casebook.due() == ()


class TestWhatIf:
    def test_a_missing_fact_supplied(self, two: Desk) -> None:
        found = what_if(two.site, "ACC1", ["report.clinical_utility=true"])
        assert found["changes"] == [{"field": "report.clinical_utility", "before": False, "after": True}]
        assert (found["before"]["disposition"], found["after"]["disposition"]) == ("hold", "release")
        fields = {each["field"]: (each["before"], each["after"]) for each in found["differences"]}
        assert fields["reasons"] == (["UTILITY_MISSING"], [])
        assert fields["disposition"] == ("hold", "release")
        assert found["after"]["lines"][0]["code"] == "76377"

    def test_what_a_coder_released_is_laid_over_as_in_a_real_decision(self, tmp_path: Path) -> None:
        with desk(tmp_path) as here:
            study = replace(STUDY, technique="mpr")
            here.sr(study)
            here.hear(Ris(study).order(), Ris(study).report())
            acts.release(here.site, "ACC1", JD, "looked at it")
            assert what_if(here.site, "ACC1", ["diagnoses=S02.1XXA"])["after"]["disposition"] == "release"
            found = what_if(here.site, "ACC1", ["order.three_d_ordered=false"])
            assert found["after"]["reasons"] == ["ORDER_MISSING"]

    @pytest.mark.parametrize(
        ("changes", "after"),
        [
            (["renderings[0].technique=volume_rendering"], ("release", [])),
            (["base_procedures[0].status=cancelled"], ("hold", ["TWO_D_ONLY", "BASE_MISSING"])),
            (["base_procedures=[]", "diagnoses=S02.0XXA,S03"], ("hold", ["TWO_D_ONLY", "BASE_MISSING"])),
            (["supervision.concurrent=null"], ("hold", ["TWO_D_ONLY", "SUPERVISION_NOT_DOCUMENTED"])),
            (["date_of_service=1999-01-01"], ("hold", ["PACK_NOT_EFFECTIVE"])),
        ],
    )
    def test_any_fact_by_its_path(self, two: Desk, changes: list[str], after: tuple[str, list[str]]) -> None:
        found = what_if(two.site, "ACC2", changes)["after"]
        assert (found["disposition"], found["reasons"]) == after

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ("report.colour=red", "has no such fact"),
            ("renderings[7].technique=mip", "has no such fact"),
            ("report.status", "is no change"),
            ("report.status=finall", "'finall' is not one of final"),
            ("study.modality=CT ", "not one of"),
            ("report.clinical_utility=7", "expected true or false"),
        ],
    )
    def test_what_cannot_be(self, two: Desk, change: str, words: str) -> None:
        with pytest.raises(WorkError, match=words):
            what_if(two.site, "ACC1", [change])

    def test_differences_name_each_value_by_its_path(self) -> None:
        before: Any = {"a": [{"b": 1}, {"b": 2}], "c": ["x"], "d": 1}
        after: Any = {"a": [{"b": 1}, {"b": 3}, {"b": 4}], "c": ["y", "x"], "d": 1}
        assert [(d.field, d.before, d.after) for d in differences(before, after)] == [
            ("a[1].b", 2, 3),
            ("a[2]", None, {"b": 4}),
            ("c", ["x"], ["y", "x"]),
        ]


class TestCorrection:
    def test_what_was_billed_beside_what_would_be(self, tmp_path: Path) -> None:
        with desk(tmp_path) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            with pytest.raises(WorkError, match="no correction is due"):
                corrections(here.site, "ACC1")
            here.hear(ris.order("70460", control="XO", diagnoses=("S02.1XXA",)))
            (row,) = corrections(here.site, "ACC1")
            changed = {each["field"]: (each["billed"], each["now"]) for each in row["fields"] if each["differs"]}
            assert changed == {"base": ("70450", "70460"), "diagnoses": (["S02.0XXA"], ["S02.1XXA"])}
            same = {each["field"]: each["now"] for each in row["fields"] if not each["differs"]}
            assert (same["code"], same["modifiers"], same["units"], same["payer"]) == ("76377", ["26"], 1, "MCARE")
            assert (same["date_of_service"], same["performing_physician_id"]) == ("2026-03-02", "DR1")
            assert (row["charge"], row["state"]) == (here.site.outbox.charges("ACC1")[0].charge.key, "queued")
            # What the facts bear no more at all has nothing beside it.
            here.hear(ris.report(status="D"))
            (row,) = corrections(here.site, "ACC1")
            assert {each["now"] for each in row["fields"]} == {None}


class TestPhrases:
    def test_sentences_and_cases_that_would_change(self, two: Desk) -> None:
        found = try_phrases(two.site, {"clinical_utility": ["3D helped"]})
        assert (found["reports"], found["counting"], found["no_longer"]) == (2, 1, 1)
        assert {(s["accession"], s["text"], tuple(s["before"]), tuple(s["now"])) for s in found["sentences"]} == {
            ("ACC1", "3D helped", (), ("clinical_utility",)),
            ("ACC2", "3D clarified the course of the fracture", ("clinical_utility",), ()),
        }
        cases = {case["accession"]: (case["before"], case["now"]) for case in found["cases"]}
        assert (cases["ACC1"][0]["reasons"], cases["ACC1"][1]["disposition"]) == (["UTILITY_MISSING"], "release")
        assert cases["ACC2"][1]["reasons"] == ["TWO_D_ONLY", "UTILITY_MISSING"]

    def test_the_same_phrases_change_nothing_and_the_last_reports_are_looked_at(self, two: Desk) -> None:
        found = try_phrases(two.site, {"clinical_utility": ["3D clarified"]}, last=1)
        assert (found["reports"], found["sentences"], found["cases"]) == (1, [], [])

    @pytest.mark.parametrize(
        ("phrases", "words"),
        [
            ({"clinical_utility": ["3D ("]}, "not a regular expression"),
            ({"clinical_utility": ["x*"]}, "found in an empty report"),
            ({"utility": ["x"]}, "is not one of"),
        ],
    )
    def test_what_no_phrase_can_be(self, two: Desk, phrases: dict[str, list[str]], words: str) -> None:
        with pytest.raises(WorkError, match=words):
            try_phrases(two.site, phrases)

    def test_phrases_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "phrases.toml"
        for text in ('clinical_utility = ["3D helped"]', '[reading.phrases]\nclinical_utility = ["3D helped"]'):
            file.write_text(text)
            assert phrases_in(file) == {"clinical_utility": ["3D helped"]}
        for text, words in (("clinical_utility = 3", "no table of phrases"), ("=", "no TOML")):
            file.write_text(text)
            with pytest.raises(WorkError, match=words):
                phrases_in(file)
        with pytest.raises(WorkError, match="cannot be read"):
            phrases_in(tmp_path / "none.toml")

    @pytest.mark.slow
    def test_in_a_process_of_its_own_a_pattern_without_end_is_ended(self, two: Desk) -> None:
        phrases = {"clinical_utility": ["3D helped"]}
        assert try_apart(two.site, phrases) == try_phrases(two.site, phrases)
        with pytest.raises(WorkError, match="longer than 3 s and was ended"):
            try_apart(two.site, {"clinical_utility": [r"((\w|\s)+)+\d{9}"]}, seconds=3.0)
