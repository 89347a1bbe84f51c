"""Recipes, which say what to draw; their canonical JSON and their digest.

A recipe holds everything that a picture depends on besides the voxels, presets by value. So a recipe read back from a
DICOM SR years later draws the same picture, even if the preset files have changed since.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import hypot
from typing import Any, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from render.errors import RenderError
from render.geometry import Box, GeometryError, Matrix, Vector, View
from render.mask_steps import MaskStep

ProjectionMode = Literal["mip", "minip", "average"]
Interpolation = Literal["linear", "nearest", "cubic"]
MaskAction = Literal["exclude", "include", "tint", "fade"]
Fit = Literal["volume", "shown", "body"]


class RecipeError(RenderError):
    """A recipe, preset or protocol is invalid; the message names the key and the error."""


_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """One point of a transfer function. value : in the unit of the preset. Colour 0…1 and opacity 0…1 per mm."""

    __pydantic_config__ = _STRICT
    value: float
    red: float
    green: float
    blue: float
    opacity: float

    def __post_init__(self) -> None:
        for name in ("red", "green", "blue", "opacity"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RecipeError(f"Control point at {self.value:g}: {name} {getattr(self, name):g} is outside 0…1.")


@dataclass(frozen=True, slots=True)
class Shading:
    """Phong terms with a headlight. specular_power : a power of two, so that repeated squaring gives the same bits
    everywhere. Source: Levoy 1988, 'Display of surfaces from volume data'."""

    __pydantic_config__ = _STRICT
    ambient: float = 0.25
    diffuse: float = 0.75
    specular: float = 0.2
    specular_power: Literal[1, 2, 4, 8, 16, 32, 64] = 16


@dataclass(frozen=True, slots=True)
class TransferFunction:
    """Maps values to colour and opacity, linearly between points, constant beyond the first and the last.

    unit : that of the volume it is for, e.g. `HU`; `range` when values are fractions of the volume's own range,
        `lumen` when they are fractions of the way from soft tissue (0) to blood with dye (1).
    points : ascending by value; opacity is per `opacity_unit_mm` of path.
    gradient_opacity : None, or (low, high) in unit/mm: opacity is scaled by 0 below low to 1 above high.
    """

    __pydantic_config__ = _STRICT
    name: str
    unit: str
    points: tuple[ControlPoint, ...]
    shading: Shading | None = Shading()
    gradient_opacity: tuple[float, float] | None = None
    opacity_unit_mm: float = 1.0

    def __post_init__(self) -> None:
        values = [p.value for p in self.points]
        if len(values) < 2 or values != sorted(values):
            raise RecipeError(f"Transfer function {self.name!r} needs two or more points in ascending order.")


@dataclass(frozen=True, slots=True)
class Window:
    """Window centre and width in the unit of the volume. Source: PS3.3 C.11.2.1.2.1 (LINEAR).

    relative : centre and width are fractions of the volume's own range, for MR and ultrasound, whose values have no
    fixed scale. of_lumen : they are fractions of the way from soft tissue (0) to blood with dye (1), for angiography by
    CT. `settled` replaces both by values before a picture is drawn.
    """

    __pydantic_config__ = _STRICT
    centre: float
    width: float
    relative: bool = False
    of_lumen: bool = False

    @property
    def is_placed(self) -> bool:
        """Whether centre and width are values, and no fractions that a volume has to settle."""
        return not (self.relative or self.of_lumen)

    def __post_init__(self) -> None:
        if self.relative and self.of_lumen:
            raise RecipeError("A window is relative to the volume's range or to the lumen, not to both.")
        if not self.is_placed and not self.width > 0.0:
            raise RecipeError(f"Relative window width {self.width:g} must be positive.")
        if self.is_placed and self.width < 1.0:
            raise RecipeError(f"Window width {self.width:g} is below 1 (PS3.3 C.11.2.1.2).")


@dataclass(frozen=True, slots=True)
class Rotation:
    """`frames` pictures, evenly spread over `arc_deg`, the first at the view.

    axis : `head-foot` moves the observer around the patient towards the left; `across` over the top, about the
        horizontal of the first picture (a tumble).
    """

    __pydantic_config__ = _STRICT
    frames: int
    arc_deg: float = 360.0
    axis: Literal["head-foot", "across"] = "head-foot"

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= 720:
            raise RecipeError(f"A rotation of {self.frames} frames; 2 to 720 are possible.")


@dataclass(frozen=True, slots=True)
class Clip:
    """An oblique cutting plane: the side that `normal` points to is not drawn.

    point_mm : LPS mm, any point of the plane. normal : LPS direction of any length.
    """

    __pydantic_config__ = _STRICT
    point_mm: Vector
    normal: Vector

    def __post_init__(self) -> None:
        if not hypot(*self.normal) > 1e-9:
            raise RecipeError(f"Clip at {self.point_mm} mm: normal {self.normal} has no length.")


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How to draw the voxels of one label of the mask.

    exclude : they are not drawn. include : only they and those of other included labels are drawn.
    tint : they take `colour` (red, green, blue 0…1) instead of the transfer function's; opacity and shading stay.
    fade : their opacity is scaled by `opacity`, 0…1, so that what lies behind them is seen.
    """

    __pydantic_config__ = _STRICT
    label: int
    action: MaskAction
    colour: Vector | None = None
    opacity: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.label <= 255:
            raise RecipeError(f"Label {self.label} is outside 0…255.")
        if (self.opacity is not None) != (self.action == "fade"):
            raise RecipeError(f"Label {self.label}: an opacity goes with fade and with nothing else.")
        if self.opacity is not None and not 0.0 <= self.opacity <= 1.0:
            raise RecipeError(f"Label {self.label}: opacity {self.opacity:g} is outside 0…1.")
        if (self.colour is not None) != (self.action == "tint"):
            raise RecipeError(f"Label {self.label}: a colour goes with tint and with nothing else.")
        if self.colour is not None and not all(0.0 <= part <= 1.0 for part in self.colour):
            raise RecipeError(f"Label {self.label}: colour {self.colour} is outside 0…1.")


