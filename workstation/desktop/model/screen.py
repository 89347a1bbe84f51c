"""The screen as a value: every edit (`edits.py`) makes a new one, so undo only has to keep the old ones.

Knows no Qt. A pane's picture is `draw` of the recipe that `recipe_of` gives for it, and nothing else.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

import numpy as np
from pydantic import AliasChoices, ConfigDict, Field

from render.curved_surface import CurvedShape
from render.fusion import COLOUR_MAPS
from render.geometry import IDENTITY, Affine, Box, Matrix, Vector, View, direction, inverse, leaves_plane, point, vector
from render.mask_steps import Fragments, MaskStep
from render.recipe import (
    Clip,
    CurvedReformat,
    FusedRendering,
    Fusion,
    LabelRule,
    Projection,
    ProjectionMode,
    Recipe,
    Reformat,
    Shading,
    TransferFunction,
    VolumeRendering,
)
from render.recipe import Window as ValueWindow
from render.volume import Volume
from workstation.records.recist import NOTHING_SAID, Seen, TreatmentCourse

SliceName = Literal["axial", "coronal", "sagittal"]
MainName = Literal["axial", "coronal", "sagittal", "solid", "curved"]
# The panes of the compared volume; each shows the view of the pane of the same name.
OtherName = Literal["axial_other", "coronal_other", "sagittal_other", "solid_other"]
PaneName = MainName | OtherName
Layout = Literal[
    "four", "axial", "coronal", "sagittal", "solid", "large_solid", "planes", "curved", "compare", "compare_solid"
]
Origin = Literal["mine", "protocol", "prepared", "adjusted"]
Style = Literal["rendering", "mip", "minip", "average"]
CurveForm = Literal["straightened", "stretched"]
MeasureKind = Literal[
    "distance", "length", "angle", "cobb", "ellipse", "polygon", "volume", "lesion", "vessel", "trajectory",
    "arrow", "text",
]  # fmt: skip
OUTLINES: tuple[MeasureKind, ...] = ("ellipse", "polygon")
NOTES: tuple[MeasureKind, ...] = ("arrow", "text")  # words on a picture, with no number
SOUGHT: tuple[MeasureKind, ...] = ("volume", "lesion", "vessel", "trajectory")  # found by a tool, which takes a moment
SLICES: tuple[SliceName, ...] = get_args(SliceName)
MAIN: tuple[MainName, ...] = get_args(MainName)
OTHERS: tuple[OtherName, ...] = get_args(OtherName)
PANES: tuple[PaneName, ...] = (*MAIN, *OTHERS)
STYLES: tuple[Style, ...] = get_args(Style)
MODES: tuple[ProjectionMode, ...] = get_args(ProjectionMode)

# A volume that is read: the UID of its series, its number there, None for the only one, and whether missing slices are
# interpolated from their neighbours.
VolumeKey = tuple[str, int | None, bool]

# The place of each pane: row, column, rows, columns of a grid.
LAYOUTS: dict[Layout, dict[PaneName, tuple[int, int, int, int]]] = {
    "four": {"axial": (0, 0, 1, 1), "sagittal": (0, 1, 1, 1), "coronal": (1, 0, 1, 1), "solid": (1, 1, 1, 1)},
    "axial": {"axial": (0, 0, 1, 1)},
    "coronal": {"coronal": (0, 0, 1, 1)},
    "sagittal": {"sagittal": (0, 0, 1, 1)},
    "solid": {"solid": (0, 0, 1, 1)},
    "large_solid": {"solid": (0, 0, 3, 3), "axial": (0, 3, 1, 1), "coronal": (1, 3, 1, 1), "sagittal": (2, 3, 1, 1)},
    "planes": {"axial": (0, 0, 1, 1), "coronal": (0, 1, 1, 1), "sagittal": (0, 2, 1, 1)},
    "curved": {
        "axial": (0, 0, 1, 1),
        "sagittal": (0, 1, 1, 1),
        "coronal": (1, 0, 1, 1),
        "solid": (1, 1, 1, 1),
        "curved": (0, 2, 2, 1),
    },
    "compare": {
        "axial": (0, 0, 1, 1),
        "axial_other": (0, 1, 1, 1),
        "coronal": (1, 0, 1, 1),
        "coronal_other": (1, 1, 1, 1),
    },
    "compare_solid": {"solid": (0, 0, 1, 1), "solid_other": (0, 1, 1, 1)},
}
LAYOUT_TITLES: dict[Layout, str] = {
    "four": "Four panes",
    "axial": "Axial",
    "coronal": "Coronal",
    "sagittal": "Sagittal",
    "solid": "3D",
    "large_solid": "3D large, planes beside it",
    "planes": "Three planes",
    "curved": "Curved reformat",
    "compare": "Comparison, planes",
    "compare_solid": "Comparison, 3D",
}

# Of the volume that lies over another: uptake and bright signal stand out, what is dark leaves the first one as it is.
_OVER = ValueWindow(0.55, 0.9, relative=True)
_OVER_IN_3D = TransferFunction(
    "hot_iron",
    "range",
    tuple(replace(p, value=round(_OVER.centre + _OVER.width * (p.value - 0.5), 4)) for p in COLOUR_MAPS["hot_iron"]),
    shading=Shading(),
)
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_VIEWS: dict[SliceName, View] = {
    "axial": View.parse("foot"),
    "coronal": View.parse("anterior"),
    "sagittal": View.parse("left"),
}
# The mask label for voxels that a reader has cut away; they are not drawn.
CUT_AWAY = 1
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class SlicePane:
    """A plane pane. centre_mm : the point in the middle of the pane, LPS; the plane itself goes through the crosshair.
    height_mm : of the pane in the patient. slab_mm : 0 for the plane itself."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    view: View
    centre_mm: Vector
    height_mm: float
    slab_mm: float = 0.0
    mode: ProjectionMode = "mip"


