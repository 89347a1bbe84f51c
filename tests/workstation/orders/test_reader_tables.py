"""Every code and every field that orders, results and documents are read by, one by one."""

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from tests.workstation.orders.ris import READING, WHOLE, Ris, Study
from workstation.orders.stated import Merged, MessageRefused, Ordered, Reported
from workstation.orders.statements import statements_of

STUDY = Study("ACC1")
HEADER = "MSH|^~\\&|RIS|H|W|RAD|20260302100000||{kind}|C1|{processing}|2.5.1\r"
PID = "PID|1||P1^^^^MR||Of^P1||19700131|F||||||||||A1\r"
OBR = "OBR|1|OP|OF|70450^words^L||||||||||||||ACC1|||||||F\r"


def said(body: str, kind: str = "ORM^O01", processing: str = "P") -> list[Any]:
    whole = HEADER.format(kind=kind, processing=processing) + body
    return [each.statement for each in statements_of(whole.encode(), READING, UTC)]


def order(orc: str = "ORC|SC|PP|PF||CM", obr: str = OBR, before: str = "", after: str = "", pid: str = PID) -> Ordered:
    (found,) = said(f"{pid}{before}{orc}\r{obr}{after}")
    assert isinstance(found, Ordered)
    return found


def report(obxs: list[str], obr: str = OBR, before: str = "", kind: str = "ORU^R01") -> Reported:
    (found,) = said(PID + before + obr + "".join(f"{each}\r" for each in obxs), kind)
    assert isinstance(found, Reported)
    return found


def obx(text: str, status: str = "F", kind: str = "TX", code: str = "REPORT") -> str:
    return f"OBX|1|{kind}|{code}||{text}||||||{status}"


def refused(body: str, kind: str, processing: str = "P") -> MessageRefused:
    with pytest.raises(MessageRefused) as found:
        said(body, kind, processing)
    return found.value


@pytest.mark.parametrize("control", ["CA", "OC", "CR", "DC", "OD", "DR", "RP", "RQ"])
def test_what_takes_an_order_back(control: str) -> None:
    assert order(f"ORC|{control}|PP|PF||CM").items[0].status == "cancelled"


@pytest.mark.parametrize(
    ("status", "read"),
    [*((each, "cancelled") for each in ("CA", "DC", "RP")), ("CM", "performed"), ("IP", "scheduled"), ("", None)],
)
def test_the_status_of_an_order(status: str, read: str | None) -> None:
    assert order(f"ORC|SC|PP|PF||{status}").items[0].status == read


@pytest.mark.parametrize("control", ["XO", "XX", "XR", "RU", "RO", "UC", "UD", "UX", "SC"])
def test_what_changes_an_order_and_what_restores_it(control: str) -> None:
    item = order(f"ORC|{control}|PP|PF||CM").items[0]
    assert (item.changes, item.restores) == (control in ("XO", "XX", "XR", "RU", "RO"), control in ("UC", "UD", "UX"))
    assert order(f"ORC||{control}|PF||CM").items[0].changes is False


@pytest.mark.parametrize("kind", ["ORM^O01", "OMI^O23", "OMG^O19"])
def test_orders_of_each_kind(kind: str) -> None:
    assert said(f"{PID}ORC|SC|PP|PF||CM\r{OBR}", kind)[0].items[0].code == "70450"


@pytest.mark.parametrize("kind", ["MDM^T02", "MDM^T04", "MDM^T06", "MDM^T08", "MDM^T10", "MDM^T11"])
def test_documents_of_each_kind(kind: str) -> None:
    body = f"{PID}TXA|1|DI|TX|||||||||D1|D0|OP|ACC1||LA||AV\r{obx(WHOLE[0])}\r"
    (found,) = said(body, kind)
    assert (found.accession, found.document, found.parent) == ("ACC1", "D1", "D0")
    assert (found.status, found.addendum) == ("none" if kind == "MDM^T11" else "final", kind == "MDM^T06")


