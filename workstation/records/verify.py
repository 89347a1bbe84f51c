"""Verifies a record: its seal, its journal, its sources, and every picture and measurement, made again from it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import Certificate
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.errors import DicomIOError, NotFound, NotReadable
from dicom_io.evidence import Evidence, ImageReference, Measurement, Product
from dicom_io.files.digests import file_digest, is_sealed, lies_sealed, sealed_uid
from dicom_io.files.series import Instance, read_instance, scan
from dicom_io.sr.evidence_sr import read_sr
from dicom_io.sr.signatures import Signature, issued_by, signatures
from dicom_io.uids import UidError
from render.progress import Progress
from render.recipe import digest, read_recipe
from workstation.records.measurements import again
from workstation.records.remake import Remaker
from workstation.site import Site
from workstation.store.journal import doubt, recorded_as

# Names of checks that other modules look for.
SOURCES, PICTURE = "sources", "picture "


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. agrees : None where it could not be made. why : the finding in words."""

    what: str
    agrees: bool | None
    why: str = ""


def verify(
    sr: Path,
    sources: Path | Site,
    progress: Progress = lambda what, part: None,
    authority: Certificate | None = None,
) -> Iterator[Check]:
    """Checks everything that a record states, in order.

    sources : where its images are; with a site, its journal is compared as well. authority : must have signed the
    certificates of signatures; without one, any certificate is accepted.

    Raises NotReadable when it is no record of ours.
    """
    instance, ds, evidence = open_record(sr)
    yield _sealed(ds)
    yield from _signatures(ds, evidence, sources, authority)
    yield _journal(instance, evidence, sources)
    yield _ledger(sources)
    place = sources.archive if isinstance(sources, Site) else sources
    progress("reading the sources", 0.0)
    yield _instances(SOURCES, evidence.sources, place)
    yield from _made_again(evidence, place, progress)
    stored = [*(image for product in evidence.products for image in product.images), *evidence.objects]
    yield _instances("stored objects", stored, place, needed=False)


def holds(checks: Sequence[Check]) -> bool:
    """Whether a record is verified: its sources are unchanged, every picture was made again, and nothing differs.

    Checks that cannot be made here (a journal of another device, images stored elsewhere) do not count against it. But
    a record of which no picture could be made again is not verified, even if nothing speaks against it.
    """
    core = [check for check in checks if check.what == SOURCES or check.what.startswith(PICTURE)]
    pictures = [check for check in core if check.what != SOURCES]
    return bool(pictures) and all(check.agrees for check in core) and all(check.agrees is not False for check in checks)


def open_record(path: Path) -> tuple[Instance, Dataset, Evidence]:
    """Opens an SR of ours. Raises NotReadable for any fault of the file."""
    instance = read_instance(path)
    try:
        ds = dcmread(path)
        if not lies_sealed(ds):
            sealed_uid(ds)  # reads every value, so damage shows here
    except Exception as error:
        raise NotReadable(f"{path}: a damaged data set ({error}). Ask for it again.") from error
    return instance, ds, read_sr(ds)


def _sealed(ds: Dataset) -> Check:
    if is_sealed(ds):
        return Check("record", True, "its UID stands for its content")
    why = "its UID does not stand for its content: it was changed, or made before records were sealed"
    return Check("record", False, why)


def _signatures(
    ds: Dataset, evidence: Evidence, sources: Path | Site, authority: Certificate | None
) -> Iterator[Check]:
    found = signatures_of(ds)
    for signature in found or ():
        if not signature.holds:
            yield Check("signature", False, f"of {signature.subject}: the record is not as it was signed")
        elif authority is not None and not issued_by(signature.certificate, authority):
            yield Check("signature", False, f"of {signature.subject}, whom this authority has not certified")
        else:
            whom = (
                "" if authority else f"; certificate sha256 {signature.fingerprint}, which no authority was asked about"
            )
            yield Check("signature", True, f"of {signature.subject}, {signature.at}{whom}")
    if found is None:
        yield Check("signature", False, "it cannot be made out: the record was changed")
    elif not found:
        signs = isinstance(sources, Site) and sources.config.signing is not None
        wanted = evidence.verified and (signs or authority is not None)
        yield Check("signature", False if wanted else None, "none")


def signatures_of(ds: Dataset) -> tuple[Signature, ...] | None:
    """Returns the signatures of an object; None where one cannot be read."""
    try:
        return signatures(ds)
    except Exception:  # noqa: BLE001 - a damaged certificate may raise anything
        return None


def signature_lines(ds: Dataset) -> list[str]:
    """Returns a sentence on each digital signature of an object, for print."""
    return [
        f"Digitally signed by {one.subject}, {one.at}; {'valid' if one.holds else 'NOT VALID: it was changed'}. "
        f"Certificate sha256 {one.fingerprint}."
        for one in signatures_of(ds) or ()
    ]


