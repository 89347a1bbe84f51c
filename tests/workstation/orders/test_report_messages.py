"""Reports that come in parts: addenda beside their report, corrections in its place, one text for several orders."""

from datetime import UTC
from typing import Any

import pytest

from tests.workstation.orders.ris import READING, WHOLE, Ris, Study
from tests.workstation.orders.test_on_file import folded
from tests.workstation.orders.test_statements import one
from workstation.orders.stated import Reported
from workstation.orders.statements import statements_of

STUDY = Study("ACC1")
FIRST, SECOND = WHOLE[:2], WHOLE[2:]


def facts(*bodies: bytes) -> tuple[str, list[bool]]:
    report = folded(*bodies).papers.report
    said = [report.three_d_findings, report.workstation_statement, report.medical_necessity, report.clinical_utility]
    return report.status, said


def numbered(body: bytes, number: str, parent: str = "") -> bytes:
    assert b"||D1||" in body
    return body.replace(b"|||D1||", f"|||{number}|{parent}|".encode())


BOTH = ("final", [True] * 4)


class TestAddenda:
    @pytest.mark.parametrize("status", ["F", "C"])
    @pytest.mark.parametrize("heading", ["Addendum:", "ADDENDUM (2 March)", "--- Addenda ---"])
    def test_a_result_that_is_one_by_its_words(self, status: str, heading: str) -> None:
        ris = Ris(STUDY)
        assert facts(ris.report(text=FIRST), ris.report(status, (heading, *SECOND))) == BOTH

    @pytest.mark.parametrize("code", ["70450&ADT^CT", "ADT", "55107-7^Addendum^LN"])
    def test_a_result_that_is_one_by_its_code(self, code: str) -> None:
        ris = Ris(STUDY)
        report = ris.report(text=FIRST)
        assert facts(report, ris.report("C", SECOND).replace(b"|REPORT|", f"|{code}|".encode())) == BOTH

    @pytest.mark.parametrize(
        "text",
        [
            SECOND,
            ("Addendum:", *SECOND, "FINDINGS: none."),
            ("Addendum:", *SECOND, "", "Impression", "none."),
            ("ADDENDUM", *SECOND, "END OF ADDENDUM", "CT of the head."),
            ("Addendum:", *SECOND, "The original report follows."),
            ("See the addendum.", *SECOND),
        ],
    )
    def test_any_other_correction_replaces(self, text: tuple[str, ...]) -> None:
        ris = Ris(STUDY)
        assert facts(ris.report(text=FIRST), ris.report("C", text)) == ("final", [False, False, True, True])

    def test_a_document(self) -> None:
        ris = Ris(STUDY)
        report = ris.document(text=FIRST)
        assert facts(report, numbered(ris.document("MDM^T06", text=SECOND), "D2", "D1")) == BOTH
        for kind in ("MDM^T08", "MDM^T10"):
            assert facts(report, ris.document(kind, text=SECOND)) == ("final", [False, False, True, True])

    def test_the_words_of_a_document_make_no_addendum_of_it(self) -> None:
        ris = Ris(STUDY)
        assert not one(ris.document("MDM^T08", text=("Addendum:", *SECOND))).addendum

    def test_a_draft_of_an_addendum_is_nobodys_word(self) -> None:
        ris = Ris(STUDY)
        report, draft = ris.document(text=FIRST), numbered(ris.document("MDM^T06", "DI", SECOND), "D2", "D1")
        assert facts(report, draft) == ("final", [True, True, False, False])
        assert facts(report, draft, numbered(ris.document("MDM^T06", "LA", SECOND), "D2", "D1")) == BOTH

    def test_one_that_is_changed_or_withdrawn_leaves_the_report(self) -> None:
        ris = Ris(STUDY)
        report, addendum = ris.document(text=FIRST), numbered(ris.document("MDM^T06", text=SECOND), "D2", "D1")
        for kind, number, parent, text in (("T08", "D2", "D1", SECOND[:1]), ("T10", "D3", "D2", SECOND[:1])):
            changed = numbered(ris.document(f"MDM^{kind}", text=text), number, parent)
            assert facts(report, addendum, changed) == ("final", [True, True, True, False])
        gone = numbered(ris.document("MDM^T11", text=()), "D2", "D1")
        assert facts(report, addendum, gone) == ("final", [True, True, False, False])

    def test_a_report_that_is_withdrawn_or_replaced_takes_its_addenda_with_it(self) -> None:
        ris = Ris(STUDY)
        report, addendum = ris.document(text=FIRST), numbered(ris.document("MDM^T06", text=SECOND), "D2", "D1")
        assert facts(report, addendum, ris.document("MDM^T11", text=())) == ("none", [False] * 4)
        assert facts(report, addendum, ris.document("MDM^T08", text=FIRST)) == ("final", [True, True, False, False])
        late = numbered(ris.document("MDM^T06", text=SECOND), "D4", "D1")
        assert facts(report, ris.document("MDM^T11", text=()), late) == ("none", [False] * 4)

    def test_one_alone_is_a_report(self) -> None:
        ris = Ris(STUDY)
        draft, addendum = ris.report("P", FIRST), ris.document("MDM^T06", text=SECOND)
        assert facts(addendum) == ("final", [False, False, True, True])
        assert facts(draft, addendum) == ("preliminary", [True, True, True, True])

    def test_one_of_another_patient_makes_a_mismatch(self) -> None:
        ris = Ris(STUDY)
        found = folded(ris.report(text=FIRST), ris.report("C", ("Addendum", *SECOND), patient="P2"))
        assert found.papers.report.patient_id == "P1 and P2"


