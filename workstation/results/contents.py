"""Collects what was signed in a session for people who do not work here. Only what the journal recorded counts, and
only from the archive: nothing is drawn again. Knows no web.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Evidence, ImageReference, Product
from dicom_io.files.digests import file_digest
from dicom_io.files.instance import Instance
from dicom_io.objects.burn_in import banner_lines
from dicom_io.objects.encapsulated_obj import ENCAPSULATED_OBJ
from dicom_io.objects.encapsulated_stl import ENCAPSULATED_STL
from dicom_io.objects.presentation_reading import drawings_of
from dicom_io.objects.presentation_state import PICTURE_STATES, mark_of
from dicom_io.objects.segmentation import SEGMENTATION
from dicom_io.person_names import spoken
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.sr.key_objects import KEY_OBJECT_SELECTION, key_images
from dicom_io.sr.report_sr import BASIC_TEXT_SR, FiledReport, read_report
from render.geometry import Plane
from render.marks import DrawnMark, PixelDrawing
from render.recipe import CurvedReformat, Projection, Recipe, RecipeError, VolumeRendering, read_recipe
from workstation.errors import WorkstationError
from workstation.records import plain_words
from workstation.records.pdf_contents import HEADINGS, SignedReport, as_signed, divided, sides_of
from workstation.signed_report import recorded_files
from workstation.site import Site
from workstation.store.journal import doubt_of_chain

# turn: seen from around the patient, one frame after the other. scroll: planes, or a way through the patient.
PictureKind = Literal["still", "turn", "scroll"]
# What is drawn on frames, by SOP Instance UID and number.
Drawings = Mapping[tuple[str, int], tuple[PixelDrawing, ...]]


class ResultsError(WorkstationError):
    """The results of a session cannot be shown; the message says why, and names no patient."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """An archived instance of the session. digest : its `digests.file_digest` as the record has it."""

    instance: Instance
    digest: str

    @property
    def key(self) -> str:
        """What it is called in an address, which may not hold UIDs: 20 hex digits."""
        return key_of(self.instance.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """One frame of an archived image, from 0. drawings : lines and words that a presentation state draws on it. sides :
    how a projection lies, as its recipe says: its grey pixels have no letters of their sides."""

    file: ArchivedFile
    number: int = 0
    drawings: tuple[PixelDrawing, ...] = ()
    sides: Plane | None = None

    @property
    def etag(self) -> str:
        """What changes when the picture does."""
        drawn = hashlib.sha256(repr((self.drawings, self.sides)).encode()).hexdigest()[:8]
        return f"{self.file.digest[:32]}-{self.number}-{drawn}"


@dataclass(frozen=True, slots=True)
class ResultPicture:
    """A picture of the record. how : how it was made, in sentences. frames : in their order. closed : whether the last
    frame of a turn is followed by the first. chosen : whether the report names it. start : the frame to show first.
    across : whether a turn goes over the top instead of around the head."""

    key: str
    name: str
    how: tuple[str, ...]
    kind: PictureKind
    frames: tuple[ShownFrame, ...]
    closed: bool
    chosen: bool
    start: int = 0
    across: bool = False


@dataclass(frozen=True, slots=True)
class ResultMeasure:
    """A measure: its name, what it is of, and its numbers with units."""

    name: str
    finding: str
    values: str


@dataclass(frozen=True, slots=True, eq=False)
class ReportVersion:
    """A signed report of the session. header : its SR. sections : heading and texts, as a reader knows them."""

    told: FiledReport
    header: Dataset
    sections: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SessionResults:
    """What was signed in a session.

    record : the newest. header : its SR, for patient and study. patient : lines that name the patient. versions : its
    reports, oldest first; none where the report is written elsewhere. surfaces : archived objects that surfaces are
    made of. missing : how many objects of the record the archive does not have any more. documents : the SRs, key
    object selections and what else was stored beside the pictures.
    """

    record: Evidence
    header: Dataset
    patient: tuple[str, ...]
    versions: tuple[ReportVersion, ...]
    pictures: tuple[ResultPicture, ...]
    measures: tuple[ResultMeasure, ...]
    marks: tuple[DrawnMark, ...]
    surfaces: tuple[ArchivedFile, ...]
    documents: tuple[ArchivedFile, ...]
    missing: int

    @property
    def report(self) -> ReportVersion | None:
        """The report that holds."""
        return self.versions[-1] if self.versions else None

    @property
    def study(self) -> tuple[tuple[str, str], ...]:
        """What was examined, when and for whom: titles and values."""
        lines = {
            "Examination": str(self.header.get("StudyDescription") or "") or self.record.modality,
            "Date": _day(self.record.study_date),
            "Accession": self.record.accession,
            "Referring physician": spoken(str(self.header.get("ReferringPhysicianName") or "")),
            "Institution": str(self.header.get("InstitutionName") or ""),
        }
        return tuple((title, said) for title, said in lines.items() if said)

    @property
    def signed(self) -> tuple[str, datetime | None]:
        """Who signed the report, or the record where the report is written elsewhere, and when."""
        if self.report is not None:
            return spoken(self.report.told.signed_by), self.report.told.signed_at
        stated = self.record.attestation
        return spoken(self.record.verified_by), stated.at if stated is not None else None

    def picture(self, key: str) -> ResultPicture | None:
        """Returns a picture by its key."""
        return next((each for each in self.pictures if each.key == key), None)

    def files(self) -> tuple[ArchivedFile, ...]:
        """Every archived object of the session once: pictures, what lies beside them, documents."""
        images = [frame.file for picture in self.pictures for frame in picture.frames]
        return tuple({file.key: file for file in (*images, *self.surfaces, *self.documents)}.values())


def key_of(uid: str) -> str:
    """Returns what stands for a UID in an address: the first 20 hex digits of its sha256."""
    return hashlib.sha256(uid.encode()).hexdigest()[:20]


def results_of(session_uid: str, site: Site) -> SessionResults:
    """Returns what was signed in a session. Raises ResultsError where nothing was, or it is not as it was signed."""
    record, header, reports, kept = _documents(session_uid, site)
    versions = tuple(_version(told, ds) for told, ds in reports)
    keys = frozenset(versions[-1].told.key_images) if versions else frozenset()
    beside = [file for image in record.objects if (file := _archived(image, site)) is not None]
    drawings = _drawings(beside)
    pictures, missing = pictures_of(record, keys, site, drawings)
    missing += len(record.objects) - len(beside)
    # A mask may be stored as surfaces as well: then these are shown.
    shapes = tuple(file for file in beside if file.instance.sop_class_uid in (ENCAPSULATED_STL, ENCAPSULATED_OBJ))
    shapes = shapes or tuple(file for file in beside if file.instance.sop_class_uid == SEGMENTATION)
    return SessionResults(
        record=record,
        header=header,
        patient=_patient(header),
        versions=versions,
        pictures=pictures,
        measures=tuple(
            ResultMeasure(m.name, m.finding, ", ".join(plain_words.quantity(q) for q in m.quantities))
            for m in record.measurements
        ),
        # Records from before presentation states were always stored have their measures drawn from the record.
        marks=() if drawings else tuple(mark for mark in map(mark_of, record.measurements) if mark is not None),
        surfaces=shapes,
        documents=(*kept, *_selections(keys, record, site), *(file for file in beside if file not in shapes)),
        missing=missing,
    )


def _drawings(beside: Iterable[ArchivedFile]) -> Drawings:
    """What the session's presentation states draw: measures, arrows and words of the reader. Raises ResultsError where
    one is not what was recorded: an arrow that is missing would not be missed."""
    found: dict[tuple[str, int], tuple[PixelDrawing, ...]] = {}
    for file in beside:
        if file.instance.sop_class_uid not in PICTURE_STATES:
            continue
        if not unchanged(file):
            raise ResultsError(
                f"Presentation state {file.instance.sop_instance_uid} is not what was recorded: its file was changed. "
                "Nothing of the session is shown; `workstation storage verify` names the file."
            )
        for place, drawings in drawings_of(dcmread(file.instance.path)).items():
            found[place] = (*found.get(place, ()), *drawings)
    return found


def pictures_of(
    record: Evidence, keys: frozenset[str], site: Site, drawings: Drawings = MappingProxyType({})
) -> tuple[tuple[ResultPicture, ...], int]:
    """Returns the pictures of a record that the archive has, those of the report first, and how many it has not.

    keys : SOP Instance UIDs of those of the report. drawings : on frames, by SOP Instance UID and number.
    """
    pictures: list[ResultPicture] = []
    missing = 0
    for product in record.products:
        found = [file for image in product.images if (file := _archived(image, site)) is not None]
        missing += len(product.images) - len(found)
        if found:
            pictures.append(_picture(product, found, keys, drawings))
    return tuple(sorted(pictures, key=lambda each: not each.chosen)), missing


def unchanged(file: ArchivedFile) -> bool:
    """Whether a file is, on the disk now, what was recorded."""
    try:
        return file_digest(Path(file.instance.path), file.instance.transfer_syntax_uid) == file.digest
    except OSError:
        return False


def _documents(
    session_uid: str, site: Site
) -> tuple[Evidence, Dataset, tuple[tuple[FiledReport, Dataset], ...], tuple[ArchivedFile, ...]]:
    """The newest record with its header, the reports, and their files. Raises ResultsError."""
    if doubt_of_chain(site.journal, session_uid):
        raise ResultsError(
            f"The journal of session {session_uid} is not what was written there; nothing of it is shown. `workstation "
            "verify` says what differs."
        )
    record: tuple[Evidence, Dataset, ArchivedFile] | None = None
    reports: list[tuple[FiledReport, Dataset, ArchivedFile]] = []
    for instance, same in recorded_files(session_uid, site):
        if not same:
            raise ResultsError(
                f"SR {instance.sop_instance_uid} of session {session_uid} is not what was signed: its file was "
                "changed. Nothing of the session is shown; `workstation storage verify` names the file."
            )
        digest = site.archive.digests(instance.series_uid)[instance.sop_instance_uid]
        ds, file = dcmread(instance.path), ArchivedFile(instance, digest)
        try:
            if instance.sop_class_uid == COMPREHENSIVE_3D_SR:
                record = read_sr(ds), ds, file
            elif instance.sop_class_uid == BASIC_TEXT_SR:
                reports.append((read_report(ds), ds, file))
        except NotReadable as error:
            raise ResultsError(f"Session {session_uid}: {error}") from error
    if record is None:
        raise ResultsError(f"Session {session_uid} has no record in the archive: it is not finished. Nothing is shown.")
    if not record[0].verified:
        raise ResultsError(
            f"The record of session {session_uid} is not signed by a physician. Nothing is shown before it is."
        )
    reports.sort(key=lambda each: (each[0].signed_at, each[0].sop_instance_uid))
    files = (record[2], *(file for _, _, file in reports[-1:]))
    return record[0], record[1], tuple((told, ds) for told, ds, _ in reports), files


def _version(told: FiledReport, ds: Dataset) -> ReportVersion:
    signed: SignedReport = as_signed(ds)
    parts = [section for group in divided(signed) for section in group]
    return ReportVersion(told, ds, tuple((HEADINGS.get(heading, heading), texts) for heading, texts in parts))


def _archived(image: ImageReference, site: Site) -> ArchivedFile | None:
    try:
        instance = site.archive.instance(image.sop_instance_uid)
    except NotFound:
        return None
    # A record from before digests were noted has none: then the archive's own counts.
    digest = image.digest or site.archive.digests(instance.series_uid).get(instance.sop_instance_uid, "")
    return ArchivedFile(instance, digest)


def _picture(product: Product, files: list[ArchivedFile], keys: frozenset[str], drawings: Drawings) -> ResultPicture:
    recipe = _recipe(product)
    frames = tuple(
        ShownFrame(file, n, drawings.get((file.instance.sop_instance_uid, n), ()), sides_of(product, n))
        for file in files
        for n in range(max(1, file.instance.stored_frames))
    )
    how = plain_words.recipe(recipe) if recipe is not None else ()
    rotation = recipe.rotation if isinstance(recipe, VolumeRendering | Projection) else None
    around = rotation is not None or (isinstance(recipe, CurvedReformat) and len(frames) > 1)
    named = [n for n, frame in enumerate(frames) if frame.file.instance.sop_instance_uid in keys]
    kind: PictureKind = "still" if len(frames) == 1 else "turn" if around else "scroll"
    return ResultPicture(
        key=files[0].key,
        name=product.name,
        how=(*how, *(f"Note: {warning}" for warning in product.warnings)),
        kind=kind,
        frames=frames,
        across=rotation is not None and rotation.axis == "across",
        closed=kind == "turn" and rotation is not None and rotation.arc_deg >= 360.0,
        chosen=bool(named),
        start=named[len(named) // 2] if named and kind == "scroll" else len(frames) // 2 if kind == "scroll" else 0,
    )


def _recipe(product: Product) -> Recipe | None:
    """None for a recipe of a program that knows more kinds of them."""
    try:
        return read_recipe(product.recipe)
    except RecipeError:
        return None


def _selections(keys: frozenset[str], record: Evidence, site: Site) -> Iterator[ArchivedFile]:
    """Yields the key object selections of the report's pictures."""
    if not keys:
        return
    for instance in site.archive.instances_of(KEY_OBJECT_SELECTION, record.accession):
        if instance.study_uid == record.study_uid:
            digest = site.archive.digests(instance.series_uid)[instance.sop_instance_uid]
            file = ArchivedFile(instance, digest)
            chosen = key_images(dcmread(instance.path))
            if chosen and keys >= set(chosen) and unchanged(file):
                yield file


def _patient(header: Dataset) -> tuple[str, ...]:
    """Name, ID, birth date and sex as lines. Raises ResultsError where a record says of nobody whose it is."""
    lines = [line for attribute, line in banner_lines(header).items() if attribute.startswith("Patient")]
    if not any(lines[:2]):
        raise ResultsError(f"SR {header.get('SOPInstanceUID')} names no patient; nothing of it is shown.")
    return tuple(filter(None, lines))


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 else text