def _check_masking(recipe: Any) -> None:
    """Raises RecipeError for rules that contradict each other, or a mask that is made and not used."""
    if recipe.segments and not recipe.masking:
        raise RecipeError("segments without masking: say what to do with the labels they make.")
    actions_by_label: dict[int, list[str]] = {}
    for rule in recipe.masking:
        actions_by_label.setdefault(rule.label, []).append(rule.action)
    for label, actions in actions_by_label.items():
        if len(actions) != len(set(actions)) or ("exclude" in actions and len(actions) > 1):
            raise RecipeError(f"Label {label}: {' and '.join(actions)} contradict each other.")


def _check_sizes(recipe: Any) -> None:
    """Raises RecipeError for an impossible size; every recipe checks itself when it is made."""
    if not (1 <= recipe.rows <= 8192 and 1 <= recipe.columns <= 8192):
        raise RecipeError(f"Picture of {recipe.rows} x {recipe.columns} pixels; 1 to 8192 each way are possible.")
    if not 0.1 <= getattr(recipe, "step_voxels", 1.0) <= 4.0:
        raise RecipeError(f"step_voxels {recipe.step_voxels:g} is outside 0.1…4.")
    if not 1 <= getattr(recipe, "count", 1) <= 4096:
        raise RecipeError(f"A stack of {recipe.count} planes; 1 to 4096 are possible.")
    for name in ("field_of_view_mm", "spacing_mm", "pixel_mm", "slab_mm"):
        value = getattr(recipe, name, None)
        if value is not None and not value > 0.0:
            raise RecipeError(f"{name} {value:g} must be positive.")
    if getattr(recipe, "thickness_mm", 0.0) < 0.0:
        raise RecipeError(f"thickness_mm {recipe.thickness_mm:g} must not be negative.")
    if len(getattr(recipe, "clips", ())) > 16:
        raise RecipeError(f"{len(recipe.clips)} clips; 16 at most are possible.")


