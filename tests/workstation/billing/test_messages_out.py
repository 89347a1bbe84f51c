"""What leaves in other forms: older HL7 versions and character sets, FHIR, day sheets; and credits in each."""

import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.chargeitem import ChargeItem as ChargeItemR5
from fhir.resources.R4B.chargeitem import ChargeItem as ChargeItemR4B
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from dicom_io.archive import Archive
from dicom_io.network.receive import Receiver
from tests.workstation.charge.strategies import steady
from tests.workstation.desk import desk
from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT, segments
from tests.workstation.orders.ris import Ris, Study, config
from tests.workstation.transports.ways import to_fhir, to_sheet
from workstation.billing import day_sheet, fhir
from workstation.billing.charged_line import Billed, read_billed
from workstation.billing.dft import charge_key, charge_message
from workstation.billing.fhir import FhirError, charge_item
from workstation.charge import Line
from workstation.destinations import (
    DicomDestination,
    FhirDestination,
    FolderDestination,
    MllpDestination,
    SheetDestination,
)
from workstation.hl7.acknowledgement import control_id_of
from workstation.hl7.mllp import MllpReceiver
from workstation.hl7.syntax import Form
from workstation.store.messages import Message
from workstation.transports import fhir_server
from workstation.transports.deliver import reach_destinations

