"""Carries out the steps of a mask, one after another."""

import threading
import weakref
from collections import OrderedDict
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.mask import Mask
from render.mask_steps import (
    Automatic,
    Bone,
    Boolean,
    Brush,
    Changing,
    Fragments,
    Given,
    Grown,
    KeptParts,
    Lesion,
    Marking,
    MaskStep,
    Outlines,
    Piece,
    Scissors,
    Shaped,
    StepError,
    Strokes,
)
from render.segment.automatic import find
from render.segment.density import bone_by_density
from render.segment.drawn import between_outlines, brushed, scissors
from render.segment.fragments import fragments
from render.segment.given import given_region
from render.segment.grid import VoxelMask, in_bands, in_range
from render.segment.growing import grown_part, piece, strokes
from render.segment.lesion import lesion_region
from render.segment.shaping import combined, parts, shaped
from render.volume import Volume

_REMEMBERED = 3
_known: "weakref.WeakKeyDictionary[Volume, OrderedDict[tuple[MaskStep, ...], Mask]]" = weakref.WeakKeyDictionary()
# What a thread is making, and what its end is told by: a picture, the planes and a record want the same mask at once.
_making: "weakref.WeakKeyDictionary[Volume, dict[tuple[MaskStep, ...], threading.Event]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def made(volume: Volume, steps: tuple[MaskStep, ...]) -> Mask:
    """Makes the mask: each step overwrites the ones before; labels are 0 where no step has set one. The last masks are
    cached, so that an additional step costs one step. What another thread is making already is waited for.

    Raises StepError for a step that cannot be carried out: a seed outside the volume or not within its values, a leak,
    an automatic structure that is not found.
    """
    if not steps:
        return Mask(np.zeros(volume.shape, dtype=np.uint8))
    while True:
        with _lock:
            known, making = dict(_known.get(volume, {})), _making.setdefault(volume, {})
            done = next((n for n in range(len(steps), 0, -1) if steps[:n] in known), 0)
            other = next((making[steps[:n]] for n in range(len(steps), done, -1) if steps[:n] in making), None)
            if done < len(steps) and other is None:
                ended = making[steps] = threading.Event()
                break
        if other is None:
            return known[steps]
        other.wait()  # and look again: it may have failed
    try:
        labels = known[steps[:done]].labels.copy() if done else np.zeros(volume.shape, dtype=np.uint8)
        for step in steps[done:]:
            _carry_out(volume, step, labels)
        mask = Mask(labels)
        with _lock:
            kept = _known.setdefault(volume, OrderedDict())
            kept[steps] = mask
            while len(kept) > _REMEMBERED:
                kept.popitem(last=False)
        return mask
    finally:
        with _lock:
            del making[steps]
        ended.set()


def _carry_out(volume: Volume, step: MaskStep, labels: NDArray[np.uint8]) -> None:
    if isinstance(step, Fragments):
        _divide(volume, step, labels)
        return
    if isinstance(step, KeptParts | Shaped | Boolean):
        of = (labels == step.of).view(np.uint8)
        found = _changed(volume, step, of)
        if step.of == step.label:
            labels[(of == 1) & (found == 0)] = 0
        # What has been marked as something else stays that.
        labels[(found == 1) & ((labels == 0) | (of == 1))] = step.label
        return
    found, wanted = region(volume, step), 0 if step.outside else 1
    in_bands(volume.shape[0], lambda k0, k1: cpu.segments.label_voxels(found, wanted, step.label, k0, k1, labels))


def _divide(volume: Volume, step: Fragments, labels: NDArray[np.uint8]) -> None:
    parts_of = (labels == step.of).view(np.uint8)
    if not parts_of.any():
        raise StepError(f"Label {step.of} is empty: an earlier step has to mark the bones. Nothing was marked.")
    numbers, metal = fragments(volume, parts_of, step)
    numbered = numbers > 0
    labels[numbered] = (numbers[numbered] + (step.label - 1)).astype(np.uint8)
    labels[metal == 1] = step.metal_label


def _changed(volume: Volume, step: KeptParts | Shaped | Boolean, of: VoxelMask) -> VoxelMask:
    if isinstance(step, KeptParts):
        return parts(volume, of, step)
    if isinstance(step, Shaped):
        return shaped(volume, of, step)
    other = made(volume, step.steps).labels != 0
    return combined(of, other.view(np.uint8), step)


def region(volume: Volume, step: MaskStep) -> VoxelMask:
    """Returns (K, J, I) uint8, 1 for the voxels that a step selects, before `label` and `outside`.

    Raises as `made`, and StepError for a step that changes an earlier one.
    """
    if isinstance(step, get_args(Changing)):
        raise StepError(f"{step.kind}: changes what an earlier step has marked, and marks nothing by itself.")
    return _marked(volume, step)  # type: ignore[arg-type]


def _marked(volume: Volume, step: Marking) -> VoxelMask:
    if isinstance(step, Scissors):
        return scissors(volume, step)
    if isinstance(step, Piece):
        return piece(volume, step)
    if isinstance(step, Bone):
        return bone_by_density(volume, step)
    if isinstance(step, Grown):
        return grown_part(volume, step)
    if isinstance(step, Brush):
        return brushed(volume, step)
    if isinstance(step, Outlines):
        return between_outlines(volume, step)
    if isinstance(step, Strokes):
        return strokes(volume, step)
    if isinstance(step, Lesion):
        return lesion_region(volume, step)
    if isinstance(step, Given):
        return given_region(volume, step)
    if isinstance(step, Automatic):
        found = find(volume, step.structure)
        if found.declined:
            raise StepError(found.declined)
        return found.region
    return in_range(volume.voxels, step.low, step.high)
