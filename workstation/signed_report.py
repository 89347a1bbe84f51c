"""Filing a signed report: its SR, the key images it chose, and what follows for the charge."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydicom import dcmread

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import ImageReference
from dicom_io.files.digests import file_digest
from dicom_io.files.series import Instance, Series, read_dataset
from dicom_io.sr.key_objects import write_key_objects
from dicom_io.sr.report_sr import BASIC_TEXT_SR, FiledReport, WrittenReport, read_report, words_of, write_report
from dicom_io.sr.signatures import sign
from workstation.billing.address import address_documents
from workstation.billing.settle import settle_due
from workstation.site import Site, signer_of
from workstation.store.journal import recorded_as, recorded_uid, reported_as, reported_words


def file_report(report: WrittenReport, series: Series, session_uid: str, site: Site) -> tuple[Instance, ...]:
    """Journals, keeps and queues a report and the selection of its key images; its accession is decided anew.

    Whatever time of signing it names, the journal's counts: the same report again is the same report. Returns what was
    kept.
    """
    first, journal, author = series.first, site.journal, report.physician
    for image in report.key_images:
        journal.record(session_uid, author, "image_selection", site.clock(), f"image {image.sop_instance_uid}")
    said = _event_of(report, session_uid, site)
    at = journal.record(session_uid, author, "reported", site.clock(), said).at
    stamp, source = site.stamp(session_uid, at), read_dataset(first.path)
    signed = replace(report, signed_at=at)
    signer = signer_of(site.config)
    objects = [write_report(signed, source, first.study_uid, stamp, _before(at, session_uid, site))]
    if signer is not None:
        sign(objects[0], signer, at)
    if report.key_images and "key_objects" in site.config.stored:
        objects.append(write_key_objects(report.key_images, author, source, first.study_uid, stamp))
    kept = site.archive.keep(objects)
    uid = kept[0].sop_instance_uid
    digest = site.archive.digests(kept[0].series_uid)[uid]
    journal.record(session_uid, author, "recorded", site.clock(), recorded_as(uid, digest))
    site.casebook.touch(first.accession, f"report SR {uid}")
    site.outbox.queue(address_documents(kept, first.accession, site.config, site.archive.root), site.clock())
    settle_due(site)
    return kept


def _event_of(report: WrittenReport, session_uid: str, site: Site) -> str:
    """The detail of the event of signing a report. The newest report signed again is the same event; what was said
    before that one, and is said again now, is a new one: it amends what came in between."""
    words, events = words_of(report), [act for act in site.journal.acts(session_uid) if act.kind == "reported"]
    own = [act.detail for act in events if (act.person_id, reported_words(act.detail)) == (report.physician.id, words)]
    if not own:
        return reported_as(words)
    return events[-1].detail if events[-1].detail in own else reported_as(words, len(events))


def reports_of(session_uid: str, site: Site) -> tuple[tuple[Instance, FiledReport], ...]:
    """The reports of a session that were signed here, oldest first; only those that are as the journal recorded them.
    A report of before the journal noted the SR itself is not among them."""
    found: dict[str, tuple[Instance, FiledReport]] = {}
    for each, unchanged in recorded_files(session_uid, site):
        if unchanged and each.sop_class_uid == BASIC_TEXT_SR:
            with suppress(NotReadable):
                found[each.sop_instance_uid] = (each, read_report(dcmread(each.path)))
    return tuple(sorted(found.values(), key=lambda pair: (pair[1].signed_at, pair[0].sop_instance_uid)))


def recorded_files(session_uid: str, site: Site) -> Iterator[tuple[Instance, bool]]:
    """Yields the SRs that the journal has of a session and the archive still holds, oldest first, each with whether
    its file, as it is on the disk now, is the one that was recorded: the index alone tells of no change."""
    for act in site.journal.acts(session_uid):
        if act.kind != "recorded":
            continue
        with suppress(NotFound):
            each = site.archive.instance(recorded_uid(act.detail))
            try:
                digest = file_digest(Path(each.path), each.transfer_syntax_uid)
            except OSError:
                digest = ""
            yield each, act.detail == recorded_as(each.sop_instance_uid, digest)


def _before(at: datetime, session_uid: str, site: Site) -> ImageReference | None:
    """The session's last report that was signed before `at`."""
    earlier = [each for each, told in reports_of(session_uid, site) if told.signed_at < at]
    if not earlier:
        return None
    return ImageReference(earlier[-1].sop_class_uid, earlier[-1].sop_instance_uid, earlier[-1].series_uid)
