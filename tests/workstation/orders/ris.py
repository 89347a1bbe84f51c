"""A RIS and a 3D session of our own making: HL7 messages as sites send them, and small SRs with one picture."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.evidence import Act, Attestation, Evidence, ImageReference, Person, Product
from dicom_io.sr.evidence_sr import write_sr
from dicom_io.stamp import Stamp
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, derived
from workstation.charge.facts import SupervisionAct
from workstation.charging import PayerRule
from workstation.config import Config
from workstation.destinations import Destination, FolderDestination
from workstation.listening import HL7Sender, Listener
from workstation.people import account, people_of
from workstation.reading import Reading
from workstation.store.journal import Journal, head_of, recorded_as

DAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PHYSICIAN = Person("DR1", "Sample^Radiologist", "physician")
TECHNOLOGIST = Person("T1", "Sample^Technologist", "technologist")
MACHINE = Person("AUTO", "Unattended", "automatic")

READING = Reading(
    procedure_codes={"CTH": "70450", "3D": "76377"},
    phrases={
        "three_d_findings": (r"3D images show",),
        "workstation_statement": (r"independent workstation",),
        "medical_necessity": (r"3D was necessary",),
        "clinical_utility": (r"3D clarified",),
        "radiologist_rationale": (r"3D added by the radiologist",),
    },
    observations={"3DUTIL": "clinical_utility"},
)
# What a report says when it says everything.
WHOLE = (
    "3D images show the fracture.",
    "Made on an independent workstation.",
    "3D was necessary to plan the approach.",
    "3D clarified the course of the fracture.",
)
# The RIS of the tests may say everything; billing answers on a way of its own.
SENDERS = (HL7Sender("RIS", ("orders", "reports", "merges")), HL7Sender("BILLING", ("acknowledgements",)))
JD = Person("jd", "Doe^Jane", "coder")
DR1 = Person("DR1", "Sample^Radiologist", "physician")
T1 = Person("T1", "Sample^Technologist", "technologist")
CO = Person("co", "Doe^John", "compliance")
PEOPLE = (JD, DR1, T1, CO)


def enrol(root: Path) -> None:
    """They are in the register of a state folder, and act from the account that runs the tests."""
    for person in PEOPLE:
        people_of(root).add(person, logins=[account()])


def config(*destinations: Destination, **more: Any) -> Config:
    """Settings of a site that hears this RIS."""
    return Config(
        **{
            "institution_code": "RAD",
            "device_uid": "2.25.1",
            "destinations": destinations or (FolderDestination(name="out", takes=("charges",), folder="out"),),
            "listener": Listener(0, senders=SENDERS),
            "reading": READING,
            "payers": {"STRICT": PayerRule(prior_authorization_required=True), "MCARE": PayerRule(plan="medicare")},
            **more,
        }
    )


@dataclass(frozen=True, slots=True)
class Study:
    """A study with a 3D session. accession, patient and account are its first ones; a merge may change the latter."""

    accession: str
    patient: str = "P1"
    account: str = "A1"
    visit: str = "V1"
    base: str = "70450"
    modality: str = "CT"
    region: str = "HEAD"
    technique: str = "volume_rendering"
    attended: bool = True
    signed: bool = True
    required: bool | None = True
    session: str = "one"
    signed_after_min: int = 0
    acts: tuple[SupervisionAct, ...] = ("image_selection", "monitoring")

    @property
    def uid(self) -> str:
        """The Study Instance UID."""
        return derived("study", self.accession)


def objects(study: Study) -> list[Dataset]:
    """The picture and the SR of the session, read from the files that the workstation would keep."""
    return [dcmread(BytesIO(file)) for file in _files(study)]


@cache
def _files(study: Study) -> tuple[bytes, ...]:
    """Tests ask for the same few again and again, and writing one takes longer than what most tests do with it."""
    source = _source(study)
    stamp = Stamp(DAY, derived(study.accession, study.session), "WS3D", "2.25.1", ("test 1",))
    picture = _picture(source, stamp)
    image = ImageReference(SECONDARY_CAPTURE, str(picture.SOPInstanceUID), str(picture.SeriesInstanceUID))
    files = []
    for ds in (picture, write_sr(evidence(study, (image,)), source, stamp)):
        dcmwrite(file := BytesIO(), ds, enforce_file_format=True)
        files.append(file.getvalue())
    return tuple(files)


def journalled(study: Study, journal: Journal) -> list[Dataset]:
    """`objects`, as the journal of the device that made them knows them: the session's acts, and its record."""
    picture, sr = objects(study)
    session = derived("session", study.accession, study.session)
    for person, act in _acts(study):
        journal.record(session, person, act.kind, act.at, act.detail)  # type: ignore[arg-type]
    journal.record(session, TECHNOLOGIST, "recorded", DAY, recorded_as(str(sr.SOPInstanceUID), "0" * 64))
    return [picture, sr]


def _acts(study: Study) -> list[tuple[Person, Act]]:
    worked = TECHNOLOGIST if study.attended else MACHINE
    done = [(worked, Act(DAY, worked.id, worked.role, "protocol_run"))]
    if study.attended:
        done += [(PHYSICIAN, Act(DAY, PHYSICIAN.id, PHYSICIAN.role, kind)) for kind in study.acts]
    return done