def _check_move(rows: Matrix) -> None:
    """Raises RecipeError for a transform that maps no space."""
    if len(rows) != 4 or tuple(rows[3]) != (0.0, 0.0, 0.0, 1.0):
        raise RecipeError(f"Transform {rows} is no map of space; four rows with 0 0 0 1 as last are.")
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = rows[:3]
    if abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) < 1e-9:
        raise RecipeError(f"Transform {rows} flattens space.")


@dataclass(frozen=True, slots=True)
class FlightEye:
    """One picture of a flight: where the observer is, LPS mm, and looks along `view`."""

    __pydantic_config__ = _STRICT
    eye_mm: Vector
    view: View


@dataclass(frozen=True, slots=True)
class FusedRendering:
    """A second volume on the same rays, with a transfer function of its own, where `transform` puts it.

    transform, volume_digest : as in `Fusion`. transfer : in the unit of the second volume, or `range`.
    """

    __pydantic_config__ = _STRICT
    transform: Matrix
    transfer: TransferFunction
    volume_digest: str = ""

    def __post_init__(self) -> None:
        _check_move(self.transform)


@dataclass(frozen=True, slots=True)
class Move:
    """A label of the mask that stands elsewhere, as a part in an exploded view does.

    transform : rows of the (4, 4) map from LPS mm where the part is to LPS mm where it is drawn; a turn and a shift.
    """

    __pydantic_config__ = _STRICT
    label: int
    transform: Matrix

    def __post_init__(self) -> None:
        if not 0 <= self.label <= 255:
            raise RecipeError(f"Label {self.label} is outside 0…255.")
        _check_move(self.transform)
        rows = [row[:3] for row in self.transform[:3]]
        for a in range(3):
            for b in range(3):
                if abs(sum(x * y for x, y in zip(rows[a], rows[b], strict=True)) - (a == b)) > 1e-5:
                    raise RecipeError(f"Move of label {self.label}: its transform stretches or bends; turn and shift.")
        (a1, b1, c1), (d1, e1, f1), (g1, h1, i1) = rows
        if a1 * (e1 * i1 - f1 * h1) - b1 * (d1 * i1 - f1 * g1) + c1 * (d1 * h1 - e1 * g1) < 0.0:
            raise RecipeError(f"Move of label {self.label}: its transform mirrors; a bone would change sides.")


