"""Storage commitment, both roles: asks a peer to take responsibility for instances, and answers such requests.

Source: PS3.4 Annex J (Storage Commitment Push Model).
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.capabilities import STORAGE_COMMITMENT
from dicom_io.errors import DicomIOError, NotFound, NotOffered, NotReadable, QueryFailed
from dicom_io.files.series import read_instance
from dicom_io.files.values import text
from dicom_io.network.commands import N_ACTION, N_EVENT_REPORT, PROCESSING_FAILURE, SUCCESS, UNRECOGNIZED_OPERATION
from dicom_io.network.requestor import Peer, Proposal, associate
from dicom_io.network.services import Reply, Request, Service
from dicom_io.uids import UidError, checked

log = logging.getLogger(__name__)

# PS3.4 J.3: the one well-known instance of the service.
_INSTANCE = "1.2.840.10008.1.20.1.1"
_REQUEST, _ALL_COMMITTED, _SOME_FAILED = 1, 1, 2
# PS3.3 C.14.1.1: failure reasons.
_FAILURE, NO_SUCH_INSTANCE, _CLASS_CONFLICT = 0x0110, 0x0112, 0x0119


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance, named by its class and UID."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The result of a commitment request. failed : instances with the reason (PS3.3 C.14.1.1)."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


def new_transaction() -> str:
    """Makes a new transaction UID for a request. Source: PS3.5 B.2."""
    return f"2.25.{uuid.uuid4().int}"


def ask(peer: Peer, transaction_uid: str, references: Sequence[Reference], calling: str = "WORKSTATION") -> None:
    """Asks a peer to commit (N-ACTION). It answers later, to our receiver, by N-EVENT-REPORT.

    Raises PeerUnreachable, NotOffered; QueryFailed when the peer refuses the request.
    """
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [_item(reference) for reference in references]
    with associate(peer, calling, [Proposal(STORAGE_COMMITMENT)]) as association:
        answer = association.ask_once(
            N_ACTION, STORAGE_COMMITMENT, sop_instance_uid=_INSTANCE, type_id=_REQUEST, data=ds
        )
    if answer.status != SUCCESS:
        raise QueryFailed(f"{peer} does not take the request for storage commitment: {answer}.")


def report(peer: Peer, result: Committed, calling: str = "WORKSTATION") -> None:
    """Reports the result of a peer's request to it (N-EVENT-REPORT). Raises PeerUnreachable, QueryFailed."""
    ds = Dataset()
    ds.TransactionUID = result.transaction_uid
    if result.committed:
        ds.ReferencedSOPSequence = [_item(reference) for reference in result.committed]
    if result.failed:
        ds.FailedSOPSequence = [_item(reference) for reference, _ in result.failed]
        for item, (_, reason) in zip(ds.FailedSOPSequence, result.failed, strict=True):
            item.FailureReason = reason
    # The provider of the service opens this association, so it proposes the SCP role. Source: PS3.4 J.3.3 and PS3.7
    # D.3.3.4.
    with associate(peer, calling, [Proposal(STORAGE_COMMITMENT, provides=True)]) as association:
        if STORAGE_COMMITMENT not in association.provided:
            raise NotOffered(f"{peer} takes no reports of storage commitment.")
        event = _SOME_FAILED if result.failed else _ALL_COMMITTED
        answer = association.ask_once(
            N_EVENT_REPORT, STORAGE_COMMITMENT, sop_instance_uid=_INSTANCE, type_id=event, data=ds
        )
    if answer.status != SUCCESS:
        raise QueryFailed(f"{peer} does not take our report of storage commitment: {answer}.")


def check(archive: Archive, transaction_uid: str, references: Sequence[Reference]) -> tuple[Committed, frozenset[str]]:
    """Checks that instances are in the index and whole on the disk. Returns the result, and the series they are of."""
    committed, failed, series = [], [], set[str]()
    for reference in references:
        try:
            kept = archive.instance(reference.sop_instance_uid)
            read_instance(Path(kept.path))
        except (NotFound, UidError):
            failed.append((reference, NO_SUCH_INSTANCE))
        except NotReadable:
            failed.append((reference, _FAILURE))
        else:
            if kept.sop_class_uid == reference.sop_class_uid:
                committed.append(reference)
                series.add(kept.series_uid)
            else:
                failed.append((reference, _CLASS_CONFLICT))
    return Committed(transaction_uid, tuple(committed), tuple(failed)), frozenset(series)


def service(
    archive: Archive,
    peer_of: Callable[[str], Peer | None],
    heard: Callable[[Committed], None],
    calling: str = "WORKSTATION",
    sent: Callable[[frozenset[str]], None] = lambda series_uids: None,
) -> Service:
    """Makes the service for a receiver: it checks and answers peers' requests, and takes the answers to our own.

    peer_of : the peer to report to, by its AE title. heard : called with an answer to ours, before it is acknowledged.
    sent : called with the series of a request without failures: the sender lists what it has sent, and all of it is
    here. Source: PS3.4 J.1.
    """

    def serve(request: Request) -> Iterator[Reply]:
        ds = request.data_set
        transaction = checked(text(ds, "TransactionUID"), "Transaction UID")
        if request.command.field == N_EVENT_REPORT:
            heard(
                Committed(
                    transaction,
                    tuple(_references(ds, "ReferencedSOPSequence")),
                    tuple(
                        (reference, int(item.get("FailureReason") or _FAILURE))
                        for reference, item in zip(
                            _references(ds, "FailedSOPSequence"), ds.get("FailedSOPSequence") or (), strict=True
                        )
                    ),
                )
            )
            yield Reply(SUCCESS)
        elif request.command.field == N_ACTION and request.command.type_id == _REQUEST:
            peer = peer_of(request.calling)
            if peer is None:
                log.warning("%s asks for storage commitment, but is no peer of ours", request.calling)
                yield Reply(PROCESSING_FAILURE)
                return
            yield Reply(SUCCESS)
            result, series = check(archive, transaction, list(_references(ds, "ReferencedSOPSequence")))
            if not result.failed:
                sent(series)
            threading.Thread(target=_report, args=(peer, result, calling), name="commitment", daemon=True).start()
        else:
            yield Reply(UNRECOGNIZED_OPERATION)

    return serve


def _report(peer: Peer, result: Committed, calling: str) -> None:
    """Reports once; a peer that does not get the report asks again."""
    try:
        report(peer, result, calling)
    except DicomIOError as error:
        log.warning("storage commitment %s was not reported: %s", result.transaction_uid, error)


def _references(ds: Dataset, keyword: str) -> Iterator[Reference]:
    for item in ds.get(keyword) or ():
        yield Reference(
            checked(text(item, "ReferencedSOPClassUID"), "Referenced SOP Class UID"),
            checked(text(item, "ReferencedSOPInstanceUID"), "Referenced SOP Instance UID"),
        )


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
