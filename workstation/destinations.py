"""Where messages go: one settings class for each kind of destination, and nothing of how they get there.

A kind is added here, in `transports/` (how it is delivered and reached) and, where it takes charges, in
`billing/address.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from workstation.certificates import check_named_together
from workstation.charge.facts import Entity
from workstation.hl7.syntax import CharacterSet, Form, Mode, PhysicianId, PlaceOfServiceField, Version
from workstation.strict import STRICT

# What may go to a destination: images with their SR, charges, or performed procedure steps.
Taken = Literal["images", "charges", "steps"]
# What it takes that an image counts as archived: kept here, acknowledged by the destination, or committed by it;
# `offered`: committed where the destination offers commitment, else acknowledged.
Archiving = Literal["kept", "acknowledged", "committed", "offered"]


def checked_ae_title(text: str) -> str:
    """`text` if it can be an AE title. Raises ValueError. Source: PS3.5 6.2 (VR AE)."""
    if not (text.strip(" ") and len(text) <= 16 and all(" " <= c <= "~" and c != "\\" for c in text)):
        raise ValueError("an AE title has 1 to 16 ASCII characters, not all blank and without backslash")
    return text


def checked_port(port: int) -> int:
    """`port` if something can listen there. Raises ValueError."""
    if not 0 < port < 65536:
        raise ValueError("a port lies between 1 and 65535")
    return port


def checked_url(url: str) -> str:
    """`url` if HTTP reaches it. Raises ValueError."""
    if url and not re.match(r"https?://[^/]", url):
        raise ValueError("a url begins with http:// or https://")
    return url


AeTitle = Annotated[str, AfterValidator(checked_ae_title)]
Port = Annotated[int, AfterValidator(checked_port)]
Url = Annotated[str, AfterValidator(checked_url)]


@dataclass(frozen=True, kw_only=True)
class Destination:
    """What every destination has.

    kind : which of the classes below it is. takes : what goes there. CAN_TAKE : what can go there at all. retry_s,
    retry_max_s : the pause after a failure, doubled with each further one up to the maximum, in seconds.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset()
    name: str
    takes: tuple[Taken, ...]
    retry_s: float = 10.0
    retry_max_s: float = 900.0
    kind: str = ""

    def __post_init__(self) -> None:
        for what in self.takes:
            if what not in self.CAN_TAKE:
                can = " and ".join(sorted(self.CAN_TAKE))
                raise ValueError(f"destination {self.name!r}: {what} do not travel over {self.kind}, only {can}")
        if not (0 <= self.retry_s <= self.retry_max_s):
            raise ValueError(f"destination {self.name!r}: retry_s has to lie between 0 and retry_max_s")

    def takes_charge(self, entity: Entity) -> bool:
        """Whether charges of this entity go there."""
        return "charges" in self.takes

    @property
    def archiving(self) -> Archiving:
        """What it takes here that an image counts as archived: a folder or a biller archives nothing."""
        return "kept"

    @property
    def at_once(self) -> int:
        """How many messages go there side by side."""
        return 1

    @property
    def party(self) -> tuple[str, str] | None:
        """Name and host of the node that gets images, for the audit trail; None where no node gets them."""
        return None

    def image_message(self, sop_instance_uid: str) -> tuple[Literal["dicom", "file"], str]:
        """Kind and identity of the message that takes an image there."""
        return "file", f"{sop_instance_uid}.dcm"


@dataclass(frozen=True, kw_only=True)
class _TakesCharges(Destination):
    """entities : whose charges it takes, all if empty: a hospital's biller the technical part, a practice's the other
    one."""

    entities: tuple[Literal["professional", "technical", "global", "facility"], ...] = ()

    def takes_charge(self, entity: Entity) -> bool:
        return super().takes_charge(entity) and (not self.entities or entity in self.entities)


@dataclass(frozen=True, kw_only=True)
class _Certificates(Destination):
    """PEM files, in the state folder or absolute: who signed its certificate (the system's authorities if empty), and
    our own certificate with its key where it wants one."""

    certificate_authority: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        Destination.__post_init__(self)
        check_named_together(f"destination {self.name!r}", self.certificate, self.key)


@dataclass(frozen=True, kw_only=True)
class _DicomNode(_Certificates):
    """A node that is reached by DICOM. tls : whether by TLS."""

    port: Port
    host: str = "127.0.0.1"
    ae_title: AeTitle = "ANY-SCP"
    tls: bool = False


@dataclass(frozen=True, kw_only=True)
class DicomDestination(_DicomNode):
    """A PACS that gets images by C-STORE.

    archived_when : what it takes that an image counts as archived; for commitment it is asked, again after
    commitment_retry_s. associations : how many images go there at once.
    """

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"images"})
    kind: Literal["dicom"] = "dicom"
    archived_when: Archiving = "offered"
    commitment_retry_s: Annotated[float, Field(gt=0)] = 3600.0
    associations: Annotated[int, Field(ge=1, le=16)] = 2

    @property
    def archiving(self) -> Archiving:
        return self.archived_when if self.takes else "kept"

    @property
    def at_once(self) -> int:
        return self.associations

    @property
    def party(self) -> tuple[str, str]:
        return self.ae_title, self.host

    def image_message(self, sop_instance_uid: str) -> tuple[Literal["dicom", "file"], str]:
        return "dicom", sop_instance_uid


