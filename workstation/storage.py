"""Taking files in, what has to stay (the retention rule, from casebook and outbox), and removing the rest."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from dicom_io.archive import upkeep
from dicom_io.archive.archive import Shelved
from dicom_io.archive.upkeep import prunable
from dicom_io.files.series import Scan
from render.progress import CountDone
from workstation.audit.trail import AuditOutcome, Moved, by_study, trail_of, whatever_comes
from workstation.site import Site


def take_in(site: Site, path: Path, person_id: str, progress: Callable[[int], None] | None = None) -> Scan:
    """Copies every DICOM instance below a path into the archive, whose series are complete then. Whoever did it, and
    from where, is noted in the audit trail."""
    found = site.archive.import_files(path, progress)
    site.arrivals.whole([series.uid for series in found.series], site.clock())
    trail, source = trail_of(site.config, site.root), path.resolve().as_uri()
    for study in by_study(instance for series in found.series for instance in series.instances):
        trail.imported(person_id, study, source, site.clock())
    return found


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
    for entry in site.outbox.open_messages():
        held.add(entry.message.accession)
        uids.add(entry.message.identity)
    studies = {s.study_uid for s in site.archive.shelved() if s.accession in held or s.sop_instance_uid in uids}
    before = site.clock() - timedelta(days=keep_days)
    return prunable(site.archive, before, (held | studies) - {""}, uids)


def prune(site: Site, what: list[Shelved], person_id: str, progress: CountDone) -> None:
    """Removes instances study by study, and leaves in the audit trail who had each go; oldest first.

    What cannot be removed stops it, and is noted as that. Raises Busy while a backup is made.
    """
    trail, archive = trail_of(site.config, site.root), site.archive
    kept = Counter(one.study_uid for one in archive.shelved())
    studies: dict[str, list[Shelved]] = {}
    for one in what:
        studies.setdefault(one.study_uid, []).append(one)
    done = 0
    for uid, going in studies.items():
        uids = {one.sop_instance_uid for one in going}
        series = sorted({one.series_uid for one in going})
        (study,) = by_study(i for s in series for i in archive.series(s).instances if i.sop_instance_uid in uids)

        def note(
            outcome: AuditOutcome, uid: str = uid, study: Moved = study, whole: bool = kept[uid] == len(going)
        ) -> None:
            trail.accessed(person_id, study, "D", site.clock(), outcome, whole=whole)

        def tell(n: int, _: int, before: int = done) -> None:
            progress(before + n, len(what))

        with upkeep.alone(archive), whatever_comes(note):
            upkeep.prune(archive, going, tell)
        done += len(going)
