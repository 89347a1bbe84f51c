"""Steps that make a mask, such as cuts by hand, in patient space, so that the record can repeat them.

They are part of a recipe; `render.segment.made` carries them out.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from pydantic import ConfigDict

from render.errors import RenderError
from render.geometry import Vector, View

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_MOST_CORNERS = 2000


class StepError(RenderError):
    """A step cannot be carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class Scissors:
    """All voxels that the observer of `view` sees, in parallel projection, within a closed outline of LPS mm corners.

    label : they get this label. outside : all other voxels get it instead.
    """

    __pydantic_config__ = _STRICT
    outline_mm: tuple[Vector, ...]
    view: View
    label: int = 1
    outside: bool = False
    kind: Literal["scissors"] = "scissors"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 3 <= len(self.outline_mm) <= _MOST_CORNERS:
            raise StepError(f"An outline of {len(self.outline_mm)} corners; 3 to {_MOST_CORNERS} are possible.")


@dataclass(frozen=True, slots=True)
class Piece:
    """The voxels from `low` to `high`, in the volume's unit, that are connected by faces with the one at `seed_mm`.

    within_mm : only those within this distance of the seed; None for all. rim : this many voxels around them are
    included; samples lie between voxels, so a piece cut away without its rim leaves a thin shell.
    """

    __pydantic_config__ = _STRICT
    seed_mm: Vector
    low: float
    high: float
    within_mm: float | None = None
    rim: int = 0
    label: int = 1
    outside: bool = False
    kind: Literal["piece"] = "piece"

    def __post_init__(self) -> None:
        _check_label(self)
        _check_between("A piece", self.low, self.high)
        if self.within_mm is not None and not self.within_mm > 0.0:
            raise StepError(f"within_mm {self.within_mm:g} must be positive.")
        if not 0 <= self.rim <= 5:
            raise StepError(f"A rim of {self.rim} voxels; 0 to 5 are possible.")


@dataclass(frozen=True, slots=True)
class Values:
    """All voxels from `low` to `high`, in the volume's unit."""

    __pydantic_config__ = _STRICT
    low: float
    high: float
    label: int = 1
    outside: bool = False
    kind: Literal["values"] = "values"

    def __post_init__(self) -> None:
        _check_label(self)
        _check_between("Values", self.low, self.high)


@dataclass(frozen=True, slots=True)
class Bone:
    """Bone in CT, by its density and its cortex. In the volume's unit, HU.

    Bone is: pieces denser than `cortex` of at least `least_ml`; voxels denser than `marrow` within `reach_mm` of them;
    voxels denser than `marrow` with bone on all four sides within `across_mm` in their slice (the inside of a
    vertebra); and remaining pieces denser than `marrow` and smaller than `crumbs_ml`.
    It is a start, to be corrected by hand: it misses bone without a dense cortex, and takes vessels brighter than
    `cortex` and up to `reach_mm` of vessels that touch bone. Values: own choice, tried on chests with contrast.
    """

    __pydantic_config__ = _STRICT
    cortex: float = 500.0
    marrow: float = 150.0
    least_ml: float = 0.03
    reach_mm: float = 5.0
    across_mm: float = 30.0
    crumbs_ml: float = 1.5
    label: int = 1
    outside: bool = False
    kind: Literal["bone"] = "bone"

    def __post_init__(self) -> None:
        _check_label(self)
        if not self.marrow <= self.cortex:
            raise StepError(f"Bone of marrow {self.marrow:g} and cortex {self.cortex:g}: the cortex is denser.")
        lengths = 0.0 <= self.reach_mm <= 20.0 and 0.0 <= self.across_mm <= 200.0
        if not (lengths and self.least_ml >= 0.0 and self.crumbs_ml >= 0.0):
            raise StepError("Bone: reach_mm 0 to 20, across_mm 0 to 200, least_ml and crumbs_ml from 0 are possible.")


