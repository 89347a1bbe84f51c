"""The audit trail: who queried, transferred, opened, signed or changed what, as DICOM audit messages.

Each message is one line of XML in an append-only file, flushed at once (`file.py`). It names patients by ID, as the
standard wants, so the file is as confidential as the archive. `syslog.py` sends it on. Source: PS3.15 A.5.
"""

import base64
import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from dicom_io.codes import OWN_SCHEME
from dicom_io.files.instance import Instance
from workstation.audit.file import AuditFile
from workstation.config import Config

AuditOutcome = Literal["0", "4", "8", "12"]  # PS3.15 Table A.5.2-1: success, minor, serious, major failure

Action = Literal["C", "R", "U", "D"]  # create, read, update, delete
# PS3.16 CID 400 (events), CID 401 (event types), CID 402 (roles), CID 403 (types of alerts), all of DCM.
_ACTIVITY, _BEGINS, _ACCESSED, _TRANSFERRED, _DELETED, _EXPORT, _IMPORT, _QUERY, _ALERT, _AUTHENTICATION = (
    ("110100", "Application Activity"),
    ("110102", "Begin Transferring DICOM Instances"),
    ("110103", "DICOM Instances Accessed"),
    ("110104", "DICOM Instances Transferred"),
    ("110105", "DICOM Study Deleted"),
    ("110106", "Export"),
    ("110107", "Import"),
    ("110112", "Query"),
    ("110113", "Security Alert"),
    ("110114", "User Authentication"),
)
_LOGIN, _LOGOUT = ("110122", "Login"), ("110123", "Logout")
_START, _STOP = ("110120", "Application Start"), ("110121", "Application Stop")
_NODE_AUTHENTICATION = ("110126", "Node Authentication")
# Of our own.
_LIST, _SHOWN, _TAKEN = ("patient_list", "List of patients"), ("shown", "Shown"), ("taken", "Taken away")
_CHANGES = {
    "peers": ("110128", "Network Configuration"),
    "people": ("110137", "User Security Attributes Changed"),
    "links": ("110135", "Object Security Attributes Changed"),
}
_APPLICATION, _SOURCE, _DESTINATION = (
    ("110150", "Application"),
    ("110153", "Source Role ID"),
    ("110152", "Destination Role ID"),
)
_DESTINATION_MEDIA, _SOURCE_MEDIA = ("110154", "Destination Media"), ("110155", "Source Media")
_URI = ("110037", "URI")  # of CID 405: what kind of media
_STUDY_UID, _CLASS_UID, _NODE_ID = (
    ("110180", "Study Instance UID"),
    ("110181", "SOP Class UID"),
    ("110182", "Node ID"),
)
# Of RFC 3881.
_PATIENT_NUMBER, _SEARCH, _USER_ID = ("2", "Patient Number"), ("10", "Search Criteria"), ("11", "User Identifier")
# The standard wants a patient in each message about a study, even where the patient is unknown.
_NO_PATIENT = "<none>"
# Characters that XML 1.0 cannot hold; a peer's name may contain them.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Party:
    """A node in a message. requestor : whether it asked for the act."""

    ae_title: str
    address: str
    requestor: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """Instances of a study that were transferred or accessed. classes : number of each SOP class."""

    study_uid: str
    accession: str
    patient_id: str
    classes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A query as it was sent. identifier : the data set in `transfer_syntax`."""

    sop_class_uid: str
    identifier: bytes
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit trail of a site. file : None where the settings want no trail."""

    file: AuditFile | None
    station: str

    def started(self, at: datetime, *, stopped: bool = False) -> None:
        """Writes Application Activity. Source: PS3.15 A.5.3.1."""
        kind = _STOP if stopped else _START
        message = self._message(_ACTIVITY, "E", at, kinds=[kind])
        self._participant(message, f"workstation {os.getpid()}", this_machine(), _APPLICATION, requestor=False)
        self._write(message)

    def queried(
        self, asker: Party, asked: Party, what: Question, at: datetime, outcome: AuditOutcome = "0", person_id: str = ""
    ) -> None:
        """Writes Query, whatever its outcome and without the answers. Source: PS3.15 A.5.3.10."""
        message = self._message(_QUERY, "E", at, outcome)
        self._ends(message, asker, asked, person_id)
        query = self._object(message, what.sop_class_uid, "2", "3", _CLASS_UID, query=what.identifier)
        _detail(query, "TransferSyntax", what.transfer_syntax)
        self._write(message)

    def listed(self, person_id: str, what: str, words: str, at: datetime, address: str, *, taken: bool = False) -> None:
        """Writes that a person was shown a list of patients, or took one away, for which the standard has no event: one
        of our own. what : which list. words : what narrowed it down, which may name a patient and stands in the message
        as queries do. address : from where. Source: PS3.15 A.5.1 (codes of others may be used); RFC 3881, 5.5."""
        message = self._message(_LIST, "R", at, kinds=[_TAKEN if taken else _SHOWN], system=OWN_SCHEME)
        self._participant(message, person_id, address, None, requestor=True)
        self._object(message, what, "2", "24", _SEARCH, system="RFC-3881", query=words.encode(errors="replace"))
        self._write(message)

    def begins(self, source: Party, destination: Party, what: Moved, at: datetime, person_id: str = "") -> None:
        """Writes Begin Transferring DICOM Instances. Source: PS3.15 A.5.3.3."""
        message = self._message(_BEGINS, "E", at)
        self._ends(message, source, destination, person_id)
        self._study(message, what)
        self._write(message)

    def transferred(
        self,
        source: Party,
        destination: Party,
        what: Moved,
        at: datetime,
        outcome: AuditOutcome = "0",
        *,
        action: Action = "C",
        person_id: str = "",
    ) -> None:
        """Writes DICOM Instances Transferred, one message for each study and association. action : C where we received
        new instances; R where we had them, or sent them and cannot know. Source: PS3.15 A.5.3.7."""
        message = self._message(_TRANSFERRED, action, at, outcome)
        self._ends(message, source, destination, person_id)
        self._study(message, what)
        self._write(message)

    def authenticated(
        self, person_id: str, at: datetime, *, out: bool = False, outcome: AuditOutcome = "0", address: str = ""
    ) -> None:
        """Writes User Authentication: a person signed in or out, or could not. address : from where, where it was not
        at this machine. Source: PS3.15 A.5.3.12."""
        message = self._message(_AUTHENTICATION, "E", at, outcome, [_LOGOUT if out else _LOGIN])
        self._participant(message, person_id, address or this_machine(), None, requestor=True)
        self._write(message)

    def accessed(
        self,
        person_id: str,
        what: Moved,
        action: Action,
        at: datetime,
        outcome: AuditOutcome = "0",
        *,
        whole: bool = False,
        address: str = "",
        name: str = "",
        why: str = "",
    ) -> None:
        """Writes DICOM Instances Accessed: a person opened a study, made and signed objects in it, or removed some of
        it. whole : the study was removed as a whole, which is DICOM Study Deleted. address : from where, where it was
        not from this machine. name : of a person who is in no register. why : in that person's words. Source: PS3.15
        A.5.3.6 and A.5.3.8.
        """
        message = self._message(_DELETED if whole and action == "D" else _ACCESSED, action, at, outcome)
        self._participant(message, person_id, address or this_machine(), None, requestor=True, name=name)
        self._study(message, what, why)
        self._write(message)

    def exported(
        self,
        person_id: str,
        what: Moved,
        to: str,
        at: datetime,
        outcome: AuditOutcome = "0",
        *,
        address: str = "",
        name: str = "",
    ) -> None:
        """Writes Export: a person wrote data of a study to a file, or fetched it. to : its URI. address, name : as in
        `accessed`. Source: PS3.15 A.5.3.4."""
        media = (_SOURCE, to, _DESTINATION_MEDIA)
        self._by_media(_EXPORT, "R", person_id, *media, what, at, outcome, address, name)

    def imported(self, person_id: str, what: Moved, source: str, at: datetime, outcome: AuditOutcome = "0") -> None:
        """Writes Import: a person imported a study from a folder or disc. source : its URI. Source: PS3.15 A.5.3.5."""
        self._by_media(_IMPORT, "C", person_id, _DESTINATION, source, _SOURCE_MEDIA, what, at, outcome)

    def rejected(self, caller: Party, why: str, at: datetime) -> None:
        """Writes a Security Alert about a caller that was rejected. Source: PS3.15 A.5.3.11."""
        message = self._message(_ALERT, "E", at, "4", [_NODE_AUTHENTICATION])
        self._participant(message, caller.ae_title, caller.address, _SOURCE, requestor=True)
        _detail(self._object(message, self.station, "2", "13", _NODE_ID), "Alert Description", why)
        self._write(message)

    def changed(
        self,
        what: Literal["peers", "people", "links"],
        name: str,
        words: str,
        account: str,
        at: datetime,
        address: str = "",
    ) -> None:
        """Writes a Security Alert, for information: the list of peers, of people or of links for others was changed.
        Source: PS3.15 A.5.3.11.

        name : of the peer or person, or the number of the link. account : whose account made the change, of this
        machine or of the register. address : as in `authenticated`.
        """
        message = self._message(_ALERT, "E", at, kinds=[_CHANGES[what]])
        self._participant(message, account, address or this_machine(), None, requestor=True)
        kind, system = (_USER_ID, "RFC-3881") if what == "people" else (_NODE_ID, "DCM")
        _detail(self._object(message, name, "2", "13", kind, system), "Alert Description", words)
        self._write(message)

    def _message(
        self,
        event: tuple[str, str],
        action: str,
        at: datetime,
        outcome: AuditOutcome = "0",
        kinds: Iterable[tuple[str, str]] = (),
        system: str = "DCM",
    ) -> ET.Element:
        message = ET.Element("AuditMessage")
        when = at.isoformat(timespec="milliseconds")
        identified = ET.SubElement(
            message, "EventIdentification", EventActionCode=action, EventDateTime=when, EventOutcomeIndicator=outcome
        )
        _code(identified, "EventID", event, system)
        for kind in kinds:
            _code(identified, "EventTypeCode", kind, system)
        return message

    def _by_media(
        self,
        event: tuple[str, str],
        action: Action,
        person_id: str,
        role: tuple[str, str],
        uri: str,
        media: tuple[str, str],
        what: Moved,
        at: datetime,
        outcome: AuditOutcome,
        address: str = "",
        name: str = "",
    ) -> None:
        """Writes an export or import, with the person as one participant and the file as the other."""
        message = self._message(event, action, at, outcome)
        self._participant(message, person_id, address or this_machine(), role, requestor=True, name=name)
        self._participant(message, uri, "", media, requestor=False)
        _code(ET.SubElement(message[-1], "MediaIdentifier"), "MediaType", _URI)
        self._study(message, what)
        self._write(message)

    def _study(self, message: ET.Element, what: Moved, why: str = "") -> None:
        study = self._object(message, what.study_uid, "2", "3", _STUDY_UID)
        if why:
            _detail(study, "Reason", why)
        description = ET.SubElement(study, "ParticipantObjectDescription")
        if what.accession:
            ET.SubElement(description, "Accession", Number=what.accession)
        for uid, count in sorted(what.classes.items()):
            ET.SubElement(description, "SOPClass", UID=uid, NumberOfInstances=str(count))
        self._object(message, what.patient_id or _NO_PATIENT, "1", "1", _PATIENT_NUMBER, system="RFC-3881")

    def _ends(self, message: ET.Element, source: Party, destination: Party, person_id: str) -> None:
        """Adds both nodes and the person who asked; of several requestors a message names one. Source: PS3.15 A.5.2."""
        asks = None if person_id else _SOURCE if source.requestor else _DESTINATION if destination.requestor else None
        for party, role in ((source, _SOURCE), (destination, _DESTINATION)):
            self._participant(message, party.ae_title, party.address, role, requestor=role == asks)
        if person_id:
            self._participant(message, person_id, this_machine(), None, requestor=True)

    def _participant(
        self,
        message: ET.Element,
        user: str,
        address: str,
        role: tuple[str, str] | None,
        *,
        requestor: bool,
        name: str = "",
    ) -> None:
        participant = ET.SubElement(message, "ActiveParticipant", UserID=user, UserIsRequestor=str(requestor).lower())
        if name:
            participant.set("UserName", name)
        if address:
            # PS3.15 Table A.5.2-1: 1 is a machine's name, 2 an IP address.
            kind = "2" if address.replace(".", "").isdigit() or ":" in address else "1"
            participant.set("NetworkAccessPointID", address)
            participant.set("NetworkAccessPointTypeCode", kind)
        if role is not None:
            _code(participant, "RoleIDCode", role)

    def _object(
        self,
        message: ET.Element,
        identity: str,
        kind: str,
        role: str,
        identity_kind: tuple[str, str],
        system: str = "DCM",
        query: bytes | None = None,
    ) -> ET.Element:
        found = ET.SubElement(
            message,
            "ParticipantObjectIdentification",
            ParticipantObjectID=identity,
            ParticipantObjectTypeCode=kind,
            ParticipantObjectTypeCodeRole=role,
        )
        _code(found, "ParticipantObjectIDTypeCode", identity_kind, system)
        if query is None:
            ET.SubElement(found, "ParticipantObjectName").text = identity
        else:
            ET.SubElement(found, "ParticipantObjectQuery").text = base64.b64encode(query).decode("ascii")
        return found

    def _write(self, message: ET.Element) -> None:
        if self.file is None:
            return
        # Inserted between participants and objects, as the schema has an order. Source: PS3.15 A.5.1.
        at = next((n for n, e in enumerate(message) if e.tag == "ParticipantObjectIdentification"), len(message))
        source = ET.Element("AuditSourceIdentification", AuditSourceID=self.station)
        ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
        message.insert(at, source)
        for element in message.iter():
            element.attrib.update({name: _UNWRITABLE.sub("\ufffd", value) for name, value in element.attrib.items()})
            element.text = _UNWRITABLE.sub("\ufffd", element.text) if element.text else None
        line = ET.tostring(message, encoding="unicode").replace("\n", " ") + "\n"
        self.file.append(line.encode())


