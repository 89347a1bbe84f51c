"""The newest entries of the audit trail, as an administrator or compliance officer reads them: no patient IDs."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from workstation.config import AuditSettings

_OUTCOMES = {"0": "", "4": "failed", "8": "failed", "12": "failed"}
_BLOCK = 64 << 10


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """at : ISO 8601. event : in words. who : IDs of those who asked and took part, with addresses. about : accessions,
    names of peers and people, what was said. failed : whether the act did."""

    at: str
    event: str
    who: tuple[str, ...]
    about: tuple[str, ...]
    failed: bool


def newest_entries(settings: AuditSettings | None, root: Path, most: int = 200) -> tuple[AuditEntry, ...]:
    """Returns the last entries of the trail's current part, newest first; none where the site keeps no trail."""
    if settings is None:
        return ()
    found = []
    for line in _last_lines(root / settings.file, most):
        try:
            found.append(_entry(ET.fromstring(line)))
        except (ET.ParseError, AttributeError):
            found.append(AuditEntry("", "An entry that cannot be read", (), (), True))
    return tuple(found)


def _last_lines(path: Path, most: int) -> Iterator[bytes]:
    """Yields whole lines from the end of a file on."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        at, rest, count = file.seek(0, 2), b"", 0
        while at > 0 and count < most:
            step = min(_BLOCK, at)
            at = file.seek(at - step)
            rest = file.read(step) + rest
            lines = rest.split(b"\n")
            rest = lines[0] if at > 0 else b""
            for line in reversed(lines[1:] if at > 0 else lines):
                if line and count < most:
                    count += 1
                    yield line


def _entry(message: ET.Element) -> AuditEntry:
    event = message.find("EventIdentification")
    assert event is not None, "every entry has one"
    words = [event.find("EventID"), *event.findall("EventTypeCode")]
    people = []
    for one in message.findall("ActiveParticipant"):
        named = " ".join(filter(None, (one.get("UserID"), one.get("UserName"))))
        where = one.get("NetworkAccessPointID")
        people.append(f"{named} ({where})" if where else named)
    return AuditEntry(
        event.get("EventDateTime", ""),
        ": ".join(each.get("originalText", "") for each in words if each is not None),
        tuple(people),
        tuple(dict.fromkeys(_about(message))),
        bool(_OUTCOMES.get(event.get("EventOutcomeIndicator", "0"), "failed")),
    )


def _about(message: ET.Element) -> Iterator[str]:
    for thing in message.findall("ParticipantObjectIdentification"):
        kind = thing.find("ParticipantObjectIDTypeCode")
        code = kind.get("csd-code") if kind is not None else ""
        for accession in thing.iter("Accession"):
            yield f"accession {accession.get('Number')}"
        if code in ("110182", "11"):  # a node or a person, by name
            yield str(thing.get("ParticipantObjectID"))
        for detail in thing.findall("ParticipantObjectDetail"):
            if detail.get("type") in ("Alert Description", "Reason"):
                try:
                    yield base64.b64decode(detail.get("value", "")).decode("utf-8", "replace")
                except binascii.Error:
                    continue
