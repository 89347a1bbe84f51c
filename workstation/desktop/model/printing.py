"""The signed report of a study as a PDF, and the note in the audit trail of what was written out. Knows no Qt."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread

from dicom_io.files.instance import Instance
from dicom_io.files.series import read_instance
from workstation.audit.trail import AuditOutcome, by_study, trail_of, whatever_comes
from workstation.desktop.model.signed import SignedReading
from workstation.records.verify import open_record, signature_lines
from workstation.site import Site


def print_signed(signed: SignedReading, site: Site, who: str, path: Path) -> None:
    """Writes the newest signed version with its pictures. who : the ID of the person who asks for it.

    Raises NotReadable, NotFound, BannerError, OSError.
    """
    # With the first report that is printed: what draws it takes as long to load as the whole window.
    from workstation.records.pdf import print_report
    from workstation.records.pdf_contents import as_signed, key_pictures

    record = Path(signed.record_path)
    _, header, evidence = open_record(record)
    report = as_signed(dcmread(site.archive.instance(signed.newest.sop_instance_uid).path))
    shown = key_pictures(evidence, report.key_images, site.archive)
    with exporting([read_instance(record)], site, who, path):
        print_report(evidence, header, report, shown, signature_lines(header), path)


@contextmanager
def exporting(what: Iterable[Instance], site: Site, who: str, to: Path) -> Iterator[None]:
    """Around writing what is of these instances to a place outside the archive, for the audit trail. who : a person's
    ID."""
    trail, studies = trail_of(site.config, site.root), by_study(what)

    def note(outcome: AuditOutcome) -> None:
        for study in studies:
            trail.exported(who, study, to.resolve().as_uri(), site.clock(), outcome)

    with whatever_comes(note):
        yield