@dataclass(frozen=True, slots=True)
class SolidPane:
    """The 3D pane. crop, clips, body_above : as in `render.recipe.VolumeRendering`. steps : cuts, and what marks the
    segments, in their order. around : how much is left of what is in no segment, 1 all of it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    view: View
    centre_mm: Vector
    height_mm: float
    transfer: TransferFunction
    style: Style = "rendering"
    crop: Box | None = None
    clips: tuple[Clip, ...] = ()
    body_above: float | None = None
    steps: tuple[MaskStep, ...] = ()
    around: float = 1.0


@dataclass(frozen=True, slots=True)
class ScreenSegment:
    """A part of the patient that was marked: its label in the mask that the steps make. colour : #rrggbb. opacity : in
    3D, 0…1. in_planes, in_3d : whether it is coloured there; what is not shown in 3D is taken away there."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    label: int
    name: str
    colour: str
    opacity: float = 1.0
    in_planes: bool = True
    in_3d: bool = True

    def __post_init__(self) -> None:
        if not CUT_AWAY < self.label <= 255:
            raise ValueError(f"A segment has a label of {CUT_AWAY + 1}…255, not {self.label}.")
        if not self.name.strip() or not _COLOUR.fullmatch(self.colour) or not 0.0 <= self.opacity <= 1.0:
            raise ValueError("A segment has a name, a colour as #rrggbb, and an opacity of 0…1.")


@dataclass(frozen=True, slots=True)
class Curve:
    """The curved pane: as in `render.recipe.CurvedReformat`. path_mm : the places clicked, LPS."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    path_mm: tuple[Vector, ...] = ()
    form: CurveForm = "straightened"
    view: View = View()
    angle_deg: float = 0.0
    slab_mm: float = 0.0
    mode: ProjectionMode = "mip"


@dataclass(frozen=True, slots=True)
class Compared:
    """The compared volume. which : its number in the series. bridged : whether missing slices of it are interpolated.
    same_study : whether it is of the study that is open; only then may a picture of both be kept. matrix : rows of the
    (4, 4) map of this volume's LPS mm to the other's, as registration found it; None for none. offset_mm : by hand,
    added after it. blend : how much of the other one lies over the planes of this one and in its 3D, 0…1; 0 for none.
    transfer : how it looks in 3D; None for the colours that it has over planes."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    series_uid: str
    which: int | None = None
    offset_mm: Vector = (0.0, 0.0, 0.0)
    matrix: Matrix | None = None
    blend: float = 0.0
    bridged: bool = False
    same_study: bool = False
    transfer: TransferFunction | None = None

    @property
    def key(self) -> VolumeKey:
        """Which volume it is."""
        return (self.series_uid, self.which, self.bridged)

    @property
    def to_other(self) -> Affine:
        """(4, 4) float64: this volume's LPS mm to the other's."""
        affine = np.array(self.matrix if self.matrix is not None else IDENTITY, dtype=np.float64)
        affine[:3, 3] += self.offset_mm
        return affine