@dataclass(frozen=True, slots=True)
class VolumeRendering:
    """Shaded direct volume rendering, in parallel projection unless `projection` says otherwise.

    field_of_view_mm : height of the picture in the patient; None fits the volume (or the crop box).
    centre_mm : LPS mm in the middle of the picture; None is the middle of the volume (or of the crop box).
    fit : `shown` crops to the labels that are drawn, where rules include some, so that they fill the picture; `body`
        crops to the patient.
    body_above : in the volume's unit, e.g. −300 HU. Connected pieces above it that are neither large nor inside the
        patient are not drawn, so that the table and the head holder hide nothing; None draws everything.
    step_voxels : distance between samples along a ray as a fraction of the smallest voxel spacing.
    clips : cutting planes, in addition to the crop box. A cut face is shaded by its plane.
    segments : the steps that make its mask; () where the caller gives one to `draw`. masking : rules for its labels.
    projection : perspective pictures have no scale, hence no `field_of_view_mm` and no planes. `eye_mm` is then the
        observer's place in LPS mm, inside the patient for an endoluminal view, looking along `view`; None stands back
        from `centre_mm` until everything is in sight. `field_of_view_deg` is the angle from top to bottom, 1…150. A
        rotation goes around the centre, or turns on the spot where `eye_mm` is given.
    flight : the eyes of a flight through the patient, in perspective: one picture each, in order. They say where the
        observer is and looks, instead of `eye_mm` and `view`.
    light : the direction of the light, in patient terms; None is the observer's.
    depth_cue : 0…1, how much darker the far end of the drawn part is than its near end.
    ambient_occlusion : 0…1, how much darker folds and hollows are, where little light from around arrives. Reads all
        voxels for each new transfer function, mask, clip and crop.
    shadows : 0…1, how dark the soft shadows of the placed light are.
    fusion : a second volume, seen on the same rays. In parallel projection, with crop and clips, which cut both; with
        nothing else that reads the voxels of one volume (table removal, masks, placed light, occlusion, depth cue).
    moves : labels that stand elsewhere, each seen through its transform. In parallel projection, with the crop box,
        which cuts them where they stand, and table removal; without clips, placed light, occlusion and depth cue.
    """

    __pydantic_config__ = _STRICT
    transfer: TransferFunction
    view: View = View()
    rotation: Rotation | None = None
    rows: int = 512
    columns: int = 512
    field_of_view_mm: float | None = None
    centre_mm: Vector | None = None
    crop: Box | None = None
    fit: Fit = "volume"
    body_above: float | None = None
    step_voxels: float = 1.0
    background: Vector = (0.0, 0.0, 0.0)
    clips: tuple[Clip, ...] = ()
    masking: tuple[LabelRule, ...] = ()
    segments: tuple[MaskStep, ...] = ()
    projection: Literal["parallel", "perspective"] = "parallel"
    eye_mm: Vector | None = None
    field_of_view_deg: float | None = None
    flight: tuple[FlightEye, ...] = ()
    light: View | None = None
    depth_cue: float = 0.0
    ambient_occlusion: float = 0.0
    shadows: float = 0.0
    fusion: FusedRendering | None = None
    moves: tuple[Move, ...] = ()
    name: str = ""
    kind: Literal["volume_rendering"] = "volume_rendering"

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_masking(self)
        if not 0.0 <= self.depth_cue <= 1.0:
            raise RecipeError(f"depth_cue {self.depth_cue:g} is outside 0…1.")
        if not 0.0 <= self.ambient_occlusion <= 1.0:
            raise RecipeError(f"ambient_occlusion {self.ambient_occlusion:g} is outside 0…1.")
        if self.ambient_occlusion > 0.0 and self.transfer.shading is None:
            raise RecipeError(f"ambient_occlusion without shading: {self.transfer.name!r} has none.")
        if not 0.0 <= self.shadows <= 1.0:
            raise RecipeError(f"shadows {self.shadows:g} is outside 0…1.")
        if self.shadows > 0.0 and self.light is None:
            raise RecipeError("shadows without a light: those of the observer's own light he cannot see; say `light`.")
        if self.light is not None and self.transfer.shading is None:
            raise RecipeError(f"A light without shading: transfer function {self.transfer.name!r} has none.")
        if self.projection == "perspective":
            if self.field_of_view_deg is None or not 1.0 <= self.field_of_view_deg <= 150.0:
                raise RecipeError(f"field_of_view_deg {self.field_of_view_deg}: perspective needs one, 1…150°.")
            if self.field_of_view_mm is not None:
                raise RecipeError("field_of_view_mm is for parallel projection; perspective has field_of_view_deg.")
            if self.eye_mm is not None and self.centre_mm is not None:
                raise RecipeError(
                    "eye_mm and centre_mm: say where the observer stands, or what the middle is, not both."
                )
            if self.flight:
                self._check_flight()
        elif self.flight:
            raise RecipeError("A flight is in perspective: say `projection` and `field_of_view_deg`.")
        elif self.eye_mm is not None or self.field_of_view_deg is not None:
            raise RecipeError("eye_mm and field_of_view_deg are for perspective; parallel projection has neither.")
        if any(rule.action == "fade" for rule in self.masking) and (self.ambient_occlusion or self.shadows):
            raise RecipeError(
                "fade with ambient_occlusion or shadows: what is seen through would darken what is behind."
            )
        if self.fusion is not None:
            self._check_fusion()
        if self.moves:
            self._check_moves()

    def _check_moves(self) -> None:
        used = {
            "perspective": self.projection == "perspective",
            "fusion": self.fusion is not None,
            "clips": bool(self.clips),
            "light": self.light is not None,
            "depth_cue": self.depth_cue > 0.0,
            "ambient_occlusion": self.ambient_occlusion > 0.0,
            "fade": any(rule.action == "fade" for rule in self.masking),
        }
        if found := [name for name, there in used.items() if there]:
            raise RecipeError(f"A rendering with moves has no {' and no '.join(found)}; take it out, or the moves.")
        actions_by_label = {rule.label: rule.action for rule in self.masking if rule.action != "tint"}
        includes = "include" in actions_by_label.values()
        labels = [move.label for move in self.moves]
        for label in labels:
            if labels.count(label) > 1:
                raise RecipeError(f"Label {label} is moved twice; say one transform.")
            if actions_by_label.get(label, "exclude" if includes else "include") == "exclude":
                raise RecipeError(f"Label {label} is moved and not drawn; include it, or take its move out.")
        if not self.masking:
            raise RecipeError("moves without masking: say which labels are drawn.")

    def _check_flight(self) -> None:
        if not 2 <= len(self.flight) <= 2000:
            raise RecipeError(f"A flight of {len(self.flight)} pictures; 2 to 2000 are possible.")
        used = {
            "rotation": self.rotation is not None,
            "eye_mm": self.eye_mm is not None,
            "centre_mm": self.centre_mm is not None,
            "view": self.view != View(),
        }
        if found := [name for name, there in used.items() if there]:
            raise RecipeError(f"A flight says itself where the observer is: take {' and '.join(found)} out.")

    def _check_fusion(self) -> None:
        used = {
            "perspective": self.projection == "perspective",
            "light": self.light is not None,
            "depth_cue": self.depth_cue > 0.0,
            "ambient_occlusion": self.ambient_occlusion > 0.0,
        }
        if found := [name for name, there in used.items() if there]:
            raise RecipeError(f"A fused rendering has no {' and no '.join(found)}; take it out, or the fusion.")


