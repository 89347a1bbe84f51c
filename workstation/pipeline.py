"""The story, top to bottom: a received series becomes pictures, a record, a decision and messages.

Running the same case again keeps and queues nothing twice, so a crash at any line is repaired by running it again.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from pydicom import dcmread

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Attestation, Evidence, ImageReference, Product
from dicom_io.files.series import Instance, Series, read_dataset
from dicom_io.objects.burn_in import burned
from dicom_io.objects.companions import objects_beside
from dicom_io.objects.derived import derive, products
from dicom_io.sr.evidence_sr import objects_in_order, read_sr, write_sr
from dicom_io.sr.signatures import sign
from dicom_io.stamp import Stamp
from dicom_io.volumes import build_volume
from render.draw import draw
from render.engine.choice import choose
from render.picture import Picture
from workstation.billing.address import address
from workstation.billing.filing import record_of
from workstation.billing.gather_facts import site_policy
from workstation.billing.human_decisions import overlaid
from workstation.billing.settle import Settled, decide_record, own_charges, previous_of, read, settle_accession
from workstation.case import Case, CaseError, region_of
from workstation.charge import Decision
from workstation.site import Site, signer_of
from workstation.store.journal import Entry, EventKind, about, recorded_as, recorded_uid
from workstation.store.messages import Message

# (what is being done, part done 0…1)
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a case made. queued : keys of the messages that were new in the outbox."""

    pictures: tuple[Picture, ...]
    images: tuple[Instance, ...]
    sr: Instance
    evidence: Evidence
    decision: Decision
    messages: tuple[Message, ...]
    queued: tuple[str, ...]


def run(case: Case, site: Site, progress: Progress = lambda what, part: None) -> Outcome:
    """Raises NotFound, VolumeRefused, DrawError, CaseError, BannerError, SigningError and what the stores raise.

    Whatever was kept stays.
    """
    uid, journal = case.session_uid, site.journal
    journal.record(uid, case.session.operator, "opened", site.clock(), f"protocol {case.protocol.name}")
    # Whoever comes later works on what was begun then.
    stamp = site.stamp(uid, journal.entries(uid)[0].at)
    series = site.archive.series(case.series_uid)
    region = region_of(case.region, case.protocol.region, series.first.body_part)

    source = read_dataset(series.first.path)
    # Before the work: both may be refused.
    marks, signer = burned(site.config.burn_in, source, site.config.font_file), signer_of(site.config)

    volume = build_volume(
        series, case.which, lambda part: progress("building the volume", part), bridge_gaps=case.bridge_gaps
    )
    if any(m.volume_digest != volume.digest for m in case.measurements):
        raise CaseError(
            "A measurement was made on another volume than this case draws. Nothing was drawn; measure again."
        )
    engine, recipes = choose("stored", site.config.engine), case.protocol.recipes
    pictures = []
    for number, recipe in enumerate(recipes):

        def tell(part: float, number: int = number, name: str = recipe.name) -> None:
            progress(f"drawing {name}", (number + part) / len(recipes))

        pictures.append(draw(volume, recipe, engine=engine.for_recipe(recipe), progress=tell))

    datasets = derive(pictures, series, stamp, marks, multiframe=site.config.multiframe)
    drawn = products(pictures, datasets, stamp, region)
    beside = objects_beside(site.config.stored, pictures, drawn, datasets, case.measurements, volume, series, stamp)
    images = site.archive.keep([*datasets, *beside])
    progress("keeping the pictures", 1.0)
    drawn = tuple(replace(product, images=_with_digests(site, product.images)) for product in drawn)
    others = _with_digests(site, (ImageReference(d.SOPClassUID, d.SOPInstanceUID, d.SeriesInstanceUID) for d in beside))
    entries, attestation = _journal(case, site, drawn)
    recorded = _amending(_evidence(case, site, series, drawn, others, entries, attestation, stamp), site)
    record = write_sr(recorded, source, stamp)
    if signer is not None and recorded.verified:
        sign(record, signer, attestation.at if attestation else stamp.at)
    sr = site.archive.keep([record])[0]
    said = recorded_as(sr.sop_instance_uid, site.archive.digests(sr.series_uid)[sr.sop_instance_uid])
    journal.record(uid, case.session.operator, "recorded", site.clock(), said)
    progress("keeping the record", 1.0)

    settled = settle(sr, site)  # from here on: only what the SR says
    evidence = read_sr(dcmread(sr.path))
    return Outcome(tuple(pictures), images, sr, evidence, settled.decision, settled.messages, settled.queued)


