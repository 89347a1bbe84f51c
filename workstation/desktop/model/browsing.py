"""The series of a patient as the browser beside the panes lists them, each with a small picture. Knows no Qt."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dicom_io.capabilities import class_name
from dicom_io.dates import day_of
from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import read_dataset
from dicom_io.volumes import stack_of
from render.picture import to_rgb
from workstation.desktop.model.identity import UNKNOWN, SeriesIdentity, day, identity_of
from workstation.desktop.model.reading2d import first_window, shown
from workstation.desktop.model.studies import Row, Studies

THUMBNAIL_PX = 96
# How long before the open study another one was made, or after it.
AGES = (
    "the same day",
    "1 day before",
    "{count} days before",
    "{count} weeks before",
    "{count} months before",
    "{count} years before",
    "1 day after",
    "{count} days after",
    "{count} weeks after",
    "{count} months after",
    "{count} years after",
)
_FEW_DAYS, _FEW_WEEKS, _FEW_MONTHS = 14, 9, 24  # below these, that unit says it best
_MIB = 1 << 20

# `source` can be opened; `ours` was made here; `document` holds no images.
SeriesKind = Literal["source", "ours", "document"]
KIND_TITLES: dict[SeriesKind, str] = {"source": "", "ours": "made here", "document": "no images"}


@dataclass(frozen=True, slots=True)
class BrowsedSeries:
    """A series in the browser. row : the one by which it is opened and compared, None for what is no volume.

    class_title : of its first instance, in the standard's words. has_images : whether there is something to see.
    size : of its files, in bytes. doubt : what of the patient differs from that of the open series although the ID is
    the same, such as the name.
    """

    series_uid: str
    study_uid: str
    kind: SeriesKind
    date: str
    instances: int
    size: int
    identity: SeriesIdentity
    class_title: str = ""
    has_images: bool = True
    doubt: tuple[str, ...] = ()
    row: Row | None = None

    @property
    def title(self) -> str:
        """Number and description; where it has none, the protocol or what kind of object it is."""
        who = self.identity
        named = who.series or who.protocol or ("" if self.kind == "source" else self.class_title)
        return "  ".join(part for part in (who.series_number, named) if part) or who.modality or self.series_uid

    @property
    def thickness(self) -> str:
        return f"{self.identity.thickness_mm:g} mm" if self.identity.thickness_mm else ""

    @property
    def mebibytes(self) -> str:
        """The size as people read it."""
        size = self.size / _MIB
        if size < 0.1:
            return f"{self.size / 1024:.0f} KiB"
        return f"{size:.1f} MiB" if size < 10.0 else f"{size:.0f} MiB"

    def says(self, words: str) -> bool:
        """Whether each of some words is among what the series says of itself."""
        who = self.identity
        said = (self.title, self.class_title, who.modality, who.body_part, who.study, self.date, day(self.date))
        whole = " ".join(said).casefold()
        return all(word in whole for word in words.casefold().split())


@dataclass(frozen=True, slots=True)
class BrowsedStudy:
    """A study in the browser. age : one of AGES, empty where a date is missing and for the open study; count : its
    number. is_open : whether it is the study of the open series."""

    study_uid: str
    date: str
    title: str
    series: tuple[BrowsedSeries, ...]
    is_open: bool = False
    age: str = ""
    count: int = 0


def age_of(date: str, beside: str) -> tuple[str, int]:
    """Returns (one of AGES, its count) for a study's date beside that of the open one, both DA; empty where one of them
    is none."""
    then, now = day_of(date), day_of(beside)
    if then is None or now is None:
        return "", 0
    days = abs((now - then).days)
    if days == 0:
        return AGES[0], 0
    early, late = sorted((then, now))
    months = (late.year - early.year) * 12 + late.month - early.month - (late.day < early.day)
    way = "before" if then < now else "after"
    if days < _FEW_DAYS:
        return (f"1 day {way}" if days == 1 else f"{{count}} days {way}"), days
    if days // 7 < _FEW_WEEKS:
        return f"{{count}} weeks {way}", days // 7
    return (f"{{count}} months {way}", months) if months < _FEW_MONTHS else (f"{{count}} years {way}", months // 12)


class SeriesShelf:
    """What the browser lists of a patient. Headers that were read are kept."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._headers: dict[str, tuple[SeriesIdentity, str]] = {}

    def listed(self, series_uid: str) -> tuple[BrowsedStudy, ...]:
        """Lists the study of a series, then the patient's others, newest first. The patient is matched as for what a
        study can be compared with: `Studies.of_the_same_patient`."""
        rows = self._studies.of_the_same_patient(series_uid)
        if not rows:
            return ()
        others = self._studies.not_offered(rows[0])
        uids = [*(row.series_uid for row in rows), *(each.series_uid for each in others)]
        sizes = self._studies.site.archive.sizes(uids)
        paths = {s.series_uid: s.path for s in self._studies.site.archive.summaries([row.series_uid for row in rows])}
        found = []
        for row in rows:
            identity, title = self._header(row.series_uid, paths.get(row.series_uid, ""))
            seen = (row.date, row.instances, sizes.get(row.series_uid, 0), identity, title)
            found.append(BrowsedSeries(row.series_uid, row.study_uid, "source", *seen, row=row))
        for each in others:
            identity, title = self._header(each.series_uid, each.path)
            kind: SeriesKind = "ours" if self._studies.is_ours(each) else "document"
            seen = (each.study_date, each.instances, sizes.get(each.series_uid, 0), identity, title)
            found.append(BrowsedSeries(each.series_uid, each.study_uid, kind, *seen, each.is_image))
        own = found[0].identity
        return grouped([replace(each, doubt=own.differs_from(each.identity)) for each in found], found[0])

    def thumbnail(self, series: BrowsedSeries) -> NDArray[np.uint8] | None:
        """Returns (rows, columns, 3) uint8, at most THUMBNAIL_PX each: the middle image, in the window that the series
        is hung with; None where there is none to be seen."""
        if series.kind == "source":
            try:
                return to_rgb(self._studies.preview(series.series_uid, 0, THUMBNAIL_PX))
            except VolumeRefused:
                pass  # its images are shown as they are
        images = stack_of(self._studies.site.archive.series(series.series_uid)).images
        if not images:
            return None
        image = images[len(images) // 2]
        if image.in_colour:
            pixels = image.colours()
        else:
            values = image.values()
            grey = shown(values, first_window(image, values), image.instance.photometric == "MONOCHROME1")
            pixels = np.repeat(grey[:, :, None], 3, axis=2)
        step = max(1, -(-max(pixels.shape[:2]) // THUMBNAIL_PX))
        return pixels[step // 2 :: step, step // 2 :: step]

    def _header(self, series_uid: str, path: str) -> tuple[SeriesIdentity, str]:
        """Returns whose a series is and what of, and the name of its SOP class; nothing for a damaged file."""
        if series_uid not in self._headers:
            try:
                ds = read_dataset(path)
            except (NotReadable, OSError):
                return UNKNOWN, ""
            self._headers[series_uid] = identity_of(ds), class_name(str(ds.get("SOPClassUID") or ""))
        return self._headers[series_uid]


def grouped(found: Iterable[BrowsedSeries], own: BrowsedSeries) -> tuple[BrowsedStudy, ...]:
    """Puts series into their studies: that of `own` first, then the newest. In a study, what can be opened comes first,
    by its number."""
    studies: dict[str, list[BrowsedSeries]] = {}
    for each in found:
        studies.setdefault(each.study_uid, []).append(each)
    made = []
    for uid, several in studies.items():
        several.sort(key=lambda one: (one.kind != "source", one.kind, _number(one.identity.series_number), one.title))
        first, is_open = several[0], uid == own.study_uid
        age, count = ("", 0) if is_open else age_of(first.date, own.date)
        made.append(BrowsedStudy(uid, first.date, first.identity.study, tuple(several), is_open, age, count))
    made.sort(key=lambda study: study.date, reverse=True)
    return tuple(sorted(made, key=lambda study: not study.is_open))


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else 1 << 31
