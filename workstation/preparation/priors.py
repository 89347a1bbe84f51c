"""The prior that a series is compared with: found in the archive and at a peer, fetched, and believed to be of the same
person or not used.

Whose pictures they are is asked three times: of the peer's answer, of every image that came, and by the desktop when it
offers the comparison. What cannot be told counts as somebody else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom.dataset import Dataset

from dicom_io.errors import NotFound, NotReadable, VolumeRefused
from dicom_io.files.series import Series, read_dataset
from dicom_io.network.query import FoundSeries, FoundStudy
from dicom_io.person_names import first_group
from dicom_io.volumes.build import stacks_of
from workstation.errors import WorkstationError
from workstation.orders.patients import PatientIdentifier, identifier_of_object
from workstation.peers.ask import questions_to
from workstation.preparation.traits import OUR_NAME
from workstation.preparing import PriorWanted
from workstation.reading import Reading
from workstation.site import Site

# So many studies of a peer are looked into, and so many series are fetched and looked at, newest and likest first.
_STUDIES, _TRIED = 12, 3


class PriorMissing(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """There is no prior to compare with, and there will be none at the next try."""


class PriorNotFetched(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """A prior could not be fetched this time."""


@dataclass(frozen=True, slots=True)
class PersonShown:
    """Who is shown, as far as a header or a peer's answer says it. name : family and given name, in one case."""

    identifier: PatientIdentifier
    birth_date: str
    name: tuple[str, str]

    def doubt(self, other: "PersonShown") -> str:
        """Returns why another one may be somebody else, as a few words without names; empty where both are one person.
        The number has to be the same, of one authority where both say which, with birth date and name: a number that
        was given twice, or by another hospital, is no person."""
        if not (self.identifier.number and self.birth_date and any(self.name)):
            return "its header lacks patient ID, birth date or name"
        if not self.identifier.same(other.identifier):
            return "the patient ID is another one"
        if self.birth_date != other.birth_date:
            return "the birth date is not the same" if other.birth_date else "no birth date is given"
        if self.name != other.name:
            return "the name is not the same" if any(other.name) else "no name is given"
        return ""


@dataclass(frozen=True, slots=True)
class FoundPrior:
    """The prior. which : its volume, None where it has one. study_date : YYYYMMDD."""

    series: Series
    which: int | None
    study_date: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A series that may be the prior. likeness : larger is more like ours. instances : as the peer says; None for
    unknown. here : it is in the archive."""

    series_uid: str
    study_uid: str
    study_date: str
    likeness: tuple[bool, bool]
    instances: int | None
    here: bool


def person_in(ds: Dataset, reading: Reading) -> PersonShown:
    """Returns who a header says is shown."""
    return PersonShown(
        identifier_of_object(ds, reading), str(ds.get("PatientBirthDate") or "").strip(),
        _name(str(ds.get("PatientName") or "")),
    )  # fmt: skip


def find_prior(
    series: Series,
    wanted: PriorWanted,
    site: Site,
    cancelled: Callable[[], bool] = lambda: False,
    chosen: Callable[[str], None] = lambda series_uid: None,
) -> FoundPrior:
    """Finds the prior of a series, and fetches it where it is not in the archive.

    cancelled : asked while it is fetched. chosen : called with a series before it is fetched.

    Raises PriorMissing where there is none; PriorNotFetched where there may be one at the next try, with the errors of
    `dicom_io.network` and DatabaseFailed.
    """
    ours = read_dataset(str(series.first.path))
    person = person_in(ours, site.config.reading)
    if doubt := person.doubt(person):
        raise PriorMissing(f"Whose priors to look for cannot be told: {doubt}.")
    dates = _dates(series.first.study_date, wanted)
    reasons = dict[str, None]()
    found = {each.series_uid: each for each in _at_peer(series, person, dates, wanted, site, reasons)}
    found |= {each.series_uid: each for each in _in_archive(series, person, dates, wanted, site, reasons)}
    ranked = sorted(found.values(), key=lambda one: (one.likeness, one.study_date, one.instances or 0), reverse=True)
    for candidate in ranked[:_TRIED]:
        if not candidate.here:
            chosen(candidate.series_uid)
            if not _fetched(candidate, person, wanted, site, cancelled):
                reasons[f"a series has more than {wanted.max_images} images"] = None
                continue
        why, which = _unfit(candidate, series, person, wanted, site)
        if not why:
            return FoundPrior(site.archive.series(candidate.series_uid), which, candidate.study_date)
        reasons[why] = None
    looked = f"at {wanted.peer} and in the archive" if wanted.peer else "in the archive"
    why = "; ".join(reasons) or f"no {series.modality} series of the same region since {dates.partition('-')[0]}"
    raise PriorMissing(f"No prior was found {looked}: {why}.")


def _dates(study_date: str, wanted: PriorWanted) -> str:
    """The range of dates that a prior is of, as a query has it."""
    try:
        ours = date.fromisoformat(study_date)
    except ValueError:
        raise PriorMissing("The study has no date, so that nothing can be said to be before it.") from None
    return f"{ours - timedelta(days=wanted.max_age_days):%Y%m%d}-{ours:%Y%m%d}"


def _at_peer(
    series: Series, person: PersonShown, dates: str, wanted: PriorWanted, site: Site, reasons: dict[str, None]
) -> Iterator[_Candidate]:
    if not wanted.peer:
        return
    peer = questions_to(site.root, site.config, wanted.peer, site.clock)
    studies = peer.studies(patient_id=person.identifier.number, dates=dates, modality=series.modality)
    earlier = [each for each in studies if each.study_uid != series.first.study_uid and _within(each.study_date, dates)]
    same = list[FoundStudy]()
    for study in earlier:
        # A peer says nothing of who gave the number; every image that comes is asked.
        number = PatientIdentifier(study.patient_id, person.identifier.authority)
        if doubt := person.doubt(PersonShown(number, study.birth_date.strip(), _name(study.patient_name))):
            reasons[f"of a study at {wanted.peer}, {doubt}"] = None
        else:
            same.append(study)
    for study in same[:_STUDIES]:
        for each in peer.series(study.study_uid):
            likeness = _likeness(series, each.modality, each.body_part, (each.description, study.description))
            if likeness is None or not wanted.takes(each.instances):
                continue
            yield _Candidate(
                each.series_uid, study.study_uid, study.study_date, likeness, each.instances, _is_here(each, site)
            )


def _is_here(each: FoundSeries, site: Site) -> bool:
    """Whether the archive has all of a peer's series."""
    here = site.archive.counts([each.series_uid]).get(each.series_uid, 0)
    return 0 < (each.instances or 0) <= here


