"""Records of ours that the archive holds, filed in the casebook, so that no session that was rendered is forgotten."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Evidence
from dicom_io.files.series import Instance, read_dataset
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from workstation.billing.belief import why_no_report, why_not_believed
from workstation.orders.sr_reports import REPORT_CLASSES, report_in
from workstation.site import Site
from workstation.store.cases import Record, slim


def read_record(sr: Instance, site: Site) -> tuple[Record, Evidence]:
    """The casebook's record of a stored SR, and all that the SR says, read once. Its series is the same for all SRs of
    one session.

    Raises NotReadable when it is no record of ours, with the reason: see `belief`; and when its file is gone.
    """
    ds = read_dataset(sr.path)
    evidence = read_sr(ds)
    why = why_not_believed(ds, evidence, site)
    if why:
        raise NotReadable(why)
    times = [act.at for act in evidence.acts] + ([evidence.attestation.at] if evidence.attestation else [])
    at = max(times, default=site.clock())
    path, store = Path(sr.path), site.archive.root
    relative = path.relative_to(store).as_posix() if path.is_relative_to(store) else str(path)
    return Record(evidence.sop_instance_uid, sr.series_uid, relative, at, slim(evidence)), evidence


def file_new_records(site: Site) -> int:
    """Files every SR of ours in the archive that has no record yet. Returns how many: nothing rendered is forgotten."""
    return sum(file_record(sr, site) for sr in _without_record(site))


def _without_record(site: Site) -> Iterator[Instance]:
    """The Comprehensive 3D SRs in the archive that have no record, ours or not."""
    known = site.casebook.sessions_by_sr()
    for uid in site.archive.uids_of(COMPREHENSIVE_3D_SR):
        if uid not in known:
            with suppress(NotFound):  # removed meanwhile
                yield site.archive.instance(uid)


def unfiled(site: Site) -> list[Instance]:
    """The SRs of ours in the archive that have no record: sessions that nobody has decided."""
    found = []
    for sr in _without_record(site):
        with suppress(NotReadable):  # somebody else's is no session of ours
            read_record(sr, site)
            found.append(sr)
    return found


def documents(site: Site) -> list[tuple[Instance, str]]:
    """The Comprehensive 3D SRs in the archive that are no sessions of ours, and the reports that are not believed, each
    with why not."""
    known = site.casebook.sessions_by_sr()
    found: list[tuple[Instance, str]] = []
    for sr in _without_record(site):
        try:
            read_record(sr, site)
        except NotReadable as error:
            found.append((sr, str(error)))
    sessions: dict[str, set[str]] = {}
    for record in site.casebook.records():
        sessions.setdefault(record.accession, set()).add(record.evidence.session_uid)
    for sop_class in REPORT_CLASSES:
        for instance in site.archive.instances_of(sop_class):
            try:
                ds = None if instance.sop_instance_uid in known else report_in(instance)
                why = "" if ds is None else why_no_report(ds, instance, sessions.get(instance.accession, ()), site)
            except NotReadable as error:
                why = str(error)
            if why:
                found = [each for each in found if each[0].sop_instance_uid != instance.sop_instance_uid]
                found.append((instance, why))
    return found


def file_record(sr: Instance, site: Site) -> bool:
    """Files a stored SR; its accession is due then. Returns whether it is one of ours.

    Any other SR may be a report: then its accession is due as well.
    """
    try:
        if sr.sop_class_uid == COMPREHENSIVE_3D_SR:
            site.casebook.record(read_record(sr, site)[0], f"SR {sr.sop_instance_uid}")
            return True
    except NotReadable:
        # Somebody else's Comprehensive 3D SR is no session of ours.
        pass
    if sr.accession:
        site.casebook.touch(sr.accession, f"report SR {sr.sop_instance_uid}")
    return False