STUDY = Study("ACC1")
BILLED = Billed(LINE, SUBJECT, 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class TestVersions:
    @pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.5.1"])
    @pytest.mark.parametrize("credit", [False, True])
    def test_each_is_strictly_valid_and_says_the_same(self, version: Any, credit: bool) -> None:
        subject = replace(SUBJECT, department="RAD", location="CT1", place_of_service="22")
        body = charge_message([LINE], subject, at=AT, form=Form(version, credit_code="CO"), credit=credit)
        parse_message(body.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()
        found = segments(body)
        charge = found["FT1"][0]
        assert charge[2] == charge_key(LINE, subject)
        assert len(charge[2]) <= 12
        assert charge[6] == ("CO" if credit else "CG")
        assert (charge[4], charge[7], charge[10], charge[13], charge[16]) == (
            "20260302", "76377^^C4", "1", "RAD", "CT1^^^^^^^^22",
        )  # fmt: skip
        assert (charge[20], charge[21], charge[23]) == ("DR1", "DR2", "ACC1")
        assert found["PV1"][0][3] == "CT1"
        if version == "2.3":
            assert charge[25] == "76377^^C4^26^^C4M"
            assert len(charge) == 26
        else:
            assert (charge[25], charge[26]) == ("76377^^C4", "26")
        assert [dg1[3] for dg1 in found["DG1"]] == ["S02.2XXA^^I10", "S03^^I10"]

    def test_a_credit_is_another_message_about_the_same_charge(self) -> None:
        charge = charge_message([LINE], SUBJECT, at=AT)
        credit = charge_message([LINE], SUBJECT, at=AT, credit=True)
        assert control_id_of(charge) != control_id_of(credit)
        assert segments(charge)["FT1"][0][2] == segments(credit)["FT1"][0][2]

    @pytest.mark.parametrize(
        ("character_set", "name", "named"),
        [
            ("8859/1", "Müller^Zoë", "8859/1"),
            ("8859/1", "Łukasz^Ж", "8859/1"),
            ("ASCII", "Müller^Zoë", "ASCII"),
            ("UNICODE UTF-8", "山田^太郎", "UNICODE"),
        ],
    )
    def test_character_sets(self, character_set: Any, name: str, named: str) -> None:
        form = Form("2.3.1", character_set)
        body = charge_message([LINE], replace(SUBJECT, patient_name=name), at=AT, form=form)
        encoding = {"8859/1": "latin-1", "ASCII": "ascii", "UNICODE UTF-8": "utf-8"}[character_set]
        text = body.decode(encoding)
        assert text.split("\r")[0].split("|")[17] == named
        written = text.split("PID|")[1].split("|")[4]
        ascii_only = {"Müller^Zoë": "Muller^Zoe"} if named == "ASCII" else {}
        assert written.startswith({"Łukasz^Ж": "?ukasz^?", **ascii_only}.get(name, name))

    @steady
    @given(
        texts, texts, st.sampled_from(["2.3", "2.3.1", "2.5.1"]), st.sampled_from(["UNICODE UTF-8", "8859/1", "ASCII"])
    )
    def test_any_name_is_valid_in_any_form(self, family: str, account: str, version: Any, character_set: Any) -> None:
        subject = replace(SUBJECT, patient_name=family.replace("=", ""), account_number=account[:12])
        body = charge_message([LINE], subject, at=AT, form=Form(version, character_set))
        assert body.count(b"\rFT1|") == 1
        assert body.count(b"\r") == 7


class TestFhir:
    @pytest.mark.parametrize(("version", "model"), [("R4B", ChargeItemR4B), ("R5", ChargeItemR5)])
    def test_a_charge_and_its_credit(self, version: Any, model: Any) -> None:
        name, body = charge_item(BILLED, version, AT, credit=False)
        assert name == f"ChargeItem-{BILLED.key.lower()}-charge.json"
        item = model.model_validate_json(body)
        assert (item.status, item.id, item.quantity.value) == ("billable", BILLED.key.lower(), 1)
        assert [coding.code for coding in item.code.coding] == ["76377", "26"]
        assert item.subject.identifier.value == "PAT1"
        assert [reason.coding[0].code for reason in item.reason] == ["S02.2XXA", "S03"]
        credited = model.model_validate_json(charge_item(BILLED, version, AT, credit=True)[1])
        assert (credited.status, credited.id) == ("entered-in-error", item.id)

    @pytest.mark.parametrize("version", ["R4B", "R5"])
    def test_empty_fields_are_left_out(self, version: Any) -> None:
        bare = replace(SUBJECT, account_number="", visit_number="", performing_physician_id="", diagnoses=())
        item = json.loads(charge_item(Billed(LINE, bare, 1), version, AT, credit=False)[1])
        assert not {"account", "context", "encounter", "performer", "reason"} & set(item)

    def test_what_is_not_valid_does_not_leave_and_names_nobody(self) -> None:
        with pytest.raises(FhirError, match="not valid FHIR R4B") as refused:
            charge_item(Billed(LINE, replace(SUBJECT, patient_id=""), 1), "R4B", AT, credit=False)
        assert "PAT1" not in str(refused.value)

    def test_without_the_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> Any:
            raise ImportError(name)

        monkeypatch.setattr(fhir, "import_module", missing)
        with pytest.raises(FhirError, match=r"install workstation\[fhir\]"):
            charge_item(BILLED, "R5", AT, credit=False)

    def test_into_a_folder(self, tmp_path: Path) -> None:
        where = FhirDestination(name="fhir", takes=("charges",), folder="fhir", fhir_version="R5")
        with desk(tmp_path, config(where, site="office", entity="split", corrections="automatic")) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            here.hear(ris.report("X", ()))
            for _ in range(4):
                here.deliver()
            assert [state for _, state in here.charges()] == ["credited", "credited"]
        names = sorted(file.name.rsplit("-", 1)[1] for file in (tmp_path / "fhir").iterdir())
        assert names == ["charge.json", "charge.json", "credit.json", "credit.json"]


@contextmanager
def fhir_store(statuses: list[int]) -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """A server that answers with these statuses in turn, then with 200. What was PUT: path, authorisation, resource."""
    put: list[tuple[str, str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            put.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            assert self.path == "/fhir/metadata"
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/fhir", put
        server.shutdown()
        thread.join()


class TestFhirServer:
    def test_put_until_it_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("abc\n", encoding="ascii")
        with fhir_store([503, 201]) as (url, put):
            where = FhirDestination(name="fhir", takes=("charges",), url=url, token_file="token")
            with desk(tmp_path, config(where)) as here:
                ris = Ris(STUDY)
                here.sr(STUDY)
                here.hear(ris.order(), ris.report())
                states = []
                for _ in range(2):
                    here.deliver()
                    (entry,) = here.site.outbox.list()
                    states.append((entry.state, entry.last_detail))
                key = here.site.outbox.charges()[0].charge.key
        assert states == [("retrying", "HTTP 503 Service Unavailable"), ("acknowledged", "HTTP 201 Created")]
        assert put[0] == put[1]
        assert put[0][:2] == (f"/fhir/ChargeItem/{key.lower()}", "Bearer abc")

    @pytest.mark.parametrize(
        ("status", "outcome"), [(200, "acknowledged"), (422, "rejected"), (401, "rejected"), (500, "refused")]
    )
    def test_what_the_server_says(self, status: int, outcome: str) -> None:
        name, body = charge_item(BILLED, "R4B", AT, credit=False)
        with fhir_store([status]) as (url, _):
            delivery = to_fhir(Message("f", "resource", name, "ACC1", body=body), url)
        assert delivery.outcome == outcome

    def test_nobody_there(self) -> None:
        name, body = charge_item(BILLED, "R4B", AT, credit=False)
        with fhir_store([]) as (url, _):
            pass
        with pytest.raises(fhir_server.FhirServerError, match="check that the server is running"):
            to_fhir(Message("f", "resource", name, "ACC1", body=body), url)


class TestReach:
    def test_every_kind_of_destination(self, tmp_path: Path) -> None:
        with (
            fhir_store([]) as (url, put),
            MllpReceiver(lambda message: b"") as billing,
            Receiver(Archive(tmp_path / "pacs"), ae_title="PACS") as pacs,
        ):
            there = (
                DicomDestination(name="pacs", takes=("images",), port=pacs.port, ae_title="PACS"),
                MllpDestination(name="billing", takes=("charges",), port=billing.port),
                FhirDestination(name="fhir", takes=("charges",), url=url),
                SheetDestination(name="sheet", takes=("charges",), folder="sheets"),
                FolderDestination(name="gone", takes=("charges",), folder=str(tmp_path / "not mounted")),
            )
            with desk(tmp_path / "root", config(*there)) as here:
                states = {row["destination"]: row["state"] for row in reach_destinations(here.site)}
            assert states == {
                "pacs": "reached",
                "billing": "reached",
                "fhir": "reached",
                "sheet": "reached",
                "gone": "not reached",
            }
            assert put == []
            assert billing.messages == []
        with desk(tmp_path / "root", config(*there[:3])) as here:
            found = reach_destinations(here.site)
        assert {row["state"] for row in found} == {"not reached"}
        assert all("check" in row["answer"] or row["kind"] == "dicom" for row in found)


class TestDaySheet:
    def test_rows_are_added_once(self, tmp_path: Path) -> None:
        technical = Billed(Line("76377", ("TC",), 1, "70486", "technical"), SUBJECT, 1)
        messages = []
        for each, credit in ((BILLED, False), (technical, False), (BILLED, True)):
            name, row = day_sheet.row(each, credit)
            messages.append(Message("s", "row", name, "ACC1", body=row))
        for message in (*messages, *messages):
            assert to_sheet(message, tmp_path).outcome == "acknowledged"
        (file,) = tmp_path.iterdir()
        assert file.name == "charges-20260302.csv"
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
        assert [(row["action"], row["modifiers"], row["key"]) for row in rows] == [
            ("charge", "26", BILLED.key),
            ("charge", "TC", technical.key),
            ("credit", "26", BILLED.key),
        ]
        assert rows[0]["diagnoses"] == "S02.2XXA S03"

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        name, row = day_sheet.row(BILLED, credit=False)
        with pytest.raises(OSError, match="the row was not written"):
            to_sheet(Message("s", "row", name, "ACC1", body=row), tmp_path / "none")

    def test_nothing_is_a_formula(self) -> None:
        evil = replace(SUBJECT, account_number='=HYPERLINK("x")', visit_number="@SUM(A1)", accession="+1")
        (row,) = csv.reader(io.StringIO(day_sheet.row(Billed(LINE, evil, 1), credit=False)[1].decode()))
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)

    def test_the_sheet_of_a_day(self, tmp_path: Path) -> None:
        with desk(tmp_path, corrections="automatic") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            here.hear(ris.report("X", ()))
            content, count = day_sheet.sheet(here.site.outbox.charges(), date(2026, 3, 2))
            assert (count, content.count(b",charge,"), content.count(b",credit,")) == (2, 1, 1)
            assert day_sheet.sheet(here.site.outbox.charges(), date(2026, 3, 3)) == (day_sheet.header_line(), 0)


@steady
@given(texts, texts, st.integers(1, 99))
def test_what_is_billed_is_kept_word_for_word(name: str, account: str, occurrence: int) -> None:
    billed = Billed(LINE, replace(SUBJECT, patient_name=name, account_number=account), occurrence)
    assert read_billed(billed.to_text()) == billed
    assert read_billed(billed.to_text()).key == billed.key


def test_a_name_is_not_what_is_billed() -> None:
    assert replace(BILLED, subject=replace(SUBJECT, patient_name="Other", birth_date=None)).essence == BILLED.essence
    for change in (
        {"patient_id": "P2"},
        {"account_number": "A2"},
        {"diagnoses": ()},
        {"date_of_service": date(2026, 3, 3)},
    ):
        assert replace(BILLED, subject=replace(SUBJECT, **change)).essence != BILLED.essence