def settle(sr: Instance, site: Site) -> Settled:
    """Decides a stored SR with what is on file now, and queues what follows. Again is harmless.

    Raises NotReadable when it is no record of ours, NotFound when its images are gone.
    """
    record = record_of(sr, site)
    evidence = record.evidence
    made = [*(image for product in evidence.products for image in product.images), *evidence.objects]
    images = [site.archive.instance(each.sop_instance_uid) for each in made]
    messages = address(images, sr, record.evidence, site.config, site.root)
    settled = settle_accession(record.accession, site, "", record, messages)
    return next(each for each in settled if each.record.session == record.session)


def explain(sr: Instance, site: Site) -> tuple[Evidence, Decision]:
    """The decision for a stored SR with what is on file now, and what people decided. Its session's own charges do not
    count as earlier ones."""
    evidence = read_sr(dcmread(sr.path))
    record = record_of(sr, site)
    view = read(record.accession, site, record)
    records = [*view.snapshot.records, record]
    _, others = own_charges(view, record.session, records)
    policy = site_policy(site.config, site.root)
    decision, facts, _ = decide_record(record, view, site, policy, previous_of(others))
    return evidence, overlaid(decision, facts, record.session, view.known, view.snapshot.acts)


def _journal(case: Case, site: Site, drawn: tuple[Product, ...]) -> tuple[tuple[Entry, ...], Attestation | None]:
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
            stated = who.attestation
            statement: EventKind = "attested_and_signed" if stated.signed else "attested"
            # Another statement is another act with a time of its own; the same again is the same act.
            words = hashlib.sha256(repr(stated).encode()).hexdigest()[:16]
            last.append(journal.record(uid, who.supervisor, statement, now, f"statement {words}"))
            attestation = Attestation(
                who.supervisor,
                last[-1].at,
                stated.text,
                stated.concurrent_supervision,
                stated.independent_workstation_required,
            )
    through = max(entry.number for entry in last)
    return journal.entries(uid)[: through + 1], attestation


def _evidence(
    case: Case,
    site: Site,
    series: Series,
    drawn: tuple[Product, ...],
    others: tuple[ImageReference, ...],
    entries: tuple[Entry, ...],
    attestation: Attestation | None,
    stamp: Stamp,
) -> Evidence:
    """The record of the session, without a UID: that follows from its content when it is written."""
    first, who = series.first, case.session
    images = (instance for instance in series.instances if instance.is_image)
    signed = who.attestation is not None and who.attestation.signed and who.supervisor is not None
    # Verifying is the physician's signature; nobody else's makes an SR verified.
    by_physician = signed and who.supervisor is not None and who.supervisor.role == "physician"
    return Evidence(
        sop_instance_uid="",
        verified_by=who.supervisor.name if by_physician and who.supervisor else "",
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
        acts=tuple(entry.act for entry in entries),
        attestation=attestation,
        products=drawn,
        sources=_with_digests(
            site, (ImageReference(i.sop_class_uid, i.sop_instance_uid, i.series_uid) for i in images)
        ),
        measurements=case.measurements,
        session_uid=case.session_uid,
        journal_head=entries[-1].hash,
        objects=others,
    )


def _amending(recorded: Evidence, site: Site) -> Evidence:
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


def _with_digests(site: Site, images: Iterable[ImageReference]) -> tuple[ImageReference, ...]:
    """With the digests of the archive, so that a later change is found."""
    images = tuple(images)
    known: dict[str, str] = {}
    for series_uid in dict.fromkeys(image.series_uid for image in images):
        known |= site.archive.digests(series_uid)
    return tuple(replace(image, digest=known[image.sop_instance_uid]) for image in images)
