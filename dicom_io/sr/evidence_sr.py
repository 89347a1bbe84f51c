"""Writes evidence to a Comprehensive 3D SR (TID 1500) and reads it back: `read_sr(write_sr(x)) == x`.

One measurement group (TID 1501) for each product holds technique, algorithm with version and the whole recipe
(TID 4019), digests and the stored instances; acts and statements of people stand under Qualitative Evaluations.
Sources: PS3.16 TID 1500, 1501, 1001, 1600, 4019; PS3.3 A.35.13.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io import codes as c
from dicom_io.dates import dt, time_of
from dicom_io.errors import NotReadable
from dicom_io.evidence import Act, Attestation, Evidence, ImageReference, Person, Product, Role, Side, checked_role
from dicom_io.files.digests import lies_sealed, seal
from dicom_io.objects.common import new_object, step_reference, study_references
from dicom_io.objects.inherit import issuer_of_patient_id
from dicom_io.sr import content as sr
from dicom_io.sr.measurement_sr import is_measurement, measurement_group, read_measurement
from dicom_io.stamp import Stamp
from dicom_io.uids import derived

_SIDES: dict[str, Side] = {"": "", "L": "L", "R": "R"}
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


def write_sr(evidence: Evidence, source: Dataset, stamp: Stamp) -> Dataset:
    """Writes the SR of a session. source : the header of a source instance, for patient and study modules.

    The SOP Instance UID is that of the evidence; where it has none, the one that follows from the content (`seal`).
    The same arguments give the same bytes.
    """
    ds = sr_object(COMPREHENSIVE_3D_SR, evidence.sop_instance_uid, source, stamp)
    ds.SeriesInstanceUID = record_series(stamp)
    ds.SeriesNumber = 9900
    ds.SeriesDescription = "3D post-processing record"
    _document(ds, evidence, stamp)
    for element in _root(evidence, stamp):
        ds.add(element)
    if not evidence.sop_instance_uid:
        seal(ds)
    return ds


def record_series(stamp: Stamp) -> str:
    """Returns the UID of the series of all records of a session."""
    return stamp.uid("series", "SR")


def sr_object(sop_class_uid: str, sop_instance_uid: str, source: Dataset, stamp: Stamp) -> Dataset:
    """Makes an SR with patient, study and equipment, which all our SRs share, still without series and content."""
    ds = new_object(sop_class_uid, sop_instance_uid, source, stamp)
    ds.Modality = "SR"
    ds.ReferencedPerformedProcedureStepSequence = step_reference(stamp)
    return ds


def read_sr(ds: Dataset) -> Evidence:
    """Reads the evidence from an SR of ours; no other source about the session is used. What was read last is
    remembered by the UID that stands for its content.

    Raises NotReadable when it is another kind of document, or a damaged SR of ours.
    """
    if not lies_sealed(ds):
        return _read_with_our_errors(ds)
    uid = str(ds.SOPInstanceUID)
    with _lock:
        if uid in _known:
            _known.move_to_end(uid)
            return _known[uid]
    evidence = _read_with_our_errors(_unread(ds))
    with _lock:
        _known[uid] = evidence
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return evidence


_REMEMBERED = 64
_known: OrderedDict[str, Evidence] = OrderedDict()
_lock = threading.Lock()


def _unread(ds: Dataset) -> Dataset:
    """Returns the data set anew, so that reading it leaves the other as it lies in its file."""
    other = Dataset({tag: ds.get_item(tag) for tag in sorted(ds.keys())})
    other.set_original_encoding(*ds.original_encoding, ds.original_character_set)
    return other


def _read_with_our_errors(ds: Dataset) -> Evidence:
    try:
        return _read(ds)
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise NotReadable(
            f"Instance {ds.get('SOPInstanceUID')}: a damaged 3D post-processing record ({error}). Ask for it again."
        ) from error


def _read(ds: Dataset) -> Evidence:
    if str(ds.get("SOPClassUID")) != COMPREHENSIVE_3D_SR or not ds.get("ContentSequence"):
        raise NotReadable(f"Instance {ds.get('SOPInstanceUID')}: not a Comprehensive 3D SR.")
    measurements = sr.first(ds, c.IMAGING_MEASUREMENTS)
    statements = sr.first(ds, c.QUALITATIVE_EVALUATIONS)
    if measurements is None or statements is None or sr.first(statements, c.INDEPENDENT) is None:
        raise NotReadable(f"Instance {ds.SOPInstanceUID}: an SR, but not a 3D post-processing record of this kind.")
    series_of = {uid: series for uid, (series, _) in _references(ds).items()}
    groups = list(sr.children(measurements, c.MEASUREMENT_GROUP))
    sources = _with_digests(_read_sources(ds, series_of), sr.text_of(statements, c.SOURCE_DIGESTS))
    products = tuple(_read_product(g, series_of) for g in groups if not is_measurement(g))
    verified = ds.get("VerificationFlag") == "VERIFIED" and bool(ds.get("VerifyingObserverSequence"))
    return Evidence(
        sop_instance_uid=str(ds.SOPInstanceUID),
        verified_by=str(ds.VerifyingObserverSequence[0].VerifyingObserverName) if verified else "",
        patient_id=str(ds.get("PatientID") or ""),
        patient_id_issuer=issuer_of_patient_id(ds),
        accession=str(ds.get("AccessionNumber") or ""),
        study_uid=str(ds.StudyInstanceUID),
        study_date=str(ds.get("StudyDate") or ""),
        modality=_modality(ds),
        device_uid=sr.text_of(ds, c.DEVICE_UID),
        station_name=sr.text_of(ds, c.DEVICE_NAME),
        independent=_yes_no(statements, c.INDEPENDENT) is True,
        operator=_read_operator(ds),
        supervisor=_read_person(statements, c.SUPERVISOR),
        acts=tuple(_read_act(str(a.TextValue)) for a in sr.children(statements, c.ACT)),
        attestation=_read_attestation(statements),
        products=products,
        sources=sources,
        measurements=tuple(read_measurement(g) for g in groups if is_measurement(g)),
        session_uid=sr.text_of(statements, c.SESSION),
        journal_head=sr.text_of(statements, c.JOURNAL_HEAD),
        predecessor=read_predecessor(ds),
        objects=_with_digests(_others(ds, sources, products), sr.text_of(statements, c.OBJECT_DIGESTS)),
    )


# Document modules


def _document(ds: Dataset, evidence: Evidence, stamp: Stamp) -> None:
    """Sets SR Document General. Source: PS3.3 C.17.2."""
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "VERIFIED" if evidence.verified else "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = Sequence()
    if evidence.verified:
        signed = dt(evidence.attestation.at) if evidence.attestation else stamp.date_time
        ds.VerifyingObserverSequence = verifying_observer(evidence.verified_by, signed, stamp)
    if evidence.predecessor is not None:
        ds.PredecessorDocumentsSequence = Sequence([study_references(evidence.study_uid, [evidence.predecessor])])
    images = [*evidence.sources, *(i for p in evidence.products for i in p.images), *evidence.objects]
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study_references(evidence.study_uid, images)])


def verifying_observer(name: str, signed: str, stamp: Stamp) -> Sequence:
    """Makes a Verifying Observer Sequence. signed : DT with offset. Source: PS3.3 C.17.2."""
    observer = Dataset()
    observer.VerifyingObserverName = name
    observer.VerifyingObserverIdentificationCodeSequence = Sequence()
    observer.VerifyingOrganization = stamp.institution or "not stated"
    observer.VerificationDateTime = signed
    return Sequence([observer])


def objects_in_order(evidence: Evidence) -> tuple[ImageReference, ...]:
    """Returns the other objects in the order of the references: by series, the pictures' series first. Their digests
    are written in this order, because they are read in it."""
    images = [*evidence.sources, *(i for p in evidence.products for i in p.images), *evidence.objects]
    series = list(dict.fromkeys(image.series_uid for image in images))
    return tuple(sorted(evidence.objects, key=lambda image: series.index(image.series_uid)))


def _references(ds: Dataset) -> dict[str, tuple[str, str]]:
    """Returns series and class of every instance that the SR refers to, by its UID."""
    return {
        str(referenced.ReferencedSOPInstanceUID): (str(series.SeriesInstanceUID), str(referenced.ReferencedSOPClassUID))
        for study in ds.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for referenced in series.ReferencedSOPSequence
    }


def read_predecessor(ds: Dataset) -> ImageReference | None:
    """Returns the document that this one amends. Source: PS3.3 C.17.2 (Predecessor Documents Sequence)."""
    for study in ds.get("PredecessorDocumentsSequence", ()):
        series = study.ReferencedSeriesSequence[0]
        document = series.ReferencedSOPSequence[0]
        return ImageReference(
            str(document.ReferencedSOPClassUID), str(document.ReferencedSOPInstanceUID), str(series.SeriesInstanceUID)
        )
    return None


def _others(ds: Dataset, sources: Iterable[ImageReference], products: Iterable[Product]) -> Iterable[ImageReference]:
    """Yields the instances that the evidence names besides sources and pictures."""
    known = {image.sop_instance_uid for image in (*sources, *(i for p in products for i in p.images))}
    for uid, (series_uid, sop_class_uid) in _references(ds).items():
        if uid not in known:
            yield ImageReference(sop_class_uid, uid, series_uid)


# Content tree


def _root(evidence: Evidence, stamp: Stamp) -> Dataset:
    library = [sr.image("CONTAINS", None, i.sop_class_uid, i.sop_instance_uid) for i in evidence.sources]
    modality = c.MODALITIES.get(evidence.modality, c.OTHER_MODALITY)
    procedure = c.CT_PROCEDURE if evidence.modality == "CT" else c.OTHER_PROCEDURE
    group = sr.container("CONTAINS", c.IMAGE_LIBRARY_GROUP, sr.code("HAS ACQ CONTEXT", c.MODALITY, modality), *library)
    return sr.container(
        "",
        c.IMAGING_MEASUREMENT_REPORT,
        sr.code("HAS CONCEPT MOD", c.LANGUAGE, c.ENGLISH),
        *_observers(evidence, stamp),
        sr.code("HAS CONCEPT MOD", c.PROCEDURE_REPORTED, procedure),
        sr.container("CONTAINS", c.IMAGE_LIBRARY, group),
        sr.container("CONTAINS", c.IMAGING_MEASUREMENTS, *_groups(evidence)),
        sr.container("CONTAINS", c.QUALITATIVE_EVALUATIONS, *_statements(evidence)),
        template="1500",
    )


def _observers(evidence: Evidence, stamp: Stamp) -> list[Dataset]:
    """Makes the observers: the operator, then this device. Source: PS3.16 TID 1002, 1003, 1004."""
    relation, operator = "HAS OBS CONTEXT", evidence.operator
    return [
        sr.code(relation, c.OBSERVER_TYPE, c.PERSON),
        sr.person_name(relation, c.PERSON_NAME, operator.name),
        sr.text(relation, c.PERSON_LOGIN, operator.id),
        sr.code(relation, c.PERSON_ORGANIZATION_ROLE, c.ROLES[operator.role]),
        sr.code(relation, c.PERSON_ROLE, c.PERFORMING),
        sr.code(relation, c.OBSERVER_TYPE, c.DEVICE),
        sr.uid_reference(relation, c.DEVICE_UID, evidence.device_uid),
        sr.text(relation, c.DEVICE_NAME, evidence.station_name),
        sr.text(relation, c.DEVICE_MANUFACTURER, stamp.manufacturer),
        sr.text(relation, c.DEVICE_MODEL, stamp.model_name),
    ]


def _read_operator(ds: Dataset) -> Person:
    roles: dict[str, Role] = {code.value: checked_role(word) for word, code in c.ROLES.items()}
    role = sr.code_value(ds, c.PERSON_ORGANIZATION_ROLE)
    if role is None or role.value not in roles or not sr.text_of(ds, c.PERSON_LOGIN):
        raise NotReadable(f"Instance {ds.SOPInstanceUID}: names no operator with a known role.")
    return Person(sr.text_of(ds, c.PERSON_LOGIN), sr.text_of(ds, c.PERSON_NAME), roles[role.value])


def _modality(ds: Dataset) -> str:
    library = sr.first(ds, c.IMAGE_LIBRARY)
    group = sr.first(library, c.IMAGE_LIBRARY_GROUP) if library is not None else None
    modality = sr.code_value(group, c.MODALITY) if group is not None else None
    return modality.value if modality is not None else "OT"


def _read_sources(ds: Dataset, series_of: dict[str, str]) -> Iterable[ImageReference]:
    library = sr.first(ds, c.IMAGE_LIBRARY)
    for entries in sr.children(library, c.IMAGE_LIBRARY_GROUP) if library is not None else ():
        for entry in sr.children(entries, value_type="IMAGE"):
            yield _reference(entry, series_of)


def _reference(entry: Dataset, series_of: dict[str, str]) -> ImageReference:
    referenced = entry.ReferencedSOPSequence[0]
    uid = str(referenced.ReferencedSOPInstanceUID)
    return ImageReference(str(referenced.ReferencedSOPClassUID), uid, series_of.get(uid, ""))


def _digests(images: Iterable[ImageReference]) -> str:
    """Joins the digests of images, a dash for an unknown one; empty where none is known."""
    words = [image.digest or "-" for image in images]
    return " ".join(words) if set(words) - {"-"} else ""


def _with_digests(images: Iterable[ImageReference], digests: str) -> tuple[ImageReference, ...]:
    images = tuple(images)
    words = digests.split() or ["-"] * len(images)
    return tuple(replace(i, digest="" if d == "-" else d) for i, d in zip(images, words, strict=True))


# Products


def _groups(evidence: Evidence) -> Iterable[Dataset]:
    """Yields a measurement group for each product, then one for each measurement."""
    yield from (_product(product, evidence) for product in evidence.products)
    for number, measurement in enumerate(evidence.measurements, start=1):
        places = derived("measurement", measurement.volume_digest, str(number), repr(measurement.points_mm))
        yield measurement_group(measurement, places)


def _product(product: Product, evidence: Evidence) -> Dataset:
    """Makes a measurement group (TID 1501). Details without a row in the template become qualitative evaluations."""
    contains = "CONTAINS"
    rows = [
        sr.text("HAS OBS CONTEXT", c.TRACKING_IDENTIFIER, product.name),
        sr.uid_reference(
            "HAS OBS CONTEXT",
            c.TRACKING_UID,
            derived("product", evidence.study_uid, product.recipe_digest, product.pixel_digest),
        ),
        sr.code(contains, c.FINDING, c.DERIVATIONS[product.technique]),
        sr.text("HAS CONCEPT MOD", c.ALGORITHM_NAME, product.engine),
        sr.text("HAS CONCEPT MOD", c.ALGORITHM_VERSION, product.engine_version),
        sr.text("HAS CONCEPT MOD", c.ALGORITHM_PARAMETERS, product.recipe),
        *(sr.image(contains, c.SOURCE_IMAGE, i.sop_class_uid, i.sop_instance_uid) for i in product.images),
        sr.code(contains, c.PERFORMED_HERE, _yes(product.performed_here)),
        *([sr.code(contains, c.PREPARED, c.YES)] if product.prepared else []),
    ]
    for name, value in (
        (c.RECIPE_DIGEST, product.recipe_digest),
        (c.PIXEL_DIGEST, product.pixel_digest),
        (c.SOURCE_VOLUME_DIGEST, product.volume_digest),
        (c.REGION, product.region),
        (c.LATERALITY, product.laterality),
        (c.PURPOSE, product.purpose),
        (c.BASE_PROCEDURE, product.base_procedure),
        (c.RENDERING_DEVICE, product.graphics_device),
        (c.IMAGE_DIGESTS, _digests(product.images)),
        *((c.WARNING, warning) for warning in product.warnings),
    ):
        if value:
            rows.append(sr.text(contains, name, value))
    return sr.container(contains, c.MEASUREMENT_GROUP, *rows, template="1501")


def _read_product(group: Dataset, series_of: dict[str, str]) -> Product:
    techniques = {code.value: word for word, code in c.DERIVATIONS.items()}
    finding = sr.code_value(group, c.FINDING)
    technique = techniques.get(finding.value if finding else "", "")
    if not technique:
        raise NotReadable("The SR holds a product of unknown technique.")
    return Product(
        technique=technique,
        region=sr.text_of(group, c.REGION),
        purpose=sr.text_of(group, c.PURPOSE),
        base_procedure=sr.text_of(group, c.BASE_PROCEDURE),
        name=sr.text_of(group, c.TRACKING_IDENTIFIER),
        recipe=sr.text_of(group, c.ALGORITHM_PARAMETERS),
        recipe_digest=sr.text_of(group, c.RECIPE_DIGEST),
        pixel_digest=sr.text_of(group, c.PIXEL_DIGEST),
        volume_digest=sr.text_of(group, c.SOURCE_VOLUME_DIGEST),
        engine=sr.text_of(group, c.ALGORITHM_NAME),
        engine_version=sr.text_of(group, c.ALGORITHM_VERSION),
        graphics_device=sr.text_of(group, c.RENDERING_DEVICE),
        performed_here=_yes_no(group, c.PERFORMED_HERE) is True,
        images=_with_digests(
            (_reference(i, series_of) for i in sr.children(group, c.SOURCE_IMAGE, "IMAGE")),
            sr.text_of(group, c.IMAGE_DIGESTS),
        ),
        warnings=tuple(str(w.TextValue) for w in sr.children(group, c.WARNING)),
        laterality=_SIDES[sr.text_of(group, c.LATERALITY)],
        prepared=_yes_no(group, c.PREPARED) is True,
    )


# Acts and statements of people


def _statements(evidence: Evidence) -> list[Dataset]:
    contains = "CONTAINS"
    found = [sr.code(contains, c.INDEPENDENT, _yes(evidence.independent))]
    for name, images in ((c.SOURCE_DIGESTS, evidence.sources), (c.OBJECT_DIGESTS, objects_in_order(evidence))):
        digests = _digests(images)
        found += [sr.text(contains, name, digests)] if digests else []
    found += [sr.text(contains, c.ACT, _act_line(act)) for act in evidence.acts]
    if evidence.session_uid:
        found.append(sr.uid_reference(contains, c.SESSION, evidence.session_uid))
    if evidence.journal_head:
        found.append(sr.text(contains, c.JOURNAL_HEAD, evidence.journal_head))
    if evidence.supervisor is not None:
        found.append(sr.text(contains, c.SUPERVISOR, _person_line(evidence.supervisor)))
    stated = evidence.attestation
    if stated is not None:
        found += [
            sr.text(contains, c.ATTESTATION_TEXT, stated.text),
            sr.text(contains, c.ATTESTED_BY, _person_line(stated.physician)),
            sr.text(contains, c.ATTESTED_AT, dt(stated.at)),
        ]
        for name, value in (
            (c.CONCURRENT, stated.concurrent_supervision),
            (c.WORKSTATION_REQUIRED, stated.independent_workstation_required),
        ):
            if value is not None:
                found.append(sr.code(contains, name, _yes(value)))
    return found


def _act_line(act: Act) -> str:
    return f"{dt(act.at)} {act.person_id} {act.role} {act.kind} {act.detail}".rstrip()


def _read_act(line: str) -> Act:
    at, person_id, role, kind, *detail = line.split(" ", 4)
    return Act(time_of(at), person_id, role, kind, detail[0] if detail else "")


def _person_line(person: Person) -> str:
    return f"{person.role} {person.id} {person.name}".rstrip()


def _read_person(ds: Dataset, name: c.Code) -> Person | None:
    role, _, rest = sr.text_of(ds, name).partition(" ")
    identity, _, words = rest.partition(" ")
    return Person(identity, words, checked_role(role)) if identity else None


def _read_attestation(statements: Dataset) -> Attestation | None:
    physician = _read_person(statements, c.ATTESTED_BY)
    if physician is None:
        return None
    return Attestation(
        physician=physician,
        at=time_of(sr.text_of(statements, c.ATTESTED_AT)),
        text=sr.text_of(statements, c.ATTESTATION_TEXT),
        concurrent_supervision=_yes_no(statements, c.CONCURRENT),
        independent_workstation_required=_yes_no(statements, c.WORKSTATION_REQUIRED),
    )


def _yes(value: bool) -> c.Code:
    return c.YES if value else c.NO


def _yes_no(ds: Dataset, name: c.Code) -> bool | None:
    value = sr.code_value(ds, name)
    return None if value is None else value.value == c.YES.value
