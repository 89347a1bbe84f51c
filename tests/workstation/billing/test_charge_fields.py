"""What each field of a charge says and where it comes from: times, visit, physicians, insurance, the site's codes."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.chargeitem import ChargeItem as ChargeItemR5
from fhir.resources.R4B.chargeitem import ChargeItem as ChargeItemR4B
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dicom_io.evidence import Person
from tests.workstation.charge.strategies import steady
from tests.workstation.desk import Desk, desk
from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT, segments
from tests.workstation.orders.ris import Ris, Study, config
from workstation.billing.charged_line import Billed, read_billed
from workstation.billing.dft import SiteCodes, charge_message
from workstation.billing.fhir import charge_item
from workstation.charge import Line
from workstation.destinations import FhirDestination, FhirForm, FolderDestination
from workstation.hl7.acknowledgement import control_id_of
from workstation.hl7.names import Physician, npi_xcn_of, xcn_of
from workstation.hl7.reader import read_time
from workstation.hl7.syntax import Form, Version

STUDY = Study("ACC1")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VERSIONS: tuple[Version, ...] = ("2.3", "2.3.1", "2.5.1")
NPI = "1234567893"
BY_NPI = "NPI&2.16.840.1.113883.4.6&ISO"
NURSING = "PV1|1|I|3W^301^A^HOSP&1.2.3&ISO^^N||||DR7^Atten^Ding^^^Dr^^^HIS||||||||||||V1"
# A charge that version 0.1.0 billed, as it lies in an outbox.
BEFORE = (
    '{"line": {"base": "70486", "code": "76377", "entity": "professional", "modifiers": ["26"], "units": 1}, '
    '"occurrence": 1, "subject": {"accession": "ACC1", "account_number": "A77", "attending_physician_id": "DR3", '
    '"birth_date": "1970-01-31", "date_of_service": "2026-03-02", "department": "RAD", "diagnoses": ["S02.2XXA"], '
    '"location": "CT1", "ordering_physician_id": "DR2", "patient_class": "O", "patient_id": "PAT1", '
    '"patient_id_issuer": "", "patient_name": "Adams^John", "performing_physician_id": "DR1", '
    '"place_of_service": "22", "receiving_application": "", "receiving_facility": "", '
    '"sending_application": "WORKSTATION", '
    '"sending_facility": "RADIOLOGY", "sex": "M", "study_instance_uid": "1.2.3.4", "visit_number": "V9"}}'
)


def sent(here: Desk) -> list[dict[str, list[list[str]]]]:
    """The HL7 messages of the outbox, oldest first."""
    return [segments(entry.message.body) for entry in here.site.outbox.list() if entry.message.body is not None]


def order(body: bytes, pv1: str = NURSING, orc12: str = "") -> bytes:
    """An order with another PV1, and another ORC-12."""
    lines = [pv1 if line.startswith("PV1|") else line for line in body.decode().split("\r")]
    if orc12:
        lines = [line.removesuffix("DR9") + orc12 if line.startswith("ORC|") else line for line in lines]
    return "\r".join(lines).encode()


class TestTimes:
    def test_a_message_says_when_it_was_made_and_posted(self) -> None:
        late = AT + timedelta(days=30)
        found = segments(charge_message([LINE], SUBJECT, at=late))
        assert found["MSH"][0][7] == found["EVN"][0][2] == "20260401101500+0000"
        assert (found["FT1"][0][4], found["FT1"][0][5]) == ("20260302", "20260401")

    def test_the_day_of_posting_is_not_in_the_control_id(self) -> None:
        early, late = (charge_message([LINE], SUBJECT, at=AT + timedelta(days=days)) for days in (0, 30))
        assert control_id_of(early) == control_id_of(late)

    def test_a_replacement_is_never_older_than_its_credit(self, tmp_path: Path) -> None:
        with desk(tmp_path, corrections="automatic") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            here.hear(ris.order(diagnoses=("S02.1XXA",)))
            messages = sent(here)
        assert [message["FT1"][0][6] for message in messages] == ["CG", "CR", "CG"]
        times = [read_time(message["MSH"][0][7], UTC) for message in messages]
        assert all(times)
        assert times == sorted(times)  # type: ignore[type-var]
        assert {message["FT1"][0][4] for message in messages} == {"20260302"}


class TestVisit:
    def test_it_is_the_orders(self, tmp_path: Path) -> None:
        with desk(tmp_path, location="3DLAB", location_type="D", place_of_service="22") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(order(ris.order()), ris.report())
            (message,) = sent(here)
        visit = message["PV1"][0]
        assert (visit[2], visit[3], visit[19]) == ("I", "3W^301^A^HOSP&1.2.3&ISO^^N", "V1")
        assert visit[7] == "DR7^Atten^Ding^^^Dr^^^HIS^L"
        assert message["FT1"][0][16] == "3DLAB^^^^^D^^^22"

    def test_what_no_order_states_is_not_made_up(self, tmp_path: Path) -> None:
        with desk(tmp_path, location="3DLAB", place_of_service="22") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            (message,) = sent(here)
        assert (message["PV1"][0][2], message["PV1"][0][3], message["PV1"][0][7]) == ("O", "3DLAB", "")

    def test_what_is_too_long_holds_nothing_up(self, tmp_path: Path) -> None:
        pv1 = f"PV1|1|{'I' * 21}|{'x' * 21}||||DR7^{'x' * 200}||||||||||||V1"
        with desk(tmp_path, location="3DLAB") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(order(ris.order(), pv1, f"DR9^{'x' * 200}~12345^^^^^^^^^^^^NPI"), ris.report())
            (message,) = sent(here)
        assert [message["PV1"][0][n] for n in (2, 3, 7)] == ["O", "3DLAB", "DR7"]
        assert message["FT1"][0][21] == "DR9"

    def test_another_visit_is_not_where_the_last_one_was(self, tmp_path: Path) -> None:
        with desk(tmp_path) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(order(ris.order()), order(ris.order(), "PV1|1|E|||||||||||||||||V2"), ris.report())
            (message,) = sent(here)
        visit = message["PV1"][0]
        assert (visit[2], visit[3], visit[7], visit[19]) == ("E", "", "", "V2")

    @pytest.mark.parametrize(
        ("field", "written"),
        [("FT1-16.9", "CT1^^^^^D^^^22"), ("FT1-16.6", "CT1^^^^^22"), ("none", "CT1^^^^^D")],
    )
    def test_place_of_service_stands_apart(self, field: Any, written: str) -> None:
        subject = replace(SUBJECT, location="CT1", location_type="D", place_of_service="22")
        found = segments(charge_message([LINE], subject, at=AT, form=Form(place_of_service_field=field)))
        assert found["FT1"][0][16] == written
        assert found["PV1"][0][3] == "CT1"

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        "location", ["3W^301^A^HOSP&1.2.3&ISO^^N", "a|b^c~d^\\", "x" * 21 + "^301", "a^b^c^d^e^f^g^h^i^j"]
    )
    def test_any_location_is_valid(self, version: Version, location: str) -> None:
        subject = replace(SUBJECT, visit_location=location, location="CT1")
        written = segments(charge_message([LINE], subject, at=AT, form=Form(version)))["PV1"][0][3]
        assert written == {"x": "CT1", "3": location}.get(location[0], written)
        assert len(written.split("^")) <= 9


class TestPhysicians:
    def test_name_authority_and_npi(self) -> None:
        known = Physician("DR1", "Sample^Ray^Q^Dr^Jr", "HIS&1.2&ISO", NPI)
        assert xcn_of(known) == "DR1^Sample^Ray^Q^Jr^Dr^^^HIS&1.2&ISO^L"
        assert npi_xcn_of(known) == f"{NPI}^Sample^Ray^Q^Jr^Dr^^^{BY_NPI}^L^^^NPI"
        assert xcn_of(Physician("DR1"), "RAD") == "DR1^^^^^^^^RAD"
        assert xcn_of(Physician("D|1")) == "D\\F\\1"
        assert xcn_of(Physician("DR1"), "x" * 21) == "DR1"
        assert xcn_of(Physician("", "Sample")) == npi_xcn_of(Physician("DR1")) == ""

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("which", ["local", "npi", "both"])
    def test_each_receiver_gets_the_identifier_it_wants(self, version: Version, which: Any) -> None:
        subject = replace(
            SUBJECT, performing=Physician("DR1", "Sample^Ray", "", NPI), ordering=Physician("DR2", "Order^Er", "HIS")
        )
        form = Form(version, physician_id=which, physician_id_issuer="RAD")
        charge = segments(charge_message([LINE], subject, at=AT, form=form))["FT1"][0]
        local, npi = "DR1^Sample^Ray^^^^^^RAD^L", f"{NPI}^Sample^Ray^^^^^^{BY_NPI}^L^^^NPI"
        both = local if version == "2.3" else f"{local}~{npi}"
        assert charge[20] == {"local": local, "npi": npi, "both": both}[which]
        assert charge[21] == "DR2^Order^Er^^^^^^HIS^L"
        assert charge[24] == ""

    @steady
    @given(texts, texts, texts, st.sampled_from(VERSIONS))
    def test_any_name_is_valid(self, name: str, identifier: str, authority: str, version: Version) -> None:
        known = Physician(identifier, name, authority, NPI)
        subject = replace(SUBJECT, ordering_physician_id=identifier, ordering=known, performing=known, attending=known)
        body = charge_message([LINE], subject, at=AT, form=Form(version))
        assert body.count(b"\r") == 7

    def test_from_register_and_order(self, tmp_path: Path) -> None:
        with desk(tmp_path) as here:
            here.site.people.add(Person("DR1", "Sample^Radiologist", "physician"), pin="739184", npi=NPI)
            ris = Ris(STUDY)
            here.sr(STUDY)
            ordering = f"DR9^Orders^Olga^^^^^^HIS^L~{NPI}^Orders^Olga^^^^^^NPI^L^^^NPI"
            here.hear(order(ris.order(), orc12=ordering), ris.report())
            (message,) = sent(here)
        charge = message["FT1"][0]
        assert charge[20].split("~")[1] == f"{NPI}^Sample^Radiologist^^^^^^{BY_NPI}^L^^^NPI"
        assert charge[21] == f"DR9^Orders^Olga^^^^^^HIS^L~{NPI}^Orders^Olga^^^^^^{BY_NPI}^L^^^NPI"
        assert message["PV1"][0][8] == "DR9^^^^^^^^HIS"


class TestInsurance:
    @pytest.mark.parametrize(("name", "sent_name"), [("Medicare&1.2^L", "Medicare"), ("M" * 51, "")])
    def test_the_companys_name_is_the_orders(self, tmp_path: Path, name: str, sent_name: str) -> None:
        where = FolderDestination(name="out", takes=("charges",), folder="out", insurance=True)
        with desk(tmp_path, config(where)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order().replace(b"|MCARE||", f"|MCARE|{name}|".encode()), ris.report())
            ((row,),) = (each["IN1"] for each in sent(here))
            assert [*row, *[""] * 5][4] == sent_name

    @pytest.mark.parametrize("version", VERSIONS)
    def test_plan_company_and_authorization(self, version: Version) -> None:
        subject = replace(SUBJECT, payer="MCARE", plan="PLAN", prior_authorization="AUTH-1")
        found = segments(charge_message([LINE], subject, at=AT, form=Form(version, insurance=True)))
        (insurance,) = found["IN1"]
        assert insurance[1:4] == ["1", "PLAN", "MCARE"]
        assert insurance[14] == "AUTH-1"
        assert "IN1" not in segments(charge_message([LINE], subject, at=AT, form=Form(version)))
        assert "IN1" not in segments(charge_message([LINE], SUBJECT, at=AT, form=Form(version, insurance=True)))

    def test_the_authorization_goes_out(self, tmp_path: Path) -> None:
        where = FolderDestination(name="out", takes=("charges",), folder="out", insurance=True)
        with desk(tmp_path, config(where)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(payer="STRICT", authorization="PA42"), ris.report())
            (message,) = sent(here)
        assert message["IN1"][0] == ["IN1", "1", "PLAN", "STRICT", *[""] * 10, "PA42"]


class TestSiteCodes:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_only_where_they_are_wanted(self, version: Version) -> None:
        def code(**wanted: bool) -> tuple[str, str]:
            form = Form(version, **wanted)  # type: ignore[arg-type]
            codes = [SiteCodes("4012345", "0350")]
            charge = segments(charge_message([replace(LINE, modifiers=())], SUBJECT, at=AT, form=form, codes=codes))
            return charge["FT1"][0][7], charge["FT1"][0][25]

        assert code() == ("76377^^C4", "76377^^C4")
        assert code(local_codes=True) == ("4012345^^L", "76377^^C4")
        assert code(revenue_codes=True) == ("76377^^C4^0350^^99NUBC", "76377^^C4")
        assert code(local_codes=True, revenue_codes=True)[0] == "4012345^^L^0350^^99NUBC"

    def test_a_credit_repeats_the_code_that_was_billed(self, tmp_path: Path) -> None:
        where = FolderDestination(name="out", takes=("charges",), folder="out", local_codes=True)
        ris = Ris(STUDY)
        for local in ("4012345", "4099999"):
            codes = {"professional": {"76377": local}}
            with desk(tmp_path, config(where, corrections="automatic", local_codes=codes)) as here:
                if local == "4012345":
                    here.sr(STUDY)
                    here.hear(ris.order(), ris.report())
                else:
                    here.hear(ris.report("X", ()))
                messages = sent(here)
        assert [message["FT1"][0][7] for message in messages] == ["4012345^^L", "4012345^^L"]

    def test_modifiers_of_v23_stand_apart(self) -> None:
        line = replace(LINE, modifiers=("26", "59"))
        charge = segments(charge_message([line], SUBJECT, at=AT, form=Form("2.3")))["FT1"][0]
        assert charge[25] == "76377^^C4^26 59^^C4M"
        assert len(charge) == 26


class TestBefore:
    def test_what_was_billed_before_stays_readable_and_is_repeated(self) -> None:
        billed = read_billed(BEFORE)
        assert billed.key == Billed(LINE, SUBJECT, 1).key
        assert billed.codes == SiteCodes()
        credit = segments(charge_message([billed.line], billed.subject, at=AT, credit=True, codes=[billed.codes]))
        assert (credit["PV1"][0][2], credit["PV1"][0][7]) == ("O", "DR3")
        assert (credit["FT1"][0][20], credit["FT1"][0][21]) == ("DR1", "DR2")

    def test_what_only_travels_along_is_no_correction(self) -> None:
        billed = Billed(LINE, SUBJECT, 1)
        more = replace(
            SUBJECT,
            visit_location="3W",
            patient_class="I",
            performing=Physician("DR1", "A"),
            plan="PLAN",
            prior_authorization="PA42",
            regions=("HEAD",),
        )
        assert Billed(LINE, more, 1, SiteCodes("1")).essence == billed.essence
        assert read_billed(Billed(LINE, more, 1, SiteCodes("1")).to_text()) == Billed(LINE, more, 1, SiteCodes("1"))


class TestFhirDetails:
    @pytest.mark.parametrize(("version", "model"), [("R4B", ChargeItemR4B), ("R5", ChargeItemR5)])
    def test_all_of_them(self, version: Any, model: Any) -> None:
        subject = replace(
            SUBJECT,
            department="RAD",
            regions=("HEAD",),
            performing=Physician("DR1", "Sample^Ray^^Dr.", "", NPI),
        )
        form = FhirForm({"patient": "urn:oid:1.2.3", "visit": "urn:oid:1.2.4"}, True, "extension")
        item = model.model_validate_json(charge_item(Billed(LINE, subject, 1), version, AT, False, form=form)[1])
        assert (item.subject.identifier.system, item.subject.identifier.value) == ("urn:oid:1.2.3", "PAT1")
        assert (item.account[0].identifier.system, item.account[0].identifier.value) == (None, "A77")
        assert (item.context if version == "R4B" else item.encounter).identifier.system == "urn:oid:1.2.4"
        actor = item.performer[0].actor
        assert (actor.identifier.system, actor.identifier.value) == ("http://hl7.org/fhir/sid/us-npi", NPI)
        assert actor.display == "Dr. Ray Sample"
        assert (item.enterer.type, item.enterer.identifier.value) == ("Device", "WORKSTATION")
        assert item.performingOrganization.identifier.value == "RADIOLOGY"
        assert item.costCenter.identifier.value == "RAD"
        assert [each.text for each in item.bodysite] == ["HEAD"]
        assert [coding.code for coding in item.code.coding] == ["76377"]
        assert [each.valueCodeableConcept.coding[0].code for each in item.extension] == ["26"]

    def test_without_the_settings_nothing_of_it(self) -> None:
        item = json.loads(charge_item(Billed(LINE, SUBJECT, 1), "R4B", AT, False)[1])
        assert not {"enterer", "performingOrganization", "costCenter", "bodysite", "extension"} & set(item)

    def test_entered_when_it_is_made_not_when_it_was_done(self, tmp_path: Path) -> None:
        where = FhirDestination(name="fhir", takes=("charges",), folder="fhir", details=True)
        with desk(tmp_path, config(where)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            (entry,) = here.site.outbox.list()
            item = json.loads(entry.message.body or b"")
        assert item["occurrenceDateTime"] == "2026-03-02"
        assert datetime.fromisoformat(item["enteredDate"]) >= datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
        assert item["bodysite"] == [{"text": "HEAD"}]

    def test_a_system_is_a_uri(self) -> None:
        def read(systems: dict[str, str]) -> FhirDestination:
            row = {"name": "f", "takes": ["charges"], "folder": "f", "identifier_systems": systems}
            return TypeAdapter(FhirDestination).validate_json(json.dumps(row))

        assert read({"patient": "urn:oid:1.2"}).form.systems == {"patient": "urn:oid:1.2"}
        for wrong in ({"patient": "hospital"}, {"nobody": "urn:oid:1.2"}):
            with pytest.raises(ValidationError):
                read(wrong)


def test_two_lines_have_their_own_codes() -> None:
    technical = Line("76377", ("TC",), 1, "70486", "technical")
    codes = [SiteCodes("T1", "0350"), SiteCodes()]
    found = segments(charge_message([technical, LINE], SUBJECT, at=AT, form=Form(local_codes=True), codes=codes))
    assert [charge[7] for charge in found["FT1"]] == ["T1^^L", "76377^^C4"]


# The page

PAGE = (Path(__file__).parents[3] / "docs" / "messages.md").read_text(encoding="utf-8")
FIELDS = {
    each for row in re.findall(r"^\| ((?:[A-Z0-9]{3}-\d+(?:, )?)+) \|", PAGE, re.MULTILINE) for each in row.split(", ")
}


def whole(version: Version, *, credit: bool = False) -> bytes:
    """A message with every field that can be filled."""
    physician = Physician("DR1", "Sample^Ray", "HIS", NPI)
    subject = replace(
        SUBJECT,
        department="RAD",
        location="CT1",
        location_type="D",
        place_of_service="22",
        payer="MCARE",
        plan="PLAN",
        payer_name="Medicare",
        prior_authorization="PA42",
        visit_location="3W",
        performing=physician,
    )
    form = Form(version, "UNICODE UTF-8", "enhanced", insurance=True, local_codes=True, revenue_codes=True)
    return charge_message([LINE], subject, at=AT, form=form, credit=credit, codes=[SiteCodes("1", "0350")])


def test_the_page_has_every_field_that_is_sent_and_no_other() -> None:
    sent_fields = {"MSH-1"}
    for version in VERSIONS:
        for name, found in segments(whole(version)).items():
            first = 2 if name == "MSH" else 1
            sent_fields |= {f"{name}-{n}" for row in found for n, value in enumerate(row) if n >= first and value}
    assert sent_fields == FIELDS


def test_the_page_has_every_element_of_a_resource() -> None:
    subject = replace(SUBJECT, department="RAD", regions=("HEAD",))
    for version in ("R4B", "R5"):
        form = FhirForm({}, True, "extension")
        item = json.loads(charge_item(Billed(LINE, subject, 1), version, AT, False, form=form)[1])
        for element in set(item) - {"resourceType", "extension"}:
            assert re.search(rf"`{element}[`.]", PAGE), element
