"""Filing a signed report: its SR, the key images it chose, and what follows for the charge."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from pydicom import dcmread

from dicom_io.dates import time_of
from dicom_io.errors import NotFound
from dicom_io.evidence import ImageReference
from dicom_io.files.series import Instance, Series, read_dataset
from dicom_io.sr.key_objects import write_key_objects
from dicom_io.sr.report_sr import WrittenReport, report_series, words_of, write_report
from dicom_io.sr.signatures import sign
from dicom_io.stamp import Stamp
from workstation.billing.address import address_documents
from workstation.billing.settle import settle_due
from workstation.site import Site, signer_of
from workstation.store.journal import recorded_as, reported_as


def file_report(report: WrittenReport, series: Series, session_uid: str, site: Site) -> tuple[Instance, ...]:
    """Journals, keeps and queues a report and the selection of its key images; its accession is decided anew.

    Whatever time of signing it names, the journal's counts: the same report again is the same report. Returns what was
    kept.
    """
    first, journal, author = series.first, site.journal, report.physician
    for image in report.key_images:
        journal.record(session_uid, author, "image_selection", site.clock(), f"image {image.sop_instance_uid}")
    at = journal.record(session_uid, author, "reported", site.clock(), reported_as(words_of(report))).at
    stamp, source = site.stamp(session_uid, at), read_dataset(first.path)
    signed = replace(report, signed_at=at)
    signer = signer_of(site.config)
    objects = [write_report(signed, source, first.study_uid, stamp, _before(at, stamp, site))]
    if signer is not None:
        sign(objects[0], signer, at)
    if report.key_images and "key_objects" in site.config.stored:
        objects.append(write_key_objects(report.key_images, author, source, first.study_uid, stamp))
    kept = site.archive.keep(objects)
    uid = kept[0].sop_instance_uid
    digest = site.archive.digests(kept[0].series_uid)[uid]
    journal.record(session_uid, author, "recorded", site.clock(), recorded_as(uid, digest))
    site.casebook.touch(first.accession, f"report SR {uid}")
    site.outbox.queue(address_documents(kept, first.accession, site.config, site.root), site.clock())
    settle_due(site)
    return kept


def _before(at: datetime, stamp: Stamp, site: Site) -> ImageReference | None:
    """The session's last report that was signed before `at`."""
    earlier: list[tuple[datetime, ImageReference]] = []
    with suppress(NotFound):
        for each in site.archive.series(report_series(stamp)).instances:
            signed = time_of(dcmread(each.path).VerifyingObserverSequence[0].VerificationDateTime)
            reference = ImageReference(each.sop_class_uid, each.sop_instance_uid, each.series_uid)
            earlier += [(signed, reference)] if signed < at else []
    return max(earlier, key=lambda pair: (pair[0], pair[1].sop_instance_uid), default=(at, None))[1]
