"""The facts a charge is decided on: one frozen value, read strictly from JSON.

Nothing here has a default. A key that is missing, a key nobody knows and a value outside its list are each an error
that names the key, because a fact filled in by software is a fact nobody attested.

The contract has had two editions. Facts that were written down under the first lack keys of the second: they are read
as such (`read_facts(obj, 1)`), decided by its rules and written back as they were.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, StringConstraints

from workstation.errors import WorkstationError
from workstation.strict import STRICT, IsoDate, StrictError, read_strictly

# Text without control characters and without blanks at either end: "76377 " must not hide a duplicate of "76377".
Text = Annotated[str, StringConstraints(pattern=r"^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$")]

# Source: PS3.3 C.7.3.1.1.1, Modality: the defined terms, then those retired there and still met in archives.
# fmt: off
Modality = Literal[
    "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS", "DOC", "DX",
    "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO",
    "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS",
    "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT",
    "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN",
    "TEXTUREMAP", "TG", "US", "VA", "XA", "XAPROTOCOL", "XC",
    "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS", "OPR", "ST", "VF",
]
# fmt: on
Region = Literal[
    "HEAD",
    "ORBIT",
    "FACE",
    "NECK",
    "CHEST",
    "HEART",
    "BREAST",
    "ABDOMEN",
    "PELVIS",
    "ABDOMEN_PELVIS",
    "CSPINE",
    "TSPINE",
    "LSPINE",
    "UPPER_EXTREMITY",
    "LOWER_EXTREMITY",
    "EXTREMITY",
]
TechniqueName = Literal[
    "volume_rendering",
    "surface_rendering",
    "segmentation_volumetry",
    "endoluminal",
    "mip",
    "minip",
    "average_ip",
    "mpr",
    "curved_mpr",
]
Purpose = Literal["diagnosis", "planning", "needle_mapping"]
BaseStatus = Literal["performed", "scheduled", "cancelled"]
SupervisorRole = Literal["physician", "qualified_professional", "resident", "technologist", "coder"]
OperatorRole = Literal["physician", "qualified_professional", "technologist", "automatic"]
# What a physician does who directs the work, in contrast to mere presence.
SupervisionAct = Literal[
    "region_design",
    "structure_selection",
    "image_selection",
    "view_adjustment",
    "mask_editing",
    "monitoring",
    "approval",
]
Laterality = Literal["L", "R"]
# Editions of the contract: which keys facts have, and which rules decide them.
Contract = Literal[1, 2]
ReportStatus = Literal["final", "preliminary", "none"]
SiteKind = Literal["hospital", "office"]
Entity = Literal["professional", "technical", "global", "facility", "split"]
# What a kind of site may not claim: a hospital's facility bills the technical part itself.
NOT_FOR_SITE: dict[SiteKind, tuple[Entity, ...]] = {"hospital": ("technical", "global", "split"), "office": ()}
ChargeState = Literal["queued", "sent", "acknowledged", "denied", "credited"]


class FactsError(WorkstationError):
    """The facts object is not one. The message names every key at fault, by its full path."""


@dataclass(frozen=True, slots=True)
class StructuredReport:
    """The Comprehensive 3D SR the evidence was read from."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    sop_instance_uid: Text
    verified: bool


@dataclass(frozen=True, slots=True)
class Study:
    """What was imaged: DICOM modality (PS3.3 C.7.3.1.1.1) and body region."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    modality: Modality
    region: Region


@dataclass(frozen=True, slots=True)
class BaseProcedure:
    """One imaging examination on the accession: code number, status, and the study it was done in."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    code: Text
    status: BaseStatus
    study_instance_uid: Text


