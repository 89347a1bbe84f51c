"""Lists, opens and compares the studies of the archive. Knows no Qt."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dicom_io.archive.arrivals import SeriesProgress, Stage
from dicom_io.archive.described import Summary
from dicom_io.errors import VolumeRefused
from dicom_io.files.series import Series, read_dataset
from dicom_io.person_names import listed
from dicom_io.stamp import Stamp
from dicom_io.volumes import stack_of
from dicom_io.volumes.build import assemble, stacks_of
from render import Picture, Volume
from render.geometry import vector
from render.progress import PartDone, Progress
from workstation.desktop.model import tray_edits
from workstation.desktop.model.hanging import hung, load_hanging, middle_image
from workstation.desktop.model.identity import UNKNOWN, SeriesIdentity, day, identity_of
from workstation.desktop.model.offers import VolumeOffer, bridged_volumes_of, volumes_of
from workstation.desktop.model.prepared import prepared_of, prepared_readings, same_persons
from workstation.desktop.model.reading2d import Images
from workstation.desktop.model.screen import Compared, Screen, VolumeKey
from workstation.desktop.model.session import ReadingSession, RecoveryError, recovered, session_file
from workstation.desktop.model.signed import (
    CHANGED,
    SignedReading,
    changed_since_signed,
    measures_on_record,
    signed_reading,
)
from workstation.desktop.model.signing import being_stored, last_signed, series_being_stored, session_uid_of
from workstation.preparation.proposals import PreparedPrior
from workstation.site import Site
from workstation.store.cases import STATE_WORDS
from workstation.store.preparation_rows import Preparation

OUR_NAME = Stamp.__dataclass_fields__["manufacturer"].default
# How far the reading of a series is, and what became of the charge for its accession.
READINGS = ("to read", "being prepared", "prepared", "in work", "to sign", "signed", "amended")
CHARGES = ("none", "held", "charged", "not billable", "correction")
_VOLUMES = 12  # so many volumes of a series are looked up in the journal
# The stage of a series in the reader's words.
ARRIVALS: dict[Stage, str] = {
    "arriving": "still arriving",
    "complete": "complete, revision {revision}",
    "reopened": "reopened, revision {revision}",
    "unknown": "unknown",
}
_COMING = ("arriving", "reopened")
_PREVIEW_PX = 512


@dataclass(frozen=True, slots=True)
class Row:
    """A series of the work list.

    reading : one of READINGS. charge : one of CHARGES. standing : how far it has arrived. priors : number of the
    patient's other image series. coming : number of other series of the study that are still arriving. making : what is
    being prepared of it, and how far.
    """

    series_uid: str
    study_uid: str
    patient: str
    patient_id: str
    accession: str
    date: str
    modality: str
    description: str
    instances: int
    reading: str
    charge: str
    standing: SeriesProgress
    priors: int = 0
    coming: int = 0
    making: Preparation | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            listed(self.patient), self.patient_id, self.accession, self.day, self.modality, self.description,
            str(self.instances), str(self.priors or ""),
        )  # fmt: skip

    @property
    def day(self) -> str:
        """Returns the study's date as people write it."""
        return day(self.date)


@dataclass(frozen=True, slots=True)
class Opened:
    """A study on the screen. warning : for the reader, about its volume or its recovery. others : series it can be
    compared with, itself first. identity : whose it is. signed : what was signed of it and is in the archive, None for
    nothing. priors : that were registered beforehand."""

    series: Series
    session: ReadingSession
    title: str
    warning: str = ""
    others: tuple[Row, ...] = ()
    identity: SeriesIdentity = UNKNOWN
    signed: SignedReading | None = None
    priors: tuple[PreparedPrior, ...] = ()

    @property
    def key(self) -> VolumeKey:
        """Which volume it is."""
        return self.session.key


@dataclass(frozen=True, slots=True)
class News:
    """Changes of a series since it was opened. more : number of new instances, negative for removed ones."""

    more: int
    standing: SeriesProgress


