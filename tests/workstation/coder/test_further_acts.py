"""Assignments, queries, unmatched messages and payers' denials: who may, what follows, and that it is written down."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_io.evidence import Person
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DR1, JD, T1, WHOLE, Ris, Study
from workstation.billing import recheck
from workstation.coder import acts, case_view, work_list
from workstation.coder.assigning import assign, one_by_one
from workstation.coder.denials import appeal, rebill, write_off
from workstation.coder.queries import REPLY_FACTS, queries, query, reply
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter
from workstation.coder.unmatched import attach, attached, detach, dismiss, unmatched
from workstation.coder.work_list import WorkError
from workstation.people import PeopleError

STUDY = Study("ACC1")
PIN = "135790"
DR2 = Person("DR2", "Other^Radiologist", "physician")


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        for person in (JD, CO, T1):
            found.site.people.add(person, logins=[f"of-{person.id}"])
        yield found


def enter_physicians(here: Desk) -> None:
    for person in (DR1, DR2):
        here.site.people.add(person, pin=PIN)


def charged(here: Desk, study: Study = STUDY) -> Ris:
    ris = Ris(study)
    here.sr(study)
    here.hear(ris.order(), ris.report())
    return ris


def denied(here: Desk) -> Ris:
    ris = charged(here)
    here.deliver()
    acts.payer_denied(here.site, "ACC1", JD, "CO-50")
    return ris


def journal(here: Desk) -> str:
    assert list(here.site.ledger.faults()) == []
    return case_view.in_words(case_view.view(here.site, here.case()))


class TestAssign:
    def test_to_somebody_to_somebody_else_and_to_nobody(self, at_desk: Desk) -> None:
        charged(at_desk)
        queue = Queue(at_desk.site)
        for to, why in (("jd", ""), ("co", "knows the payer"), ("nobody", "")):
            assign(at_desk.site, "ACC1", JD, to, why)
            (row,) = queue.rows()
            assert row.owner == to.replace("nobody", "")
            assert queue.page(QueueFilter(owner=to)).total == 1
        assert at_desk.site.casebook.due() == ()
        assert "assign (to co): knows the payer" in journal(at_desk)

    def test_the_same_again_is_no_act(self, at_desk: Desk) -> None:
        charged(at_desk)
        for _ in range(2):
            assign(at_desk.site, "ACC1", CO, "jd")
        assert [act.kind for act in at_desk.site.casebook.acts()] == ["assign"]

    @pytest.mark.parametrize(
        ("by", "to", "words"),
        [
            (T1, "jd", "takes a coder or compliance"),
            (JD, "T1", "is a technologist"),
            (JD, "xx", "is not in the register"),
        ],
    )
    def test_who_may_and_to_whom(self, at_desk: Desk, by: Person, to: str, words: str) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match=words):
            assign(at_desk.site, "ACC1", by, to)

    def test_several_at_once_each_by_itself(self, at_desk: Desk) -> None:
        charged(at_desk)
        at_desk.sr(Study("ACC2"))
        done = one_by_one(["ACC1", "NONE", "ACC2", "ACC1"], lambda case: assign(at_desk.site, case, JD, "jd"))
        assert [(each.case, bool(each.refused)) for each in done] == [("ACC1", False), ("NONE", True), ("ACC2", False)]
        assert "no case has this accession" in done[1].refused
        assert [row.owner for row in Queue(at_desk.site).rows()] == ["jd", "jd"]


class TestQuery:
    def asked(self, here: Desk) -> int:
        ris = Ris(STUDY)
        enter_physicians(here)
        here.sr(STUDY)
        here.hear(ris.order(), ris.report(text=WHOLE[:3]))
        return query(here.site, "ACC1", JD, "DR1", "Did 3D change anything?")

    def test_it_waits_for_the_physician_who_was_asked(self, at_desk: Desk) -> None:
        number = self.asked(at_desk)
        found = queries(at_desk.site, DR1)
        assert [(item.query, item.by, item.text) for item in found if item.query] == [
            (number, "jd", "Did 3D change anything?")
        ]
        (held,) = [item for item in found if not item.query]
        assert held.facts == ("report.clinical_utility",) and "what the 3D rendering contributed" in held.text
        assert queries(at_desk.site, DR2) == ()
        (row,) = Queue(at_desk.site).rows()
        assert row.asked == ("DR1",)
        assert "query (to DR1): Did 3D change anything?" in journal(at_desk)

    def test_a_reply_without_facts_changes_nothing_but_the_inbox(self, at_desk: Desk) -> None:
        number = self.asked(at_desk)
        assert reply(at_desk.site, number, "DR1", PIN, "I will amend the report.") == []
        assert [item.query for item in queries(at_desk.site, DR1)] == [0]
        assert at_desk.state == ("held", ["UTILITY_MISSING"])
        assert f"reply (query {number}): I will amend the report." in journal(at_desk)
        with pytest.raises(WorkError, match="has its reply already"):
            reply(at_desk.site, number, "DR1", PIN, "again")

    def test_a_reply_with_facts_is_an_answer_with_its_document(self, at_desk: Desk) -> None:
        number = self.asked(at_desk)
        (settled,) = reply(at_desk.site, number, "DR1", PIN, "Yes.", ["report.clinical_utility=true"])
        assert settled.state == "charged"
        act = at_desk.site.casebook.acts()[-1]
        assert (act.kind, act.person, act.why, act.detail["query"]) == ("answer", "DR1", "Yes.", number)
        kept = at_desk.site.root / "documents" / f"{act.detail['sha256']}.txt"
        assert kept.read_text() == "Did 3D change anything?\n\nYes.\n\nreport.clinical_utility=true\n"
        assert queries(at_desk.site, DR1) == ()

    def test_only_that_physician_with_their_secret(self, at_desk: Desk) -> None:
        number = self.asked(at_desk)
        with pytest.raises(WorkError, match="is to DR1; DR2 cannot reply"):
            reply(at_desk.site, number, "DR2", PIN, "Yes.")
        with pytest.raises(PeopleError, match="Nothing was signed"):
            reply(at_desk.site, number, "DR1", "000000", "Yes.")
        with pytest.raises(WorkError, match="only a coder can state this"):
            reply(at_desk.site, number, "DR1", PIN, "Yes.", ["diagnoses=S02.0XXA"])
        with pytest.raises(WorkError, match="There is no query"):
            reply(at_desk.site, number + 1, "DR1", PIN, "Yes.")
        assert [act.kind for act in at_desk.site.casebook.acts()] == ["query"]
        assert "order.radiologist_rationale" in REPLY_FACTS and "diagnoses" not in REPLY_FACTS

    def test_who_may_ask_and_whom(self, at_desk: Desk) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match="takes a coder or compliance"):
            query(at_desk.site, "ACC1", DR1, "DR1", "?")
        with pytest.raises(WorkError, match="'jd' is no physician"):
            query(at_desk.site, "ACC1", JD, "jd", "?")
        with pytest.raises(WorkError, match="Say why"):
            query(at_desk.site, "ACC1", JD, "DR1", " ")


class TestUnmatched:
    def lost(self, here: Desk, patient: str = "P1") -> str:
        """The report came under another accession. Returns the row's id."""
        ris = Ris(STUDY)
        here.sr(STUDY)
        here.hear(ris.order(), replaced(ris.report(patient=patient), b"ACC1", b"ACC9"))
        assert here.state == ("held", ["REPORT_NOT_FINAL"])
        (row,) = unmatched(here.site)
        assert (row.what, row.accession) == ("unknown accession", "ACC9")
        return row.id

    def test_an_attached_message_is_read_for_the_case(self, at_desk: Desk) -> None:
        (settled,) = attach(at_desk.site, self.lost(at_desk), "ACC1", JD, "RIS sent the old accession")
        assert settled.state == "charged" and unmatched(at_desk.site) == []
        assert "attach (ORU^R01 RACC9-2, of accession ACC9): RIS sent the old accession" in journal(at_desk)
        recheck.recheck(at_desk.site, everything=True)
        assert at_desk.state == ("charged", [])

    def test_it_is_no_longer_read_for_the_accession_that_it_names(self, at_desk: Desk) -> None:
        attach(at_desk.site, self.lost(at_desk), "ACC1", JD, "RIS sent the old accession")
        other = replace(STUDY, accession="ACC9", region="CHEST", base="71260")
        at_desk.sr(other)
        assert "REPORT_NOT_FINAL" in at_desk.case("ACC9").content["reasons"]

    def test_a_merge_of_the_patient_of_an_attached_message_is_followed(self, at_desk: Desk) -> None:
        attach(at_desk.site, self.lost(at_desk), "ACC1", JD, "RIS sent the old accession")
        at_desk.hear(Ris(STUDY, minute=9).merge("P7"))
        assert at_desk.site.casebook.due() == ()
        (row,) = Queue(at_desk.site).rows()
        assert row.patient_id == "P7" and row.state == "correction"

    def test_a_message_changed_by_hand_afterwards_is_not_read(self, at_desk: Desk) -> None:
        attach(at_desk.site, self.lost(at_desk), "ACC1", JD, "RIS sent the old accession")
        with at_desk.site.ledger.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE received SET body = CAST(replace(body, 'fracture', 'fragment') AS BLOB)")
        recheck.recheck(at_desk.site, everything=True)
        assert at_desk.case().content["reasons"] == ["REPORT_NOT_FINAL"]

    def test_an_attachment_is_taken_back(self, at_desk: Desk) -> None:
        row = self.lost(at_desk)
        attach(at_desk.site, row, "ACC1", JD, "RIS sent the old accession")
        assert [(each.id, each.named, each.accession) for each in attached(at_desk.site)] == [(row, "ACC9", "ACC1")]
        with pytest.raises(WorkError, match="takes a coder or compliance"):
            detach(at_desk.site, row, T1, "mistaken")
        (settled,) = detach(at_desk.site, row, JD, "mistaken")
        assert settled.state == "correction", "a charge is out that its report no longer bears"
        assert [each.id for each in unmatched(at_desk.site)] == [row] and attached(at_desk.site) == []
        with pytest.raises(WorkError, match="nothing of this id is attached"):
            detach(at_desk.site, row, JD, "again")
        assert "detach (ORU^R01 RACC9-2, of accession ACC9): mistaken" in journal(at_desk)
        attach(at_desk.site, row, "ACC1", JD, "it was right")
        assert at_desk.state == ("charged", [])

    def test_of_another_patient_it_is_refused(self, at_desk: Desk) -> None:
        row = self.lost(at_desk, patient="P2")
        with pytest.raises(WorkError, match="of another patient than ACC1"):
            attach(at_desk.site, row, "ACC1", JD, "looks alike")
        assert at_desk.site.casebook.acts() == () and len(unmatched(at_desk.site)) == 1

    def test_a_dismissed_row_leaves_the_list_and_the_message_stays(self, at_desk: Desk) -> None:
        row = self.lost(at_desk)
        with pytest.raises(WorkError, match="takes a coder or compliance"):
            dismiss(at_desk.site, row, T1, "not ours")
        dismiss(at_desk.site, row, CO, "not ours")
        assert unmatched(at_desk.site) == [] and len(at_desk.site.casebook.unmatched()) == 1
        with pytest.raises(WorkError, match="nothing unmatched has this id"):
            dismiss(at_desk.site, row, CO, "again")

    def test_what_is_refused_or_a_strangers_is_dismissed_but_not_attached(self, at_desk: Desk) -> None:
        charged(at_desk)
        at_desk.hear(
            Ris(STUDY, minute=20).order(patient="P2"),
            b"MSH|^~\\&|RIS|HOSPITAL|WORKSTATION|RAD|20260302100000+0000||ZZZ^Z01|Q1|P|2.5.1\r",
        )
        rows = {row.what.partition(",")[0]: row for row in unmatched(at_desk.site)}
        assert set(rows) == {"another patient", "refused"}
        for row in rows.values():
            with pytest.raises(WorkError, match="only a message of an unknown accession"):
                attach(at_desk.site, row.id, "ACC1", JD, "x")
            dismiss(at_desk.site, row.id, JD, "known at the RIS")
        assert unmatched(at_desk.site) == []
        assert "dismiss: known at the RIS" in journal(at_desk)


