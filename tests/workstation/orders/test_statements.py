"""What messages of a RIS state: whatever their version, delimiters and character set; and what cannot be used."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from tests.workstation.orders.ris import READING, WHOLE, Ris, Study
from workstation.hl7.reader import read_message, read_time
from workstation.hl7.syntax import Hl7Error
from workstation.orders.patients import PatientIdentifier
from workstation.orders.sentences import facts_in
from workstation.orders.stated import Merged, MessageRefused, Ordered, Reported, Stated, Updated
from workstation.orders.statements import statements_of
from workstation.reading import Reading

STUDY = Study("ACC1")


def stated(body: bytes, reading: Reading = READING) -> list[Stated]:
    return list(statements_of(body, reading, UTC))


def one(body: bytes, reading: Reading = READING) -> Any:
    (found,) = stated(body, reading)
    return found.statement


def test_an_order_says_what_is_ordered() -> None:
    said = one(Ris(STUDY).order("CTH", payer="STRICT", authorization="PA1", priority="S"))
    assert isinstance(said, Ordered)
    assert (said.accession, said.patients[0].number, said.account, said.visit) == ("ACC1", "P1", "A1", "V1")
    base, three_d = said.items
    assert (base.code, base.status, base.study_uid, base.three_d) == ("70450", "performed", STUDY.uid, False)
    assert (three_d.code, three_d.three_d) == ("76377", True)
    assert (said.payer, said.authorization, said.diagnoses) == ("STRICT", "PA1", ("S02.0XXA",))
    assert (said.urgent, said.ordering_physician) == (True, "DR9")


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("SC", "CM", "performed"),
        ("NW", "SC", "scheduled"),
        ("XO", "IP", "scheduled"),
        ("CA", "CM", "cancelled"),
        ("SC", "CA", "cancelled"),
        ("DC", "", "cancelled"),
    ],
)
def test_the_state_of_an_order(control: str, status: str, expected: str) -> None:
    assert one(Ris(STUDY).order(status=status, control=control)).items[0].status == expected


def test_an_imaging_order_has_its_accession_in_ipc() -> None:
    body = Ris(STUDY).order(kind="OMI^O23", accession="OTHER", three_d=False)
    body += f"IPC|ACC9|RP1|{STUDY.uid}\r".encode()
    assert one(body).accession == "ACC9"


def test_a_message_of_two_accessions_states_two_things() -> None:
    body = Ris(STUDY).order(three_d=False) + b"ORC|SC|PL9|F9||CM\rOBR|1|PL9|F9|71260||||||||||||||ACC2\r"
    assert [each.statement.accession for each in stated(body)] == ["ACC1", "ACC2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("F", "final"), ("C", "final"), ("P", "preliminary"), ("R", "preliminary"), ("X", "none"), ("D", "none")],
)
def test_the_state_of_a_report(status: str, expected: str) -> None:
    said = one(Ris(STUDY).report(status))
    assert isinstance(said, Reported)
    assert said.status == expected


def test_a_report_states_what_its_phrases_say() -> None:
    assert one(Ris(STUDY).report()).stated == {
        "three_d_findings", "workstation_statement", "medical_necessity", "clinical_utility",
    }  # fmt: skip
    assert one(Ris(STUDY).report(text=WHOLE[:3])).stated == {
        "three_d_findings", "workstation_statement", "medical_necessity",
    }  # fmt: skip
    assert one(Ris(STUDY).report(text=(), observations=("3DUTIL",))).stated == {"clinical_utility"}
    assert one(Ris(STUDY).report(text=("3D was necessary, but",), observations=("OTHER",))).stated == {
        "medical_necessity"
    }


@pytest.mark.parametrize(
    "text",
    [
        "3D was not necessary, so the 3D images show little.",
        "No 3D images show the fracture.",
        "The 3D images show nothing without contrast",
        "It cannot be said that 3D clarified it.",
        "",
    ],
)
def test_a_negated_sentence_states_nothing(text: str) -> None:
    assert facts_in(text, READING) == frozenset()


def test_a_negation_ends_with_its_sentence() -> None:
    assert facts_in("There is no bleeding. 3D images\nshow the fracture.", READING) == {"three_d_findings"}


@pytest.mark.parametrize(
    ("kind", "completion", "expected"),
    [
        ("MDM^T02", "LA", "final"),
        ("MDM^T02", "AU", "final"),
        ("MDM^T02", "DI", "preliminary"),
        ("MDM^T08", "LA", "final"),
        ("MDM^T11", "LA", "none"),
    ],
)
def test_a_document_is_a_report(kind: str, completion: str, expected: str) -> None:
    said = one(Ris(STUDY).document(kind, completion))
    assert (said.accession, said.status, said.patients[0].number) == ("ACC1", expected, "P1")
    assert "clinical_utility" in said.stated


def test_patients_and_accounts_change() -> None:
    merged = one(Ris(STUDY).merge("P2", account="A2", prior_account="A1"))
    assert isinstance(merged, Merged)
    assert (merged.prior.number, merged.survivor.number, merged.prior_account, merged.account) == (
        "P1",
        "P2",
        "A1",
        "A2",
    )
    assert merged.demographics.name == "Of^P2"
    assert one(Ris(STUDY).account("A3")) == Updated((PatientIdentifier("P1"),), "V1", "A3")


def test_an_update_of_an_address_states_nothing() -> None:
    assert stated(Ris(STUDY).account("")) == []


def broken(old: str, new: str, body: bytes | None = None) -> bytes:
    text = (body or Ris(STUDY).order()).decode()
    assert old in text
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (broken("ORM^O01", "ORM^O99"), "AR", "MSH-9 ORM^O99 is not heard here"),
        (broken("|P|2.5.1", "|T|2.5.1"), "AR", "MSH-11 is 'T'"),
        (broken("|RACC1-1|", "||"), "AR", "MSH-10 is empty"),
        (broken("20260302100100+0000", "yesterday"), "AE", "MSH-7 is no time"),
        (broken("P1^^^^MR", ""), "AE", "PID-3 is empty"),
        (Ris(Study("")).order(three_d=False).replace(b"F-", b""), "AE", "No accession"),
        (broken("70450^words^L", ""), "AE", "OBR-4 is empty"),
        (broken("ORC|", "ZRC|"), "AE", "no ORC"),
        (broken("OBR|", "ZBR|", Ris(STUDY).report()), "AE", "no OBR"),
        (broken("TXA|", "ZXA|", Ris(STUDY).document()), "AE", "TXA is missing"),
        (broken("MRG|P1^^^^MR", "MRG|", Ris(STUDY).merge("P2")), "AE", "prior identifier in MRG-1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(body: bytes, code: str, words: str) -> None:
    with pytest.raises(MessageRefused, match=words.replace("^", r"\^")) as refused:
        stated(body)
    assert refused.value.code == code
    # The words go back to the sender and into a log.
    assert "P1" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"MSH", b"hello", b"\x00\x01", b"PID|1\r"])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(Hl7Error):
        stated(body)


def test_other_delimiters_and_character_sets() -> None:
    body = Ris(STUDY).report(text=("3D images show «é»",)).decode()
    header, rest = body.split("\r", 1)
    latin = f"{header}||||||8859/1\r{rest}".encode("iso-8859-1")
    assert one(latin).stated == {"three_d_findings"}
    other = body.translate(str.maketrans("|^~&", "$%*@")).encode()
    assert one(other).stated == {"three_d_findings"}
    assert one(body.encode("utf-8").replace(b"\r", b"\r\n")).stated == {"three_d_findings"}


def test_escapes_and_repetitions() -> None:
    message = read_message(
        rb"MSH|^~\&|a||||20260302||ORU^R01|1|P|2.5.1" + b"\r" + rb"OBX|1|TX|c&d^e||one \T\ two~three"
    )
    obx = message.first("OBX")
    assert obx is not None
    assert obx.whole(5) == "one & two\nthree"
    assert (obx.text(3), obx.text(3, 2)) == ("c", "e")
    assert obx.text(5) == "one & two"


def test_a_deleted_value_is_empty() -> None:
    assert one(broken("|A1\r", '|""\r')).account is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260302", datetime(2026, 3, 2, tzinfo=UTC)),
        ("202603021530", datetime(2026, 3, 2, 15, 30, tzinfo=UTC)),
        ("20260302153000.5-0500", datetime(2026, 3, 2, 15, 30, 0, 500000, tzinfo=timezone(timedelta(hours=-5)))),
        ("20261302", None),
        ("", None),
        ("2026-03-02", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert read_time(text, UTC) == expected


@steady
@given(st.binary(max_size=300))
def test_no_bytes_break_it(noise: bytes) -> None:
    for body in (noise, b"MSH|^~\\&|" + noise, Ris(STUDY).order()[:200] + noise):
        try:
            stated(body)
        except (Hl7Error, MessageRefused):
            continue
