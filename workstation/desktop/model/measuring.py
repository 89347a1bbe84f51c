"""Computes the numbers of a screen's measures, and writes them in words. Knows no Qt."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dicom_io.evidence import Measurement
from render.curved_area import OutlineKind, area_within, outline_on
from render.errors import RenderError
from render.geometry import Plane, Vector, View, affine_from, direction, point, vector
from render.mask import Mask
from render.mask_steps import Lesion, Piece, StepError
from render.measure import Statistics, angle_deg, axes, cobb_deg, distance_mm, ellipse, polyline_mm, within
from render.segment import measure_lesion, region, volume_ml
from render.trajectory import AvoidedRegion, measure_trajectory
from render.vessels.pictures import path_of
from render.volume import Volume
from workstation.case import CaseError, MeasureRequest
from workstation.desktop.model.looks import unit_words
from workstation.desktop.model.screen import NOTES, SOUGHT, Measure, PriorLesion, Screen, marked_labels
from workstation.export.vessel_files import MeasuredVessel
from workstation.export.vessel_files import measure as measure_vessel
from workstation.records.measurements import (
    LINE_BY_HAND,
    AvoidedSegments,
    clearances_in_words,
    measure_mask,
    measure_outline,
    measure_requested,
    measure_way,
    outline_of,
    with_prior,
)
from workstation.records.measurements import measure as take

# What is said of a measure while its tool seeks.
MEASURING = "measuring …"
# Limits of a volume: its distance from the seed, and the difference of its values from the seed's as a part of the
# window's width.
REACH_MM = 60.0
_PART_OF_WINDOW = 0.15


@dataclass(frozen=True, slots=True)
class FoundThing:
    """What a tool has found and measured. words : its numbers. shape : its extent as a Volume with 0 outside and 1000
    inside, to be drawn over the planes; None for a vessel. lines_mm : LPS mm, to be drawn: the axes of a lesion, the
    centreline of a vessel. vessel : as it was followed, else None. declined : whether the words are the reason why
    nothing was found. long_axis_mm, short_axis_mm : of a lesion."""

    words: str
    shape: Volume | None = None
    lines_mm: tuple[tuple[Vector, ...], ...] = ()
    vessel: MeasuredVessel | None = None
    declined: bool = False
    long_axis_mm: float = 0.0
    short_axis_mm: float = 0.0


@dataclass(slots=True)
class Measuring:
    """Measures of one volume. Outlines are measured on demand; volumes take longer, so `fill` is for a thread."""

    volume: Volume
    _statistics: dict[Measure, Statistics | str] = field(default_factory=dict)
    _found: dict[Measure, FoundThing] = field(default_factory=dict)
    _sought: set[Measure] = field(default_factory=set)
    _avoided: tuple[Mask | None, tuple[tuple[str, int], ...]] = (None, ())
    _regions: dict[int, AvoidedRegion] = field(default_factory=dict)

    def seeded(self, seed_mm: Vector, view: View, window_width: float) -> Measure:
        """Makes a volume measure around a seed: connected voxels of similar brightness. Raises StepError for a seed
        outside the volume."""
        k, j, i = (round(v) for v in point(self.volume.to_index, seed_mm))
        if not all(0 <= at < n for at, n in zip((k, j, i), self.volume.shape, strict=True)):
            raise StepError("There is no volume outside the volume; click into a structure.")
        around = self.volume.voxels[
            max(k - 1, 0) : k + 2, max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2
        ]  # fmt: skip
        value, spread = float(np.median(around)), window_width * _PART_OF_WINDOW
        return Measure("volume", (seed_mm,), view, round(value - spread, 3), round(value + spread, 3))

    def outline(self, measure: Measure) -> tuple[Vector, ...]:
        """Returns the corners of an outline, of one on a curved surface as it goes through the patient; none for other
        measures, and where the outline has left its surface."""
        if measure.surface is not None:
            return outline_on(measure.surface, cast(OutlineKind, measure.kind), measure.points_mm)
        if measure.kind == "polygon":
            return measure.points_mm
        if measure.kind == "ellipse":
            return ellipse(axes(measure.points_mm[0], measure.points_mm[1], measure.view))
        return ()

    def avoid(self, mask: Mask | None, segments: tuple[tuple[str, int], ...]) -> None:
        """Says what trajectories have to avoid: name and label of segments of a mask. Where that is something else than
        before, they are measured again."""
        before, names = self._avoided
        if mask is before and segments == names:
            return
        if mask is not before:
            self._regions = {}
        self._avoided = (mask, segments)
        for known in [m for m in self._sought if m.kind == "trajectory"]:
            self._sought.discard(known)
            self._found.pop(known, None)

    def to_seek(self, measures: tuple[Measure, ...]) -> tuple[Measure, ...]:
        """Returns those among measures that a tool has still to find; each is returned once."""
        found = tuple(m for m in measures if m.kind in SOUGHT and m.found_by not in self._sought)
        self._sought.update(m.found_by for m in found)
        return found

    def fill(self, measure: Measure) -> None:
        """Finds and measures what a tool is for. What it declines is said in its words."""
        tools = {"lesion": self._lesion, "vessel": self._vessel, "trajectory": self._trajectory}
        seek = tools.get(measure.kind, self._connected)
        try:
            self._found[measure.found_by] = seek(measure)
        except (RenderError, ValueError) as error:
            self._found[measure.found_by] = FoundThing(str(error), declined=True)

    def _connected(self, measure: Measure) -> FoundThing:
        step = Piece(measure.points_mm[0], measure.low, measure.high, within_mm=REACH_MM)
        found = region(self.volume, step)
        values = self.volume.voxels[found != 0].astype(np.float64)
        words = f"{volume_ml(self.volume, found):.2f} ml\n{_spread(values.mean(), values.std(), self.volume)}"
        return FoundThing(words, _as_volume(self.volume, found))

    def _lesion(self, measure: Measure) -> FoundThing:
        found = measure_lesion(self.volume, measure.points_mm[0])
        if found.declined:
            return FoundThing(found.declined, declined=True)
        a, b, c, d = found.axes_mm or (measure.points_mm[0],) * 4
        solid = f"\nsolid {found.solid_mm:.1f} mm, {found.solid_ml:.2f} ml" if found.density == "part-solid" else ""
        words = (
            f"{found.recist_mm:.1f} × {found.short_axis_mm:.1f} mm\n{found.volume_ml:.2f} ml, "
            f"longest {found.longest_mm:.1f} mm\n{_spread(found.mean, found.sd, self.volume)}{solid}"
        )
        mask = region(self.volume, Lesion(measure.points_mm[0]))
        return FoundThing(
            words, _as_volume(self.volume, mask), ((a, b), (c, d)), None, False, found.recist_mm, found.short_axis_mm
        )

    def _vessel(self, measure: Measure) -> FoundThing:
        found = measure_vessel(self.volume, measure.points_mm, (), by_hand=measure.by_hand)
        narrow = found.stenosis
        guess = "≥ " if found.is_estimate else ""
        words = (
            f"{found.vessel.length_mm:.0f} mm long\nnarrowest {narrow.least_mm:.1f} mm, NASCET {guess}"
            f"{max(narrow.nascet_percent, 0.0):.0f} %\nwidest {found.widest.diameter_mm:.1f} mm"
        )
        sac = found.aneurysm
        if sac is not None and not sac.declined:
            words = "\n".join([words, f"aneurysm {sac.diameter_mm:.1f} mm, sac {sac.sac_ml:.1f} ml", *sac.warnings])
        if measure.by_hand:
            words += "\nline by hand"
        return FoundThing(words, None, (path_of(found.vessel),), found)

    def _trajectory(self, measure: Measure) -> FoundThing:
        mask, segments = self._avoided
        regions = {}
        for name, label in segments if mask is not None else ():
            if label not in self._regions:
                self._regions[label] = AvoidedRegion(mask.labels == label, self.volume.affine)  # type: ignore[union-attr]
            regions[name] = self._regions[label]
        found = measure_trajectory(self.volume, measure.points_mm[0], measure.points_mm[1], regions)
        aside = "left" if found.coronal_deg >= 0.0 else "right"
        along = "front" if found.sagittal_deg >= 0.0 else "back"
        angles = f"{abs(found.coronal_deg):.0f}° to the {aside}, {abs(found.sagittal_deg):.0f}° to the {along}"
        return FoundThing("\n".join([_deep(measure.points_mm), *clearances_in_words(found), angles]))

    def found(self, measure: Measure) -> FoundThing | None:
        """Returns what a tool found; None while it is being sought, and for what is drawn."""
        return self._found.get(measure.found_by)

    def line_of(self, measure: Measure) -> tuple[Vector, ...]:
        """Returns the line of a vessel as the path of a curved picture; none while it is being followed."""
        found = self.found(measure)
        if found is None or found.vessel is None:
            return ()
        return measure.points_mm if measure.by_hand else path_of(found.vessel.vessel)

    def shapes(self, measures: tuple[Measure, ...]) -> tuple[Volume, ...]:
        """Returns the shapes of what was found among measures."""
        found = (self.found(measure) for measure in measures)
        return tuple(each.shape for each in found if each is not None and each.shape is not None)

    def said_of(self, measure: Measure) -> str:
        """Returns a measure in words, its numbers with their unit."""
        points, unit = measure.points_mm, unit_words(self.volume.unit)
        if measure.kind in NOTES:
            return measure.text
        try:
            if measure.kind == "distance":
                return f"{distance_mm(*points):.1f} mm"
            if measure.kind == "length":
                return f"{polyline_mm(points):.1f} mm"
            if measure.kind == "angle":
                return f"{angle_deg(*points):.1f}°"
            if measure.kind == "cobb":
                return f"Cobb {cobb_deg(*points):.1f}°"
        except ValueError as error:
            return str(error)
        if measure.kind in SOUGHT:
            found = self.found(measure)
            if found is None:
                return _deep(points) if measure.kind == "trajectory" else MEASURING
            return f"{found.words}\n{_since(measure.prior, found)}" if measure.prior is not None else found.words
        outlined = self._outlined(measure)
        if isinstance(outlined, str):
            return outlined
        return (
            f"{outlined.area_mm2:.0f} mm²\n{_spread(outlined.mean, outlined.deviation, self.volume)}\n"
            f"{outlined.least:.0f} … {outlined.greatest:.0f} {unit}".rstrip()
        )

    def _outlined(self, measure: Measure) -> Statistics | str:
        if measure not in self._statistics:
            try:
                self._statistics[measure] = self._within(measure)
            except ValueError as error:
                self._statistics[measure] = str(error)
        return self._statistics[measure]

    def _within(self, measure: Measure) -> Statistics:
        if measure.surface is not None:
            kind = cast(OutlineKind, measure.kind)
            return area_within(self.volume, measure.surface, kind, measure.points_mm)
        return within(self.volume, self.outline(measure), measure.view)


def _deep(points_mm: Sequence[Vector]) -> str:
    return f"{distance_mm(points_mm[0], points_mm[1]):.1f} mm deep"


def _since(prior: PriorLesion, found: FoundThing) -> str:
    before = f"before {prior.long_axis_mm:.1f} mm ({prior.date})"
    return before if found.declined else f"{before}: {100.0 * (found.long_axis_mm / prior.long_axis_mm - 1.0):+.0f} %"


def _spread(mean: float, deviation: float, volume: Volume) -> str:
    return f"{mean:.0f} ± {deviation:.0f} {unit_words(volume.unit)}".rstrip()


def avoided_of(screen: Screen) -> AvoidedSegments:
    """Returns what the trajectories of a screen have to avoid: every segment that something marks."""
    return AvoidedSegments(screen.solid.steps, segments_to_avoid(screen))


def segments_to_avoid(screen: Screen) -> tuple[tuple[str, int], ...]:
    """Returns name and label of every segment that something marks; of one name the first."""
    labels = marked_labels(screen.solid.steps)
    named: dict[str, int] = {}
    for segment in screen.segments:
        if segment.label in labels:
            named.setdefault(segment.name, segment.label)
    return tuple(named.items())


def recorded(
    measures: Sequence[Measure], volume: Volume, avoid: AvoidedSegments | None = None
) -> tuple[Measurement, ...]:
    """Returns measures for the record, numbered by kind; those without a result are left out. avoid : what trajectories
    have to avoid."""
    found: list[Measurement] = []
    for measure, name in zip(measures, names_of(measures), strict=True):
        if measure.kind in NOTES:
            continue
        with suppress(ValueError, CaseError):  # the reader sees the reason beside the measure
            found.append(_recorded(measure, name, volume, avoid or AvoidedSegments()))
    return tuple(found)


def recorded_segments(screen: Screen, volume: Volume) -> tuple[Measurement, ...]:
    """Returns the volume of every segment that something marks, for the record, with the steps that make it."""
    labels = marked_labels(screen.solid.steps)
    return tuple(
        measure_mask(segment.name, screen.solid.steps, segment.label, volume)
        for segment in screen.segments
        if segment.label in labels
    )


def names_of(measures: Sequence[Measure]) -> tuple[str, ...]:
    """Returns the name of each measure: its own, else its kind and number; none twice."""
    found: dict[str, None] = {}
    numbers: Counter[str] = Counter()
    tried: dict[str, int] = {}  # by name, the number to go on with
    for measure in measures:
        numbers[measure.kind] += 1
        wanted = name = measure.name or f"{measure.kind} {numbers[measure.kind]}"
        again = tried.get(wanted, 2)
        while name in found:
            name, again = f"{wanted} ({again})", again + 1
        tried[wanted] = again
        found[name] = None
    return tuple(found)


def _recorded(measure: Measure, name: str, volume: Volume, avoid: AvoidedSegments) -> Measurement:
    assert measure.kind != "arrow" and measure.kind != "text"
    if measure.kind == "trajectory":
        return measure_way(name, measure.points_mm[0], measure.points_mm[1], avoid, volume)
    if measure.kind == "lesion" or measure.kind == "vessel":
        request = MeasureRequest(measure.kind, measure.points_mm, by_hand=measure.by_hand)
        found = replace(measure_requested((request,), volume)[0], name=name)
        prior = measure.prior
        if prior is None or measure.kind != "lesion":
            return found
        return with_prior(
            found, prior.long_axis_mm, f"compared with {prior.date}{f', {prior.name}' * bool(prior.name)}"
        )
    if measure.surface is not None:
        return measure_outline(name, cast(OutlineKind, measure.kind), measure.points_mm, measure.surface, volume)
    if measure.kind != "volume":
        return take(name, measure.kind, measure.points_mm, measure.view, volume)
    seed = ", ".join(f"{v:.1f}" for v in measure.points_mm[0])
    said = f"values from {measure.low:g} to {measure.high:g} {volume.unit} that hang together with ({seed}) mm"
    step = Piece(measure.points_mm[0], measure.low, measure.high, within_mm=REACH_MM)
    return measure_mask(name, (step,), step.label, volume, said)


def restored(measurements: Iterable[Measurement]) -> tuple[Measure, ...]:
    """Returns the measures of a record that were drawn, for a screen; a volume is a number there, and does not
    come back."""
    found: list[Measure] = []
    for m in measurements:
        if m.kind == "ellipse":
            a0, a1, b0, b1 = m.points_mm
            centre = [(p + q) / 2.0 for p, q in zip(a0, a1, strict=True)]
            half = [(q - p + s - r) / 2.0 for p, q, r, s in zip(a0, a1, b0, b1, strict=True)]
            corners = tuple(vector(c + way * h for c, h in zip(centre, half, strict=True)) for way in (-1.0, 1.0))
            found.append(Measure("ellipse", corners, View.parse(m.view), name=_own_name(m)))
        elif m.kind == "lesion" or m.kind == "vessel":
            by_hand = m.steps == LINE_BY_HAND
            found.append(Measure(m.kind, m.points_mm, View(), name=_own_name(m), by_hand=by_hand, prior=_prior_of(m)))
        elif m.kind == "area":
            kind, corners, surface = outline_of(m)
            found.append(Measure(kind, corners, View(), name=_own_name(m, kind), surface=surface))
        elif m.kind != "volume" and m.kind != "targets":
            view = View.parse(m.view) if m.view else View()
            found.append(Measure(m.kind, m.points_mm, view, name=_own_name(m)))
    return tuple(found)


def _prior_of(m: Measurement) -> PriorLesion | None:
    before = next((q.value for q in m.quantities if q.name == "prior_long_axis"), None)
    said = re.fullmatch(r"compared with ([^,]*)(?:, (.*))?", m.finding)
    if before is None or said is None:
        return None
    return PriorLesion(before, said[1], said[2] or "")


def _own_name(m: Measurement, kind: str = "") -> str:
    """Returns the name that a person gave; empty for a kind with its number."""
    return "" if re.fullmatch(rf"{kind or m.kind} \d+", m.name) else m.name


def near(measure: Measure, plane: Plane, reach_mm: float) -> bool:
    """Whether all points of a measure are within `reach_mm` of a plane."""
    return within_reach(measure.points_mm, plane, reach_mm)


def within_reach(points_mm: Sequence[Vector], plane: Plane, reach_mm: float) -> bool:
    """Whether all points are within `reach_mm` of a plane."""
    n, o = plane.normal, plane.origin_mm
    deep = (abs(sum((p - q) * a for p, q, a in zip(at, o, n, strict=True))) for at in points_mm)
    return max(deep) <= reach_mm


def _as_volume(volume: Volume, found: NDArray[np.uint8]) -> Volume:
    """Cuts out a region with a border of two voxels."""
    spans = []
    for axis in range(3):
        held = np.flatnonzero(found.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append((int(held[0]), int(held[-1]) + 1))
    inner = tuple(slice(*span) for span in spans)
    voxels = np.pad(found[inner].astype(np.int16) * np.int16(1000), 2)
    columns = [direction(volume.affine, axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    return Volume(voxels, affine_from(point(volume.affine, [a - 2 for a, _ in spans]), *columns), volume.unit)
