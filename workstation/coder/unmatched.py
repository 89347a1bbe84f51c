"""What came in and belongs to no case: listed, attached to a case, or dismissed."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from dicom_io.evidence import Person
from workstation.billing.accession import attached_now, digest_of_body, identifier_of, read_with
from workstation.billing.filing import documents
from workstation.billing.settle import SettledCase, settle_accession
from workstation.coder.acts import fresh_case, may
from workstation.coder.work_list import WorkError
from workstation.orders.on_file import is_of_patient
from workstation.orders.stated import Ordered, Reported
from workstation.site import Site
from workstation.store.cases import CaseAct, UnmatchedMessage


@dataclass(frozen=True, slots=True)
class UnmatchedRow:
    """Something that belongs to no case.

    id : names it in commands and addresses. at : when it came, empty where that is not known. place : of the received
    message, 0 for anything else. session : of the case that it is listed under, else empty. has_case : it is a message
    of a patient who has a case, by the number alone.
    """

    id: str
    what: str
    at: str
    message: str
    accession: str
    why: str
    place: int = 0
    session: str = ""
    has_case: bool = False

    def as_json(self) -> dict[str, str]:
        """JSON-ready, for a list."""
        return {key: getattr(self, key) for key in ("id", "what", "at", "message", "accession", "why")}


_UNKNOWN = "unknown accession"
_OF_PATIENT = "no 3D session of this accession, but a case of its patient: attach it there if that is what it is about"


def unmatched(site: Site, most: int = 0) -> list[UnmatchedRow]:
    """Return what came in and belongs to no case. No patient's name or identifier is in it.

    most : so many messages of unknown accessions at most, the newest; 0 for all. An examination without 3D has them.
    """
    rows = [_of_message(each) for each in reversed(site.casebook.unmatched_messages(most))]
    for ruling in site.casebook.with_strangers():
        rows += [
            UnmatchedRow(
                _id("stranger", ruling.session, message),
                "another patient",
                ruling.at.isoformat(),
                message,
                ruling.accession,
                "its patient is not the one of the SR; merge the patients or correct the message",
                session=ruling.session,
            )
            for message in ruling.content["strangers"]
        ]
    rows += [
        UnmatchedRow(
            _id("sr", sr.sop_instance_uid),
            "SR that is not believed",
            "",
            f"SR {sr.sop_instance_uid}",
            sr.accession,
            why,
        )
        for sr, why in documents(site)
    ]
    rows += [
        UnmatchedRow(
            _id("refused", at.isoformat(), answer, reason), f"refused, {answer}", at.isoformat(), "", "", reason
        )
        for at, answer, reason in site.casebook.refused()
    ]
    done = _done(site)
    return [row for row in rows if row.id not in done]


def _of_message(message: UnmatchedMessage) -> UnmatchedRow:
    return UnmatchedRow(
        f"{message.place}-{_id('message', message.accession)}",
        _UNKNOWN,
        message.at.isoformat(),
        f"{message.kind} {message.control_id}",
        message.accession,
        _OF_PATIENT if message.has_case else "no 3D session of this accession; it is used as soon as there is one",
        message.place,
        has_case=message.has_case,
    )


def _done(site: Site) -> set[str]:
    """The rows that are attached, or were dismissed."""
    acts = site.casebook.acts(kinds=("attach", "detach", "dismiss"))
    return {*attached_now(acts), *(act.detail["row"] for act in acts if act.kind == "dismiss")}


def find_row(site: Site, identity: str) -> UnmatchedRow:
    """Return the row of an id. Raises WorkError when there is none, or it was attached or dismissed."""
    place, dash, _ = identity.partition("-")
    if dash and place.isascii() and place.isdigit() and len(place) < 19:
        rows = [_of_message(each) for each in site.casebook.unmatched_messages(place=int(place))]
        rows = [] if identity in _done(site) else rows
    else:
        rows = unmatched(site, 1)
    for row in rows:
        if row.id == identity:
            return row
    raise WorkError(f"{identity}: nothing unmatched has this id; `workstation charge unmatched` lists what has.")


def attach(site: Site, identity: str, word: str, by: Person, why: str) -> list[SettledCase]:
    """Have a message read for the accession of a case from now on, and no longer for the accession that it names.

    The act names the message by its digest and stands in the case's journal.

    Raises WorkError when this person may not, it is no message of an unknown accession, or it is of another patient.
    """
    who, row, ruling = may(by, "attach", why), find_row(site, identity), fresh_case(site, word)
    if row.what != _UNKNOWN:
        raise WorkError(f"{identity}: only a message of an unknown accession is attached; this is: {row.what}.")
    (received,) = site.casebook.message(row.place)
    detail = {
        "row": row.id,
        "message": received.place,
        "sha256": digest_of_body(received.body),
        "source": row.message,
        "accession": row.accession,
    }
    at = site.clock()
    trial = CaseAct(0, ruling.session, at, who.id, who.role, "attach", why, detail)
    (record,) = [each for each in site.casebook.records_of(ruling.session) if each.sr_uid == ruling.sr_uid]
    view = read_with(ruling.accession, site, trial)
    said = [
        each.statement
        for each in view.stated
        if each.digest == detail["sha256"] and isinstance(each.statement, Ordered | Reported)
    ]
    if not said:
        raise WorkError(f"{identity}: the message states neither an order nor a report; nothing was attached.")
    own = identifier_of(record, site)
    if not all(is_of_patient(own, view.stated, view.merges, each.patients) for each in said):
        raise WorkError(
            f"{identity}: the message is of another patient than {word}; merge the patients or have the message "
            "corrected. Nothing was attached."
        )
    place = received.place
    site.casebook.act(ruling.session, ruling.accession, at, who.id, who.role, "attach", why, detail, message=place)
    settled = settle_accession(ruling.accession, site, "")
    return [each for each in settled if each.record.session == ruling.session]


@dataclass(frozen=True, slots=True)
class AttachedRow:
    """A message that a person attached to a case.

    id : of the row that it was on the list. named : the accession that it names. session, accession : of the case.
    """

    id: str
    message: str
    named: str
    session: str
    accession: str
    at: datetime
    person: str
    why: str


def attached(site: Site) -> list[AttachedRow]:
    """Return the messages that are attached to cases, the newest first."""
    found = attached_now(site.casebook.acts(kinds=("attach", "detach")))
    rows = []
    for row, act in reversed(found.items()):
        named = dict(site.casebook.sessions(act.session))
        rows.append(
            AttachedRow(
                row,
                act.detail["source"],
                act.detail["accession"],
                act.session,
                named.get(act.session, ""),
                act.at,
                act.person,
                act.why,
            )
        )
    return rows


def detach(site: Site, identity: str, by: Person, why: str) -> list[SettledCase]:
    """Take an attachment back: the message is read for the accession that it names again, and is on the list while that
    has no case.

    Raises WorkError when this person may not, or nothing of this id is attached.
    """
    who = may(by, "detach", why)
    rows = {row.id: row for row in attached(site)}
    if identity not in rows:
        raise WorkError(f"{identity}: nothing of this id is attached to a case. Nothing was done.")
    row = rows[identity]
    detail = {"row": row.id, "source": row.message, "accession": row.named}
    # Due first: whatever happens after the act is written, both are decided on.
    site.casebook.touch(row.named, f"{row.message} detached from another accession")
    site.casebook.act(row.session, row.accession, site.clock(), who.id, who.role, "detach", why, detail)
    settle_accession(row.named, site, "")
    settled = settle_accession(row.accession, site, "")
    return [each for each in settled if each.record.session == row.session]


def dismiss(site: Site, identity: str, by: Person, why: str) -> None:
    """Take something off the list of what is unmatched, with the reason. A message stays on file, and is used all the
    same if its accession comes.

    Raises WorkError when this person may not, or there is no such row.
    """
    who, row = may(by, "dismiss", why), find_row(site, identity)
    detail = {"row": row.id, "what": row.what, "source": row.message, "accession": row.accession}
    accession = row.accession if row.session else ""
    site.casebook.act(row.session, accession, site.clock(), who.id, who.role, "dismiss", why, detail, due=False)


def _id(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