@pytest.mark.parametrize("kind", ["ADT^A18", "ADT^A34", "ADT^A40"])
def test_merges_of_each_kind(kind: str) -> None:
    (found,) = said(f"{PID}MRG|P0^^^^MR||A0\r", kind)
    assert isinstance(found, Merged)
    assert (found.prior.number, found.survivor.number, found.prior_account, found.account) == ("P0", "P1", "A0", "A1")
    assert found.demographics is not None
    assert (found.demographics.name, found.demographics.birth_date) == ("Of^P1", "19700131")
    assert found.demographics.sex == "F"
    nameless = said("PID|1||P1^^^^MR\rMRG|P0^^^^MR\r", kind)[0]
    assert (nameless.demographics.name, nameless.prior_account, nameless.account) == ("", "", "")


def test_what_is_refused_and_how() -> None:
    assert refused(PID, "ADT^A40").code == "AE"
    assert "PID is missing" in str(refused("EVN|A40\r", "ADT^A40"))
    assert refused("EVN|A40\r", "ADT^A40").code == "AE"
    assert "MSH-9 ABC^DEFGHIJKLMNOPQRS is" in str(refused(PID, "ABC^DEFGHIJKLMNOPQRSTUV"))
    assert "MSH-11 is 'TTT';" in str(refused(PID, "ORM^O01", "TTTT"))
    for body, kind in ((PID, "ORM^O01"), (PID, "ORU^R01"), (PID, "MDM^T02"), ("EVN|O01\r", "ORM^O01")):
        assert refused(body, kind).code == "AE"
    assert refused(f"{PID}ORC|SC|PP|PF||CM\r", "ORM^O01").code == "AE"
    assert refused(f"{PID}TXA|1|DI|TX|||||||||D1||||LA\r", "MDM^T02").code == "AE"


def test_an_update_wants_account_and_visit() -> None:
    assert said(PID, "ADT^A08") == said(PID + "PV1|1|O\r", "ADT^A08") == []
    (found,) = said(PID + "PV1|1|O|||||||||||||||||V1\r", "ADT^A08")
    assert (found.visit, found.account) == ("V1", "A1")


@pytest.mark.parametrize(
    ("orc", "obr", "number"),
    [
        ("ORC|SC|PP|PF||CM", OBR, "PF"),
        ("ORC|SC|PP|||CM", OBR, "OF"),
        ("ORC|SC|PP|||CM", OBR.replace("|OF|", "||"), "PP"),
        ("ORC|SC||||CM", OBR.replace("|OF|", "||"), "OP"),
        ("ORC|SC||||CM", OBR.replace("|OP|OF|", "|||"), "70450"),
    ],
)
def test_the_number_of_an_order(orc: str, obr: str, number: str) -> None:
    assert order(orc, obr).items[0].number == number


def test_the_study_of_an_order() -> None:
    assert order().items[0].study_uid == ""
    assert order(after="ZDS|1.2.3^^Application^DICOM\r").items[0].study_uid == "1.2.3"
    assert order(after="IPC|ACC1|RP|1.2.4\r").items[0].study_uid == "1.2.4"
    assert order(before="IPC|ACC1|RP|1.2.5\r").items[0].study_uid == "1.2.5"
    assert order(before="IPC|ACC1|RP|1.2.5\r", after="IPC|ACC1|RP|1.2.4\r").items[0].study_uid == "1.2.4"
    assert order(after="ZDS|1.2.3\rIPC|ACC1|RP\r").items[0].study_uid == "1.2.3"


