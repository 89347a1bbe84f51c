"""Answering RIS and HIS: a message is answered AA only once it is on the disk."""

from collections.abc import Callable, Sequence

from workstation.hl7.acknowledgement import Acknowledgement, AcknowledgementCode, acknowledgement, parse_acknowledgement
from workstation.hl7.reader import Incoming, read_message
from workstation.hl7.syntax import Hl7Error
from workstation.orders.statements import Merged, MessageRefused, Ordered, Reported, Stated, Updated, statements_of
from workstation.site import Site
from workstation.store.cases import Concern
from workstation.store.messages import OutboxError
from workstation.store.outbox import DatabaseFailed

# What happens, for the log: identifiers of messages, never of patients.
Tell = Callable[[dict[str, str]], None]


def answering(site: Site, tell: Tell = lambda event: None) -> Callable[[bytes], bytes | None]:
    """Return what an `MllpListener` answers with. It is called from several threads at once."""

    def answer(message: bytes) -> bytes | None:
        try:
            incoming = read_message(message)
        except Hl7Error as error:
            # There is nobody to answer to: no control id, no sender. The connection is closed.
            site.casebook.refuse(message[:1000], "none", str(error), site.clock())
            tell({"event": "refused", "message": "", "answer": "none", "detail": str(error)})
            return b""
        if incoming.header.text(9) == "ACK":
            return _late(message, incoming, site, tell)
        code, text = _taken(message, incoming, site)
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


def _taken(message: bytes, incoming: Incoming, site: Site) -> tuple[AcknowledgementCode, str]:
    listener = site.config.listener
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    try:
        heard = listener.applications if listener else ()
        if heard and incoming.header.text(3) not in heard:
            raise MessageRefused(
                "AR", f"MSH-3 {incoming.header.text(3)[:20]!r} is not a sending application that is heard here."
            )
        stated = statements_of(message, site.config.reading, zone, listener.processing_id if listener else "P")
        new = site.casebook.receive(
            message, incoming.kind, incoming.control_id, _concerns(stated), site.clock(), _name(incoming)
        )
    except MessageRefused as refused:
        return _kept(message, refused.code, str(refused), site)
    except Hl7Error as error:
        return _kept(message, "AR", str(error), site)
    except (LookupError, TypeError, AttributeError) as error:
        # A defect of ours in reading it. It is kept for whoever mends that, and not promised.
        return _kept(message, "AE", f"The message could not be understood ({type(error).__name__}).", site)
    except DatabaseFailed as error:
        # Nothing is kept, so nothing may be promised. The sender has it still, and sends it again.
        return "AE", f"The message could not be written ({type(error).__name__}); send it again."
    return "AA", "" if new else "received before"


def _kept(message: bytes, code: AcknowledgementCode, reason: str, site: Site) -> tuple[AcknowledgementCode, str]:
    try:
        site.casebook.refuse(message, code, reason, site.clock())
    except DatabaseFailed:
        return "AE", f"{reason} It could not even be written down."
    return code, reason


def _concerns(stated: Sequence[Stated]) -> list[Concern]:
    """What a message is about, so that what it changes is found."""
    found: dict[Concern, None] = {}
    for each in stated:
        said = each.statement
        if isinstance(said, Ordered | Reported):
            found[Concern("accession", said.accession)] = None
            found[Concern("of patient", said.patient_id)] = None
        if isinstance(said, Ordered):
            found |= {Concern("of account", said.account): None} if said.account else {}
            found |= {Concern("of visit", said.visit): None} if said.visit else {}
        elif isinstance(said, Merged):
            found[Concern("patient", said.prior, said.survivor)] = None
            if said.prior_account and said.account:
                found[Concern("account", said.prior_account, said.account)] = None
        elif isinstance(said, Updated):
            found[Concern("visit", said.visit, said.patient_id)] = None
    return list(found)


def _late(message: bytes, incoming: Incoming, site: Site, tell: Tell) -> bytes | None:
    """An application acknowledgement of a charge of ours, on a connection of its own."""
    code: AcknowledgementCode = "AA"
    try:
        late: Acknowledgement = parse_acknowledgement(message)
        key = site.outbox.answered_later(late, site.clock())
        text = f"for message {key[:12]}"
    except (Hl7Error, OutboxError) as error:
        code, text = "AR", str(error)
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