@dataclass(frozen=True, slots=True)
class Projection:
    """Maximum, minimum or average along parallel rays, through the whole volume or a slab about `centre_mm`.

    slab_mm : thickness along the line of sight, None for the whole volume. Values stay in the unit of the volume;
    outside it they are the lower end of `window`, so that no pixel there looks like tissue. body_above, clips, masking,
    segments : as in VolumeRendering, but without tint and fade.
    """

    __pydantic_config__ = _STRICT
    mode: ProjectionMode
    window: Window
    view: View = View()
    rotation: Rotation | None = None
    rows: int = 512
    columns: int = 512
    field_of_view_mm: float | None = None
    centre_mm: Vector | None = None
    crop: Box | None = None
    fit: Fit = "volume"
    slab_mm: float | None = None
    body_above: float | None = None
    step_voxels: float = 1.0
    clips: tuple[Clip, ...] = ()
    masking: tuple[LabelRule, ...] = ()
    segments: tuple[MaskStep, ...] = ()
    name: str = ""
    kind: Literal["projection"] = "projection"

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_masking(self)
        if found := [rule.action for rule in self.masking if rule.action in ("tint", "fade")]:
            raise RecipeError(f"{found[0]}: a projection has values, not colours; include and exclude are possible.")


@dataclass(frozen=True, slots=True)
class Fusion:
    """A second volume over the first, each of its voxels where `transform` puts it; it is not resampled before.

    transform : rows of the (4, 4) map of the second volume's LPS mm to the first's.
    window : of the second volume; with `relative` in fractions of its own range.
    colours : its colour map, ascending by value from 0 (the lower end of the window) to 1; opacity 0…1 is how much of
        the first volume it covers. blend : 0…1, scales that opacity.
    volume_digest : `Volume.digest` of the second volume, so that no other is drawn; empty until a picture is drawn.
    """

    __pydantic_config__ = _STRICT
    transform: Matrix
    window: Window
    colours: tuple[ControlPoint, ...]
    blend: float = 0.5
    volume_digest: str = ""

    def __post_init__(self) -> None:
        _check_move(self.transform)
        values = [point.value for point in self.colours]
        if len(values) < 2 or values != sorted(values) or values[0] != 0.0 or values[-1] != 1.0:
            raise RecipeError("Fusion: colours need two or more points in ascending order, from 0 to 1.")
        if not 0.0 <= self.blend <= 1.0:
            raise RecipeError(f"Fusion: blend {self.blend:g} is outside 0…1.")


