"""The story, top to bottom: a received series becomes pictures, a record, a decision and messages.

Running the same case again keeps and queues nothing twice, so a crash at any line is repaired by running it again.
"""

from dataclasses import dataclass, replace

from dicom_io.evidence import Evidence, ImageReference
from dicom_io.files.series import Instance, Series, read_dataset
from dicom_io.objects.burn_in import burned
from dicom_io.objects.companions import objects_beside
from dicom_io.objects.derived import derive, products
from dicom_io.sr.evidence_sr import write_sr
from dicom_io.sr.signatures import sign
from dicom_io.volumes import build_volume
from render.draw import draw
from render.engine.choice import choose
from render.picture import Picture
from render.progress import Progress
from render.protocols import drawable
from render.volume import Volume
from workstation.billing.accession import read
from workstation.billing.address import address
from workstation.billing.filing import read_record
from workstation.billing.settle import SettledCase, decide_record, settle_accession
from workstation.case import Case, CaseError, FusedVolume, laterality_of, region_of
from workstation.charge import Decision
from workstation.export.fusing import fused_recipes
from workstation.export.labelled import with_labels
from workstation.records.measurements import measure_requested
from workstation.session_record import amending, evidence_of, journal_session, sources_of, with_digests
from workstation.site import Site, signer_of
from workstation.store.cases import Record
from workstation.store.journal import recorded_as
from workstation.store.messages import Message


@dataclass(frozen=True, slots=True)
class CaseRun:
    """What running a case made. queued : keys of the messages that were new in the outbox. left_out : pictures of the
    protocol that could not be made, each with the reason."""

    pictures: tuple[Picture, ...]
    images: tuple[Instance, ...]
    sr: Instance
    evidence: Evidence
    decision: Decision
    messages: tuple[Message, ...]
    queued: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def run(
    case: Case, site: Site, progress: Progress = lambda what, part: None, *, built: Volume | None = None
) -> CaseRun:
    """Raises NotFound, VolumeRefused, DrawError, CaseError, BannerError, SigningError and what the stores raise.

    built : the volume as it was built before. The files are read all the same; where they give the same volume, that
    one is drawn, for which much is prepared already. Whatever was kept stays.
    """
    uid, journal = case.session_uid, site.journal
    journal.record(uid, case.session.operator, "opened", site.clock(), f"protocol {case.protocol.name}")
    # Whoever comes later works on what was begun then.
    stamp = site.stamp(uid, journal.entries(uid)[0].at)
    series = site.archive.series(case.series_uid)
    region = region_of(case.region, case.protocol.region, series.first.body_part)

    source = read_dataset(series.first.path)
    laterality = laterality_of(source, region)
    # Before the work: both may be refused.
    marks, signer = burned(site.config.burn_in, source, site.config.font_file), signer_of(site.config)

    volume = build_volume(
        series, case.which, lambda part: progress("building the volume", part), bridge_gaps=case.bridge_gaps
    )
    if built is not None and _recorded_of(built) == _recorded_of(volume):
        volume = built
    if any(m.volume_digest != volume.digest for m in case.measurements):
        raise CaseError(
            "A measurement was made on another volume than this case draws. Nothing was drawn; measure again."
        )
    case = replace(case, measurements=measure_requested(case.measure, volume, case.measurements))
    engine, (recipes, left_out) = choose(site.config.engine), drawable(volume, case.protocol)
    beside = {each: _second_series(each, series, site) for each in _fused_volumes(case)}
    seconds = {each: build_volume(of, each.which, bridge_gaps=each.bridge_gaps) for each, of in beside.items()}
    others = tuple({of.uid: of for of in beside.values() if of.uid != series.uid}.values())
    if case.fuse:
        recipes = fused_recipes(recipes, volume, seconds[_over_all(case)], None, progress)
    if case.labels is not None:
        recipes = with_labels(recipes, case.labels, volume)
    pictures = []
    for number, recipe in enumerate(recipes):

        def tell(part: float, number: int = number, name: str = recipe.name) -> None:
            progress(f"drawing {name}", (number + part) / len(recipes))

        over = dict(case.fused).get(recipe.name, _over_all(case))
        pictures.append(draw(volume, recipe, second=seconds.get(over), engine=engine.for_recipe(recipe), progress=tell))

    datasets = derive(pictures, series, stamp, marks, multiframe=site.config.multiframe, fused=others)
    drawn = products(pictures, datasets, region, laterality)
    wanted, taken = site.config.stored, case.measurements
    companions = objects_beside(wanted, pictures, drawn, datasets, taken, volume, series, stamp, case.notes)
    images = site.archive.keep([*datasets, *companions])
    progress("keeping the pictures", 1.0)
    drawn = tuple(
        replace(product, images=with_digests(site, product.images), prepared=product.name in case.prepared)
        for product in drawn
    )
    kept = with_digests(
        site, (ImageReference(d.SOPClassUID, d.SOPInstanceUID, d.SeriesInstanceUID) for d in companions)
    )
    entries, attestation = journal_session(case, site, drawn)
    acts, head = tuple(entry.act for entry in entries), entries[-1].hash
    sources = tuple(image for one in (series, *others) for image in sources_of(one, site))
    recorded = amending(evidence_of(case, site, series, drawn, kept, acts, head, attestation, stamp, sources), site)
    document = write_sr(recorded, source, stamp)
    if signer is not None and recorded.verified:
        sign(document, signer, attestation.at if attestation else stamp.at)
    sr = site.archive.keep([document])[0]
    said = recorded_as(sr.sop_instance_uid, site.archive.digests(sr.series_uid)[sr.sop_instance_uid])
    journal.record(uid, case.session.operator, "recorded", site.clock(), said)
    progress("keeping the record", 1.0)

    record, evidence = read_record(sr, site)  # from here on: only what the SR says
    settled = settle(sr, record, evidence, site)
    return CaseRun(tuple(pictures), images, sr, evidence, settled.decision, settled.messages, settled.queued, left_out)