@dataclass(frozen=True, slots=True)
class Grown:
    """What hangs together with the seeds, by faces, from `low` to `high`, with hysteresis and leak control.

    seeds_mm : LPS mm; () takes every part that holds a value of the core. core_low, core_high : the range of sure
    voxels, both or neither. With a core, a part grows through sure voxels alone, and through others only within
    `reach_mm` of them. neck_mm : bridges thinner than this are not crossed; 0 crosses any. within_mm : no farther
    from a seed than this; None for anywhere. most_ml : a part larger than this is a leak and is refused; None allows
    any.
    """

    __pydantic_config__ = _STRICT
    seeds_mm: tuple[Vector, ...]
    low: float
    high: float
    core_low: float | None = None
    core_high: float | None = None
    reach_mm: float = 3.0
    neck_mm: float = 0.0
    within_mm: float | None = None
    most_ml: float | None = None
    label: int = 1
    outside: bool = False
    kind: Literal["grown"] = "grown"

    def __post_init__(self) -> None:
        _check_label(self)
        _check_between("A part", self.low, self.high)
        if (self.core_low is None) != (self.core_high is None):
            raise StepError("core_low and core_high: both are needed, or neither.")
        if self.core_low is not None and self.core_high is not None:
            if not self.low <= self.core_low <= self.core_high <= self.high:
                raise StepError(f"The core, {self.core_low:g} to {self.core_high:g}, has to lie within low and high.")
        elif not self.seeds_mm:
            raise StepError("Without seeds a core is needed: it says which parts are wanted.")
        if len(self.seeds_mm) > _MOST_CORNERS:
            raise StepError(f"{len(self.seeds_mm)} seeds; {_MOST_CORNERS} at most are possible.")
        if not (0.0 <= self.neck_mm <= 30.0 and 0.0 <= self.reach_mm <= 30.0):
            raise StepError("neck_mm and reach_mm: 0 to 30 are possible.")
        if any(value is not None and not value > 0.0 for value in (self.within_mm, self.most_ml)):
            raise StepError("within_mm and most_ml must be positive.")


@dataclass(frozen=True, slots=True)
class KeptParts:
    """The parts of label `of` that hang together by faces: the `largest` ones (0 for all) of at least `least_ml`.

    The parts that are kept get `label`; where that is `of` itself, the others get 0.
    """

    __pydantic_config__ = _STRICT
    of: int = 1
    largest: int = 0
    least_ml: float = 0.0
    label: int = 1
    kind: Literal["parts"] = "parts"

    def __post_init__(self) -> None:
        _check_label(self)
        if self.largest < 0 or self.least_ml < 0.0:
            raise StepError("Parts: largest and least_ml from 0 are possible.")


@dataclass(frozen=True, slots=True)
class Shaped:
    """Label `of` in another shape, by a ball of `radius_mm`.

    grow, shrink : by the radius. open : parts thinner than the ball go. close : gaps narrower than it are filled.
    fill : holes that no way leads out of, whatever the radius. smooth : by a Gauss function of that deviation,
    which takes a little off what is round. The result gets `label`, but never over another label.
    """

    __pydantic_config__ = _STRICT
    operation: Literal["grow", "shrink", "open", "close", "fill", "smooth"]
    radius_mm: float = 2.0
    of: int = 1
    label: int = 1
    kind: Literal["shaped"] = "shaped"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 0.0 <= self.radius_mm <= 50.0:
            raise StepError(f"radius_mm {self.radius_mm:g}: 0 to 50 are possible.")


@dataclass(frozen=True, slots=True)
class Boolean:
    """Label `of` combined with what `steps` mark in a mask of their own, where any label but 0 counts.

    union : in either. intersection : in both. difference : in `of` alone. either : in one of the two alone.
    """

    __pydantic_config__ = _STRICT
    operation: Literal["union", "intersection", "difference", "either"]
    steps: "tuple[MaskStep, ...]"
    of: int = 1
    label: int = 1
    kind: Literal["boolean"] = "boolean"

    def __post_init__(self) -> None:
        _check_label(self)
        if not self.steps:
            raise StepError("Boolean: steps that make the other mask are needed.")


