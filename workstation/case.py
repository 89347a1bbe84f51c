"""A case: one series, one protocol, and who works on it. Its session UID ties everything made for it together."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from pydicom.dataset import Dataset

from dicom_io.evidence import Measurement, MeasurementKind, Person, Side
from dicom_io.objects.presentation_state import PictureNote
from dicom_io.uids import derived
from render.geometry import Vector
from render.mask_steps import Marking
from render.protocols import Protocol
from workstation.charge.facts import Region
from workstation.errors import WorkstationError
from workstation.store.papers import UNATTENDED, Papers, WorkedSession


class CaseError(WorkstationError):
    """A case that cannot be started; the message says what to give."""


# Body Part Examined (PS3.16 Annex L, CID 4) and protocol regions to the regions that charges know.
_REGIONS: dict[str, Region] = {
    "HEAD": "HEAD",
    "SKULL": "HEAD",
    "BRAIN": "HEAD",
    "ORBIT": "ORBIT",
    "FACE": "FACE",
    "NECK": "NECK",
    "CHEST": "CHEST",
    "THORAX": "CHEST",
    "LUNG": "CHEST",
    "HEART": "HEART",
    "BREAST": "BREAST",
    "ABDOMEN": "ABDOMEN",
    "PELVIS": "PELVIS",
    "HIP": "PELVIS",
    "ABDOMENPELVIS": "ABDOMEN_PELVIS",
    "ABDOMEN_PELVIS": "ABDOMEN_PELVIS",
    "CSPINE": "CSPINE",
    "TSPINE": "TSPINE",
    "LSPINE": "LSPINE",
    "SHOULDER": "UPPER_EXTREMITY",
    "ELBOW": "UPPER_EXTREMITY",
    "WRIST": "UPPER_EXTREMITY",
    "HAND": "UPPER_EXTREMITY",
    "KNEE": "LOWER_EXTREMITY",
    "ANKLE": "LOWER_EXTREMITY",
    "FOOT": "LOWER_EXTREMITY",
    "LEG": "LOWER_EXTREMITY",
    "ARM": "UPPER_EXTREMITY",
    "EXTREMITY": "EXTREMITY",
    # Organs and bones that lie in one region as a whole; the aorta, the oesophagus and a whole spine do not.
    "CIRCLEOFWILLIS": "HEAD",
    "LARYNX": "NECK",
    "STERNUM": "CHEST",
    **dict.fromkeys(("LIVER", "KIDNEY", "PANCREAS", "SPLEEN", "GALLBLADDER", "STOMACH", "DUODENUM"), "ABDOMEN"),
    "COLON": "ABDOMEN_PELVIS",
    **dict.fromkeys(("BLADDER", "PROSTATE", "RECTUM", "UTERUS", "CERVIX"), "PELVIS"),
    **dict.fromkeys(("HUMERUS", "FOREARM", "FINGER", "THUMB"), "UPPER_EXTREMITY"),
    **dict.fromkeys(("TIBIA", "TOE", "CALCANEUS"), "LOWER_EXTREMITY"),
}
_TWO_SIDED = ("ORBIT", "BREAST", "UPPER_EXTREMITY", "LOWER_EXTREMITY", "EXTREMITY")
REGIONS: tuple[str, ...] = tuple(dict.fromkeys(_REGIONS.values()))


def region_of(*words: str) -> Region:
    """The charge region of the first word that names one: as asked for, the protocol's, Body Part Examined.

    Raises CaseError when none does: a guessed region could make a wrong charge.
    """
    for word in words:
        region = _REGIONS.get(word.upper().replace("-", "_").replace(" ", "_"))
        if region is not None:
            return region
    raise CaseError(f"The body region is not known; say it with --region (one of {', '.join(REGIONS)}).")


def laterality_of(source: Dataset, region: str) -> Side:
    """The side of a region that has two, as an image of the series tells it. Source: PS3.3 C.7.3.1, C.7.6.16.2.8."""
    if region not in _TWO_SIDED:
        return ""
    shared = source.get("SharedFunctionalGroupsSequence") or [Dataset()]
    anatomy = shared[0].get("FrameAnatomySequence") or [Dataset()]
    words = (source.get("Laterality"), source.get("ImageLaterality"), anatomy[0].get("FrameLaterality"))
    for word in words:
        if word in ("L", "R"):
            return cast(Side, word)
    return ""


def session_of(papers: Papers | None, accession: str, signer: Person | None = None) -> WorkedSession:
    """The session that papers tell of, for a series of `accession`; without papers nobody was there.

    signer : the supervisor, as the register of people knows them, who has just shown their secret and signs. Without
    them an attestation stays unsigned, whatever the file says: a file signs nothing.

    Raises CaseError when the papers belong to another accession: an attestation speaks of one study and no other. And
    when the signer is not the supervisor whom they name.
    """
    if papers is None:
        return UNATTENDED
    if papers.accession != accession:
        raise CaseError(
            f"The papers are for accession {papers.accession!r}, the series is of accession {accession!r}. Nothing was "
            "done; give the papers of this series."
        )
    session = papers.session or UNATTENDED
    if session.attestation is None:
        return session
    if signer is None:
        return replace(session, attestation=replace(session.attestation, signed=False))
    if session.supervisor is None or session.supervisor.id != signer.id:
        raise CaseError(f"{signer.id} signs, and the papers name another supervisor. Nothing was done.")
    # Name and role are the register's.
    return replace(session, supervisor=signer)


@dataclass(frozen=True, slots=True)
class MeasureRequest:
    """A measurement that a case asks for. points_mm, references_mm : as in `Measurement`. step : for a volume, the tool
    that finds it. finding : what it is of, in the reader's words. by_hand : the points of a vessel are its line, as a
    person laid it."""

    kind: MeasurementKind
    points_mm: tuple[Vector, ...] = ()
    references_mm: tuple[Vector, ...] = ()
    step: Marking | None = None
    finding: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class FusedVolume:
    """A volume of a series of the same study that a recipe's fusion lays over the first. which : its number in the
    series, None for the only one. bridge_gaps : its missing slices are interpolated."""

    series_uid: str
    which: int | None = None
    bridge_gaps: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What to run. which : the volume of the series where it holds several. bridge_gaps : missing slices are
    interpolated from their neighbours. measurements : what was measured on its volume, for the record. measure : what
    is to be measured when it is run. fuse : the UID of a second series of the same study, drawn over all reformats.
    fused : by the name of a recipe that says itself how it is fused, with what; it changes no session.
    labels : a file of segments that are shown in colour; they are kept beside the record. notes : words and arrows on
    its planes, kept in their presentation states. prepared : names of the pictures that are as they were prepared
    unattended."""

    series_uid: str
    protocol: Protocol
    which: int | None = None
    region: str = ""
    session: WorkedSession = UNATTENDED
    bridge_gaps: bool = False
    measurements: tuple[Measurement, ...] = ()
    measure: tuple[MeasureRequest, ...] = ()
    fuse: str = ""
    labels: Path | None = None
    notes: tuple[PictureNote, ...] = ()
    prepared: frozenset[str] = frozenset()
    fused: tuple[tuple[str, FusedVolume], ...] = ()

    @property
    def session_uid(self) -> str:
        """The same for the same series, volume and protocol: running a case again continues it."""
        bridged = ("bridged",) if self.bridge_gaps else ()
        fused = ("fused", self.fuse) if self.fuse else ()
        labelled = ("labelled", self.labels.name) if self.labels else ()
        what = (self.series_uid, str(self.which or 0), self.protocol.name)
        return derived("session", *what, *bridged, *fused, *labelled)
