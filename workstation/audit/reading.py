"""The audit trail read back: who did what with which study, for people who look for it.

The trail is the file of `file.py`, one message a line. What is sent on to a repository and removed here is found there.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from workstation.audit.trail import Trail

_WHEN = re.compile(rb'EventDateTime="([^"]+)"')
# Objects that are called by their name: nodes and people; and details that are words of somebody.
_NAMED, _SAID = ("110182", "11"), ("Alert Description", "Reason")
_OUTCOMES = {"0": "", "4": "failed", "8": "failed", "12": "failed"}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A message of the trail.

    event : as PS3.16 CID 400 names it, with its type where it has one. person : who asked for it: a person's ID, an
    account, or an AE title. accessions : of the studies. outcome : empty where it went well. who : everybody and
    everything that took part, with name and address. about : names of peers and people, and what was said of them. No
    patient is among them.
    """

    at: datetime
    event: str
    person: str
    accessions: tuple[str, ...]
    outcome: str
    who: tuple[str, ...] = ()
    about: tuple[str, ...] = ()


def entries(
    trail: Trail, person: str = "", accession: str = "", since: date | None = None, until: date | None = None
) -> Iterator[AuditEntry]:
    """Yield the messages of the trail, the newest first; what is empty does not matter.

    since, until : days as they were written, both included.
    """
    if trail.file is None:
        return
    for path in _parts(trail.file.path):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:  # removed meanwhile: the repository has it
            continue
        for line in reversed(lines):
            # Most lines are others': looked at before they are parsed.
            if (person and _as_written(person) not in line) or (accession and _as_written(accession) not in line):
                continue
            when = _WHEN.search(line)
            if when is None:
                continue
            with suppress(ValueError, ET.ParseError):
                day = datetime.fromisoformat(when[1].decode()).date()
                if (since is not None and day < since) or (until is not None and day > until):
                    continue
                entry = _entry(ET.fromstring(line))
                if (not person or entry.person == person) and (not accession or accession in entry.accessions):
                    yield entry


def _as_written(text: str) -> bytes:
    """A value as it stands in an attribute of XML."""
    element = ET.Element("a", b=text)
    return ET.tostring(element, encoding="unicode")[len('<a b="') : -len('" />')].encode()


def _parts(path: Path) -> list[Path]:
    """The file and its older parts, the newest first."""
    older = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix.removeprefix(".").isdecimal()]
    return [path, *sorted(older, key=lambda each: int(each.suffix[1:]), reverse=True)]


def _entry(message: ET.Element) -> AuditEntry:
    event = message.find("EventIdentification")
    assert event is not None, "every message has one"
    words = [each.get("originalText", "") for each in event if each.tag in ("EventID", "EventTypeCode")]
    asked = next((p for p in message.iter("ActiveParticipant") if p.get("UserIsRequestor") == "true"), None)
    return AuditEntry(
        datetime.fromisoformat(event.get("EventDateTime", "")),
        ": ".join(words),
        asked.get("UserID", "") if asked is not None else "",
        tuple(dict.fromkeys(each.get("Number", "") for each in message.iter("Accession"))),
        _OUTCOMES.get(event.get("EventOutcomeIndicator", "0"), ""),
        tuple(map(_participant, message.iter("ActiveParticipant"))),
        tuple(dict.fromkeys(_about(message))),
    )


def _participant(one: ET.Element) -> str:
    named, where = " ".join(filter(None, (one.get("UserID"), one.get("UserName")))), one.get("NetworkAccessPointID")
    return f"{named} ({where})" if where else named


def _about(message: ET.Element) -> Iterator[str]:
    for thing in message.iter("ParticipantObjectIdentification"):
        kind = thing.find("ParticipantObjectIDTypeCode")
        if kind is not None and kind.get("csd-code") in _NAMED:
            yield thing.get("ParticipantObjectID", "")
        for detail in thing.iter("ParticipantObjectDetail"):
            if detail.get("type") in _SAID:
                with suppress(binascii.Error):
                    yield base64.b64decode(detail.get("value", "")).decode("utf-8", "replace")