@dataclass(frozen=True, slots=True)
class Brush:
    """What a brush covers that is drawn along a stroke of LPS mm points; label 0 erases.

    sphere : all within `radius_mm` of the stroke. disc : within `radius_mm` of it as seen from `view`, and within half
    of `thickness_mm` of it along the line of sight.
    """

    __pydantic_config__ = _STRICT
    stroke_mm: tuple[Vector, ...]
    radius_mm: float
    form: Literal["sphere", "disc"] = "sphere"
    view: View = View()
    thickness_mm: float = 1.0
    label: int = 1
    outside: bool = False
    kind: Literal["brush"] = "brush"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 1 <= len(self.stroke_mm) <= _MOST_CORNERS:
            raise StepError(f"A stroke of {len(self.stroke_mm)} points; 1 to {_MOST_CORNERS} are possible.")
        if not (0.0 < self.radius_mm <= 200.0 and 0.0 < self.thickness_mm <= 200.0):
            raise StepError("A brush: radius_mm and thickness_mm up to 200 are possible.")


@dataclass(frozen=True, slots=True)
class Outlines:
    """The solid through closed outlines drawn on parallel planes that face `view`, interpolated by their distances.

    outlines_mm : LPS mm corners of each; those on one plane (within 0.1 mm) are taken together, even-odd.
    Source: Raya and Udupa 1990, 'Shape-based interpolation of multidimensional objects'.
    """

    __pydantic_config__ = _STRICT
    outlines_mm: tuple[tuple[Vector, ...], ...]
    view: View
    label: int = 1
    outside: bool = False
    kind: Literal["outlines"] = "outlines"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 2 <= len(self.outlines_mm) <= _MOST_CORNERS:
            raise StepError(
                f"{len(self.outlines_mm)} outlines; 2 to {_MOST_CORNERS} are needed to interpolate between."
            )
        if any(not 3 <= len(corners) <= _MOST_CORNERS for corners in self.outlines_mm):
            raise StepError(f"An outline needs 3 to {_MOST_CORNERS} corners.")


@dataclass(frozen=True, slots=True)
class Strokes:
    """What belongs to strokes inside rather than to strokes outside.

    inside_mm, outside_mm : strokes of LPS mm points. It is sought in the box about them, `margin_mm` larger; the border
    of the box is outside. method : `watershed` of the gradient, for edges that are seen all round; `random_walker`, for
    faint edges and gaps in them: each voxel goes where a walk that shuns edges would more likely end.
    Sources: Meyer 1991, 'Un algorithme optimal de ligne de partage des eaux'; Grady 2006, 'Random walks for image
    segmentation'.
    """

    __pydantic_config__ = _STRICT
    inside_mm: tuple[tuple[Vector, ...], ...]
    outside_mm: tuple[tuple[Vector, ...], ...] = ()
    margin_mm: float = 20.0
    method: Literal["watershed", "random_walker"] = "watershed"
    label: int = 1
    outside: bool = False
    kind: Literal["strokes"] = "strokes"

    def __post_init__(self) -> None:
        _check_label(self)
        strokes = (*self.inside_mm, *self.outside_mm)
        if not self.inside_mm or any(not 1 <= len(points) <= _MOST_CORNERS for points in strokes):
            raise StepError(f"Strokes of 1 to {_MOST_CORNERS} points are needed, one of them inside.")
        if not 1.0 <= self.margin_mm <= 200.0:
            raise StepError(f"margin_mm {self.margin_mm:g}: 1 to 200 are possible.")


Structure = Literal["body", "lungs", "airways", "bone", "brain", "vessels"]


@dataclass(frozen=True, slots=True)
class Automatic:
    """A structure found without a click. It may decline, with the reason; see `render.segment.find`."""

    __pydantic_config__ = _STRICT
    structure: Structure
    label: int = 1
    outside: bool = False
    kind: Literal["automatic"] = "automatic"

    def __post_init__(self) -> None:
        _check_label(self)


