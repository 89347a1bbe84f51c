"""The masks that segments make: made beside the window, laid over its planes, and what each segment holds."""

from collections.abc import Callable
from functools import partial

from render.mask import Mask
from render.mask_steps import MaskStep
from render.segment import made
from render.segment.grid import voxel_mm3
from render.volume import Volume
from workstation.desktop.model.screen import MAIN, PaneName, Screen, is_slice


class SegmentMasks:
    """The newest mask of a volume's segments. ask_errand : runs slow work on a thread, one after another."""

    def __init__(self, volume: Volume, ask_errand: Callable[[Callable[[], None]], None]) -> None:
        self._volume, self._ask_errand = volume, ask_errand
        self._masks: dict[tuple[MaskStep, ...], Mask] = {}
        self._millilitres: dict[int, float] = {}
        self._wanted: tuple[MaskStep, ...] = ()

    def of(self, screen: Screen) -> Mask | None:
        """Returns the mask of a screen's segments; None while it is being made, and where there are none."""
        return self._masks.get(screen.solid.steps)

    def seek(self, screen: Screen) -> None:
        """Has the mask of a screen's segments made, unless it is there or being made."""
        steps = screen.solid.steps if screen.segments else ()
        if steps == self._wanted:
            return
        self._wanted = steps
        if steps and steps not in self._masks:
            self._ask_errand(partial(self._make, steps))

    def _make(self, steps: tuple[MaskStep, ...]) -> None:
        if steps != self._wanted or steps in self._masks:
            return  # undone meanwhile: it would take the place of the one that is shown
        mask = made(self._volume, steps)
        voxel_ml = voxel_mm3(self._volume) / 1000.0
        self._millilitres = {label: float(count) * voxel_ml for label, count in enumerate(mask.counts)}
        self._masks = {steps: mask}

    def over(self, screen: Screen, pane: PaneName) -> tuple[Mask | None, tuple[tuple[int, str], ...]]:
        """Returns the mask that a plane shows, and the colours of its segments, #rrggbb by label."""
        shown = tuple((each.label, each.colour) for each in screen.segments if each.in_planes)
        mask = self.of(screen) if shown and is_slice(pane) and pane in MAIN else None
        return mask, shown if mask is not None else ()

    def millilitres(self, screen: Screen, label: int) -> float | None:
        """Returns what a segment holds; None while that is being counted."""
        return self._millilitres.get(label, 0.0) if self.of(screen) is not None else None