def test_physician_urgency_and_notes_of_an_order() -> None:
    assert order().ordering_physician is None
    assert order("ORC|SC|PP|PF||CM|||||||DR1").ordering_physician == "DR1"
    assert order(obr="OBR|1|OP|OF|70450||||||||||||DR2||ACC1\r").ordering_physician == "DR2"
    assert (order().urgent, order().urgent_documented) == (None, None)
    for urgent in ("S", "R"):
        for found in (
            order(after=f"TQ1|1||||||||{urgent}\r"),
            order(f"ORC|SC|PP|PF||CM||^^^^^{urgent}"),
            order(obr=f"OBR|1|OP|OF|70450|{urgent}|||||||||||||ACC1\r"),
            order(obr=f"OBR|1|OP|OF|70450||||||||||||||ACC1|||||||||^^^^^{urgent}\r"),
        ):
            assert found.urgent is (urgent == "S")
    both = f"{PID}ORC|SC|P1|F1||CM||^^^^^R\r{OBR}ORC|SC|P2|F2||CM||^^^^^S\r{OBR}"
    assert said(both)[0].urgent is True
    assert order("ORC|SC|PP|PF||CM||^^^^^R", after="TQ1|1||||||||S\r").urgent is True
    assert order(after="OBX|1|ID|URG||Y||||||F\r").urgent_documented is None


def test_documented_urgency_stands_in_a_note() -> None:
    reading = replace(READING, phrases={"urgent_documented": ("urgent because",)})
    header = HEADER.format(kind="ORM^O01", processing="P")
    body = f"{header}{PID}ORC|SC|PP|PF||CM\r{OBR}NTE|1||urgent because of a fall\r"
    (found,) = (each.statement for each in statements_of(body.encode(), reading, UTC))
    assert isinstance(found, Ordered)
    assert found.urgent_documented is True


def test_account_visit_and_insurance_of_an_order() -> None:
    bare = order(pid="PID|1||P1^^^^MR\r")
    assert (bare.account, bare.visit, bare.payer, bare.authorization, bare.diagnoses) == (None, None, None, None, None)
    assert bare.in_visit == type(bare.in_visit)()
    in1 = "IN1|1|PLAN|MCARE|Medicare||||||||||PA1\r"
    whole = order(before=f"PV1|1|I|3W^301||||DR7^Atten||||||||||||V1\r{in1}", after="DG1|1||S02^^I10\r")
    assert (whole.account, whole.visit, whole.payer, whole.authorization) == ("A1", "V1", "MCARE", "PA1")
    assert whole.diagnoses == ("S02",)
    visit = whole.in_visit
    assert (visit.patient_class, visit.location, visit.plan, visit.company) == ("I", "3W^301", "PLAN", "Medicare")
    assert visit.attending is not None
    assert visit.attending.id == "DR7"
    assert order(before="IN1|1|PLAN\r").payer == "PLAN"
    assert order(before="IN1|1\r").payer is None


@pytest.mark.parametrize(("length", "kept"), [(20, True), (21, False)])
def test_a_patient_class_that_is_too_long_is_none(length: int, kept: bool) -> None:
    assert bool(order(before=f"PV1|1|{'I' * length}\r").in_visit.patient_class) == kept


@pytest.mark.parametrize(("length", "kept"), [(50, True), (51, False)])
def test_a_name_of_a_company_that_is_too_long_is_none(length: int, kept: bool) -> None:
    assert bool(order(before=f"IN1|1|PLAN|MCARE|{'M' * length}\r").in_visit.company) == kept


@pytest.mark.parametrize(
    ("statuses", "obr_25", "status"),
    [
        (["F", "C", "U"], "", "final"),
        (["F"], "", "final"),
        (["U"], "", "final"),
        (["C"], "", "final"),
        (["F", "P"], "", "preliminary"),
        ([], "", "preliminary"),
        (["F"], "W", "none"),
        (["F"], "D", "none"),
        (["F"], "X", "none"),
        (["F"], "C", "final"),
        (["F", "R"], "F", "preliminary"),
        (["F", "S"], "C", "preliminary"),
    ],
)
def test_the_status_of_a_result(statuses: list[str], obr_25: str, status: str) -> None:
    found = report([obx("words", each) for each in statuses], OBR.replace("|F\r", f"|{obr_25}\r"))
    assert found.status == status