def evidence(study: Study, images: tuple[ImageReference, ...]) -> Evidence:
    """What the SR of the session says."""
    at = DAY + timedelta(hours=1 if study.signed else 0, minutes=study.signed_after_min)
    product = Product(
        study.technique, study.region, "diagnosis", "", "Bone", "{}", "0" * 64, "1" * 64, "2" * 64, "cpu", "1", "",
        True, images,
    )  # fmt: skip
    acts, session = tuple(act for _, act in _acts(study)), derived("session", study.accession, study.session)
    return Evidence(
        sop_instance_uid="",
        verified_by=PHYSICIAN.name if study.attended and study.signed else "",
        patient_id=study.patient,
        accession=study.accession,
        study_uid=study.uid,
        study_date=f"{DAY:%Y%m%d}",
        modality=study.modality,
        device_uid="2.25.1",
        station_name="WS3D",
        independent=True,
        operator=TECHNOLOGIST if study.attended else MACHINE,
        supervisor=PHYSICIAN if study.attended else None,
        acts=acts,
        attestation=Attestation(PHYSICIAN, at, "I supervised.", True, study.required) if study.attended else None,
        products=(product,),
        sources=images,
        session_uid=session,
        journal_head=head_of(session, acts),
    )


def _source(study: Study) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = f"Of^{study.patient}", study.patient
    ds.PatientBirthDate, ds.PatientSex = "19700131", "F"
    ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime = study.uid, f"{DAY:%Y%m%d}", "080000"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = study.accession, "1", ""
    ds.Modality = study.modality
    return ds


def _picture(source: Dataset, stamp: Stamp) -> Dataset:
    ds = Dataset()
    ds.update(source)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = stamp.uid("picture")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = stamp.uid("series"), 1, 1
    ds.ConversionType, ds.ImageType = "WSD", ["DERIVED", "SECONDARY", "VOLREN"]
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(16)
    return ds


@dataclass(slots=True)
class Ris:
    """Writes messages; every one is a minute later than the one before, with a control id of its own.

    order : the number of the order at the filler, which stays when the order changes.
    """

    study: Study
    minute: int = 0
    sent: list[bytes] = field(default_factory=list)

    def order(
        self,
        code: str = "",
        status: str = "CM",
        control: str = "SC",
        *,
        three_d: bool = True,
        diagnoses: tuple[str, ...] = ("S02.0XXA",),
        payer: str = "MCARE",
        authorization: str = "",
        kind: str = "ORM^O01",
        patient: str = "",
        accession: str = "",
        priority: str = "R",
    ) -> bytes:
        """An order for the base, and one for 3D."""
        study = self.study
        accession = accession or study.accession
        codes = [(code or study.base, f"F-{accession}"), *([("3D", f"F3-{accession}")] if three_d else [])]
        lines = [
            self._pid(patient or study.patient),
            f"PV1|1|O|||||||||||||||||{study.visit}",
            f"IN1|1|PLAN|{payer}|||||||||||{authorization}",
        ]
        for number, (each, filler) in enumerate(codes, 1):
            lines.append(f"ORC|{control}|PL{number}|{filler}||{status}|||||||DR9")
            lines.append(
                f"OBR|{number}|PL{number}|{filler}|{each}^words^L||||||||||||||{accession}|||||||||^^^^^{priority}"
            )
        lines += [f"DG1|{number}||{code}^^I10|||F" for number, code in enumerate(diagnoses, 1)]
        lines.append(f"ZDS|{study.uid}^^Application^DICOM")
        return self._message(kind, *lines)

    def report(
        self, status: str = "F", text: tuple[str, ...] = WHOLE, *, patient: str = "", observations: tuple[str, ...] = ()
    ) -> bytes:
        """An ORU^R01 with the report's text, a paragraph an OBX."""
        lines = [self._pid(patient or self.study.patient)]
        accession = self.study.accession
        lines.append(f"OBR|1|PL1|F-{accession}|{self.study.base}||||||||||||||{accession}|||||||{status}")
        lines += [f"OBX|{n}|TX|REPORT||{paragraph}||||||{status}" for n, paragraph in enumerate(text, 1)]
        lines += [f"OBX|{n}|ID|{code}||Y||||||{status}" for n, code in enumerate(observations, len(text) + 1)]
        return self._message("ORU^R01", *lines)

    def document(self, kind: str = "MDM^T02", completion: str = "LA", text: tuple[str, ...] = WHOLE) -> bytes:
        """The report as a document."""
        lines = [self._pid(self.study.patient), "PV1|1|O"]
        lines.append(f"TXA|1|DI|TX|||||||||D1||PL1|{self.study.accession}||{completion}||AV")
        lines += [f"OBX|{n}|TX|REPORT||{paragraph}||||||F" for n, paragraph in enumerate(text, 1)]
        return self._message(kind, *lines)

    def merge(self, survivor: str, prior: str = "", account: str = "", prior_account: str = "") -> bytes:
        """An ADT^A40."""
        prior = prior or self.study.patient
        return self._message("ADT^A40", self._pid(survivor, account=account), f"MRG|{prior}^^^^MR||{prior_account}")

    def account(self, account: str) -> bytes:
        """An ADT^A08 with another account for the visit."""
        return self._message(
            "ADT^A08", self._pid(self.study.patient, account=account), f"PV1|1|O|||||||||||||||||{self.study.visit}"
        )

    def _pid(self, patient: str, account: str | None = None) -> str:
        account = self.study.account if account is None else account
        return f"PID|1||{patient}^^^^MR||Of^{patient}||19700131|F||||||||||{account}"

    def _message(self, kind: str, *lines: str) -> bytes:
        self.minute += 1
        at = DAY + timedelta(hours=2, minutes=self.minute)
        control = f"R{self.study.accession}-{self.minute}"
        header = f"MSH|^~\\&|RIS|HOSPITAL|WORKSTATION|RAD|{at:%Y%m%d%H%M%S}+0000||{kind}|{control}|P|2.5.1"
        event = f"EVN|{kind.partition('^')[2]}|{at:%Y%m%d%H%M%S}"
        body = "".join(f"{line}\r" for line in (header, event, *lines)).encode()
        self.sent.append(body)
        return body