@dataclass(frozen=True, slots=True)
class Reformat:
    """A stack of `count` parallel planes, `spacing_mm` apart, seen from `view`, the middle one through `centre_mm`.

    The first plane is the one nearest to the observer. thickness_mm : 0 samples the plane itself; more combines samples
    through that thickness by `mode`. interpolation : linear from eight voxels, nearest, or cubic, the Catmull-Rom
    spline through 64: sharper, but it overshoots beside steep edges. spacing_mm, pixel_mm : None takes the smallest
    voxel spacing. fit : with `body` the patient fills the picture, and the planes reach through all of the body
    (`render.body_frame`). fusion : a second volume over the first; the picture is then in colour.
    """

    __pydantic_config__ = _STRICT
    window: Window
    view: View = View()
    count: int = 1
    spacing_mm: float | None = None
    rows: int = 512
    columns: int = 512
    pixel_mm: float | None = None
    centre_mm: Vector | None = None
    thickness_mm: float = 0.0
    mode: ProjectionMode = "average"
    interpolation: Interpolation = "linear"
    fit: Literal["volume", "body"] = "volume"
    fusion: Fusion | None = None
    name: str = ""
    kind: Literal["reformat"] = "reformat"

    def __post_init__(self) -> None:
        _check_sizes(self)


@dataclass(frozen=True, slots=True)
class CurvedReformat:
    """The surface along a path through the patient, laid flat: the path runs from the top of the picture to its bottom.

    path_mm : LPS mm, 2 to 1000 points; a smooth curve goes through all of them. form : `straightened` shows the path as
    a straight line in the middle and, in each row, the tissue at right angles to it; in `stretched` all rows run to the
    right of `view`, so bends of the path to the side show. Lengths along the path are true in both. view : for a
    straightened path, the observer's direction at its beginning.
    angle_deg : turns a straightened picture about the path. count : number of pictures, evenly over half a turn.
    pixel_mm : None makes the path as long as the picture. thickness_mm, mode, interpolation : as in `Reformat`.
    """

    __pydantic_config__ = _STRICT
    window: Window
    path_mm: tuple[Vector, ...]
    form: Literal["straightened", "stretched"] = "straightened"
    view: View = View()
    angle_deg: float = 0.0
    count: int = 1
    rows: int = 512
    columns: int = 256
    pixel_mm: float | None = None
    thickness_mm: float = 0.0
    mode: ProjectionMode = "average"
    interpolation: Interpolation = "linear"
    name: str = ""
    kind: Literal["curved_reformat"] = "curved_reformat"

    def __post_init__(self) -> None:
        _check_sizes(self)
        if not 2 <= len(self.path_mm) <= 1000:
            raise RecipeError(f"A path of {len(self.path_mm)} places; 2 to 1000 are possible.")
        for a, b in pairwise(self.path_mm):
            if hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]) < 0.01:
                raise RecipeError(f"Two places of the path that follow each other are the same: {a} mm.")
        if self.form == "stretched" and (self.count > 1 or self.angle_deg):
            raise RecipeError(
                "A stretched picture is turned by its view; count and angle_deg are for straightened ones."
            )


