"""What is on file, folded in the order of its own time: papers, messages and answers; and merges there and back."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from tests.workstation.orders.ris import DAY, READING, WHOLE, Ris, Study
from workstation.charge.facts import BaseProcedure, Order, Payer, Report
from workstation.charging import PayerRule
from workstation.orders.merges import Merges, merges_of
from workstation.orders.on_file import Answered, CaseOnFile, Filed, case_on_file
from workstation.orders.patients import PatientIdentifier
from workstation.orders.stated import Demographics, Merged, Stated
from workstation.orders.statements import statements_of
from workstation.store.papers import OnFile

STUDY = Study("ACC1")
NONE = Merges({}, {})
PAPERS = OnFile(
    base_procedures=(BaseProcedure("70450", "performed", STUDY.uid),),
    other_procedures=("31627",),
    order=Order(True, False, False, False),
    report=Report("final", "P1", True, True, True, True),
    payer=Payer("FILE", False, "PA0", None),
    diagnoses=("S02",),
    account_number="A0",
)


def stated(*bodies: bytes) -> list[Stated]:
    return [each for body in bodies for each in statements_of(body, READING, UTC)]


def folded(*bodies: bytes, merges: Merges = NONE, **more: Any) -> CaseOnFile:
    return case_on_file(PatientIdentifier("P1"), STUDY.uid, stated(*bodies), merges, **more)


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def merge(prior: str, survivor: str, minute: int) -> Stated:
    both = PatientIdentifier(prior), PatientIdentifier(survivor)
    return Stated(at(minute / 60), str(minute), "ADT^A40", "C", Merged(*both, "", "", Demographics("", "", "")))


class TestTime:
    def test_newer_papers_put_messages_aside_and_older_ones_do_not(self) -> None:
        ris = Ris(STUDY)
        order, report = ris.order(three_d=False), ris.report("P")
        newer = folded(order, report, filed=[Filed(at(9), 1, PAPERS)])
        assert newer.papers.report.status == "final"
        older = folded(order, report, filed=[Filed(at(0), 1, PAPERS)])
        assert older.papers.report.status == "preliminary"
        # What the order does not say stays as the papers have it.
        assert (older.papers.order.three_d_ordered, older.papers.account_number) == (True, "A1")
        assert older.papers.payer == Payer("MCARE", False, None, None)

    def test_an_order_cancels_a_base_of_older_papers(self) -> None:
        found = folded(Ris(STUDY).order(control="CA", status="CA"), filed=[Filed(at(0), 1, PAPERS)])
        assert [base.status for base in found.papers.base_procedures] == ["cancelled"]

    def test_an_answer_stands_until_the_owner_says_something_newer(self) -> None:
        ris = Ris(STUDY)
        first, second = ris.report(text=WHOLE[:3]), ris.report(text=WHOLE[:3])
        utility = Answered(at(2) + timedelta(minutes=1, seconds=30), 1, (("report.clinical_utility", True),))
        assert folded(first, answered=[utility]).papers.report.clinical_utility
        assert not folded(first, second, answered=[utility]).papers.report.clinical_utility

    @steady
    @given(st.permutations(range(6)))
    def test_arrival_is_nothing(self, order: list[int]) -> None:
        ris = Ris(STUDY)
        bodies = [
            ris.order(status="SC", control="NW"),
            ris.report("P"),
            ris.order("70460", control="XO"),
            ris.report("F"),
            ris.account("A9"),
            ris.order(diagnoses=("C34.11",), payer="STRICT", authorization="PA1"),
        ]
        assert folded(*(bodies[n] for n in order), *bodies) == folded(*bodies)

    def test_within_a_second_the_control_id_counts(self) -> None:
        ris = Ris(STUDY)
        draft, final = ris.report("P"), ris.report("F")
        for earlier, later in (("MSG9", "MSG10"), ("A0099", "A0100"), ("1", "2")):
            first = draft.replace(b"RACC1-1", earlier.encode())
            second = final.replace(b"RACC1-2", later.encode()).replace(b"20260302100200", b"20260302100100")
            for order in ((first, second), (second, first)):
                assert folded(*order).papers.report.status == "final"


class TestOrders:
    def test_a_changed_order_is_the_same_order(self) -> None:
        ris = Ris(STUDY)
        found = folded(ris.order(), ris.order("70460", control="XO"))
        assert [base.code for base in found.papers.base_procedures] == ["70460"]

    def test_of_two_orders_of_one_examination_one_was_performed(self) -> None:
        ris = Ris(STUDY)
        second = ris.order(control="CA", status="CA", three_d=False).replace(b"F-ACC1", b"F-OTHER")
        assert [b.status for b in folded(ris.order(), second).papers.base_procedures] == ["performed"]

    def test_a_procedure_is_no_base(self) -> None:
        found = folded(Ris(STUDY).order("31627"), is_procedure=lambda code: code == "31627")
        assert (found.papers.base_procedures, found.papers.other_procedures) == ((), ("31627",))

    def test_a_cancelled_3d_order_orders_nothing(self) -> None:
        ris = Ris(STUDY)
        assert folded(ris.order()).papers.order.three_d_ordered
        assert not folded(ris.order(), ris.order(control="CA", status="CA")).papers.order.three_d_ordered

    def test_a_payers_rule_is_the_settings(self) -> None:
        rules = {"STRICT": PayerRule(prior_authorization_required=True, covered_diagnoses=("S02",))}
        found = folded(Ris(STUDY).order(payer="STRICT"), payers=rules)
        assert found.papers.payer == Payer("STRICT", True, None, ("S02",))

    def test_a_rationale_in_a_draft_is_nobodys(self) -> None:
        ris = Ris(STUDY)
        text = (*WHOLE, "3D added by the radiologist.")
        assert not folded(ris.report("P", text)).papers.order.radiologist_rationale
        assert folded(ris.report("F", text)).papers.order.radiologist_rationale


class TestMerges:
    def test_a_chain(self) -> None:
        found = merges_of([merge("A", "B", 2), merge("B", "C", 1)])
        assert [found.patient(PatientIdentifier(each))[0].number for each in "ABCD"] == ["C", "C", "C", "D"]

    def test_there_and_back_ends_with_the_newest(self) -> None:
        for order in (1, -1):
            found = merges_of([merge("A", "B", 1), merge("B", "A", 2)][::order])
            assert [found.patient(PatientIdentifier(each))[0].number for each in "AB"] == ["A", "A"]

    def test_a_patient_merged_into_itself_is_nothing(self) -> None:
        assert merges_of([merge("A", "A", 1)]).patients == {}

    @steady
    @given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDE")), max_size=12))
    def test_whatever_is_merged_it_ends_and_all_of_a_circle_end_alike(self, pairs: list[tuple[str, str]]) -> None:
        merges = [merge(prior, survivor, minute) for minute, (prior, survivor) in enumerate(pairs)]
        found = merges_of(merges)
        assert merges_of(merges[::-1]) == found
        for each in "ABCDE":
            end = found.patient(PatientIdentifier(each))[0]
            assert found.patient(end)[0] == end
