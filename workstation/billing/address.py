"""Which messages a finished case makes: pure. What goes to whom stands in the settings' destinations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_io.evidence import Evidence
from dicom_io.files.series import Instance
from workstation.billing import day_sheet, fhir
from workstation.billing.charged_line import Billed, for_receiver
from workstation.billing.dft import charge_message
from workstation.config import Config
from workstation.destinations import Destination, FhirDestination, FolderDestination, MllpDestination, SheetDestination
from workstation.hl7.acknowledgement import control_id_of
from workstation.hl7.syntax import Hl7Error
from workstation.store.messages import Charge, Message, MessageKind


def address(
    images: Sequence[Instance], sr: Instance, evidence: Evidence, config: Config, root: Path
) -> tuple[Message, ...]:
    """Images and the SR to each destination that takes images.

    An SR that no physician has verified stays here unless the site wants it sent. Paths are relative to `root`, the
    state folder, which may be moved.
    """
    objects = [*images, sr] if evidence.verified or config.send_unverified else list(images)
    return tuple(
        _instance(destination, instance, evidence.accession, root)
        for destination in config.destinations
        if "images" in destination.takes
        for instance in objects
    )


def address_documents(documents: Sequence[Instance], accession: str, config: Config, root: Path) -> tuple[Message, ...]:
    """Reports and selections to each destination that takes images."""
    takers = [destination for destination in config.destinations if "images" in destination.takes]
    return tuple(_instance(taker, document, accession, root) for taker in takers for document in documents)


def charge_messages(
    billed: Sequence[Billed], sr_uid: str, at: datetime, config: Config, *, credit: bool = False
) -> tuple[Message, ...]:
    """Charges of one case, or their credits, to each destination that takes charges.

    All of `billed` have one subject and one occurrence. A charge is charged once: the message of the first destination
    that takes it carries it, a further one gets a copy that has no charge of its own.

    Raises Hl7Error when a message cannot be built, or nobody takes a charge.
    """
    messages: list[Message] = []
    subject = billed[0].subject
    carried: set[str] = set()
    for destination in config.destinations:
        taken = [each for each in billed if destination.takes_charge(each.line.entity)]
        for kind, identity, body, part in (
            CHARGE_BODIES[type(destination)](destination, taken, at, credit) if taken else ()
        ):
            message = Message(
                destination.name, kind, identity, subject.accession, body=body, account=subject.account_number
            )
            first = [each for each in part if each.key not in carried]
            messages.append(_with_charges(message, first, sr_uid, credit) if first else message)
            carried |= {each.key for each in first}
    left = sorted({each.line.entity for each in billed if each.key not in carried})
    if left:
        raise Hl7Error(
            f"No destination of the settings takes charges of entity {', '.join(left)}; add one, then run `workstation "
            "charge recheck`."
        )
    return tuple(messages)


def _with_charges(message: Message, billed: Sequence[Billed], sr_uid: str, credit: bool) -> Message:
    if credit:
        return replace(message, credits=tuple(each.key for each in billed))
    charges = tuple(
        Charge(each.key, each.line.code, each.subject.accession, each.line.base, sr_uid, each.to_text())
        for each in billed
    )
    return replace(message, charges=charges)


# Kind and identity of a message, its body, and what of the charges it carries.
Body = tuple[MessageKind, str, bytes, Sequence[Billed]]


def _hl7(
    destination: MllpDestination | FolderDestination, billed: Sequence[Billed], at: datetime, credit: bool
) -> list[Body]:
    """One message for all lines; a folder gets it as a file."""
    subject = for_receiver(
        billed[0].subject, destination.application, destination.facility, destination.patient_id_issuer
    )
    lines = [each.line for each in billed]
    body = charge_message(
        lines,
        subject,
        at=at,
        occurrence=billed[0].occurrence,
        form=destination.form,
        credit=credit,
        codes=[each.codes for each in billed],
    )
    control_id = control_id_of(body)
    if isinstance(destination, FolderDestination):
        return [("file", f"{control_id}.hl7", body, billed)]
    return [("hl7", control_id, body, billed)]


def _rows(destination: SheetDestination, billed: Sequence[Billed], at: datetime, credit: bool) -> list[Body]:
    """A row for each line."""
    return [("row", *day_sheet.row(each, credit), [each]) for each in billed]


def _resources(destination: FhirDestination, billed: Sequence[Billed], at: datetime, credit: bool) -> list[Body]:
    """A ChargeItem for each line."""
    return [
        ("resource", *fhir.charge_item(each, destination.fhir_version, at, credit, form=destination.form), [each])
        for each in billed
    ]


# How charges, or credits, are written for each kind of destination that can take them.
CHARGE_BODIES: Mapping[type[Destination], Callable[[Any, Sequence[Billed], datetime, bool], list[Body]]] = {
    MllpDestination: _hl7,
    FolderDestination: _hl7,
    SheetDestination: _rows,
    FhirDestination: _resources,
}


def _instance(destination: Destination, instance: Instance, accession: str, root: Path) -> Message:
    path = Path(instance.path).relative_to(root).as_posix()
    return Message(destination.name, *destination.image_message(instance.sop_instance_uid), accession, path=path)
