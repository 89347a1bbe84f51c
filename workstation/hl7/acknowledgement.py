"""Writes and reads acknowledgements of HL7 messages: MSA in original and enhanced mode.

Source: HL7 v2.5.1 2.9.2, 2.9.3.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from workstation.hl7.syntax import (
    Hl7Error,
    encoded_segments,
    escape,
    field_at,
    msh,
    segment_of,
    short_digest,
    split,
    unescape,
)

# HL7 table 0008, acknowledgement code: original mode, then enhanced mode.
AcknowledgementCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A receiver's answer. code : MSA-1. control_id : MSA-2, of the message answered. text : for people, may be
    empty."""

    code: AcknowledgementCode
    control_id: str
    text: str


def acknowledgement(message: bytes, code: AcknowledgementCode, text: str = "", *, at: datetime) -> bytes:
    """Writes the answer to `message`: ACK in its version, with its control id in MSA-2, sender and receiver exchanged.

    Raises Hl7Error when `message` has no header.
    """
    header = split(message)[0]
    trigger = field_at(header, 9).split("^")[1:2]
    control_id = unescape(field_at(header, 10))
    parties = tuple(unescape(field_at(header, field)) for field in (5, 6, 3, 4))
    old = field_at(header, 12).split("^")[0] in ("2.1", "2.2", "2.3", "2.3.1")
    kind = "ACK" if old or not trigger else "^".join(["ACK", *trigger, "ACK"])
    own_id = short_digest(["ACK", control_id, code, text], 20)
    version = field_at(header, 12).split("^")[0] or "2.5.1"
    segments = [
        msh(parties, at, kind, own_id, field_at(header, 11).split("^")[0] or "P", version),
        segment_of("MSA", {1: code, 2: escape(control_id), 3: escape(text)}),
    ]
    # Not validated: it repeats the sender's own values, and a sender with too long a name needs an answer too.
    return encoded_segments(segments)


def control_id_of(message: bytes) -> str:
    """Returns MSH-10 of a message. Raises Hl7Error when it has no header, or no control id in it."""
    found = unescape(field_at(split(message)[0], 10))
    if not found:
        raise Hl7Error("The message has no control id in MSH-10, so no answer could be told to be its own.")
    return found


def accept_wanted(message: bytes) -> bool:
    """Whether a message wants an accept acknowledgement (MSH-15: always, or on success)."""
    return field_at(split(message)[0], 15) in ("AL", "SU")


def wants_application_answer(message: bytes) -> bool:
    """Whether a message in enhanced mode wants an application acknowledgement too (MSH-16)."""
    return field_at(split(message)[0], 16) in ("AL", "ER", "SU")


def accept_of(message: bytes) -> bytes:
    """Writes the accept acknowledgement of an application acknowledgement, with the time of that message."""
    header = split(message)[0]
    parties = tuple(unescape(field_at(header, field)) for field in (5, 6, 3, 4))
    fields = dict(zip((2, 3, 4, 5), map(escape, parties), strict=True))
    control_id = unescape(field_at(header, 10))
    own = {
        1: r"^~\&",
        6: field_at(header, 7),
        8: "ACK",
        9: short_digest(["CA", control_id], 20),
        10: "P",
        11: field_at(header, 12),
    }
    return encoded_segments([segment_of("MSH", {**fields, **own}), segment_of("MSA", {1: "CA", 2: escape(control_id)})])


def parse_acknowledgement(message: bytes) -> Acknowledgement:
    """Reads an acknowledgement of any HL7 v2 version. Its text is MSA-3, else ERR-8 or ERR-7.

    It need not be valid in its version: only MSH, MSA-1 and MSA-2 are required.

    Raises Hl7Error when it is no acknowledgement; then nothing was acknowledged.
    """
    segments = split(message)
    msa = next((segment for segment in segments if segment[0] == "MSA"), None)
    if msa is None:
        names = ", ".join(segment[0][:3] for segment in segments[:5])
        raise Hl7Error(f"The answer has no MSA segment, only {names}; it acknowledges nothing.")
    code, control_id, text = field_at(msa, 1), unescape(field_at(msa, 2)), field_at(msa, 3)
    if code not in get_args(AcknowledgementCode):
        raise Hl7Error(f"The answer has {code[:20]!r} in MSA-1, not one of {', '.join(get_args(AcknowledgementCode))}.")
    if not control_id:
        raise Hl7Error("The answer has no control id in MSA-2, so it acknowledges nothing in particular.")
    err = next((segment for segment in segments if segment[0] == "ERR"), None)
    if not text and err is not None:
        text = field_at(err, 8) or field_at(err, 7)
    return Acknowledgement(cast(AcknowledgementCode, code), control_id, unescape(text))