@dataclass(frozen=True, slots=True)
class Lesion:
    """The lesion about a click at `seed_mm`, brighter or darker than what is around it; it declines rather than leaks.

    most_mm : the farthest that its edge may be from its middle.
    """

    __pydantic_config__ = _STRICT
    seed_mm: Vector
    most_mm: float = 50.0
    label: int = 1
    outside: bool = False
    kind: Literal["lesion"] = "lesion"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 2.0 <= self.most_mm <= 100.0:
            raise StepError(f"most_mm {self.most_mm:g}: 2 to 100 are possible.")


@dataclass(frozen=True, slots=True)
class Given:
    """Labels that were made elsewhere: by a model that a site runs, or read from a file or a DICOM Segmentation.

    They cannot be made again from the step, so they are kept beside the record; see `render.segment.give`. digest : of
    the mask that holds them. made_by : who or what made it, with its version. take : its label there; 0 takes all.
    """

    __pydantic_config__ = _STRICT
    digest: str
    made_by: str
    take: int = 0
    label: int = 1
    outside: bool = False
    kind: Literal["given"] = "given"

    def __post_init__(self) -> None:
        _check_label(self)
        if len(self.digest) != 64 or set(self.digest) - set("0123456789abcdef"):
            raise StepError(f"digest {self.digest[:70]!r}: the sha256 of a mask has 64 hexadecimal digits.")
        if not 0 <= self.take <= 255:
            raise StepError(f"take {self.take}: labels go from 1 to 255, and 0 takes all.")
        if not 0 < len(self.made_by) <= 64:
            raise StepError("made_by: say in 1 to 64 characters who or what made the labels.")


@dataclass(frozen=True, slots=True)
class Fragments:
    """Label `of`, bone, in parts that only a neck joins: single bones and fragments, the largest first.

    They get `label`, `label` + 1, …, and no more than `most` do. neck : two parts stay apart where their contact is
    narrower than this share of the thickness of the thinner one. least_ml : smaller parts stay `of`.
    metal : in HU, what is denser than this is metal and gets `metal_label`; None looks for none. heads_mm : a click in
    each head of a ball joint, LPS mm; its sphere is then one part of its bone, and parts at the joint space.
    """

    __pydantic_config__ = _STRICT
    of: int = 1
    neck: float = 0.5
    least_ml: float = 0.5
    most: int = 60
    metal: float | None = 2500.0
    metal_label: int = 255
    heads_mm: tuple[Vector, ...] = ()
    label: int = 2
    kind: Literal["fragments"] = "fragments"

    def __post_init__(self) -> None:
        _check_label(self)
        if not 0.05 <= self.neck <= 2.0:
            raise StepError(f"neck {self.neck:g}: 0.05 to 2 are possible.")
        if self.least_ml < 0.0 or len(self.heads_mm) > 8:
            raise StepError("Fragments: least_ml from 0, and heads_mm of 8 clicks at most are possible.")
        if not (self.label >= 1 and self.most >= 1 and self.label + self.most - 1 <= 254):
            raise StepError(f"Fragments: labels {self.label} to {self.label + self.most - 1}; 1 to 254 are possible.")
        if self.label <= self.of < self.label + self.most and self.of != self.label:
            raise StepError(f"Fragments: label {self.of}, which is divided, is among those of its parts.")
        if not 1 <= self.metal_label <= 255 or self.label <= self.metal_label < self.label + self.most:
            raise StepError(f"metal_label {self.metal_label}: 1 to 255 are possible, without the labels of parts.")


# Steps that mark voxels by what they are, and those that change what an earlier step has marked.
Marking = Scissors | Piece | Values | Bone | Grown | Brush | Outlines | Strokes | Automatic | Lesion | Given
Changing = KeptParts | Shaped | Boolean | Fragments
MaskStep = Marking | Changing


def _check_label(step: Any) -> None:
    for label in (step.label, getattr(step, "of", 0)):
        if not 0 <= label <= 255:
            raise StepError(f"Label {label} is outside 0…255.")
    for name in ("low", "high"):
        if not isfinite(getattr(step, name, 0.0)):
            raise StepError(f"{name} has to be a number.")


def _check_between(what: str, low: float, high: float) -> None:
    if not low <= high:
        raise StepError(f"{what} from {low:g} to {high:g}: there is nothing between.")
