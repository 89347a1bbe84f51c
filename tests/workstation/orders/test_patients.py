"""Two hospitals' patient 123 are two people: identifiers compare with their authority, over all repetitions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.objects.inherit import issuer_of_patient_id
from dicom_io.sr.evidence_sr import read_sr
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import READING, Ris, Study, config, objects
from workstation.config import load_config
from workstation.hl7.reader import Segment
from workstation.orders.patients import (
    PatientIdentifier,
    authority_of,
    identifier_of_object,
    identifiers_in,
    survivor_of,
)

FAILING = Path(__file__).with_name("failing")
SAMPLE, STUDY = Study("DEMO-0001", "SAMPLE-CRANIUM"), Study("ACC1")
OURS = replace(READING, assigning_authority="HOSP")


def read(name: str) -> bytes:
    return (FAILING / name).read_bytes()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    """Reads as the site of the failing inputs does, which names no authority of its own."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_bytes(read("config.toml"))
    with desk(tmp_path / "root", load_config(tmp_path / "root")) as here:
        here.sr(SAMPLE)
        yield here


def strangers(here: Desk, accession: str = "DEMO-0001") -> Any:
    return here.case(accession).content["strangers"]


class TestFailingInputs:
    def test_a_merge_of_another_hospital_touches_nobody_here(self, site: Desk) -> None:
        site.hear(read("order_ok.hl7"), read("report_ok.hl7"))
        before = site.case("DEMO-0001").content
        assert site.hear(read("merge_issuer.hl7")) == ["AA"]
        assert site.case("DEMO-0001").content == before
        assert strangers(site) == []

    def test_ours_may_be_the_second_number(self, site: Desk) -> None:
        site.hear(read("pid3_two_mr.hl7"), read("report_ok.hl7"))
        assert strangers(site) == []
        assert "ORDER_MISSING" not in site.case("DEMO-0001").content["reasons"]

    @pytest.mark.parametrize("old", ["OLD1", "OLD2"])
    def test_every_prior_number_becomes_the_survivor(self, site: Desk, old: str) -> None:
        order = read("order_ok.hl7").replace(b"SAMPLE-CRANIUM^^^HOSP", f"{old}^^^HOSP".encode())
        assert site.hear(order) == ["AA"]
        assert len(strangers(site)) == 1
        site.hear(read("mrg1_second.hl7"))
        assert strangers(site) == []


def of(body: bytes, patient: str, prior: str = "") -> bytes:
    return body.replace(b"P1^^^^MR", patient.encode()).replace(b"MRG|P8^^^^MR", f"MRG|{prior}".encode())


@pytest.mark.parametrize("authority", ["HOSP", ""])
class TestAuthorities:
    def ours(self, tmp_path: Path, authority: str) -> Any:
        return desk(tmp_path / "root", config(reading=replace(READING, assigning_authority=authority)))

    def test_a_report_of_the_same_number_elsewhere_is_of_another_patient(self, tmp_path: Path, authority: str) -> None:
        with self.ours(tmp_path, authority) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(of(ris.order(), "P1^^^HOSP^MR"), of(ris.report(), "P1^^^OTHER^MR"))
            assert here.state[0] == "held" and "PATIENT_MISMATCH" in str(here.state[1])
            here.hear(of(ris.report(), "P1^^^HOSP^MR"))
            assert ("PATIENT_MISMATCH" in str(here.state[1])) is not bool(authority)

    def test_a_number_without_authority_is_the_sites(self, tmp_path: Path, authority: str) -> None:
        with self.ours(tmp_path, authority) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(of(ris.order(), "P1^^^HOSP^MR"), ris.report())
            assert here.state[0] == "charged"

    def test_a_merge_follows_its_authority(self, tmp_path: Path, authority: str) -> None:
        with self.ours(tmp_path, authority) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(of(ris.order(), "P1^^^HOSP^MR"), of(ris.report(), "P1^^^HOSP^MR"))
            for kind in ("A40", "A18", "A34"):
                merge = ris.merge("P9", "P8").replace(b"ADT^A40", f"ADT^{kind}".encode())
                assert here.hear(of(merge, "", "P1^^^OTHER^MR").replace(b"P9^^^^MR", b"P9^^^OTHER^MR")) == ["AA"]
            assert here.state[0] == "charged"
            # PID-3 of the survivor has a number of each hospital; the prior one of ours becomes ours.
            merge = ris.merge("P9", "P8").replace(b"P9^^^^MR", b"Q9^^^OTHER^MR~P9^^^HOSP^MR")
            here.hear(of(merge, "", "P1^^^HOSP^MR"))
            assert here.state[0] == "correction"
            assert {each[3] for each in here.sent()} >= {"P1"}


