"""What destinations say of images that were sent to them: asking for commitment, and what counts as archived."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dicom_io.commitment import Committed, Reference, ask, new_transaction
from dicom_io.errors import DicomIOError, NotFound
from workstation.config import Destination
from workstation.outbox import Message
from workstation.peers import load_peers
from workstation.reach import peer_of
from workstation.site import Site

# Instances of one request: its answer comes in one message, and is looked up one by one by whoever gives it.
_MOST = 500


def taken_over(site: Site, destination: Destination, uid: str) -> bool:
    """Whether a destination has an image as its settings want it to."""
    if destination.archived_when == "committed":
        return site.commitments.committed(destination.name, uid)
    if destination.archived_when == "acknowledged":
        key = Message(destination.name, "dicom", uid, "").key
        return any(e.message.key == key and e.state == "acknowledged" for e in site.outbox.find(key))
    return True


def ask_for_commitment(site: Site, tell: Callable[[dict[str, Any]], None] = lambda event: None) -> int:
    """Asks every destination that is to commit for what it has acknowledged. Returns for how many instances."""
    count = 0
    for destination in site.config.destinations:
        if destination.archived_when != "committed":
            continue
        sent = [
            entry.message.identity
            for entry in site.outbox.list()
            if entry.state == "acknowledged"
            and entry.message.kind == "dicom"
            and entry.message.destination == destination.name
        ]
        pause = timedelta(seconds=destination.commitment_retry_s)
        due = site.commitments.due(destination.name, sent, site.clock(), pause)
        for at in range(0, len(due), _MOST):
            references = [r for uid in due[at : at + _MOST] for r in _reference(site, uid)]
            transaction = new_transaction()
            site.commitments.ask(destination.name, transaction, references, site.clock())
            try:
                ask(peer_of(destination, site.root), transaction, references, site.config.ae_title)
                count += len(references)
                tell({"event": "asked", "destination": destination.name, "instances": len(references)})
            except DicomIOError as error:
                site.commitments.not_taken(transaction)
                tell({"event": "not asked", "destination": destination.name, "detail": str(error)})
                break
    return count


def _reference(site: Site, uid: str) -> list[Reference]:
    try:
        return [Reference(site.archive.instance(uid).sop_class_uid, uid)]
    except NotFound:
        return []


def hear(site: Site, answer: Committed) -> None:
    """Files a destination's answer; what rests on it is due then."""
    accessions = set()
    for uid in site.commitments.answer(answer, site.clock()):
        for reference in _reference(site, uid):
            accessions.add(site.archive.instance(reference.sop_instance_uid).accession)
    for accession in sorted(accessions - {""}):
        site.casebook.touch(accession, f"storage commitment {answer.transaction_uid}")


def commitment_peers(site: Site) -> Callable[[str], Any]:
    """Where to report to whoever calls us by an AE title: peers, then destinations."""

    def find(title: str) -> Any:
        for known in load_peers(site.root):
            if known.ae_title.strip() == title:
                return known.at(site.root)
        for destination in site.config.destinations:
            if destination.kind == "dicom" and destination.ae_title.strip() == title:
                return peer_of(destination, site.root)
        return None

    return find
