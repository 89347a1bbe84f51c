"""What of the archive has to stay: the retention rule, from casebook and outbox."""

from datetime import timedelta

from dicom_io.archive import Shelved
from dicom_io.upkeep import prunable
from workstation.site import Site


def may_go(site: Site, keep_days: float) -> list[Shelved]:
    """Source images that came longer ago and that nothing rests on any more.

    A study stays while a case of its accession is open (held, or with a correction due), while something is due to be
    decided on it, while an SR of it has no ruling, and while a message of it or with one of its instances is not
    acknowledged or withdrawn.
    """
    book = site.casebook
    ruled = {ruling.sr_uid for ruling in book.newest()}
    held = {ruling.accession for ruling in book.newest(["held", "correction"])} | {*book.due()}
    uids: set[str] = set()
    for record in book.records():
        if record.sr_uid not in ruled:
            held.add(record.accession)
    for entry in site.outbox.list():
        if not entry.done:
            held.add(entry.message.accession)
            uids.add(entry.message.identity)
    studies = {s.study_uid for s in site.archive.shelved() if s.accession in held or s.sop_instance_uid in uids}
    before = site.clock() - timedelta(days=keep_days)
    return prunable(site.archive, before, (held | studies) - {""}, uids)
