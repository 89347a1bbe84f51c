"""Which records and report SRs are believed: those that our own journal knows, and those that a sister signed.

What an object says of itself proves nothing: anybody can write a Comprehensive 3D SR, copy the acts of one of ours and
seal it, or a report in a physician's name. What is not believed is a document like any other; it is listed and
explained, and decides nothing.
"""

from collections.abc import Collection
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_io.evidence import Act, Evidence
from dicom_io.files.digests import file_digest, is_sealed
from dicom_io.files.series import Instance
from dicom_io.sr.report_sr import words_in
from dicom_io.sr.signatures import Signature, issued_by, load_authority, signatures, valid_at
from workstation.config import Sister
from workstation.site import Site, signer_of
from workstation.store.journal import recorded_uid, reported_as


def why_not_believed(ds: Dataset, evidence: Evidence, site: Site) -> str:
    """Why a record is no session of ours, as a sentence; empty when it is one."""
    uid = evidence.sop_instance_uid
    if not is_sealed(ds):
        return f"SR {uid} was changed after it was made, or made before records were sealed."
    if evidence.device_uid == site.config.device:
        return _unknown_here(ds, evidence, site)
    sister = next((each for each in site.config.trust if each.device_uid == evidence.device_uid), None)
    if sister is None:
        name = evidence.station_name or evidence.device_uid
        return f"SR {uid} was made on another device, {name}, which `[[trust]]` of the settings does not name."
    return _not_signed_by(sister, ds, evidence, site)


def made_by_us(evidence: Evidence, site: Site) -> bool:
    """Whether a believed record's work counts as done here: on this device, or on a sister's."""
    return evidence.device_uid in {site.config.device, *(each.device_uid for each in site.config.trust)}


def _unknown_here(ds: Dataset, evidence: Evidence, site: Site) -> str:
    uid = evidence.sop_instance_uid
    if not evidence.journal_head:
        return f"SR {uid} names no head of our journal."
    # A journal that was changed holds the case, which has to be seen; one that never knew the record makes no case.
    known = {recorded_uid(act.detail) for act in _acts_of(evidence.session_uid, site) if act.kind == "recorded"}
    if uid not in known:
        return (
            f"SR {uid} says that it was made on this device, and the journal here knows nothing of it: it is somebody "
            "else's, or the journal is older than it. If it is yours, restore the journal's backup of that day."
        )
    if evidence.verified and not _signed_as_here(ds, site):
        return f"SR {uid} is verified and lacks the signature of this site, which signs its records."
    return ""


def why_no_report(ds: Dataset, instance: Instance, sessions: Collection[str], site: Site) -> str:
    """Why a report that is an SR states nothing here, as a sentence; empty when it counts.

    sessions : the Session UIDs of the records of its accession. A report that was signed here before the journal noted
    the SR itself is known by its words.
    """
    uid = instance.sop_instance_uid
    digest = site.journal.digest_of(uid)
    if digest:
        if file_digest(Path(instance.path), instance.transfer_syntax_uid) != digest:
            return f"Report SR {uid} is not as it was recorded here: the file was changed, or written anew by somebody."
    elif not _said_here(ds, sessions, site):
        if any(_reported_by(sister, ds, site) for sister in site.config.trust):
            return ""
        return (
            f"Report SR {uid} was not signed on this device, nor with a certificate that `[[trust]]` of the settings "
            "names, by somebody who may sign there. What it says counts when the RIS sends it by HL7."
        )
    if not _signed_as_here(ds, site):
        return f"Report SR {uid} lacks the signature of this site, which signs its reports."
    return ""


def _reported_by(sister: Sister, ds: Dataset, site: Site) -> bool:
    """Whether a sister signed a report, for one of those who may sign there. A report names its physician, without ID:
    the register here knows the names of `people`."""
    if sister.people:
        observers = list(ds.get("VerifyingObserverSequence") or [])
        names = {person.name for person in site.people.all() if person.id in sister.people}
        if not observers or any(str(each.get("VerifyingObserverName") or "") not in names for each in observers):
            return False
    named = [one for one in _signatures(ds) if one.holds and _is_of(one, sister, site.root)]
    return any(valid_at(one, site.clock()) for one in named)


def _said_here(ds: Dataset, sessions: Collection[str], site: Site) -> bool:
    said = reported_as(words_in(ds))
    return any(act.kind == "reported" and act.detail == said for uid in sessions for act in _acts_of(uid, site))


def _signed_as_here(ds: Dataset, site: Site) -> bool:
    """Whether an object of this device has the signature that the site's settings want."""
    if site.config.signing is None:
        return True
    signer = signer_of(site.config)
    assert signer is not None
    return any(one.holds and one.certificate == signer.certificate for one in _signatures(ds))


def _acts_of(session_uid: str, site: Site) -> tuple[Act, ...]:
    try:
        return site.journal.acts(session_uid)
    except ValueError:  # it cannot be read; whoever decides says so
        return ()


def _not_signed_by(sister: Sister, ds: Dataset, evidence: Evidence, site: Site) -> str:
    uid = evidence.sop_instance_uid
    named = [one for one in _signatures(ds) if _is_of(one, sister, site.root)]
    if not any(one.holds for one in named):
        return f"SR {uid} of {sister.name} has no whole signature by the certificate that the settings name for it."
    if not any(one.holds and valid_at(one, site.clock()) for one in named):
        return f"SR {uid} of {sister.name} was signed when the certificate was not valid, or at a time to come."
    if evidence.verified and sister.people:
        signed = evidence.supervisor.id if evidence.supervisor is not None else ""
        if signed not in sister.people:
            return f"SR {uid} of {sister.name} was signed by {signed or 'nobody named'}, who may not sign there."
    return ""


def _is_of(signature: Signature, sister: Sister, root: Path) -> bool:
    """Whether a sister's certificate made a signature: the one that is named, or one of a name by an authority."""
    if sister.certificate:
        return signature.certificate == load_authority(root / sister.certificate)
    return signature.subject == sister.subject and issued_by(
        signature.certificate, load_authority(root / sister.authority)
    )


def _signatures(ds: Dataset) -> tuple[Signature, ...]:
    try:
        return signatures(ds)
    except Exception:  # noqa: BLE001 - a damaged certificate may be anything
        return ()