def test_several_results_of_an_accession_are_one_report() -> None:
    def two(first: str, second: str, words: tuple[str, str] = (WHOLE[0], WHOLE[1])) -> Reported:
        part = OBR.replace("|F\r", f"|{first}\r") + obx(words[0]) + "\r"
        (found,) = said(PID + part + OBR.replace("|F\r", f"|{second}\r") + obx(words[1]) + "\r", "ORU^R01")
        assert isinstance(found, Reported)
        return found

    assert (two("F", "F").status, two("F", "P").status, two("P", "F").status) == ("final", "preliminary", "preliminary")
    assert two("F", "F").stated == {"three_d_findings", "workstation_statement"}
    assert two("F", "F", ("Addendum: a", "Addendum: b")).addendum is True
    assert two("F", "F", ("Addendum: a", "words")).addendum is False


@pytest.mark.parametrize("kind", ["TX", "FT", "ST"])
def test_an_addendum_by_its_codes(kind: str) -> None:
    coded, plain = obx("words", kind=kind, code="REPORT&ADT"), obx("words", kind=kind)
    assert report([coded]).addendum is True
    assert report([coded, coded, obx("1", kind="NM")]).addendum is True
    assert report([coded, plain]).addendum is False
    assert report([coded, obx("gone", "D", kind)]).addendum is True
    assert report([obx("words", kind=kind, code="55107-7")]).addendum is True
    assert report([obx("words", code="55107-7")], OBR.replace("|F\r", "|X\r")).addendum is False
    assert report([coded, obx("^TEXT^^^words", kind="ED")]).addendum is False


def test_notes_are_text_of_a_result() -> None:
    assert report([obx("words"), f"NTE|1||{WHOLE[0]}"]).stated == {"three_d_findings"}


@pytest.mark.parametrize("availability", ["CA", "OB", "UN", "AV", ""])
def test_a_document_that_is_no_longer_to_be_had(availability: str) -> None:
    (found,) = said(f"{PID}TXA|1|DI|TX|||||||||D1||OP|ACC1||AU||{availability}\r", "MDM^T02")
    assert found.status == ("none" if availability in ("CA", "OB", "UN") else "final")


def test_the_accession_of_a_document() -> None:
    txa = "TXA|1|DI|TX|||||||||D1||PLACER|FILLER||LA\r"
    assert said(PID + txa, "MDM^T02")[0].accession == "FILLER"
    assert said(PID + txa.replace("FILLER", ""), "MDM^T02")[0].accession == "PLACER"
    assert said(PID + OBR + txa, "MDM^T02")[0].accession == "ACC1"
    assert said(f"{PID}ORC|RE||ORDERED\r{txa}", "MDM^T02")[0].accession == "ORDERED"
    assert said(f"{PID}ORC|RE||ORDERED\r{OBR}{txa}", "MDM^T02")[0].accession == "ACC1"


def test_each_result_belongs_to_the_order_before_it() -> None:
    bare = "OBR|1|OP||70450|||||||||||||||||||||F\r"
    text = obx("words") + "\r"
    alone = said(f"{PID}ORC|RE||ONE\r{bare}{text}{bare}{text}", "ORU^R01")
    assert [each.accession for each in alone] == ["ONE"]
    two = said(f"{PID}ORC|RE||ONE\r{bare}{text}ORC|RE||TWO\r{bare}{text}", "ORU^R01")
    assert [each.accession for each in two] == ["ONE", "TWO"]
    assert refused(f"{PID}ORC|RE||ONE\r{bare}{text}{bare}{text}ORC|RE||TWO\r{bare}{text}", "ORU^R01").code == "AE"


def test_a_result_without_text_has_that_of_the_next_one_and_of_no_other() -> None:
    empty = OBR.replace("|OP|OF|", "|||")
    body = f"{PID}{empty}{OBR}{obx(WHOLE[0])}\r{empty.replace('ACC1', 'ACC2')}{obx(WHOLE[1])}\r"
    first, second = said(body, "ORU^R01")
    assert (first.accession, first.stated) == ("ACC1", {"three_d_findings"})
    assert (second.accession, second.stated) == ("ACC2", {"workstation_statement"})


def test_ris_of_the_tests_is_read_as_it_is_meant() -> None:
    (found,) = (each.statement for each in statements_of(Ris(STUDY).report(), READING, UTC))
    assert (found.accession, found.status) == ("ACC1", "final")  # type: ignore[union-attr]