@contextmanager
def late(tell: Callable[[dict[str, Any]], None] = lambda event: None) -> Iterator[None]:
    """Lets work go on when an audit message cannot be written now: reports that through `tell`; `AuditFile.append` or
    `catch_up` writes the message later."""
    try:
        yield
    except OSError as error:
        tell({"event": "audit late", "detail": error.strerror or type(error).__name__})


@contextmanager
def whatever_comes(note: Callable[[AuditOutcome], None]) -> Iterator[None]:
    """Runs an act and then notes its outcome, also when it fails half way."""
    outcome: AuditOutcome = "4"
    try:
        yield
        outcome = "0"
    finally:
        note(outcome)


def this_machine() -> str:
    """Returns this machine's name, as every message gives it. Source: PS3.15 A.5.2.4."""
    return socket.gethostname()


def by_study(instances: Iterable[Instance]) -> list[Moved]:
    """Groups the instances of one transfer by study."""
    studies: dict[str, list[Instance]] = {}
    for instance in instances:
        studies.setdefault(instance.study_uid, []).append(instance)
    return [
        Moved(uid, members[0].accession, members[0].patient_id, Counter(m.sop_class_uid for m in members))
        for uid, members in studies.items()
    ]


def trail_of(config: Config, root: Path) -> Trail:
    """Makes the trail that the settings want."""
    audit = config.audit
    if audit is None:
        return Trail(None, config.station_name)
    file = AuditFile(root / audit.file, audit.max_mb << 20, audit.keep_files, ships=bool(audit.host))
    return Trail(file, config.station_name)


def _code(parent: ET.Element, name: str, code: tuple[str, str], system: str = "DCM") -> None:
    ET.SubElement(parent, name, {"csd-code": code[0], "codeSystemName": system, "originalText": code[1]})


def _detail(parent: ET.Element, name: str, text: str) -> None:
    value = base64.b64encode(text.encode(errors="replace")).decode("ascii")
    ET.SubElement(parent, "ParticipantObjectDetail", type=name, value=value)
