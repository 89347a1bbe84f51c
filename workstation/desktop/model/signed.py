"""What was signed of a study, read from the archive's SRs: the report with its earlier versions, pictures, measures.

Knows no Qt. Only what the journal here recorded counts; the reader's session file is not asked.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from pydicom import dcmread

from dicom_io.errors import NotFound, NotReadable, VolumeRefused
from dicom_io.evidence import Evidence, Measurement
from dicom_io.files.series import Series, read_dataset
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.sr.report_sr import FiledReport
from dicom_io.volumes.build import assemble, stacks_of
from render.geometry import View, vector
from render.recipe import Recipe, Reformat, VolumeRendering, Window, read_recipe
from render.volume import Volume
from workstation.desktop.model.measuring import restored
from workstation.desktop.model.report_check import FIELD_TITLES
from workstation.desktop.model.screen import Capture, Measure, Screen, VolumeKey
from workstation.desktop.model.session import Draft, session_file
from workstation.desktop.model.signing import SignedStudy, being_stored, session_uid_of
from workstation.desktop.model.target_lesions import course_of, with_targets_of
from workstation.records.recist import TreatmentCourse
from workstation.signed_report import recorded_files, reports_of
from workstation.site import Site

OTHER_VOLUME = (
    "The series has changed since it was signed: its pictures and measures are of the volume as it was. An amended "
    "report is drawn from what is here now."
)
CHANGED = (
    "A signed report or record of this study is not what was signed: its file was changed, and it is not shown. "
    "`workstation storage verify` names it."
)


@dataclass(frozen=True, slots=True)
class SignedReading:
    """A study as it was signed. versions : its reports, oldest first. record : the newest record of its session.
    record_path : of the file. draft, captures, measures, course : of the newest version, as the reader left them.
    same_volume : whether the record is of the volume that the series makes now."""

    versions: tuple[FiledReport, ...]
    record: Evidence
    record_path: str
    draft: Draft
    captures: tuple[Capture, ...]
    measures: tuple[Measure, ...]
    course: TreatmentCourse
    same_volume: bool = True

    @property
    def newest(self) -> FiledReport:
        """The report that holds."""
        return self.versions[-1]

    def on(self, screen: Screen, kept: SignedStudy | None) -> tuple[Screen, Draft]:
        """Returns a screen with what was signed, and its report. kept : the same as the reader left it, whole, which
        counts where it says what the archive says."""
        if kept is None or not self._is(kept):
            shown = replace(screen, captures=self.captures, measures=self.measures, course=self.course)
            return shown, self.draft
        left = kept.screen
        solid = replace(screen.solid, steps=left.solid.steps, around=left.solid.around)
        shown = replace(
            screen,
            captures=left.captures,
            measures=left.measures,
            segments=left.segments,
            course=left.course,
            solid=solid,
        )
        return shown, kept.draft

    def _is(self, kept: SignedStudy) -> bool:
        mine, theirs = ([_as_taken(c.recipe) for c in captures] for captures in (self.captures, kept.screen.captures))
        recipes = mine == theirs
        ticks = [capture.key for capture in self.captures] == [c.key for c in kept.screen.captures]
        texts = {name: getattr(kept.draft, name).rstrip() for name in FIELD_TITLES}
        draft = replace(kept.draft, clinical_use=None, region=self.draft.region, **texts)
        return self.same_volume and recipes and ticks and draft == self.draft


def signed_reading(session_uid: str, site: Site, volume: Volume) -> SignedReading | None:
    """Returns what was signed in a session; None where nothing was. volume : that of the series as it is now."""
    versions = tuple(told for _, told in reports_of(session_uid, site))
    found = _record_of(session_uid, site)
    if not versions or found is None:
        return None
    path, record = found
    keys = set(versions[-1].key_images)
    captures = tuple(
        Capture(
            read_recipe(product.recipe),
            any(image.sop_instance_uid in keys for image in product.images),
            "prepared" if product.prepared else "mine",
            _second_volume(read_recipe(product.recipe), record, site),
        )
        for product in record.products
    )
    same = all(product.volume_digest == volume.digest for product in record.products)
    known = tuple(m for m in record.measurements if m.volume_digest == volume.digest)
    draft, course = draft_of(versions[-1], record), course_of(known)
    return SignedReading(versions, record, path, draft, captures, measures_of(known), course, same)


def was_read(key: VolumeKey, site: Site) -> bool:
    """Whether somebody worked on a volume: it is in work, being stored, or signed."""
    if session_file(site.root, *key).exists() or being_stored(site, *key) is not None:
        return True
    return any(True for _ in reports_of(session_uid_of(*key), site))


def _as_taken(recipe: Recipe) -> Recipe:
    """Returns a recipe without what its fusion gets when it is drawn: the second volume's digest, and its window or
    values."""
    if isinstance(recipe, VolumeRendering) and recipe.fusion is not None:
        return replace(recipe, fusion=replace(recipe.fusion, volume_digest="", transfer=recipe.transfer))
    if not isinstance(recipe, Reformat) or recipe.fusion is None:
        return recipe
    return replace(recipe, fusion=replace(recipe.fusion, volume_digest="", window=Window(0.0, 1.0)))


def _second_volume(recipe: Recipe, record: Evidence, site: Site) -> VolumeKey | None:
    """Returns the volume that a recorded recipe fuses, found by its digest among the sources of the record; None for a
    recipe that fuses none, and where it is not there any more."""
    if not isinstance(recipe, Reformat | VolumeRendering) or recipe.fusion is None:
        return None
    for uid in dict.fromkeys(source.series_uid for source in record.sources):
        for bridged in (False, True):
            with suppress(NotFound, VolumeRefused):
                stacks = stacks_of(site.archive.series(uid), bridge_gaps=bridged)
                for number, stack in enumerate(stacks):
                    if assemble(stack).digest == recipe.fusion.volume_digest:
                        return (uid, number if len(stacks) > 1 else None, bridged)
    return None


def _record_of(session_uid: str, site: Site) -> tuple[str, Evidence] | None:
    """Returns path and content of the newest record of a session that is as the journal recorded it."""
    for instance, unchanged in reversed(tuple(recorded_files(session_uid, site))):
        if unchanged and instance.sop_class_uid == COMPREHENSIVE_3D_SR:
            with suppress(NotReadable):
                return instance.path, read_sr(dcmread(instance.path))
    return None


def changed_since_signed(session_uid: str, site: Site) -> bool:
    """Whether a report or record of a session was signed whose file is no longer what was signed."""
    return not all(unchanged for _, unchanged in recorded_files(session_uid, site))


def draft_of(report: FiledReport, record: Evidence | None = None) -> Draft:
    """Returns a report's texts, and with its record the physician's answers, as the fields of the desktop."""
    stated, attested = dict(report.statements), record.attestation if record is not None else None
    return Draft(
        indication=report.indication,
        findings=report.findings,
        impression=report.impression,
        necessity=stated.get("medical_necessity", ""),
        utility=stated.get("clinical_utility", ""),
        workstation=stated.get("workstation_statement", ""),
        required=attested.independent_workstation_required if attested is not None else None,
        concurrent=attested.concurrent_supervision if attested is not None else None,
        region=record.products[0].region if record is not None and record.products else "",
    )


def measures_of(measurements: Iterable[Measurement]) -> tuple[Measure, ...]:
    """Returns the measures of a record for a screen: what was drawn, and volumes that were grown from a click."""
    known = tuple(measurements)
    drawn = with_targets_of(restored(known), known)
    return (*drawn, *(found for m in known if m.kind == "volume" and (found := _grown(m)) is not None))


def _grown(measurement: Measurement) -> Measure | None:
    """Returns a volume as it was clicked; None for one that another tool found."""
    made = json.loads(measurement.steps)
    if [step.get("kind") for step in made["steps"]] != ["piece"] or made["label"] != 1:
        return None
    (step,) = made["steps"]
    name = "" if re.fullmatch(r"volume \d+", measurement.name) else measurement.name
    return Measure("volume", (vector(step["seed_mm"]),), View(), float(step["low"]), float(step["high"]), name)


def measures_on_record(series: Series, volume: Volume, site: Site) -> tuple[tuple[Measure, ...], TreatmentCourse]:
    """Returns the measures in the newest record of a volume, and what it says of the course of treatment."""
    newest: tuple[datetime, tuple[Measurement, ...]] | None = None
    for sr in site.archive.instances_of(COMPREHENSIVE_3D_SR, series.first.accession):
        try:
            evidence = read_sr(read_dataset(sr.path))
        except NotReadable:
            continue  # another program's
        of_this_volume = tuple(m for m in evidence.measurements if m.volume_digest == volume.digest)
        at = max((act.at for act in evidence.acts), default=None)
        if of_this_volume and at is not None and (newest is None or at > newest[0]):
            newest = (at, of_this_volume)
    known = newest[1] if newest is not None else ()
    return measures_of(known), course_of(known)
