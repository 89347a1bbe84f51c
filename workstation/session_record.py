"""What the record of a session says: who did what, what was made of what, and what the physician attests.

Made here for the SR that is kept, and for the one that would be kept if somebody signed now.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from pydicom import dcmread

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Act, Attestation, Evidence, ImageReference, Product, Side
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects.placing import technique
from dicom_io.sr.evidence_sr import objects_in_order, read_sr
from dicom_io.stamp import Stamp
from render.recipe import Recipe, canonical_json, digest
from workstation.case import Case, laterality_of
from workstation.site import Site
from workstation.store.journal import EventKind, JournalEvent, about, recorded_uid
from workstation.store.papers import WorkedSession


def evidence_of(
    case: Case,
    site: Site,
    series: Series,
    drawn: tuple[Product, ...],
    others: tuple[ImageReference, ...],
    acts: tuple[Act, ...],
    journal_head: str,
    attestation: Attestation | None,
    stamp: Stamp,
    sources: tuple[ImageReference, ...],
) -> Evidence:
    """The record of the session, without a UID: that follows from its content when it is written.

    drawn : what was made. others : what is stored beside it. acts, journal_head : the session's chain in the journal.
    sources : the images it was made of, with their digests.
    """
    first, who = series.first, case.session
    return Evidence(
        sop_instance_uid="",
        verified_by=_verifying(who),
        patient_id=first.patient_id,
        accession=first.accession,
        study_uid=first.study_uid,
        study_date=first.study_date,
        modality=series.modality,
        device_uid=stamp.device_uid,
        station_name=stamp.station_name,
        independent=site.config.independent_workstation,
        operator=who.operator,
        supervisor=who.supervisor,
        acts=acts,
        attestation=attestation,
        products=drawn,
        sources=sources,
        measurements=case.measurements,
        session_uid=case.session_uid,
        journal_head=journal_head,
        objects=others,
    )


def _verifying(who: WorkedSession) -> str:
    """Verifying is the physician's signature; nobody else's makes an SR verified."""
    signed = who.attestation is not None and who.attestation.signed
    if not signed or who.supervisor is None or who.supervisor.role != "physician":
        return ""
    return who.supervisor.name


def attested_by(who: WorkedSession, at: datetime) -> Attestation | None:
    """What the supervisor attests, at that time; None where nobody attests anything."""
    if who.supervisor is None or who.attestation is None:
        return None
    stated = who.attestation
    return Attestation(
        who.supervisor, at, stated.text, stated.concurrent_supervision, stated.independent_workstation_required
    )


def statement_kind(who: WorkedSession) -> EventKind:
    """The act that attesting is."""
    return "attested_and_signed" if who.attestation is not None and who.attestation.signed else "attested"


def journal_session(
    case: Case, site: Site, drawn: tuple[Product, ...]
) -> tuple[tuple[JournalEvent, ...], Attestation | None]:
    """Journals what was drawn, and what the supervisor did and states. The journal's times count: again is the same.

    Returns the journal up to the last of these events: what comes later is not what this record tells of.
    """
    who, uid, now, journal = case.session, case.session_uid, site.clock(), site.journal
    recipes = hashlib.sha256("".join(product.recipe_digest for product in drawn).encode()).hexdigest()
    volume = drawn[0].volume_digest if drawn else ""
    detail = about(volume, recipes, f"protocol {case.protocol.name}")
    last = [journal.record(uid, who.operator, "protocol_run", now, detail)]
    attestation = None
    if who.supervisor is not None:
        last += [journal.record(uid, who.supervisor, kind, now, about(volume, "")) for kind in who.acts]
        if who.attestation is not None:
            # Another statement is another act with a time of its own; the same again is the same act.
            words = hashlib.sha256(repr(who.attestation).encode()).hexdigest()[:16]
            last.append(journal.record(uid, who.supervisor, statement_kind(who), now, f"statement {words}"))
            attestation = attested_by(who, last[-1].at)
    through = max(entry.number for entry in last)
    return journal.entries(uid)[: through + 1], attestation


def amending(recorded: Evidence, site: Site) -> Evidence:
    """The record with the one before it in its session. The same record again is the same, and amends what it did."""
    recorded = replace(recorded, objects=objects_in_order(recorded))
    last = None
    for act in site.journal.acts(recorded.session_uid):
        if act.kind != "recorded":
            continue
        with suppress(NotFound, NotReadable):
            earlier = site.archive.instance(recorded_uid(act.detail))
            said = read_sr(dcmread(earlier.path))
            if replace(said, sop_instance_uid="", predecessor=None) == recorded:
                return replace(recorded, predecessor=said.predecessor)
            last = ImageReference(earlier.sop_class_uid, earlier.sop_instance_uid, earlier.series_uid)
    return replace(recorded, predecessor=last)


def sources_of(series: Series, site: Site) -> tuple[ImageReference, ...]:
    """The images of a series, with the digests of the archive."""
    images = (instance for instance in series.instances if instance.is_image)
    return with_digests(site, (ImageReference(i.sop_class_uid, i.sop_instance_uid, i.series_uid) for i in images))


def with_digests(site: Site, images: Iterable[ImageReference]) -> tuple[ImageReference, ...]:
    """With the digests of the archive, so that a later change is found."""
    images = tuple(images)
    known: dict[str, str] = {}
    for series_uid in dict.fromkeys(image.series_uid for image in images):
        known |= site.archive.digests(series_uid)
    return tuple(replace(image, digest=known[image.sop_instance_uid]) for image in images)


def evidence_as_if(case: Case, site: Site, series: Series, region: str, adds: tuple[EventKind, ...]) -> Evidence:
    """The record as it would be if the case were run now. Nothing is drawn, and nothing of it is stored.

    adds : acts of the supervisor that running it would put into the journal, beside those that stand there.
    """
    uid, now, who = case.session_uid, site.clock(), case.session
    acts = site.journal.acts(uid)
    if who.supervisor is not None:
        coming = (*adds, statement_kind(who)) if who.attestation is not None else adds
        acts += tuple(Act(now, who.supervisor.id, who.supervisor.role, kind, "") for kind in coming)
    side = laterality_of(read_dataset(series.first.path), region)
    drawn = tuple(
        replace(_as_if_drawn(recipe, region, side), prepared=recipe.name in case.prepared)
        for recipe in case.protocol.recipes
    )
    stamp = site.stamp(uid, now)
    evidence = evidence_of(case, site, series, drawn, (), acts, "", attested_by(who, now), stamp, ())
    return replace(evidence, sop_instance_uid=stamp.uid("as if"))


def _as_if_drawn(recipe: Recipe, region: str, laterality: Side) -> Product:
    # Where the pictures will lie nobody knows yet; that there will be one is what counts.
    images = (ImageReference("1.2", "1.2.3", "1.2.4"),)
    return Product(
        technique=technique(recipe),
        region=region,
        purpose="diagnosis",
        base_procedure="",
        name=recipe.name,
        recipe=canonical_json(recipe),
        recipe_digest=digest(recipe),
        pixel_digest="",
        volume_digest="",
        engine="cpu",
        engine_version="",
        graphics_device="",
        performed_here=True,
        images=images,
        laterality=laterality,
    )
