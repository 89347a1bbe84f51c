"""What is on file of a report: which part counts, what stands beside it, and what takes its place."""

from workstation.charge.facts import Report, ReportStatus
from workstation.orders.report_on_file import ReportOnFile
from workstation.orders.stated import Reported
from workstation.reading import ReportFact


def part(status: ReportStatus = "final", document: str = "", parent: str = "", *stated: ReportFact) -> Reported:
    return Reported("ACC1", (), status, frozenset(stated), (f"unread {document}",), False, document, parent)


def addendum(status: ReportStatus = "final", document: str = "", *stated: ReportFact) -> Reported:
    return Reported("ACC1", (), status, frozenset(stated), (), True, document, "")


def documents(found: ReportOnFile) -> list[str]:
    return [said.document for said, _ in found.addenda]


def test_an_addendum_replaces_the_one_of_its_number_and_no_other() -> None:
    found = ReportOnFile().with_newer(part(document="D"), "P1")
    for number in ("A", "", "B", "", "A"):
        found = found.with_newer(addendum(document=number), "P1")
    assert documents(found) == ["", "B", "", "A"]
    replaced = found.with_newer(part("final", "C", "B"), "P1")
    assert documents(replaced) == ["", "", "A", "C"]
    assert all(said.addendum for said, _ in replaced.addenda)
    assert replaced.main == found.main
    # One that has the report's own number is the report.
    assert ReportOnFile((part(document="D"), "P1"), ((addendum(document="D"), "P1"),)).with_newer(
        part(document="D"), "P1"
    ) == ReportOnFile((part(document="D"), "P1"))


def test_an_addendum_without_its_report_is_replaced_by_its_number() -> None:
    found = ReportOnFile().with_newer(addendum("preliminary", "A"), "P1").with_newer(part(document="A"), "P1")
    assert (found.main, documents(found)) == (None, ["A"])


def test_a_report_that_is_withdrawn_takes_its_addenda_with_it() -> None:
    found = ReportOnFile((part("none"), "P1"), ((addendum("final", "A", "clinical_utility"), "P1"),))
    assert (found.parts, found.status, found.as_fact().clinical_utility) == ((), "none", False)
    assert found.as_fact().patient_id is None


def test_of_addenda_alone_the_signed_count_else_the_last_draft() -> None:
    first, second = (addendum("preliminary", "A"), "P1"), (addendum("preliminary", "B"), "P1")
    signed, gone = (addendum("final", "C"), "P1"), (addendum("none", "D"), "P1")
    assert ReportOnFile(None, (first, second)).parts == (second,)
    assert ReportOnFile(None, (first, second)).status == "preliminary"
    assert ReportOnFile(None, (first, signed, second)).parts == (signed,)
    assert ReportOnFile(None, (first, gone)).parts == (first,)
    assert ReportOnFile(None, (gone,)).parts == ()


def test_papers_without_a_report_state_none() -> None:
    nothing = Report("none", None, False, False, False, False)
    assert ReportOnFile.of_papers(nothing) == ReportOnFile()
    said = ReportOnFile.of_papers(Report("final", None, True, False, False, True))
    assert said.as_fact() == Report("final", "", True, False, False, True)
    assert ReportOnFile.of_papers(Report("final", "P7", False, False, False, False)).as_fact().patient_id == "P7"


def test_patients_unread_parts_and_what_stands_in_the_orders_place() -> None:
    main = part("final", "D", "", "radiologist_rationale", "three_d_findings")
    found = ReportOnFile((main, "P1"), ((addendum(), "P2"), (addendum("preliminary", "X", "clinical_utility"), "P3")))
    assert found.as_fact() == Report("final", "P1 and P2", True, False, False, False)
    assert found.unread == ("unread D",)
    assert found.spoken == {"radiologist_rationale"}
    draft = ReportOnFile((part("preliminary", "D", "", "radiologist_rationale"), "P1"))
    assert (draft.spoken, draft.as_fact().patient_id) == (frozenset(), "P1")
