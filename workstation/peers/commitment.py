"""Asks destinations to commit to the images sent to them, and decides which images count as archived."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any

from dicom_io.errors import DicomIOError, NotFound, NotOffered
from dicom_io.network.commitment import NO_SUCH_INSTANCE, Committed, Reference, ask, new_transaction
from workstation.destinations import Destination, DicomDestination
from workstation.peers.known import load_peers
from workstation.peers.reach import peer_of
from workstation.site import Site
from workstation.store.messages import Message, QueuedMessage

# The most instances in one request: the answer comes in one message, and the destination checks them one by one.
_MOST = 500


def taken_over(site: Site, destination: Destination, uid: str) -> bool:
    """Whether an image counts as archived at a destination, by the setting `archiving`."""
    wanted = destination.archiving
    if wanted == "offered":
        known = site.commitments.offers(destination.name)
        wanted = "acknowledged" if known is not None and not known[0] else "committed"
    if wanted == "committed":
        return site.commitments.committed(destination.name, uid)
    if wanted == "acknowledged":
        key = _message(destination, uid).key
        return any(entry.state == "acknowledged" for entry in site.outbox.find(key))
    return True


def archived_in_words(site: Site) -> Callable[[QueuedMessage], str]:
    """Returns a function that says whether a message's instance is archived; empty where the setting asks nothing."""
    known = {
        d.name: (d.archiving, site.commitments.offers(d.name))
        for d in site.config.destinations
        if d.archiving != "kept"
    }
    standing_at = cache(site.commitments.standing)  # long, and only asked for where something is acknowledged

    def words(entry: QueuedMessage) -> str:
        if entry.message.destination not in known or entry.message.path is None:
            return ""
        wanted, offers = known[entry.message.destination]
        if entry.state != "acknowledged":
            return "no"
        if wanted == "acknowledged" or (wanted == "offered" and offers is not None and not offers[0]):
            return "yes: acknowledged"
        standing = standing_at(entry.message.destination).get(entry.message.identity)
        if standing is None:
            return "no: not asked to commit yet"
        if standing.reason is None:
            return f"no: asked to commit {standing.asked_at:%Y-%m-%d %H:%M}, no answer yet"
        return "yes: committed" if standing.reason == 0 else f"no: not committed, reason 0x{standing.reason:04X}"

    return words


def ask_for_commitment(site: Site, tell: Callable[[dict[str, Any]], None] = lambda event: None) -> int:
    """Asks each destination to commit to the instances it has acknowledged, where the settings want it. Returns how
    many instances.

    Where one does not offer the service and the setting allows that, its acknowledgement counts as archived.
    """
    count = 0
    for destination in site.config.destinations:
        if not isinstance(destination, DicomDestination) or destination.archiving not in ("committed", "offered"):
            continue
        pause = timedelta(seconds=destination.commitment_retry_s)
        known = site.commitments.offers(destination.name)
        if known is not None and not known[0] and site.clock() - known[1] < pause:
            continue
        since, before = site.commitments.left.get(destination.name, (0, ()))
        newest, sent = site.outbox.acknowledged(destination.name, since, before)
        left = site.commitments.not_committed(destination.name, sent)
        site.commitments.left[destination.name] = (newest, tuple(left))
        due = [uid for uid, asked in left.items() if asked is None or site.clock() - asked.asked_at >= pause]
        for at in range(0, len(due), _MOST):
            references = [r for uid in due[at : at + _MOST] for r in _reference(site, uid)]
            transaction = new_transaction()
            site.commitments.ask(destination.name, transaction, references, site.clock())
            try:
                ask(peer_of(destination, site.root), transaction, references, site.config.ae_title)
                count += len(references)
                if known is None or not known[0]:
                    site.commitments.found(destination.name, site.clock(), offers=True)
                tell({"event": "asked", "destination": destination.name, "instances": len(references)})
            except DicomIOError as error:
                site.commitments.not_taken(transaction)
                if isinstance(error, NotOffered):
                    site.commitments.found(destination.name, site.clock(), offers=False)
                    _touch(site, due, f"{destination.name} offers no storage commitment")
                if not (isinstance(error, NotOffered) and destination.archiving == "offered"):
                    tell({"event": "not asked", "destination": destination.name, "detail": str(error)})
                break
    return count


def _message(destination: Destination, uid: str) -> Message:
    return Message(destination.name, *destination.image_message(uid), "")


def _touch(site: Site, uids: Iterable[str], why: str) -> None:
    """Makes the accessions of these instances due for a decision."""
    accessions = set()
    for uid in uids:
        with suppress(NotFound):
            accessions.add(site.archive.instance(uid).accession)
    for accession in sorted(accessions - {""}):
        site.casebook.touch(accession, why)


def _reference(site: Site, uid: str) -> list[Reference]:
    try:
        return [Reference(site.archive.instance(uid).sop_class_uid, uid)]
    except NotFound:
        return []


def hear(site: Site, answer: Committed) -> None:
    """Files a destination's answer and makes the accessions due. An instance that it acknowledged but does not have is
    sent again."""
    about = site.commitments.answer(answer, site.clock())
    destination = site.config.destination(site.commitments.asked_of(answer.transaction_uid))
    _touch(site, about, f"storage commitment {answer.transaction_uid}")
    for reference, reason in answer.failed:
        uid = reference.sop_instance_uid
        if destination is not None and reason == NO_SUCH_INSTANCE and uid in about:
            detail = f"storage commitment: the destination has not got it (0x{reason:04X})"
            site.outbox.lost(_message(destination, uid).key, site.clock(), detail)
            site.commitments.forget(destination.name, uid)


def commitment_peers(site: Site) -> Callable[[str], Any]:
    """Returns a function that finds the node to report to by its AE title: among peers, then destinations."""

    def find(title: str) -> Any:
        for known in load_peers(site.root):
            if known.ae_title.strip() == title:
                return known.at(site.root)
        for destination in site.config.destinations:
            if isinstance(destination, DicomDestination) and destination.ae_title.strip() == title:
                return peer_of(destination, site.root)
        return None

    return find