def _journal(instance: Instance, evidence: Evidence, sources: Path | Site) -> Check:
    if not isinstance(sources, Site):
        return Check("journal", None, "not here; the acts in the record were not compared with it")
    if evidence.device_uid != sources.config.device:
        return Check("journal", None, f"on the device that made the record, {evidence.station_name}")
    why = doubt(evidence, sources.journal, sources.config.device)
    if why:
        return Check("journal", False, why)
    event_detail = recorded_as(
        evidence.sop_instance_uid, file_digest(Path(instance.path), instance.transfer_syntax_uid)
    )
    if any(act.kind == "recorded" and act.detail == event_detail for act in sources.journal.acts(evidence.session_uid)):
        return Check("journal", True, f"{len(evidence.acts)} acts, and the record as it was kept")
    return Check("journal", False, "it knows no record of these bytes")


def _ledger(sources: Path | Site) -> Check:
    """What people and the workstation decided here, on this case and all others."""
    if not isinstance(sources, Site):
        return Check("ledger", None, "not here; what was decided on the record was not looked at")
    faults = list(sources.ledger.faults(sources.outbox.heads()))
    more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
    return Check("ledger", not faults, faults[0] + more if faults else "every row as it was written")


def _instances(what: str, recorded: Sequence[ImageReference], place: Path | Archive, needed: bool = True) -> Check:
    """Checks that instances are there and unchanged since the record was made. needed : False if they may be stored
    elsewhere."""
    found = _found({image.series_uid for image in recorded}, place)
    missing = [image for image in recorded if image.sop_instance_uid not in found]
    there = [image for image in recorded if image.sop_instance_uid in found]
    changed = [image for image in there if image.digest and image.digest != _digest_of(found[image.sop_instance_uid])]
    unknown = [image for image in there if not image.digest]
    if changed:
        names = ", ".join(image.sop_instance_uid for image in changed[:3]) + (" …" if len(changed) > 3 else "")
        return Check(what, False, f"{len(changed)} of {len(recorded)} were changed: {names}")
    if missing and needed:
        return Check(what, False, f"{len(missing)} of {len(recorded)} are not there")
    if missing or unknown:
        why = f"{len(missing)} of {len(recorded)} are not there, {len(unknown)} have no digest on record"
        return Check(what, None, why)
    return Check(what, True, f"{len(recorded)} as recorded")


def _found(series_uids: set[str], place: Path | Archive) -> dict[str, Instance]:
    found: list[Instance] = []
    if isinstance(place, Archive):
        for uid in series_uids:
            with suppress(NotFound, UidError):
                found += place.series(uid).instances
    else:
        found += [instance for series in scan(place).series for instance in series.instances]
    return {instance.sop_instance_uid: instance for instance in found}


def _digest_of(instance: Instance) -> str:
    try:
        return file_digest(Path(instance.path), instance.transfer_syntax_uid)
    except OSError:
        return ""  # gone since it was indexed


def _made_again(evidence: Evidence, place: Path | Archive, progress: Progress) -> Iterator[Check]:
    """Makes every picture and measurement again and compares them; a failure is reported and the rest continues."""
    try:
        remaker = Remaker(evidence, place)
    except (NotFound, UidError) as error:
        names = [f"{PICTURE}{product.name}" for product in evidence.products]
        names += [f"measurement {measurement.name}" for measurement in evidence.measurements]
        yield from (Check(name, False, str(error)) for name in names)
        return
    for number, product in enumerate(evidence.products, start=1):
        yield _picture(remaker, product)
        progress(f"drawing {product.name}", number / len(evidence.products))
    for measurement in evidence.measurements:
        yield _measurement(remaker, measurement)


def _picture(remaker: Remaker, product: Product) -> Check:
    what = f"{PICTURE}{product.name}"
    try:
        if digest(read_recipe(product.recipe)) != product.recipe_digest:
            return Check(what, False, "the recipe is not the one of the recorded digest: the record was changed")
        made = remaker.picture(product)
    except (DicomIOError, ValueError) as error:
        return Check(what, False, str(error))
    return Check(what, made.same, made.difference or f"sha256 {made.picture.digest}")


def _measurement(remaker: Remaker, measurement: Measurement) -> Check:
    what = f"measurement {measurement.name}"
    try:
        same = again(measurement, remaker.volume(measurement.volume_digest)) == measurement
    except (DicomIOError, ValueError) as error:
        return Check(what, False, str(error))
    return Check(what, same, "" if same else "measures something else now: the record or the sources were changed")
