"""Charge messages: valid whatever the names, the same bytes for the same charge; acknowledgements of every kind."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from workstation.billing.dft import ChargeSubject, charge_key, charge_message
from workstation.charge import Line
from workstation.hl7.acknowledgement import Acknowledgement, acknowledgement, control_id_of, parse_acknowledgement
from workstation.hl7.syntax import Hl7Error, escape, unescape

AT = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
LINE = Line("76377", ("26",), 1, "70486", "professional")
SUBJECT = ChargeSubject(
    patient_id="PAT1",
    patient_name="Adams^John^Quincy^Dr^Jr",
    birth_date=date(1970, 1, 31),
    sex="M",
    account_number="A77",
    visit_number="V9",
    accession="ACC1",
    study_instance_uid="1.2.3.4",
    ordering_physician_id="DR2",
    performing_physician_id="DR1",
    attending_physician_id="DR3",
    date_of_service=date(2026, 3, 2),
    diagnoses=("S02.2XXA", "S03"),
    sending_application="WORKSTATION",
    sending_facility="RADIOLOGY",
    receiving_application="BILLING",
    receiving_facility="HOSPITAL",
)


def segments(message: bytes) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in message.decode().split("\r")[:-1]:
        fields = line.split("|")
        found.setdefault(fields[0], []).append(["MSH", *fields] if fields[0] == "MSH" else fields)
    return found


def test_a_charge_message_says_what_is_charged() -> None:
    technical = Line("76377", ("TC",), 1, "70486", "technical")
    message = segments(charge_message([technical, LINE], SUBJECT, at=AT))
    assert list(message) == ["MSH", "EVN", "PID", "PV1", "FT1", "DG1"]
    header = message["MSH"][0]
    assert header[3:8] == ["WORKSTATION", "RADIOLOGY", "BILLING", "HOSPITAL", "20260302101500+0000"]
    assert (header[9], header[11], header[12], header[18]) == ("DFT^P03^DFT_P03", "P", "2.5.1", "UNICODE UTF-8")
    assert message["EVN"][0][2] == "20260302101500+0000"
    patient = message["PID"][0]
    assert (patient[3], patient[5]) == ("PAT1^^^^MR", "Adams^John^Quincy^Jr^Dr^^L^A")
    assert (patient[7], patient[8], patient[18]) == ("19700131", "M", "A77")
    visit = message["PV1"][0]
    assert (visit[2], visit[7], visit[8], visit[19]) == ("O", "DR3", "DR2", "V9")
    assert [charge[1] for charge in message["FT1"]] == ["1", "2"]
    for charge, line in zip(message["FT1"], (technical, LINE), strict=True):
        assert charge[2] == charge_key(line, SUBJECT)
        assert (charge[4], charge[6], charge[7], charge[10]) == ("20260302", "CG", "76377^^C4", "1")
        assert (charge[19], charge[20], charge[21]) == ("S02.2XXA^^I10~S03^^I10", "DR1", "DR2")
        assert (charge[23], charge[25], charge[26]) == ("ACC1", "76377^^C4", line.modifiers[0])
    assert [diagnosis[1:] for diagnosis in message["DG1"]] == [
        ["1", "", "S02.2XXA^^I10", "", "", "F"],
        ["2", "", "S03^^I10", "", "", "F"],
    ]


def test_the_key_of_a_charge_is_persistent() -> None:
    key = charge_key(LINE, SUBJECT)
    assert key == "7M7UWPTVC5W5"
    others = [
        charge_key(replace(LINE, code="76376"), SUBJECT),
        charge_key(replace(LINE, base="70487"), SUBJECT),
        charge_key(replace(LINE, entity="technical"), SUBJECT),
        charge_key(LINE, replace(SUBJECT, accession="ACC2")),
        charge_key(LINE, replace(SUBJECT, study_instance_uid="1.2.3.5")),
        charge_key(LINE, SUBJECT, occurrence=2),
    ]
    assert len({key, *others}) == 7
    assert all(len(each) == 12 for each in others)


def test_the_same_charge_gives_the_same_bytes() -> None:
    first = charge_message([LINE], SUBJECT, at=AT)
    assert charge_message([LINE], SUBJECT, at=AT) == first
    later = charge_message([LINE], SUBJECT, at=AT + timedelta(days=1))
    assert control_id_of(later) == control_id_of(first)
    assert len(control_id_of(first)) == 20
    again = charge_message([LINE], SUBJECT, at=AT, occurrence=2)
    assert control_id_of(again) != control_id_of(first)


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien|^&",
        "Ünïcode^Zoë^~\\",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "|~\\&",
        "",
        "^^^^",
        "A\rMSH|^~\\&",
        "名" * 60,
        "=山田^太郎",
        "D'\x1c\x0b\x0dX",
    ],
)
def test_awkward_names_are_valid_and_stay_whole(name: str) -> None:
    message = charge_message([LINE], replace(SUBJECT, patient_name=name), at=AT)
    assert parse_message(message.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()
    assert b"\x0b" not in message
    assert b"\x1c" not in message
    found = segments(message)["PID"][0][5].split("~")
    if name.strip("^"):
        families = [unescape(each.split("^")[0]) for each in found]
        assert families == [group.split("^")[0] for group in name.split("=") if group]
    else:
        assert found == ["^^^^^^U"]


awkward = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)


@steady
@given(awkward)
def test_escaping_is_undone(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not set("|^~&\r\n\x0b\x1c") & set(escaped)


short = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@steady
@given(awkward, awkward, awkward, awkward, short)
def test_every_message_is_valid(name: str, account: str, physician: str, diagnosis: str, facility: str) -> None:
    subject = replace(
        SUBJECT,
        patient_name=name,
        account_number=account,
        performing_physician_id=physician,
        diagnoses=(diagnosis,) if diagnosis else (),
        sending_facility=facility,
        birth_date=None,
    )
    message = charge_message([LINE], subject, at=AT)
    found = segments(message)
    assert list(found) == ["MSH", "EVN", "PID", "PV1", "FT1", *(["DG1"] if diagnosis else [])]
    assert unescape(found["FT1"][0][20]) == physician
    reply = acknowledgement(message, "AE", name, at=AT)
    assert parse_message(reply.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()
    answer = parse_acknowledgement(reply)
    assert answer == Acknowledgement("AE", control_id_of(message), name)


@pytest.mark.parametrize(
    ("lines", "changes", "at", "words"),
    [
        ([], {}, AT, "needs a line"),
        ([LINE, LINE], {}, AT, "Accession ACC1: two lines have the same base, code and entity"),
        ([LINE], {"accession": ""}, AT, "accession is empty"),
        ([LINE], {"patient_id": ""}, AT, "patient_id is empty"),
        ([LINE], {"patient_name": "Smith" * 40}, AT, "Accession ACC1: patient_name has more than 199 characters"),
        ([LINE], {"diagnoses": ("S02", "x" * 200)}, AT, "diagnoses has more than 199 characters"),
        (
            [LINE],
            {"sending_facility": "RADIOLOGY|" * 2},
            AT,
            "sending_facility has more than 20 characters once escaped",
        ),
        ([LINE], {"patient_name": "Smith\ud800"}, AT, "not Unicode"),
        ([LINE], {}, AT.replace(tzinfo=None), "no offset from UTC"),
    ],
)
def test_what_is_no_charge_is_not_built(lines: list[Line], changes: dict[str, Any], at: datetime, words: str) -> None:
    with pytest.raises(Hl7Error, match=words) as caught:
        charge_message(lines, replace(SUBJECT, **changes), at=at)
    assert "Adams" not in str(caught.value)
    assert "Smith" not in str(caught.value)


def test_local_time_keeps_its_offset() -> None:
    local = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=timezone(-timedelta(hours=5, minutes=30)))
    assert segments(charge_message([LINE], SUBJECT, at=local))["EVN"][0][2] == "20260302010203-0530"


def test_an_acknowledgement_goes_back_to_the_sender() -> None:
    message = charge_message([LINE], SUBJECT, at=AT)
    answer = acknowledgement(message, "AA", "got it | all", at=AT)
    header = segments(answer)["MSH"][0]
    assert header[3:7] == ["BILLING", "HOSPITAL", "WORKSTATION", "RADIOLOGY"]
    assert header[9] == "ACK^P03^ACK"
    assert parse_acknowledgement(answer) == Acknowledgement("AA", control_id_of(message), "got it | all")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|AA|C1\r", Acknowledgement("AA", "C1", "")),
        (b"MSH|^~\\&|||||||ACK|1|P|2.3\nMSA|CR|C1|no\n", Acknowledgement("CR", "C1", "no")),
        (b"\r\nMSH|^~\\&|\r\nMSA|AE|C1\r\nERR|||207|E||||full", Acknowledgement("AE", "C1", "full")),
        (b"MSH#*~!&#\rMSA#AA#C1#a!S!b", Acknowledgement("AA", "C1", "a^b")),
        (b"MSH|^~\\&|\rMSA|AA|C1|gr\xfc\xdfe", Acknowledgement("AA", "C1", "gr��e")),
        (b"MSH|^~\\&|\rMSA|AA|C1|a\\X0D0A\\b\\.br\\c\\XC3BC\\", Acknowledgement("AA", "C1", "a\r\nb\ncü")),
    ],
)
def test_acknowledgements_of_all_kinds_are_read(message: bytes, expected: Acknowledgement) -> None:
    assert parse_acknowledgement(message) == expected


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "no MSH segment"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "begins with 'HTT'"),
        (b"MSH", "no MSH segment"),
        (b"MSHabcdefgh\rMSA", "for a field separator"),
        (b"\xff\xfe\x00", "no MSH segment"),
        (b"MSH|^~\\&|||||||ADT^A01|1|P|2.3\rPID|1|Smith", "no MSA segment, only MSH, PID"),
        (b"MSH|^~\\&|\rMSA|OK|C1", "'OK' in MSA-1"),
        (b"MSH|^~\\&|\rMSA|AA|", "no control id in MSA-2"),
        (b"MSH|^~\\&|\rMSA", "'' in MSA-1"),
    ],
)
def test_what_is_no_acknowledgement_is_refused(message: bytes, words: str) -> None:
    with pytest.raises(Hl7Error, match=words) as caught:
        parse_acknowledgement(message)
    assert "Smith" not in str(caught.value)


@steady
@given(st.binary(max_size=60))
def test_garbage_is_an_hl7_error(message: bytes) -> None:
    for content in (message, b"MSH|^~\\&|" + message):
        with pytest.raises(Hl7Error):
            parse_acknowledgement(content)


def test_a_message_without_a_control_id_is_refused() -> None:
    with pytest.raises(Hl7Error, match="no control id in MSH-10"):
        control_id_of(b"MSH|^~\\&|a")
