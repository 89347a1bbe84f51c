"""Reports that are DICOM SRs: what a verified report in the archive states, by the same phrases as any other report.

Source: PS3.16 TID 2000 (Basic Diagnostic Imaging Report), PS3.3 C.17.2 (SR Document General).
"""

import hashlib
from collections.abc import Iterator
from datetime import tzinfo
from typing import cast

from pydicom.dataset import Dataset

from dicom_io.files.series import Instance, read_dataset
from dicom_io.sr.report_sr import stated_facts
from workstation.charge.facts import ReportStatus
from workstation.hl7.reader import read_time
from workstation.orders.patients import identifier_of_object
from workstation.orders.sentences import facts_in
from workstation.orders.stated import Reported, Stated
from workstation.reading import Reading, ReportFact

# Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR. Source: PS3.4 B.5.
REPORT_CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in ("11", "22", "33", "34"))
_TEMPLATE = "2000"
# Some titles of CID 7000 (LOINC), for reports that do not name their template: diagnostic imaging report, radiology
# report, and those of CT, MR and ultrasound.
_TITLES = frozenset({"18748-4", "11528-7", "18747-6", "18755-9", "18760-9", "18746-8"})


def report_in(instance: Instance) -> Dataset | None:
    """The data set of an SR that is a report; None for another one, ours of the 3D session among them.

    Raises NotReadable when its file is gone or damaged.
    """
    ds = read_dataset(instance.path)
    return ds if _is_report(ds) else None


def read_report(ds: Dataset, reading: Reading, zone: tzinfo) -> Stated | None:
    """What a report SR states; None where it tells no time. Whether it is believed, `belief` knows.

    It is final when it is complete and verified, preliminary otherwise. Its time is that of its verification, else of
    its content; `zone` is for times that name no offset.
    """
    verified = ds.get("VerificationFlag") == "VERIFIED" and ds.get("CompletionFlag") == "COMPLETE"
    observers = list(ds.get("VerifyingObserverSequence") or [])
    texts = [str(observers[0].get("VerificationDateTime") or "")] if verified and observers else []
    texts.append(f"{ds.get('ContentDate') or ''}{ds.get('ContentTime') or ''}{ds.get('TimezoneOffsetFromUTC') or ''}")
    at = next(filter(None, (read_time(text, zone) for text in texts)), None)
    if at is None:
        return None
    status: ReportStatus = "final" if verified else "preliminary"
    words = "\n\n".join(_words(ds))
    said = Reported(
        str(ds.get("AccessionNumber") or ""),
        (identifier_of_object(ds, reading),),
        status,
        facts_in(words, reading) | frozenset(cast(ReportFact, fact) for fact in stated_facts(ds)),
        text=words,
    )
    uid = str(ds.SOPInstanceUID)
    return Stated(at, hashlib.sha256(uid.encode()).hexdigest(), "report SR", uid, said)


def _is_report(ds: Dataset) -> bool:
    if str(ds.get("SOPClassUID")) not in REPORT_CLASSES:
        return False
    template = list(ds.get("ContentTemplateSequence") or [])
    if template:
        return str(template[0].get("TemplateIdentifier")) == _TEMPLATE
    title = list(ds.get("ConceptNameCodeSequence") or [])
    return bool(title) and str(title[0].get("CodeValue")) in _TITLES


def _words(ds: Dataset) -> Iterator[str]:
    """Every text of the content tree, in its order."""
    for item in ds.get("ContentSequence", ()):
        if item.get("ValueType") == "TEXT":
            yield str(item.get("TextValue") or "")
        yield from _words(item)