@dataclass(frozen=True, kw_only=True)
class DicomWebDestination(_Certificates):
    """A PACS that gets images by STOW-RS. url : root of its services. token_file : holds a bearer token.
    archived_when : it cannot be asked to commit, so `offered` means acknowledged."""

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"images"})
    kind: Literal["dicomweb"] = "dicomweb"
    url: Annotated[Url, Field(min_length=1)]
    token_file: str = ""
    archived_when: Literal["offered", "kept", "acknowledged"] = "offered"

    @property
    def archiving(self) -> Archiving:
        if not self.takes:
            return "kept"
        return "acknowledged" if self.archived_when == "offered" else self.archived_when

    @property
    def party(self) -> tuple[str, str]:
        host = re.match(r"https?://(?:[^@/]*@)?(\[[^\]]*\]|[^/:]*)", self.url)
        return self.name, host[1] if host else ""


@dataclass(frozen=True, kw_only=True)
class MppsDestination(_DicomNode):
    """A RIS that hears of performed procedure steps.

    completed_when : the step ends when its charge is decided, with the codes that are billed, or when the pictures and
    their record are kept.
    """

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"steps"})
    kind: Literal["mpps"] = "mpps"
    completed_when: Literal["charged", "recorded"] = "charged"


@dataclass(frozen=True, kw_only=True)
class _Hl7Form(_TakesCharges):
    """How its HL7 messages are written. application, facility : the receiving ones (MSH-5 and MSH-6).
    patient_id_issuer : the assigning authority of patient IDs (PID-3.4). credit_code : FT1-6 of a credit. The others
    are those of `Form`."""

    application: str = "BILLING"
    facility: str = ""
    version: Version = "2.5.1"
    character_set: CharacterSet = "UNICODE UTF-8"
    acknowledgement: Mode = "original"
    credit_code: Annotated[str, Field(min_length=1, max_length=8)] = "CR"
    processing_id: Literal["P", "T", "D"] = "P"
    patient_id_issuer: str = ""
    physician_id: PhysicianId = "both"
    physician_id_issuer: Annotated[str, Field(max_length=20)] = ""
    insurance: bool = False
    local_codes: bool = False
    revenue_codes: bool = False
    place_of_service_field: PlaceOfServiceField = "FT1-16.9"

    @property
    def form(self) -> Form:
        """The same, as messages are built with it."""
        return Form(
            self.version,
            self.character_set,
            self.acknowledgement,
            self.credit_code,
            self.processing_id,
            self.physician_id,
            self.physician_id_issuer,
            self.insurance,
            self.local_codes,
            self.revenue_codes,
            self.place_of_service_field,
        )


@dataclass(frozen=True, kw_only=True)
class MllpDestination(_Hl7Form, _Certificates):
    """A biller that gets charges as HL7 over MLLP. timeout_s : limit of one exchange, in seconds."""

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"charges"})
    kind: Literal["mllp"] = "mllp"
    port: Port
    host: str = "127.0.0.1"
    tls: bool = False
    timeout_s: float = 30.0


@dataclass(frozen=True, kw_only=True)
class FolderDestination(_Hl7Form):
    """A folder that another system picks files up from: images as DICOM files, charges as HL7 messages.

    folder : relative to the state folder, or absolute and there already (mounted).
    """

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"images", "charges"})
    kind: Literal["folder"] = "folder"
    folder: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class SheetDestination(_TakesCharges):
    """Day sheets: charges as rows of CSV files in a folder."""

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"charges"})
    kind: Literal["sheet"] = "sheet"
    folder: Annotated[str, Field(min_length=1)]


# Whose identifiers FHIR can be told the system of.
IdentifierKind = Literal["patient", "account", "visit", "physician", "organization", "department"]


@dataclass(frozen=True, slots=True)
class FhirForm:
    """How a ChargeItem is written.

    systems : the system of identifiers by what they identify; none said if empty. details : whether it says enterer,
    performing organization, cost centre, body site, and name and NPI of the performer. modifiers : further codings of
    the code, or the extension that carries Claim.item.modifier.
    """

    systems: Mapping[IdentifierKind, str] = field(default_factory=dict)
    details: bool = False
    modifiers: Literal["coding", "extension"] = "coding"


@dataclass(frozen=True, kw_only=True)
class FhirDestination(_TakesCharges, _Certificates):
    """Charges as FHIR ChargeItem: by HTTP to a server (url), or as files into a folder. identifier_systems, details,
    modifiers : as in `FhirForm`."""

    CAN_TAKE: ClassVar[frozenset[Taken]] = frozenset({"charges"})
    kind: Literal["fhir"] = "fhir"
    url: Url = ""
    folder: str = ""
    fhir_version: Literal["R4B", "R5"] = "R4B"
    token_file: str = ""
    timeout_s: float = 30.0
    identifier_systems: dict[IdentifierKind, Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")]] = field(
        default_factory=dict
    )
    details: bool = False
    modifiers: Literal["coding", "extension"] = "coding"

    @property
    def form(self) -> FhirForm:
        """The same, as resources are built with it."""
        return FhirForm(self.identifier_systems, self.details, self.modifiers)

    def __post_init__(self) -> None:
        _Certificates.__post_init__(self)
        if bool(self.url) == bool(self.folder):
            raise ValueError(f"destination {self.name!r} of kind fhir needs either `url` or `folder`")


# What the settings may hold: which class it is, `kind` says.
AnyDestination = Annotated[
    DicomDestination
    | DicomWebDestination
    | MppsDestination
    | MllpDestination
    | FolderDestination
    | SheetDestination
    | FhirDestination,
    Field(discriminator="kind"),
]