@dataclass(frozen=True, slots=True)
class PriorLesion:
    """A lesion as it was in an earlier study. long_axis_mm : its longest diameter in a plane of the scan. date : of the
    study, as people write it. name : what it was called there, empty where it was measured beside this one.
    short_axis_mm : across it, None for not known."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    long_axis_mm: float
    date: str
    name: str = ""
    short_axis_mm: float | None = None

    def __post_init__(self) -> None:
        if not self.long_axis_mm > 0.0:
            raise ValueError(f"An earlier diameter of {self.long_axis_mm:g} mm is none.")


@dataclass(frozen=True, slots=True)
class Target:
    """That a lesion is a target by RECIST 1.1. lymph_node : its short axis counts. seen : as in `TargetLesion`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    organ: str = ""
    lymph_node: bool = False
    seen: Seen = "measured"


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure. points_mm : two for a distance, two or more that a length in space goes through, three for an angle
    (vertex second), four for Cobb's (two lines), two corners for an ellipse, three or more for a polygon, the seed of a
    volume or a lesion, two or more in a vessel, entry and target of a trajectory, tip and end of an arrow. view : of
    the pane it was drawn in; an outline lies in its plane. low, high : the range of values of a volume. name : empty
    for the kind and its number. colour : as #rrggbb, empty for the usual one. text : the words of an arrow or a text.
    by_hand : the points of a vessel are its line, as the reader dragged it; else it is followed through them. prior :
    of a lesion, how it was earlier. target : of a lesion, None where it is none. surface : of an outline that was drawn
    on a curved picture, what that showed; else it is flat."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: MeasureKind
    points_mm: tuple[Vector, ...]
    view: View
    low: float = 0.0
    high: float = 0.0
    name: str = ""
    colour: str = ""
    text: str = ""
    by_hand: bool = False
    prior: PriorLesion | None = None
    surface: CurvedShape | None = None
    target: Target | None = None

    def __post_init__(self) -> None:
        needed, given = POINTS[self.kind], len(self.points_mm)
        if given != needed if needed is not None else given < least_points(self.kind):
            raise ValueError(f"A measure of kind {self.kind} has another number of points than {given}.")
        if self.colour and not _COLOUR.fullmatch(self.colour):
            raise ValueError(f"{self.colour!r} is no colour as #rrggbb.")
        if self.surface is not None and self.kind not in OUTLINES:
            raise ValueError(f"A measure of kind {self.kind} is of no surface.")

    @property
    def in_space(self) -> bool:
        """Whether it lies in no plane: a length, a trajectory, an outline on a curved surface, an angle whose points
        are on no one plane of its view."""
        if self.kind in ("angle", "cobb"):
            return leaves_plane(self.points_mm, self.view)
        return self.kind in ("length", "trajectory") or self.surface is not None

    @property
    def found_by(self) -> "Measure":
        """What decides what a tool finds: the measure without its name, colour, words, prior and target."""
        return replace(self, name="", colour="", text="", prior=None, target=None)


# How many points each kind needs; None: `least_points` or more.
POINTS: dict[MeasureKind, int | None] = {
    "distance": 2,
    "length": None,
    "angle": 3,
    "cobb": 4,
    "ellipse": 2,
    "polygon": None,
    "volume": 1,
    "lesion": 1,
    "vessel": None,
    "trajectory": 2,
    "arrow": 2,
    "text": 1,
}


def least_points(kind: MeasureKind) -> int:
    """Returns how many points a measure has at least."""
    return POINTS[kind] or (2 if kind in ("vessel", "length") else 3)


