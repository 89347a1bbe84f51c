"""Which records are believed: those that our own journal knows, and those that a sister workstation signed.

What an object says of itself proves nothing: anybody can write a Comprehensive 3D SR, copy the acts of one of ours and
seal it. A record that is not believed is a document like any other; it is listed and explained, and never charged.
"""

from pathlib import Path

from pydicom.dataset import Dataset

from dicom_io.evidence import Act, Evidence
from dicom_io.files.digests import is_sealed
from dicom_io.sr.signatures import Signature, issued_by, load_authority, signatures, valid_at
from workstation.config import Sister
from workstation.site import Site, signer_of
from workstation.store.journal import recorded_uid


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
    known = {recorded_uid(act.detail) for act in _acts(evidence, site) if act.kind == "recorded"}
    if uid not in known:
        return (
            f"SR {uid} says that it was made on this device, and the journal here knows nothing of it: it is somebody "
            "else's, or the journal is older than it. If it is yours, restore the journal's backup of that day."
        )
    if site.config.signing is not None and evidence.verified:
        signer = signer_of(site.config)
        assert signer is not None
        if not any(one.holds and one.certificate == signer.certificate for one in _signatures(ds)):
            return f"SR {uid} is verified and lacks the signature of this site, which signs its records."
    return ""


def _acts(evidence: Evidence, site: Site) -> tuple[Act, ...]:
    try:
        return site.journal.acts(evidence.session_uid)
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