def _recorded_of(volume: Volume) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Returns all that a record says of a volume."""
    return volume.digest, volume.source_uids, volume.warnings


def _over_all(case: Case) -> FusedVolume:
    """What `fuse` lays over every reformat."""
    return FusedVolume(case.fuse, None, case.bridge_gaps)


def _fused_volumes(case: Case) -> list[FusedVolume]:
    """Every second volume of a case, once."""
    over_all = [_over_all(case)] if case.fuse else []
    return list(dict.fromkeys([*over_all, *(each for _, each in case.fused)]))


def _second_series(second_volume: FusedVolume, series: Series, site: Site) -> Series:
    """The series that is fused with the first. Raises NotFound; CaseError for another study, as an SR is of one."""
    second = site.archive.series(second_volume.series_uid)
    if second.first.study_uid != series.first.study_uid:
        raise CaseError(
            f"Series {second.uid} is of another study than {series.uid}. Nothing was drawn; a record speaks of one "
            "study, `workstation render --fuse` draws across studies."
        )
    return second


def settle(sr: Instance, record: Record, evidence: Evidence, site: Site) -> SettledCase:
    """Decides a stored SR with what is on file now, and queues what follows. Again is harmless.

    Raises NotFound when its images are gone.
    """
    made = [*(image for product in evidence.products for image in product.images), *evidence.objects]
    images = [site.archive.instance(each.sop_instance_uid) for each in made]
    messages = address(images, sr, evidence, site.config, site.archive.root)
    settled = settle_accession(record.accession, site, "", record, messages)
    return next(each for each in settled if each.record.session == record.session)


def explain(sr: Instance, site: Site) -> tuple[Evidence, Decision]:
    """The decision for a stored SR with what is on file now, and what people decided. Its session's own charges do not
    count as earlier ones."""
    record, evidence = read_record(sr, site)
    view = read(record.accession, site, record)
    return evidence, decide_record(record, view, site).decision
