"""Answering RIS and HIS: a message is answered AA only once it is on the disk."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from workstation.hl7.acknowledgement import Acknowledgement, AcknowledgementCode, acknowledgement, parse_acknowledgement
from workstation.hl7.mllp import HL7Caller
from workstation.hl7.reader import Incoming, first_message, read_message, read_time
from workstation.hl7.syntax import Hl7Error
from workstation.listening import Heard, HL7Sender
from workstation.orders.stated import Merged, MessageRefused, Ordered, Reported, Stated, Updated
from workstation.orders.statements import (
    DOCUMENTS,
    ORDERS,
    RESULTS,
    UPDATES,
    statements_of,
)
from workstation.site import Site
from workstation.store.cases import Concern, RefusalKind
from workstation.store.messages import OutboxError
from workstation.store.outbox import DatabaseFailed

# What kinds of messages say, as settings name it. An ACK that nobody may send is refused as a kind that is not heard.
_SAYS: dict[str, Heard] = {
    **dict.fromkeys(ORDERS, "orders"),
    **dict.fromkeys((*RESULTS, *DOCUMENTS), "reports"),
    **dict.fromkeys(UPDATES, "merges"),
}
# A clock that is so much ahead of ours is wrong, or somebody wants to have the last word for ever.
_CLOCKS_DIFFER = timedelta(minutes=10)
_KEPT_OF_STRANGERS = 1000
THIS_MACHINE = HL7Caller("127.0.0.1")
_OURSELVES = HL7Sender("WORKLIST", ("orders",))

# What happens, for the log: identifiers of messages, never of patients.
Tell = Callable[[dict[str, str]], None]


def answering(site: Site, tell: Tell = lambda event: None) -> Callable[..., bytes | None]:
    """Return what an `MllpListener` answers with, of a message and its caller. It is called from several threads."""

    def answer(message: bytes, caller: HL7Caller = THIS_MACHINE) -> bytes | None:
        try:
            incoming = read_message(message, site.config.reading.character_set)
        except Hl7Error as error:
            return _unread(message, str(error), site, tell)
        sender = _sender(incoming, caller, site)
        if incoming.header.text(9) == "ACK" and sender is not None and "acknowledgements" in sender.may:
            return _late(message, incoming, site, tell)
        code, text = _taken(message, incoming, sender, site)
        tell(
            {
                "event": "taken" if code == "AA" else "refused",
                "message": _name(incoming),
                "answer": code,
                "detail": text,
            }
        )
        return _answer(message, incoming, code, text, site)

    return answer


def file_own_order(message: bytes, site: Site) -> AcknowledgementCode:
    """Files an order that this program has written from a worklist, as one that came in."""
    return _taken(message, read_message(message), _OURSELVES, site)[0]


def refusing_too_long(site: Site, tell: Tell = lambda event: None) -> Callable[[bytes, HL7Caller], bytes]:
    """Return what an `MllpListener` answers to the beginning of a message that is longer than is taken."""
    limit = site.config.listener.max_message_mb if site.config.listener is not None else 16

    def answer(beginning: bytes, caller: HL7Caller = THIS_MACHINE) -> bytes:
        why = f"The message is longer than {limit} MB, the most that is taken; send the report without its document."
        return _unread(beginning, why, site, tell, "too_long")

    return answer


def _unread(message: bytes, why: str, site: Site, tell: Tell, kind: RefusalKind = "unreadable") -> bytes:
    """Refuse what cannot be read as one message. It is answered where a header tells to whom, else the connection is
    closed; either way it is written down."""
    first = first_message(message)
    try:
        answer = acknowledgement(first, "AR", why, at=site.clock()) if first else b""
    except (Hl7Error, LookupError, ValueError):
        answer = b""
    code = "AR" if answer else "none"
    with suppress(DatabaseFailed):
        site.casebook.refuse(message[:_KEPT_OF_STRANGERS], code, kind, why, site.clock())
    tell({"event": "refused", "message": "", "answer": code, "detail": why})
    return answer


def _sender(incoming: Incoming, caller: HL7Caller, site: Site) -> HL7Sender | None:
    """The sender of the settings that a message comes from: by name, and from where and with what it calls."""
    listener, header = site.config.listener, incoming.header
    for sender in listener.senders if listener is not None else ():
        named = header.text(3) == sender.application and sender.facility in ("", header.text(4))
        if named and sender.calls_from(caller.address) and sender.subject in ("", caller.subject):
            return sender
    return None


def _check_may(incoming: Incoming, sender: HL7Sender | None, site: Site) -> None:
    """Raises MessageRefused for a sender that is not named, what it may not say, and a time to come."""
    header, now = incoming.header, site.clock()
    if sender is None:
        who = f"{header.text(3)[:20]!r} at {header.text(4)[:20]!r}"
        raise MessageRefused(
            "AR",
            f"MSH-3 and MSH-4 {who}: no sender that is heard here, or not from where it calls.",
            "unknown_sender",
        )
    what = _SAYS.get(incoming.kind)
    if what is not None and what not in sender.may:
        raise MessageRefused(
            "AR", f"{incoming.kind} of {sender.application}: it may say {', '.join(sender.may)} only.", "not_allowed"
        )
    assert now.tzinfo is not None, "a site's clock knows its offset"
    at = read_time(header.text(7), now.tzinfo)
    if at is not None and at > now + _CLOCKS_DIFFER:
        ahead = int((at - now).total_seconds() // 60)
        raise MessageRefused(
            "AE", f"MSH-7 is {ahead} minutes ahead of the clock here; set it right and send again.", "ahead"
        )


def _taken(message: bytes, incoming: Incoming, sender: HL7Sender | None, site: Site) -> tuple[AcknowledgementCode, str]:
    listener = site.config.listener
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    try:
        _check_may(incoming, sender, site)
        stated = statements_of(message, site.config.reading, zone, listener.processing_id if listener else "P")
        new = site.casebook.receive(
            message, incoming.kind, incoming.control_id, _concerns(stated), site.clock(), _name(incoming)
        )
    except MessageRefused as refused:
        # Of somebody unknown only the beginning: nobody may fill the disk with what is refused.
        kept = message if sender is not None else message[:_KEPT_OF_STRANGERS]
        return _kept(kept, refused.code, refused.kind, str(refused), site)
    except Hl7Error as error:
        return _kept(message, "AR", "unreadable", str(error), site)
    except (LookupError, TypeError, AttributeError) as error:
        # A defect of ours in reading it. It is kept for whoever mends that, and not promised.
        return _kept(message, "AE", "other", f"The message could not be understood ({type(error).__name__}).", site)
    except DatabaseFailed as error:
        # Nothing is kept, so nothing may be promised. The sender has it still, and sends it again.
        return "AE", f"The message could not be written ({type(error).__name__}); send it again."
    return "AA", "" if new else "received before"


def _kept(
    message: bytes, code: AcknowledgementCode, kind: RefusalKind, reason: str, site: Site
) -> tuple[AcknowledgementCode, str]:
    try:
        site.casebook.refuse(message, code, kind, reason, site.clock())
    except DatabaseFailed:
        return "AE", f"{reason} It could not even be written down."
    return code, reason


def _concerns(stated: Sequence[Stated]) -> list[Concern]:
    """What a message is about, so that what it changes is found. Patients by their numbers alone: which of them are
    the same is told from what the messages state, by the settings of the day."""
    found: dict[Concern, None] = {}
    for said in (each.statement for each in stated):
        if isinstance(said, Ordered | Reported):
            found[Concern("accession", said.accession)] = None
            found |= {Concern("of patient", each.number): None for each in said.patients}
        if isinstance(said, Ordered):
            found |= {Concern("of account", said.account): None} if said.account else {}
            found |= {Concern("of visit", said.visit): None} if said.visit else {}
        elif isinstance(said, Merged):
            found[Concern("patient", said.prior.number, said.survivor.number)] = None
            if said.prior_account and said.account:
                found[Concern("account", said.prior_account, said.account)] = None
        elif isinstance(said, Updated):
            found |= {Concern("visit", said.visit, each.number): None for each in said.patients}
    return list(found)


def _late(message: bytes, incoming: Incoming, site: Site, tell: Tell) -> bytes | None:
    """An application acknowledgement of a charge of ours, on a connection of its own."""
    code: AcknowledgementCode = "AA"
    try:
        late: Acknowledgement = parse_acknowledgement(message)
        key = site.outbox.answered_later(late, site.clock())
        text = f"for message {key[:12]}"
    except (Hl7Error, OutboxError) as error:
        code, text = _kept(message, "AR", "no_charge", str(error), site)
    except DatabaseFailed as error:
        code, text = "AE", f"The answer could not be written ({type(error).__name__}); send it again."
    tell({"event": "answered", "message": _name(incoming), "answer": code, "detail": text})
    # An acknowledgement is answered only where it says so itself, else two systems would answer each other for ever.
    return _answer(message, incoming, code, text, site) if incoming.header.text(15) not in ("", "NE") else None


def _answer(message: bytes, incoming: Incoming, code: AcknowledgementCode, text: str, site: Site) -> bytes | None:
    """The answer that the message wants: original mode, or enhanced. Source: HL7 v2.5.1 2.9.3, table 0155."""
    accept, application = incoming.header.text(15), incoming.header.text(16)
    wanted = {"AL": True, "NE": False, "ER": code != "AA", "SU": code == "AA"}
    if accept or application:
        if wanted.get(accept, False):
            code = _ACCEPT[code]
        elif not wanted.get(application, False):
            return None
    return acknowledgement(message, code, text, at=site.clock())


_ACCEPT: dict[AcknowledgementCode, AcknowledgementCode] = {"AA": "CA", "AE": "CE", "AR": "CR"}


def _name(incoming: Incoming) -> str:
    return f"{incoming.kind} {incoming.control_id[:40]}"