@dataclass(frozen=True, slots=True)
class Rendering:
    """One product: technique, region and side, the base code it is tied to (or None), where it was made, kept, and why.

    laterality : None where there is no side, or it is not known. prepared : made unattended, and not adjusted by a
    person since.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    technique: TechniqueName
    region: Region
    laterality: Laterality | None
    base_procedure: Text | None
    performed_here: bool
    prepared: bool
    archived: bool
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Who supervised: identifier and role."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: Text
    role: SupervisorRole


@dataclass(frozen=True, slots=True)
class Supervision:
    """The physician named (or None), whether supervision was concurrent (None: not stated), and the acts recorded."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    physician: Supervisor | None
    concurrent: bool | None
    acts: tuple[SupervisionAct, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who made the renderings: identifier and role; `automatic` is nobody."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: Text
    role: OperatorRole


@dataclass(frozen=True, slots=True)
class Report:
    """The physician's report: its status, whose it is (None only where nobody's), and what it says."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    status: ReportStatus
    patient_id: Text | None
    three_d_findings: bool
    workstation_statement: bool
    medical_necessity: bool
    clinical_utility: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered, and what stands in for an order."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    three_d_ordered: bool
    radiologist_rationale: bool
    urgent: bool
    urgent_documented: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the work was done and which part of the fee is claimed."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    site: SiteKind
    entity: Entity


@dataclass(frozen=True, slots=True)
class Payer:
    """The payer's demands: authorisation number (None: none on file), ICD-10 prefixes covered (None: not limited)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: Text
    prior_authorization_required: bool
    prior_authorization: Text | None
    covered_diagnoses: tuple[Text, ...] | None


@dataclass(frozen=True, slots=True)
class PreviousCharge:
    """A charge of this patient that was queued before, under whichever accession, with its state.

    regions : those it was charged for; none where no record tells.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    key: Text
    code: Text
    accession: Text
    base: Text
    state: ChargeState
    sr_uid: Text
    date_of_service: IsoDate
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a charge decision may rest on. `read_facts` builds it from JSON, `facts_to_json` writes it back.

    contract : the edition of the contract under which they were written down.
    """

    contract: ClassVar[Contract] = 2
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    sr: StructuredReport
    patient_id: Text
    accession: Text
    study_instance_uid: Text
    date_of_service: IsoDate
    study: Study
    base_procedures: tuple[BaseProcedure, ...]
    other_procedures: tuple[Text, ...]
    renderings: tuple[Rendering, ...]
    independent_workstation: bool
    independent_workstation_required: bool | None
    supervision: Supervision
    operator: Operator
    report: Report
    order: Order
    setting: Setting
    payer: Payer
    diagnoses: tuple[Text, ...]
    previous_charges: tuple[PreviousCharge, ...]


@dataclass(frozen=True, slots=True)
class FirstEditionFacts(Facts):
    """Facts that were written down under the first edition of the contract.

    What that edition did not ask for is filled in, so that one set of rules can read both; its rules look at none of
    it, and it is not written back.
    """

    contract: ClassVar[Contract] = 1


_FACTS: dict[Contract, type[Facts]] = {1: FirstEditionFacts, 2: Facts}


def read_facts(obj: object, contract: Contract = 2) -> Facts:
    """Read one facts object as parsed from JSON (`json.loads`).

    contract : the edition under which it was written down. What the second brought is an unknown key to the first.

    Raises
    ------
    FactsError
        A key is missing or unknown, or a value is not allowed. The message has one line for each, such as
        `report.status: 'finall' is not one of final, preliminary, none`.
    """
    try:
        return read_strictly(_FACTS[contract], obj if contract == 2 else _completed(obj), "facts")
    except StrictError as error:
        raise FactsError(str(error)) from None


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Return `facts` as JSON-ready dicts and lists; `read_facts` of the result under their contract gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(facts), default=date.isoformat))
    return plain if facts.contract == 2 else as_first_edition(plain)


# What the second edition of the contract asks for beyond the first, by the list it stands in.
_SINCE_SECOND: dict[str, tuple[str, ...]] = {
    "renderings": ("laterality", "prepared"),
    "previous_charges": ("date_of_service", "regions"),
}


def as_first_edition(plain: dict[str, Any]) -> dict[str, Any]:
    """Return facts in JSON without what the first edition did not ask for: to write them back, or to compare."""
    kept = {
        table: [{key: value for key, value in row.items() if key not in new} for row in plain[table]]
        for table, new in _SINCE_SECOND.items()
        if table in plain
    }
    return {**plain, **kept}


def _completed(obj: Any) -> Any:
    """Facts of the first edition with what it did not ask for. What else is wrong with them the reader says."""
    if not isinstance(obj, dict):
        return obj
    filled: dict[str, dict[str, Any]] = {
        "renderings": {"laterality": None, "prepared": False},
        "previous_charges": {"date_of_service": obj.get("date_of_service"), "regions": []},
    }
    for table, new in filled.items():
        rows = obj.get(table)
        if isinstance(rows, list):
            for index, row in enumerate(rows):
                for key in new:
                    if isinstance(row, dict) and key in row:
                        raise StrictError(f"{table}[{index}].{key}: this key is not known under the first edition")
            obj = {**obj, table: [{**new, **row} if isinstance(row, dict) else row for row in rows]}
    return obj