def linked(*lines: str) -> dict[str, Any]:
    body = Ris(STUDY).report(text=()).decode().partition("OBR")[0] + "".join(f"{line}\r" for line in lines)
    found = [each.statement for each in statements_of(body.encode(), READING, UTC)]
    return {each.accession: each for each in found if isinstance(each, Reported)}


def obr(number: int, accession: str, status: str = "F", parent: str = "") -> str:
    return f"OBR|{number}|PL{number}|{accession}|70450||||||||||||||{accession}|||||||{status}||||{parent}"


TEXT = "OBX|1|TX|GDT||3D images show it.||||||F"


class TestLinkedOrders:
    def test_several_orders_before_one_text_share_it(self) -> None:
        found = linked(obr(1, "A1"), obr(2, "A2"), obr(3, "A3"), TEXT)
        assert {key: (each.status, each.stated) for key, each in found.items()} == dict.fromkeys(
            ("A1", "A2", "A3"), ("final", {"three_d_findings"})
        )

    @pytest.mark.parametrize("parent", ["PL1^A1", "^A1", "PL1"])
    def test_an_order_that_names_its_parent_has_its_text(self, parent: str) -> None:
        found = linked(obr(1, "A1"), TEXT, obr(2, "A2", parent=parent), obr(3, "A3"))
        assert found["A2"].stated == {"three_d_findings"}
        assert found["A3"].stated == set()

    def test_an_order_whose_parent_is_elsewhere_has_no_text(self) -> None:
        found = linked(obr(1, "A1", parent="^OTHER"), obr(2, "A2"), TEXT)
        assert (found["A1"].stated, found["A2"].stated) == (set(), {"three_d_findings"})

    def test_each_has_a_status_of_its_own_else_that_of_the_text(self) -> None:
        found = linked(obr(1, "A1", "P"), obr(2, "A2", ""), obr(3, "A3", "X"), TEXT)
        assert [found[each].status for each in ("A1", "A2", "A3")] == ["preliminary", "final", "none"]

    def test_text_of_its_own_counts_alone(self) -> None:
        found = linked(obr(1, "A1"), "OBX|1|TX|GDT||Plain.||||||F", obr(2, "A2", parent="PL1^A1"), TEXT)
        assert (found["A1"].stated, found["A2"].stated) == (set(), {"three_d_findings"})


@pytest.mark.parametrize(
    ("obr_25", "obx_11", "status"),
    [
        ("F", "F", "final"),
        ("C", "C", "final"),
        ("F~P", "F", "preliminary"),
        ("P~F", "F", "preliminary"),
        ("F^P", "F", "preliminary"),
        ("F&P", "F", "preliminary"),
        ("X~F", "F", "preliminary"),
        ("f", "F", "preliminary"),
        ("\uff26", "F", "preliminary"),
        ("F\u200b", "F", "preliminary"),
        ("F", "P", "preliminary"),
        ("F", "R", "preliminary"),
        ("F", "S", "preliminary"),
        ("X", "P", "none"),
        ("", "F", "final"),
        ("", "P", "preliminary"),
        ("", "", "preliminary"),
    ],
)
def test_a_result_is_final_only_where_all_of_it_says_so(obr_25: str, obx_11: str, status: str) -> None:
    body = Ris(Study("ACC1")).report().decode().replace("|||||||F\rOBX", f"|||||||{obr_25}\rOBX")
    body = body.replace("||||||F\r", f"||||||{obx_11}\r", 1)
    (found,) = statements_of(body.encode(), READING, UTC)
    assert isinstance(found.statement, Reported)
    assert found.statement.status == status
