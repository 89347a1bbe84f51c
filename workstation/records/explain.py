"""Explains a record in plain words, for an auditor: how each picture was made, who did what, who is responsible."""

from collections.abc import Iterator

from dicom_io.evidence import Evidence, Product
from dicom_io.person_names import spoken
from render.recipe import read_recipe
from workstation.records import plain_words


def explain(evidence: Evidence) -> str:
    """Returns a record in plain words. It names the persons who acted, and the patient by ID only."""
    return "\n".join(_lines(evidence))


def _lines(evidence: Evidence) -> Iterator[str]:
    yield f"Record of 3D post-processing, SR {evidence.sop_instance_uid}"
    yield f"Patient ID {evidence.patient_id or '(none)'}, accession {evidence.accession or '(none)'}, study of "
    yield f"  {_date(evidence.study_date)}, {evidence.modality}, {evidence.study_uid}"
    if evidence.predecessor is not None:
        yield f"It amends SR {evidence.predecessor.sop_instance_uid}."
    yield ""
    yield "Where it was made"
    relation = "independent of the scanner" if evidence.independent else "part of the scanner"
    yield f"  On workstation {evidence.station_name} (device {evidence.device_uid}), {relation}."
    yield f"  {sources(evidence)}"
    yield ""
    yield from _people(evidence)
    for number, product in enumerate(evidence.products, start=1):
        yield ""
        yield f"Picture {number}: {product.name}"
        yield from (f"  {line}" for line in picture(product))
    if evidence.measurements:
        yield ""
        yield "Measurements, in the patient (mm to the left, to the back and to the head of the scanner's origin)"
        yield from (f"  {plain_words.measurement(measurement)}" for measurement in evidence.measurements)
    if evidence.objects:
        yield ""
        yield f"Stored beside the pictures: {len(evidence.objects)} segmentations, surfaces or presentation states."
    yield ""
    yield "Who did what (from the journal)"
    yield from (f"  {plain_words.act(act)}" for act in evidence.acts)
    yield ""
    yield "To see that all of this holds: workstation verify, with this SR and its source images."


def sources(evidence: Evidence) -> str:
    """Returns from how many images of which series the record was made."""
    series = ", ".join(dict.fromkeys(image.series_uid for image in evidence.sources))
    return f"From {len(evidence.sources)} {evidence.modality} images of series {series or '(none)'}."


def _people(evidence: Evidence) -> Iterator[str]:
    yield "Who answers for it"
    operator, supervisor, stated = evidence.operator, evidence.supervisor, evidence.attestation
    yield f"  Worked by {spoken(operator.name)} ({operator.role}, {operator.id})."
    if supervisor is None:
        yield "  Nobody is on record as supervising."
    else:
        yield f"  Supervised by {spoken(supervisor.name)} ({supervisor.role}, {supervisor.id})."
    yield from (f"  {line}" for line in attestation(evidence))
    if stated is None:
        yield "  No attestation."
    verified = f"Verified by {spoken(evidence.verified_by)}." if evidence.verified else "Not verified."
    yield f"  {verified}"


def attestation(evidence: Evidence) -> tuple[str, ...]:
    """Returns the physician's attestation, its time, and its yes or no answers; empty without an attestation."""
    stated = evidence.attestation
    if stated is None:
        return ()
    words = {True: "yes", False: "no", None: "not stated"}
    return (
        f"{spoken(stated.physician.name)} attested on {stated.at:%Y-%m-%d %H:%M:%S %z}: {stated.text}",
        f"Supervised concurrently: {words[stated.concurrent_supervision]}. An independent workstation was required: "
        f"{words[stated.independent_workstation_required]}.",
    )


def picture(product: Product) -> tuple[str, ...]:
    """Returns how a picture was made, in sentences."""
    device = f" on {product.graphics_device}" if product.graphics_device else ""
    here = "" if product.performed_here else " It was not drawn on this workstation."
    count = len(product.images)
    return (
        *plain_words.recipe(read_recipe(product.recipe)),
        f"Drawn by engine {product.engine} {product.engine_version}{device}; stored as {count} "
        f"instance{'' if count == 1 else 's'}.{here}",
        *(f"Note: {warning}" for warning in product.warnings),
        f"Pixels sha256 {product.pixel_digest}",
        f"Recipe sha256 {product.recipe_digest}",
    )


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 else text or "(no date)"