def _in_archive(
    series: Series, person: PersonShown, dates: str, wanted: PriorWanted, site: Site, reasons: dict[str, None]
) -> Iterator[_Candidate]:
    keys = Dataset()
    keys.PatientID = person.identifier.number
    catalogue = site.archive.catalogue
    for one, ds in catalogue.datasets(catalogue.candidates(keys)):
        day = str(ds.get("StudyDate") or "")
        words = (str(ds.get("SeriesDescription") or ""), str(ds.get("StudyDescription") or ""))
        likeness = _likeness(series, one.modality, str(ds.get("BodyPartExamined") or ""), words)
        if one.study_uid == series.first.study_uid or not _within(day, dates):
            continue
        if likeness is None or not wanted.takes(one.instances) or ds.get("Manufacturer") == OUR_NAME:
            continue
        if doubt := person.doubt(person_in(ds, site.config.reading)):
            reasons[f"of a series in the archive, {doubt}"] = None
            continue
        yield _Candidate(one.series_uid, one.study_uid, day, likeness, one.instances, True)


def _likeness(series: Series, modality: str, body_part: str, descriptions: Sequence[str]) -> tuple[bool, bool] | None:
    """How like ours a series is, by what was examined; None where it shows something else."""
    if modality != series.modality:
        return None
    mine, theirs = (part.strip().casefold() for part in (series.first.body_part, body_part))
    if mine and theirs and mine != theirs:
        return None
    words = [text.strip().casefold() for text in _descriptions(series)]
    same = any(a and a == b.strip().casefold() for a, b in zip(words, descriptions, strict=True))
    # Where nothing says that both show one region, it would be a guess.
    return (bool(mine) and mine == theirs, same) if same or (mine and mine == theirs) else None


def _descriptions(series: Series) -> tuple[str, str]:
    return series.first.series_description, series.first.study_description


def _within(day: str, dates: str) -> bool:
    first, _, last = dates.partition("-")
    return len(day) == len(first) and day.isdigit() and first <= day <= last


def _fetched(
    candidate: _Candidate, person: PersonShown, wanted: PriorWanted, site: Site, cancelled: Callable[[], bool]
) -> bool:
    """Fetches a series whole. Returns False where it has too many images, of which only some have come then."""
    peer = questions_to(site.root, site.config, wanted.peer, site.clock)
    too_many = False

    def stop() -> bool:
        return too_many or cancelled()

    def count(done: int, total: int) -> None:
        nonlocal too_many
        too_many = too_many or max(done, total) > wanted.max_images

    done = peer.fetch(
        site.archive, candidate.study_uid, [candidate.series_uid], patient_id=person.identifier.number,
        progress=count, cancelled=stop,
    )  # fmt: skip
    if too_many:
        return False
    if not done.whole:
        # The words of a peer may quote anything; how many failed is enough.
        raise PriorNotFetched(f"{wanted.peer} sent {done.completed} images of a prior; {done.failed} failed.")
    there = site.archive.counts([candidate.series_uid]).get(candidate.series_uid, 0)
    if there < max(candidate.instances or 0, 1):
        raise PriorNotFetched(f"{wanted.peer} sent a prior, and only {there} of its images are here yet.")
    return True


def _unfit(
    candidate: _Candidate, series: Series, person: PersonShown, wanted: PriorWanted, site: Site
) -> tuple[str, int | None]:
    """Returns why a series that is here cannot be the prior, as a few words, else an empty text and its volume."""
    try:
        prior = site.archive.series(candidate.series_uid)
        if not wanted.takes(len(prior.instances)):
            return f"a series has {len(prior.instances)} images", None
        for instance in prior.instances:
            ds = read_dataset(str(instance.path))
            if doubt := person.doubt(person_in(ds, site.config.reading)):
                return f"of an image that came, {doubt}", None
        if _likeness(series, prior.modality, prior.first.body_part, _descriptions(prior)) is None:
            return "a series shows another region", None  # not every peer says which
        if str(ds.get("Manufacturer") or "") == OUR_NAME:
            return "a series was made by this program", None
        labels = [stack.label for stack in stacks_of(prior)]
        if len(labels) == 1:
            return "", None
        mine = [stack.label for stack in stacks_of(series)]
        fitting = [number for number, label in enumerate(labels) if label in mine]
        return ("", fitting[0]) if len(fitting) == 1 else (f"a series makes {len(labels)} volumes", None)
    except (NotFound, NotReadable) as error:
        return f"a series cannot be read ({type(error).__name__})", None
    except VolumeRefused:
        return "a series makes no volume", None


def _name(pn: str) -> tuple[str, str]:
    group = first_group(pn)
    family, given = (" ".join(part.split()).casefold() for part in (group.family, group.given))
    return family, given
