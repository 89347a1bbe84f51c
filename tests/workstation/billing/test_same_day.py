"""Charges of one patient on one day: what is charged under one accession bears on the others."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import JD, Ris, Study, journalled
from tests.workstation.store.before_versions import as_before_versions
from workstation.billing.filing import file_new_records
from workstation.billing.recheck import changed_decisions, recheck
from workstation.billing.settle import settle_accession, settle_due
from workstation.charge import load_policy, read_facts
from workstation.charge.facts import as_first_edition
from workstation.coder import acts
from workstation.site import Site
from workstation.store.schema import upgrade

HEAD = Study("ACC1")
# The US files each base under an accession of its own.
NECK = Study("ACC2", base="70490", region="NECK")
ANKLE = Study("ACC3", base="73700", region="LOWER_EXTREMITY")


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def told(here: Desk, study: Study) -> None:
    """Everything that a charge needs."""
    ris = Ris(study)
    here.sr(study)
    here.hear(ris.order(), ris.report())


def state(here: Desk, accession: str) -> tuple[str, list[str]]:
    case = here.case(accession)
    return case.state, case.content["reasons"]


class TestOtherAccessions:
    def test_a_contiguous_area_of_the_day_waits_for_a_coder(self, at_desk: Desk) -> None:
        told(at_desk, HEAD)
        told(at_desk, NECK)
        assert state(at_desk, "ACC1") == ("charged", [])
        assert state(at_desk, "ACC2") == ("held", ["SAME_DAY_REVIEW"])
        told(at_desk, ANKLE)
        assert state(at_desk, "ACC3") == ("charged", [])

    def test_another_patient_does_not_matter_until_merged_with_this_one(self, at_desk: Desk) -> None:
        other = replace(NECK, patient="P2", account="A2", visit="V2")
        told(at_desk, HEAD)
        told(at_desk, other)
        assert state(at_desk, "ACC2") == ("charged", [])
        assert at_desk.hear(Ris(other, minute=30).merge("P1", account="A1", prior_account="A2")) == ["AA"]
        # The first of them stands; the later one is for a coder.
        assert state(at_desk, "ACC1")[0] == "charged"
        assert state(at_desk, "ACC2") == ("correction", ["SAME_DAY_REVIEW"])

    def test_a_credit_lets_the_other_one_go(self, at_desk: Desk) -> None:
        told(at_desk, HEAD)
        told(at_desk, NECK)
        acts.credit(at_desk.site, "ACC1", JD, "charged under the neck")
        settle_due(at_desk.site)
        assert state(at_desk, "ACC2") == ("charged", [])
        assert at_desk.charges("ACC1") == [("76377", "credited")]

    def test_a_denial_of_the_payer_does_too(self, at_desk: Desk) -> None:
        told(at_desk, HEAD)
        told(at_desk, NECK)
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "not covered")
        settle_due(at_desk.site)
        assert state(at_desk, "ACC2") == ("charged", [])

    def test_a_second_unit_that_a_coder_releases_leaves_the_first_alone(self, at_desk: Desk) -> None:
        told(at_desk, HEAD)
        told(at_desk, NECK)
        acts.release(at_desk.site, "ACC2", JD, "another question, another report")
        assert state(at_desk, "ACC2") == ("charged", [])
        at_desk.deliver()
        for accession in ("ACC1", "ACC2"):
            settle_accession(accession, at_desk.site, "test")
            assert state(at_desk, accession) == ("charged", [])
        assert recheck(at_desk.site, everything=True)["changed"] == 0

    def test_deciding_again_is_quiet(self, at_desk: Desk) -> None:
        told(at_desk, HEAD)
        told(at_desk, NECK)
        settle_due(at_desk.site)
        before = list(at_desk.site.casebook.every_ruling())
        settle_accession("ACC2", at_desk.site, "test")
        assert at_desk.site.casebook.due() == ()
        assert list(at_desk.site.casebook.every_ruling()) == before

    def test_two_that_did_not_see_each_other_are_found(self, at_desk: Desk) -> None:
        """As versions charged that did not look once more when they wrote: the second charge becomes a correction."""
        for study in (HEAD, NECK):
            at_desk.sr(study)
            ris = Ris(study)
            for body in (ris.order(), ris.report()):
                at_desk.answer(body)
        seen = at_desk.site.casebook.records_of_patients
        blind = replace(at_desk.site)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(at_desk.site.casebook), "records_of_patients", lambda self, patients: ())
            patch.setattr(type(at_desk.site.casebook), "_out", lambda self, *seen: frozenset())
            for study in (HEAD, NECK):
                settle_accession(study.accession, blind, "test")
        assert state(at_desk, "ACC1") == state(at_desk, "ACC2") == ("charged", [])
        assert len(seen({"P1"})) == 2
        recheck(at_desk.site, everything=True)
        assert state(at_desk, "ACC1") == ("charged", [])
        assert state(at_desk, "ACC2") == ("correction", ["SAME_DAY_REVIEW"])


class TestOneAccession:
    def test_other_work_waits_and_its_release_leaves_the_first_alone(self, at_desk: Desk) -> None:
        ris = Ris(HEAD)
        at_desk.sr(HEAD)
        at_desk.hear(ris.order(), ris.report())
        ankle = replace(HEAD, region="LOWER_EXTREMITY", session="two", signed_after_min=5)
        at_desk.hear(ris.order("73700"))
        at_desk.sr(ankle)
        cases = {each.session: each for each in at_desk.site.casebook.newest()}
        first, second = sorted(cases.values(), key=lambda each: each.state)
        assert (first.state, first.content["reasons"]) == ("charged", [])
        assert (second.state, second.content["reasons"]) == ("held", ["NONCONTIGUOUS_REVIEW"])
        acts.release(at_desk.site, second.session, JD, "a second area")
        assert [each.state for each in at_desk.site.casebook.newest()] == ["charged", "charged"]
        at_desk.deliver()
        settle_accession("ACC1", at_desk.site, "test")
        assert [each.state for each in at_desk.site.casebook.newest()] == ["charged", "charged"]
        assert len(at_desk.charges()) == 2


def as_of_the_first_edition(here: Desk) -> None:
    """The rulings as a workstation from before the second edition of the contract wrote them down; it had no ledger."""
    with here.site.papers.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER decision_no_update"))
        connection.execute(text("DROP TABLE ledger"))
        for place, content, facts in connection.execute(text("SELECT place, content, facts FROM decision")).all():
            said = {key: value for key, value in json.loads(content).items() if key != "contract"}
            known = as_first_edition(json.loads(facts))
            connection.execute(
                text("UPDATE decision SET content = :content, facts = :facts WHERE place = :place"),
                {"content": json.dumps(said), "facts": json.dumps(known), "place": place},
            )
    as_before_versions(here.site.papers.engine)
    upgrade(here.site.papers.engine)


class TestFirstEdition:
    def test_its_rulings_are_read_and_decide_as_they_did(self, at_desk: Desk) -> None:
        at_desk.sr(HEAD)
        at_desk.hear(Ris(HEAD).order())
        assert at_desk.case().contract == 2
        as_of_the_first_edition(at_desk)
        ruling = at_desk.case()
        assert ruling.contract == 1
        assert "laterality" not in ruling.facts
        assert read_facts({**json.loads(ruling.facts), "previous_charges": []}, 1).contract == 1
        assert list(changed_decisions([ruling], lambda day: load_policy("guide"))) == []
        assert recheck(at_desk.site)["changed"] == 0

    def test_what_the_second_asks_for_is_no_change_of_a_fact(self, tmp_path: Path) -> None:
        with desk(tmp_path, corrections="automatic") as before:
            told(before, HEAD)
            as_of_the_first_edition(before)
        with desk(tmp_path, corrections="automatic", entity="facility") as after:
            recheck(after.site, everything=True)
            assert after.state == ("correction", [])
            assert after.case().content["changed"] == ["setting.entity: professional → facility"]
            assert after.case().contract == 2
            assert after.charges() == [("76377", "queued")]


class TestAtTheSameInstant:
    """Two processes decide two accessions of a patient: each has read that nothing is out before the other writes."""

    def test_they_are_charged_one_after_the_other(self, tmp_path: Path) -> None:
        bodies = []
        with desk(tmp_path) as first, desk(tmp_path) as second:
            for study in (HEAD, NECK):
                first.site.archive.keep(journalled(study, first.site.journal))
                ris = Ris(study)
                bodies += [ris.order(), ris.report()]
            file_new_records(first.site)
            for body in bodies:
                first.answer(body)
            both = threading.Barrier(2, timeout=20)
            for here in (first, second):
                meet_before_the_first_commit(here.site, both)
            with ThreadPoolExecutor(2) as pool:
                done = [
                    pool.submit(settle_accession, study.accession, here.site, "at once")
                    for study, here in ((HEAD, first), (NECK, second))
                ]
                for each in done:
                    each.result(timeout=30)
            settle_due(first.site)
            assert sorted(state(first, accession) for accession in ("ACC1", "ACC2")) == [
                ("charged", []),
                ("held", ["SAME_DAY_REVIEW"]),
            ]
            assert len([charge for study in (HEAD, NECK) for charge in first.charges(study.accession)]) == 1


def meet_before_the_first_commit(site: Site, both: threading.Barrier) -> None:
    """Its first commit waits until another site has read as well."""
    commit, waiting = site.casebook.commit, [True]

    def wait_once(*args: Any) -> tuple[str, ...]:
        if waiting:
            waiting.clear()
            both.wait()
        return commit(*args)

    site.casebook.commit = wait_once  # type: ignore[method-assign, assignment]
