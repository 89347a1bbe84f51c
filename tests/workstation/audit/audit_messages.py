"""Audit messages against PS3.15: their structure (A.5.1, `audit_message.rng`) and the table of their event (A.5.3)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

_SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("audit_message.rng")))
_SOURCE, _DESTINATION, _APPLICATION = "110153", "110152", "110150"
_TO_MEDIA, _FROM_MEDIA = "110154", "110155"
_STUDY, _PATIENT, _SOP_CLASS, _CRITERIA = "110180", "2", "110181", "10"
_MANY = 999


@dataclass(frozen=True, slots=True)
class Table:
    """What an event's table demands. types : event types of which one has to be there. roles, objects : how many, by
    code of the role and of the kind of identifier; others may not be. details : that each object has to have. media :
    the role whose participant says what kind of media it is."""

    actions: str
    types: frozenset[str] = frozenset()
    roles: dict[str, tuple[int, int]] = field(default_factory=dict)
    objects: dict[str, tuple[int, int]] = field(default_factory=dict)
    details: frozenset[str] = frozenset()
    media: str = ""


_BOTH_ENDS = {_SOURCE: (1, 1), _DESTINATION: (1, 1)}
_STUDIES = {_STUDY: (1, _MANY), _PATIENT: (1, 1)}
# PS3.15 A.5.3.1, A.5.3.3 to A.5.3.8, A.5.3.10, A.5.3.11 (with CID 403) and A.5.3.12.
TABLES = {
    "110100": Table("E", frozenset({"110120", "110121"}), {_APPLICATION: (1, 1)}),
    "110102": Table("E", roles=_BOTH_ENDS, objects=_STUDIES),
    "110103": Table("CRUD", objects=_STUDIES),
    "110104": Table("CRU", roles=_BOTH_ENDS, objects=_STUDIES),
    "110105": Table("D", objects=_STUDIES),
    "110106": Table("R", roles={_SOURCE: (1, 2), _TO_MEDIA: (1, 1)}, objects=_STUDIES, media=_TO_MEDIA),
    "110107": Table("C", roles={_DESTINATION: (1, 2), _FROM_MEDIA: (1, 1)}, objects=_STUDIES, media=_FROM_MEDIA),
    "110112": Table("E", roles=_BOTH_ENDS, objects={_SOP_CLASS: (1, 1)}, details=frozenset({"TransferSyntax"})),
    "110113": Table(
        "E",
        frozenset(map(str, range(110126, 110138))),
        {_SOURCE: (0, 1)},
        {"110182": (0, _MANY), "11": (0, _MANY)},
        frozenset({"Alert Description"}),
    ),
    # Ours, for lists of patients.
    "patient_list": Table("R", frozenset({"shown", "taken"}), objects={_CRITERIA: (1, 1)}),
    "110114": Table("E", frozenset({"110122", "110123"})),
}


def faults(line: str) -> list[str]:
    """What is wrong with a message, in words; nothing for a good one."""
    try:
        message: Any = etree.fromstring(line.encode())
    except etree.XMLSyntaxError as error:
        return [f"no XML: {error}"]
    if not _SCHEMA.validate(message):
        return [str(error.message) for error in _SCHEMA.error_log]
    event = message.find("EventIdentification")
    table = TABLES.get(event.find("EventID").get("csd-code"))
    if table is None:
        return [f"event {event.find('EventID').get('csd-code')} has no table here"]
    found = []
    if event.get("EventActionCode") not in tuple(table.actions):
        found.append(f"action {event.get('EventActionCode')}")
    types = {one.get("csd-code") for one in event.findall("EventTypeCode")}
    if bool(types) != bool(table.types) or not types <= table.types:
        found.append(f"event types {sorted(types)}")
    people = message.findall("ActiveParticipant")
    if sum(one.get("UserIsRequestor") in ("true", "1") for one in people) > 1:
        found.append("several requestors")  # A.5.2, Table A.5.2-1
    if table.media and not any(one.get("UserIsRequestor") in ("true", "1") for one in people):
        found.append("no requestor")  # A.5.3.4, A.5.3.5
    for one in people:
        is_media = any(role.get("csd-code") == table.media for role in one.findall("RoleIDCode"))
        if is_media != (one.find("MediaIdentifier") is not None):
            found.append(f"participant {one.get('UserID')}: a kind of media where there is none, or none of a medium")
    objects = message.findall("ParticipantObjectIdentification")
    found += _counted("role", [r.get("csd-code") for p in people for r in p.findall("RoleIDCode")], table.roles)
    kinds = [one.find("ParticipantObjectIDTypeCode").get("csd-code") for one in objects]
    found += _counted("object", kinds, table.objects)
    for one in objects:
        if not table.details <= {detail.get("type") for detail in one.findall("ParticipantObjectDetail")}:
            found.append(f"object {one.get('ParticipantObjectID')} lacks one of {sorted(table.details)}")
        if (one.find("ParticipantObjectQuery") is not None) != bool({_SOP_CLASS, _CRITERIA} & set(table.objects)):
            found.append("a query where there is none, or none where there is one")
    return found


def checked(lines: Iterable[str]) -> list[tuple[str, str]]:
    """(event, its type or '') of messages that are all as the standard has them."""
    found = []
    for line in lines:
        assert not faults(line), (faults(line), line)
        event = etree.fromstring(line.encode()).find("EventIdentification")
        assert event is not None
        found.append((_code(event, "EventID"), _code(event, "EventTypeCode")))
    return found


def _code(event: Any, name: str) -> str:
    element = event.find(name)
    return "" if element is None else str(element.get("csd-code"))


def _counted(what: str, codes: Iterable[str], wanted: dict[str, tuple[int, int]]) -> list[str]:
    counts = Counter(codes)
    wrong = [
        f"{what} {code}: {counts[code]}" for code, (least, most) in wanted.items() if not least <= counts[code] <= most
    ]
    return wrong + [f"{what} {code} has no place" for code in counts.keys() - wanted.keys()]