@dataclass(frozen=True, slots=True)
class Capture:
    """A captured picture: its recipe, which is drawn anew for storing. key : chosen for the report. origin : the reader
    took it; a protocol made it, or the workstation unattended; or one of these was adjusted by the reader since.
    second : the volume that the recipe's fusion lays over the first, None where it has none."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    recipe: Recipe
    key: bool = False
    origin: Origin = "mine"
    second: VolumeKey | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything on the screen. cursor_mm : the crosshair, LPS. window : of the planes and of projections."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    cursor_mm: Vector
    window: ValueWindow
    axial: SlicePane
    coronal: SlicePane
    sagittal: SlicePane
    solid: SolidPane
    layout: Layout = "four"
    measures: tuple[Measure, ...] = ()
    captures: tuple[Capture, ...] = ()
    curve: Curve = Curve()
    compared: Compared | None = None
    segments: tuple[ScreenSegment, ...] = ()
    # The second name is that of sessions begun before other lesions could be said.
    course: Annotated[TreatmentCourse, Field(validation_alias=AliasChoices("course", "earlier_sums"))] = NOTHING_SAID

    def slice(self, name: SliceName) -> SlicePane:
        found = getattr(self, name)
        assert isinstance(found, SlicePane)
        return found


def opening_screen(
    volume: Volume, window: ValueWindow, transfer: TransferFunction, body_above: float | None = None
) -> Screen:
    """Returns the first screen: three planes through the middle, and the patient from the front."""
    extents = [n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True)]
    middle, height = volume.centre_mm, max(extents)
    axial, coronal, sagittal = (SlicePane(_VIEWS[name], middle, height) for name in SLICES)
    solid = SolidPane(View(), middle, math.hypot(*extents) * 0.66, transfer, body_above=body_above)
    return Screen(middle, window, axial, coronal, sagittal, solid)


def main_pane(pane: PaneName) -> MainName:
    """Returns the pane of this volume that a pane follows; for a pane of this volume, itself."""
    return cast(MainName, pane.removesuffix("_other"))


def is_slice(pane: PaneName) -> bool:
    """Whether a pane shows a plane, of either volume."""
    return main_pane(pane) in SLICES


def plane_name(pane: PaneName) -> SliceName:
    """Returns the plane of a pane for which `is_slice` is true."""
    return cast(SliceName, main_pane(pane))


def to_shown(screen: Screen, pane: PaneName) -> Affine:
    """Returns the (4, 4) map of this volume's LPS mm to those of the volume that a pane shows."""
    if screen.compared is None or pane not in OTHERS:
        return np.array(IDENTITY, dtype=np.float64)
    return screen.compared.to_other


def view_through(move: Affine, view: View) -> View:
    """Returns the view of the same side of the patient after a rigid map; the same one where nothing turns."""
    if np.array_equal(move[:3, :3], np.eye(3)):
        return view
    return View.facing(direction(move, view.towards_observer), direction(move, view.up))


def recipe_of(screen: Screen, pane: PaneName, rows: int, columns: int) -> Recipe | None:
    """Returns the recipe of a pane at a size; None for a curve that has no path yet."""
    name = main_pane(pane)
    if name == "curved":
        return _curved_recipe(screen, rows, columns)
    recipe = _solid_recipe(screen, rows, columns) if name == "solid" else _plane_recipe(screen, name, rows, columns)
    return recipe if pane in MAIN else _in_other(recipe, to_shown(screen, pane))


def _plane_recipe(screen: Screen, name: SliceName, rows: int, columns: int) -> Reformat:
    plane, fusion = screen.slice(name), _fusion(screen.compared)
    title = name.capitalize() if fusion is None else f"{name.capitalize()}, fused"
    return Reformat(
        screen.window,
        plane.view,
        rows=rows,
        columns=columns,
        pixel_mm=plane.height_mm / rows,
        centre_mm=through_cursor(screen, plane),
        thickness_mm=plane.slab_mm,
        mode=plane.mode,
        fusion=fusion,
        name=title if plane.slab_mm == 0.0 else f"{title}, {plane.mode} {plane.slab_mm:g} mm",
    )


def marked_labels(steps: Iterable[MaskStep]) -> set[int]:
    """Returns the labels that steps may leave in the mask."""
    found: set[int] = set()
    for step in steps:
        found.add(step.label)
        if isinstance(step, Fragments):
            found.update(range(step.label, step.label + step.most), (step.metal_label,))
    return found - {0}


def label_rules(screen: Screen) -> tuple[LabelRule, ...]:
    """Returns how the 3D pane shows each label: what was cut away not at all, segments in their colours."""
    s = screen.solid
    shaded, labels = s.style == "rendering", marked_labels(s.steps)
    rules = [LabelRule(CUT_AWAY, "exclude")] if CUT_AWAY in labels else []
    for segment in screen.segments:
        if segment.label not in labels:
            continue  # nothing is marked yet
        if not segment.in_3d:
            rules.append(LabelRule(segment.label, "exclude"))
        elif shaded:
            rules.append(LabelRule(segment.label, "tint", colour_of(segment.colour)))
            if segment.opacity < 1.0:
                rules.append(LabelRule(segment.label, "fade", opacity=segment.opacity))
    if shaded and s.around < 1.0 and rules:
        rules.append(LabelRule(0, "fade", opacity=s.around))
    return tuple(rules)


def colour_of(written: str) -> Vector:
    """Returns red, green and blue, 0…1, of #rrggbb."""
    red, green, blue = (int(written[n : n + 2], 16) / 255.0 for n in (1, 3, 5))
    return (round(red, 3), round(green, 3), round(blue, 3))