class TestNames:
    def test_an_alias_is_the_same_authority(self) -> None:
        reading = replace(OURS, authority_aliases={"1.2.3": "HOSP", "GENERAL": "HOSP"})
        assert authority_of("", "1.2.3", reading) == authority_of("GENERAL", "", reading) == "HOSP"
        assert authority_of("OTHER", "1.2.3", reading) == "HOSP"
        assert authority_of("OTHER", "9.9", reading) == "OTHER"
        assert authority_of("", "", reading) == "HOSP"

    def test_of_a_dicom_object(self) -> None:
        ds = Dataset()
        ds.PatientID = "P1"
        assert identifier_of_object(ds, OURS) == PatientIdentifier("P1", "HOSP")
        qualifiers = Dataset()
        qualifiers.UniversalEntityID, qualifiers.UniversalEntityIDType = "1.2.9", "ISO"
        ds.IssuerOfPatientIDQualifiersSequence = Sequence([qualifiers])
        assert issuer_of_patient_id(ds) == "1.2.9"
        ds.IssuerOfPatientID = "OTHER"
        assert identifier_of_object(ds, OURS) == PatientIdentifier("P1", "OTHER")

    def test_the_issuer_is_read_from_the_record(self) -> None:
        sr = objects(STUDY)[1]
        assert read_sr(sr).patient_id_issuer == ""
        sr.IssuerOfPatientID = "OTHER"
        assert read_sr(sr).patient_id_issuer == "OTHER"

    def test_numbers_compare_alone_only_where_an_authority_is_not_known(self) -> None:
        one, other, any_ = PatientIdentifier("1", "A"), PatientIdentifier("1", "B"), PatientIdentifier("1")
        assert one.same(one) and one.same(any_) and any_.same(other)
        assert not one.same(other) and not one.same(PatientIdentifier("2", "A"))
        assert (one.text, any_.text) == ("1^^^A", "1")


class TestFields:
    def found(self, field: str) -> list[str]:
        return [each.text for each in identifiers_in(Segment(("PID", "1", "", field)), 3, OURS)]

    def test_every_repetition_that_is_of_a_person_medical_record_numbers_first(self) -> None:
        field = "1^^^A^PI~2^^^A&1.2&ISO^MR~3^^^A^AN~4^^^&1.2&ISO~^^^A^MR~5^^^^MRT~6^^^^PT~7^^^^PN~8^^^^U~1^^^A^PI"
        assert self.found(field) == ["2^^^A", "1^^^A", "4^^^1.2", "5^^^HOSP", "6^^^HOSP", "7^^^HOSP", "8^^^HOSP"]

    def test_a_message_with_other_numbers_alone_is_taken_by_those(self) -> None:
        assert self.found("3^^^A^AN~4^^^B^SS") == ["3^^^A", "4^^^B"]

    def test_no_number(self) -> None:
        assert self.found("") == self.found("^^^A^MR") == []
        assert identifiers_in(None, 3, OURS) == ()

    def test_a_prior_number_becomes_that_of_its_authority(self) -> None:
        prior, ours, other = PatientIdentifier("1", "A"), PatientIdentifier("2", "A"), PatientIdentifier("3", "B")
        assert survivor_of(prior, (other, ours)) == ours
        assert survivor_of(PatientIdentifier("1", "C"), (other, ours)) == other
        assert survivor_of(prior, ()) is None