def replaced(body: bytes, old: bytes, new: bytes) -> bytes:
    return body.replace(old, new)


class TestDenials:
    def test_an_appeal_shows_until_somebody_decides(self, at_desk: Desk) -> None:
        denied(at_desk)
        appeal(at_desk.site, "ACC1", JD, "Necessity is in the report.")
        queue = Queue(at_desk.site)
        (row,) = queue.rows(QueueFilter(reason="APPEALED"))
        assert (row.state, row.reasons, row.who) == ("held", ("APPEALED", "CHARGE_TURNED_DOWN"), ("coder",))
        assert [item.reasons for item in work_list.work_items(at_desk.site, "held", "coder")] == [row.reasons]
        assert at_desk.site.casebook.due() == () and at_desk.state == ("held", ["CHARGE_TURNED_DOWN"])
        with pytest.raises(WorkError, match="an appeal already"):
            appeal(at_desk.site, "ACC1", JD, "Again.")
        rebill(at_desk.site, "ACC1", JD, "appeal won", ["76"])
        assert queue.rows(QueueFilter(reason="APPEALED")) == ()
        assert at_desk.charges() == [("76377", "credited"), ("76377", "queued")]
        assert "appeal: Necessity is in the report." in journal(at_desk)

    def test_a_write_off_is_a_credit_that_keeps_its_word(self, at_desk: Desk) -> None:
        denied(at_desk)
        write_off(at_desk.site, "ACC1", JD, "CO-50 stands")
        assert at_desk.state == ("denied", ["CREDITED_BY_CODER"])
        assert at_desk.charges() == [("76377", "credited")]
        assert "credit (write-off): CO-50 stands" in journal(at_desk)

    def test_what_no_payer_denied(self, at_desk: Desk) -> None:
        charged(at_desk)
        tries: tuple[Callable[[], object], ...] = (
            lambda: appeal(at_desk.site, "ACC1", JD, "x"),
            lambda: rebill(at_desk.site, "ACC1", JD, "x"),
            lambda: write_off(at_desk.site, "ACC1", JD, "x"),
        )
        for act in tries:
            with pytest.raises(WorkError, match="stands as denied by the payer"):
                act()
        with pytest.raises(WorkError, match="to appeal takes a coder"):
            appeal(at_desk.site, "ACC1", CO, "x")
        assert at_desk.site.casebook.acts() == ()