class Studies:
    """The archive's series of images, and their sessions."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._rules = load_hanging(site.root / "hanging.toml")
        self._summaries: dict[str, Summary] = {}
        self._states: dict[Path, tuple[int, str]] = {}
        # Reports by session, as far as the journal was read; and the sessions of each series.
        self._reports: Counter[str] = Counter()
        self._place = 0
        self._sessions: dict[str, tuple[str, ...]] = {}

    def rows(self) -> tuple[Row, ...]:
        """Lists image series, newest study first, without those made here."""
        self._read_journal()
        decided = {r.accession: STATE_WORDS.get(r.state, r.state) for r in self.site.casebook.newest()}
        waiting = self._waiting()
        found: list[Row] = []
        listed = self._series()
        standing = self.site.arrivals.standing(listed, self.site.clock().timestamp())
        prepared = prepared_readings(self.site)
        for series in listed:
            if not series.is_image:
                continue
            if self.is_ours(series):
                continue
            # What is signed is decided: of the others nothing need be looked up.
            signed = self._reported(series.series_uid) if series.accession in decided else "to read"
            reading = waiting.get(series.series_uid) or signed
            whole = standing[series.series_uid].stage not in _COMING  # else it is made anew
            making: Preparation | None = None
            if reading == "to read" and whole:
                reading, making = prepared.get(series.series_uid, (reading, None))
            found.append(
                Row(
                    series.series_uid, series.study_uid, series.patient_name, series.patient_id, series.accession,
                    series.study_date, series.modality, series.description, series.instances, reading,
                    decided.get(series.accession, "none"), standing[series.series_uid], making=making,
                )
            )  # fmt: skip
        same = Counter(row.patient_id for row in found if row.patient_id)
        coming = Counter(row.study_uid for row in found if row.standing.stage in _COMING)
        counted = (
            replace(
                row,
                priors=max(same[row.patient_id] - 1, 0),
                coming=coming[row.study_uid] - (row.standing.stage in _COMING),
            )
            for row in found
        )
        return tuple(sorted(counted, key=lambda row: (row.date, row.series_uid), reverse=True))

    def news(self, opened: Opened) -> News | None:
        """Returns the changes of an open series in the archive; None when the screen shows all of it."""
        summaries = self.site.archive.summaries([opened.series.uid])
        more = sum(s.instances for s in summaries) - len(opened.series.instances)
        if not summaries or not more:
            return None
        return News(more, self.site.arrivals.standing(summaries, self.site.clock().timestamp())[opened.series.uid])

    def again(self, opened: Opened) -> int | None:
        """Returns the number of an open volume in its series as it is now; None when the series makes other volumes."""
        before, now = (
            [stack.label for stack in stacks_of(series, bridge_gaps=opened.session.bridged)]
            for series in (opened.series, self.site.archive.series(opened.series.uid))
        )
        return opened.session.which if before == now else None

    def _series(self) -> list[Summary]:
        """Lists every series; reads again only those whose number of instances has changed."""
        counts, known = self.site.archive.counts(), self._summaries
        grown = [uid for uid, count in counts.items() if uid not in known or known[uid].instances != count]
        if grown:
            known.update((s.series_uid, s) for s in self.site.archive.summaries(grown if known else None))
        return [known[uid] for uid in counts if uid in known]

    def waiting(self) -> int:
        """Counts the messages that wait to be sent."""
        return len(self.site.outbox.pending())

    def of_the_same_patient(self, series_uid: str) -> tuple[Row, ...]:
        """Lists the series a study can be compared with, itself first: its own phases, other series, and priors."""
        rows = self.rows()
        own_row = next((row for row in rows if row.series_uid == series_uid), None)
        if own_row is None:
            return ()
        others = (row for row in rows if row.patient_id == own_row.patient_id and row != own_row and own_row.patient_id)
        return (own_row, *others)

    def not_offered(self, own_row: Row) -> tuple[Summary, ...]:
        """Lists the patient's series that `of_the_same_patient` leaves out: made here, or without images."""
        mine = (each for each in self._series() if own_row.patient_id and each.patient_id == own_row.patient_id)
        return tuple(each for each in mine if not each.is_image or self.is_ours(each))

    def is_ours(self, series: Summary) -> bool:
        """Whether a series was made here."""
        return series.manufacturer == OUR_NAME

    def _waiting(self) -> dict[str, str]:
        """Returns by series `signed` while what was signed is being stored, `to sign` where a person captured pictures,
        else `in work`, also for a damaged session file."""
        found: dict[str, str] = {}
        for file in (self.site.root / "sessions").glob("*.json"):
            try:
                changed = file.stat().st_mtime_ns
                known = self._states.get(file)
                if known is None or known[0] != changed:
                    kept = json.loads(file.read_bytes())
                    captured = any(each.get("origin") != "prepared" for each in kept["screen"]["captures"])
                    known = (changed, "to sign" if captured else "in work")
                    self._states[file] = known
                found[file.stem.split("-")[0]] = known[1]
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                found[file.stem.split("-")[0]] = "in work"
        return found | dict.fromkeys(series_being_stored(self.site), "signed")

    def _read_journal(self) -> None:
        """Counts the reports that were signed since the list was read last."""
        self._place, sessions = self.site.journal.reported_after(self._place)
        self._reports.update(sessions)

    def _reported(self, series_uid: str) -> str:
        """Returns how far the reading of a series is that nobody works on."""
        if series_uid not in self._sessions:
            self._sessions[series_uid] = tuple(
                session_uid_of(series_uid, which, bridged) for which in range(_VOLUMES) for bridged in (False, True)
            )
        most = max(self._reports[session] for session in self._sessions[series_uid])
        return "to read" if most == 0 else "signed" if most == 1 else "amended"

    def volumes(self, series_uid: str) -> tuple[VolumeOffer, ...]:
        """Returns a series' volumes, in order. Raises VolumeRefused with the reason when it has none."""
        return volumes_of(self.site.archive.series(series_uid))

    def images(self, series_uid: str, why: VolumeRefused) -> Images:
        """Returns the images of a series, to read in 2D, with the volumes that can be made of them all the same, of
        what was made here none. why : the reason; raised where there are no images."""
        series = self.site.archive.series(series_uid)
        found = stack_of(series).images
        if not found:
            raise why
        identity, offers = self.identity(series_uid), bridged_volumes_of(series)
        with suppress(VolumeRefused):
            offers = (*volumes_of(series), *offers)
        is_ours = any(self.is_ours(one) for one in self.site.archive.summaries([series_uid]))
        return Images(found, str(why), identity.title, identity, () if is_ours else offers)

    def preview(
        self, series_uid: str, which: int | None = None, side_px: int = _PREVIEW_PX, *, bridged: bool = False
    ) -> Picture:
        """Returns the middle image of a volume, reading only the slices around it. Raises as `open`, NotReadable."""
        series = self.site.archive.series(series_uid)
        stack = stacks_of(series, bridge_gaps=bridged)[which or 0]
        return middle_image(stack, self.identity(series_uid), self._rules, side_px)

    def open(
        self,
        series_uid: str,
        which: int | None = None,
        tell: Progress = lambda what, part: None,
        *,
        bridged: bool = False,
    ) -> Opened:
        """Builds the volume with the first screen, or the screen that its session was left with.

        bridged : missing slices are interpolated from their neighbours, which the volume's warnings say.

        Raises NotFound and VolumeRefused, each with the reason as a sentence.
        """
        key = (series_uid, which, bridged)
        series, volume = self._built(*key, lambda part: tell("building the volume", part))
        _ = volume.ends  # panels ask for them, and a look at all voxels would hold up the window
        file = session_file(self.site.root, *key)
        warnings = list(volume.warnings)
        signed = signed_reading(session_uid_of(*key), self.site, volume)
        if changed_since_signed(session_uid_of(*key), self.site):
            warnings.append(CHANGED)
        session: ReadingSession | None = None
        if (storing := being_stored(self.site, *key)) is not None:
            session = replace(storing.session(volume), file=file, sealed=True)
        else:
            try:
                session = recovered(file, volume, key)
            except RecoveryError as error:
                file = file.with_suffix(".new.json")
                warnings.append(str(error))
                with suppress(RecoveryError):  # what was done since it was found
                    session = recovered(file, volume, key)
            if session is not None:
                warnings.append("The session goes on where it was left.")
        prepared = prepared_of(self.site, series_uid, which, volume)
        if session is None:
            session = self._fresh(series, key, volume, file, signed)
            if signed is None:
                session.screen = tray_edits.from_protocol(session.screen, prepared.recipes, "prepared")
        session.stills = prepared.stills
        standing = self.site.arrivals.standing(self.site.archive.summaries([series_uid]), self.site.clock().timestamp())
        if any(each.stage in _COMING for each in standing.values()):
            warnings.append("The series is still arriving.")
        identity, others = self.identity(series_uid), self.of_the_same_patient(series_uid)
        priors = same_persons(prepared.priors, identity, self.identity)
        warnings += prepared.warnings
        return Opened(series, session, identity.title, " ".join(warnings), others, identity, signed, priors)

    def first_screen(self, identity: SeriesIdentity, volume: Volume) -> Screen:
        """Returns the screen as a series is hung by the site's rules."""
        return hung(volume, identity, self._rules)

    def _fresh(
        self, series: Series, key: VolumeKey, volume: Volume, file: Path, signed: SignedReading | None
    ) -> ReadingSession:
        """Makes the session of a study that nobody is working on: with what was signed, as far as anything was."""
        screen, (_, which, bridged) = self.first_screen(self.identity(series.uid), volume), key
        if signed is None:
            measures, course = measures_on_record(series, volume, self.site)
            screen = replace(screen, measures=measures, course=course)
            return ReadingSession(volume, series.uid, screen, which, file=file, bridged=bridged)
        screen, draft = signed.on(screen, last_signed(self.site, *key))
        operator = signed.record.operator
        return ReadingSession(volume, series.uid, screen, which, draft, file, operator, sealed=True, bridged=bridged)

    def signed(self, opened: Opened) -> SignedReading | None:
        """Returns what is signed of an open study now; None where nothing is, or the study is still being stored."""
        if being_stored(self.site, *opened.key) is not None:
            return None
        return signed_reading(session_uid_of(*opened.key), self.site, opened.session.volume)

    def identity(self, series_uid: str) -> SeriesIdentity:
        """Returns whose a series is, and what of. Raises NotFound, and NotReadable for a damaged file."""
        return identity_of(read_dataset(str(self.site.archive.series(series_uid).first.path)))

    def volume(self, key: VolumeKey, tell: Progress = lambda what, part: None) -> Volume:
        """Builds a volume. Raises as `open`."""
        return self._built(*key, lambda part: tell("building the volume", part))[1]

    def compared(
        self, opened: Opened, series_uid: str, which: int | None = None, *, bridged: bool = False
    ) -> tuple[Compared, Volume]:
        """Returns another volume for comparison with an open one: without offset where both share a frame of reference,
        else with their middles together, to be aligned by hand. bridged : with its missing slices interpolated."""
        series, other = self._built(series_uid, which, bridged, None)
        own_volume, own_study = opened.session.volume, opened.series.first.study_uid
        found = Compared(series_uid, which, bridged=bridged, same_study=series.first.study_uid == own_study)
        if own_volume.frame_of_reference and own_volume.frame_of_reference == other.frame_of_reference:
            return found, other
        offset = vector(round(b - a, 3) for a, b in zip(own_volume.centre_mm, other.centre_mm, strict=True))
        return replace(found, offset_mm=offset), other

    def _built(
        self, series_uid: str, which: int | None, bridged: bool, progress: PartDone | None
    ) -> tuple[Series, Volume]:
        series = self.site.archive.series(series_uid)
        stacks = stacks_of(series, bridge_gaps=bridged)
        if (which or 0) >= len(stacks):
            raise VolumeRefused(f"Series {series_uid} has no volume {which} any more; open it from the work list.")
        if which is None and len(stacks) > 1:
            raise VolumeRefused(f"Series {series_uid} holds {len(stacks)} volumes; say which.")
        return series, assemble(stacks[which or 0], progress)