# Keys added after the first recipes were stored, with their defaults. A key with its default is left out of the
# canonical JSON, so that the digests of recipes that do not use it stay the same.
_LATER_KEYS: dict[str, Any] = {
    "body_above": None,
    "relative": False,
    "of_lumen": False,
    "clips": (),
    "masking": (),
    "segments": (),
    "projection": "parallel",
    "eye_mm": None,
    "field_of_view_deg": None,
    "light": None,
    "depth_cue": 0.0,
    "ambient_occlusion": 0.0,
    "shadows": 0.0,
    "roll_deg": 0.0,
    "axis": "head-foot",
    "fit": "volume",
    "fusion": None,
    "method": "watershed",
    "moves": (),
    "opacity": None,
    "flight": (),
}
Solid = VolumeRendering | Projection  # seen through, so that they can turn, be cut and masked
Recipe = Solid | Reformat | CurvedReformat
KINDS: tuple[type[Recipe], ...] = get_args(Recipe)


def in_colour(recipe: Recipe) -> bool:
    """Whether its pictures are colours rather than values in the unit of the volume."""
    return isinstance(recipe, VolumeRendering) or (isinstance(recipe, Reformat) and recipe.fusion is not None)


def canonical_json(recipe: Recipe) -> str:
    """Writes a recipe as JSON with sorted keys and no spaces; equal recipes give equal text, whole numbers included."""
    return json.dumps(_plain(asdict(recipe)), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in _LATER_KEYS or v != _LATER_KEYS[k]}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else value  # 40, 40.0 and −0.0 are one and the same recipe
    return value


def digest(recipe: Recipe) -> str:
    """Returns the sha256 (hex) of the canonical JSON."""
    return hashlib.sha256(canonical_json(recipe).encode()).hexdigest()


_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


def read_recipe(data: str | dict[str, Any]) -> Recipe:
    """Reads a recipe from its JSON text or from a mapping of the same keys; `view` and `light` may also be words.

    Raises RecipeError that names a key which is missing, unknown or out of range.
    """
    try:
        said = json.loads(data) if isinstance(data, str) else data
    except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, or too deep
        raise RecipeError(f"The recipe is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise RecipeError(f"The recipe is a {type(said).__name__}; expected an object with `kind`.")
    fields = dict(said)
    for key in ("view", "light"):
        if isinstance(fields.get(key), str):
            try:
                fields[key] = asdict(View.parse(fields[key]))
            except GeometryError as error:
                raise RecipeError(str(error)) from error
    kinds = {cls.__dataclass_fields__["kind"].default: cls for cls in KINDS}
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise RecipeError(f"Recipe kind {kind!r} is not one of {', '.join(map(str, kinds))}.")
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kinds[kind])
    try:
        recipe: Recipe = _ADAPTERS[kind].validate_json(json.dumps(_plain(fields)))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"Recipe {fields.get('name') or kind!r}: {problems}") from error
    return recipe


def seen_in_words(recipe: Recipe) -> str:
    """Returns from where the patient is seen, as a part of a sentence."""
    if isinstance(recipe, VolumeRendering) and recipe.flight:
        return f"in flight through the patient, {len(recipe.flight)} pictures"
    return f"seen from {recipe.view.words}"


def frames(recipe: Recipe) -> tuple[Recipe, ...]:
    """Returns the recipes of the single pictures of a rotation or a flight; for a recipe without, itself alone."""
    if isinstance(recipe, VolumeRendering) and recipe.flight:
        return tuple(replace(recipe, flight=(), eye_mm=eye.eye_mm, view=eye.view) for eye in recipe.flight)
    if not isinstance(recipe, Solid) or recipe.rotation is None:
        return (recipe,)
    # A full turn must not draw its first picture twice; a partial arc includes both ends.
    n, arc = recipe.rotation.frames, recipe.rotation.arc_deg
    step = arc / n if abs(arc) >= 360.0 else arc / (n - 1)
    turned = recipe.view.turned if recipe.rotation.axis == "head-foot" else recipe.view.tumbled
    return tuple(replace(recipe, rotation=None, view=turned(step * f)) for f in range(n))