def _fusion(compared: Compared | None) -> Fusion | None:
    """Returns how the compared volume lies over the planes; None where it does not."""
    if compared is None or compared.blend <= 0.0:
        return None
    return Fusion(_from_other(compared), _OVER, COLOUR_MAPS["hot_iron"], compared.blend)


def _fusion_in_3d(compared: Compared | None) -> FusedRendering | None:
    """Returns how the compared volume is drawn on the rays of this one; None where it is not."""
    if compared is None or compared.blend <= 0.0:
        return None
    transfer = compared.transfer or _OVER_IN_3D
    points = tuple(replace(p, opacity=round(p.opacity * compared.blend, 4)) for p in transfer.points)
    return FusedRendering(_from_other(compared), replace(transfer, points=points))


def _from_other(compared: Compared) -> Matrix:
    rows = tuple(tuple(float(v) for v in row) for row in inverse(compared.to_other).tolist())
    return cast(Matrix, rows)


def is_fused(recipe: Recipe | None) -> bool:
    """Whether a recipe draws a second volume with the first."""
    return isinstance(recipe, Reformat | VolumeRendering) and recipe.fusion is not None


def unfused(recipe: Recipe) -> Recipe:
    """Returns a recipe without its second volume."""
    return replace(recipe, fusion=None) if isinstance(recipe, Reformat | VolumeRendering) else recipe


def _solid_recipe(screen: Screen, rows: int, columns: int) -> VolumeRendering | Projection:
    s, rules = screen.solid, label_rules(screen)
    shared: dict[str, Any] = {
        "view": s.view,
        "rows": rows,
        "columns": columns,
        "field_of_view_mm": s.height_mm,
        "centre_mm": s.centre_mm,
        "crop": s.crop,
        "clips": s.clips,
        "body_above": s.body_above,
        "segments": s.steps if rules else (),
        "masking": rules,
    }
    if s.style == "rendering":
        fusion = _fusion_in_3d(screen.compared)
        title = f"{s.transfer.name.replace('_', ' ')}, {s.view.words}{', fused' if fusion is not None else ''}"
        return VolumeRendering(s.transfer, **shared, fusion=fusion, name=title)
    return Projection(s.style, screen.window, **shared, name=f"{s.style.upper()}, {s.view.words}")


def _curved_recipe(screen: Screen, rows: int, columns: int) -> CurvedReformat | None:
    c = screen.curve
    if len(c.path_mm) < 2:
        return None
    turned = f", {c.angle_deg:g}°" if c.angle_deg and c.form == "straightened" else ""
    return CurvedReformat(
        screen.window,
        c.path_mm,
        c.form,
        c.view,
        c.angle_deg if c.form == "straightened" else 0.0,
        rows=rows,
        columns=columns,
        thickness_mm=c.slab_mm,
        mode=c.mode,
        name=f"Curved, {c.form}{turned}",
    )


def _in_other(recipe: Reformat | VolumeRendering | Projection, move: Affine) -> Recipe:
    """Returns the recipe for the same part of the patient in the other volume, without cuts by hand. A crop box that
    would have to be tilted is left out."""
    assert recipe.centre_mm is not None
    centre, view = point(move, recipe.centre_mm), view_through(move, recipe.view)
    if isinstance(recipe, Reformat):
        return replace(recipe, centre_mm=centre, view=view, fusion=None, name=recipe.name.replace(", fused", ""))
    if isinstance(recipe, VolumeRendering):
        recipe = replace(recipe, fusion=None, name=recipe.name.replace(", fused", ""))
    crop = recipe.crop if view == recipe.view else None
    if crop is not None:
        crop = Box(point(move, crop.lower_mm), point(move, crop.upper_mm))
    clips = tuple(
        replace(clip, point_mm=point(move, clip.point_mm), normal=direction(move, clip.normal)) for clip in recipe.clips
    )
    return replace(recipe, centre_mm=centre, view=view, crop=crop, clips=clips, segments=(), masking=())


def through_cursor(screen: Screen, plane: SlicePane) -> Vector:
    """Returns the middle of a plane pane, moved along the line of sight into the plane of the crosshair."""
    n = plane.view.towards_observer
    depth = sum((c - m) * a for c, m, a in zip(screen.cursor_mm, plane.centre_mm, n, strict=True))
    return vector(m + depth * a for m, a in zip(plane.centre_mm, n, strict=True))
