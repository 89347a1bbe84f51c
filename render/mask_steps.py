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
        if not self.low <= self.high:
            raise StepError(f"A piece from {self.low:g} to {self.high:g}: there is nothing between.")
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
        if not self.low <= self.high:
            raise StepError(f"Values from {self.low:g} to {self.high:g}: there is nothing between.")


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


MaskStep = Scissors | Piece | Values | Bone


def _check_label(step: Any) -> None:
    if not 0 <= step.label <= 255:
        raise StepError(f"Label {step.label} is outside 0…255.")
    for name in ("low", "high"):
        if not isfinite(getattr(step, name, 0.0)):
            raise StepError(f"{name} has to be a number.")
