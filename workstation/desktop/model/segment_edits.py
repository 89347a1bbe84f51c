"""Edits of the segments on a screen: each returns a new screen. Knows no Qt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from render.mask_steps import Automatic, Boolean, Brush, Fragments, KeptParts, MaskStep, Shaped, StepError
from workstation.desktop.model.screen import CUT_AWAY, Screen, ScreenSegment, marked_labels

# Told apart by people who are colour-blind too. Source: Okabe and Ito 2008, 'Color universal design'.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")
MOST_SEGMENTS = 60
FULL = f"There are {MOST_SEGMENTS} segments or all labels are taken; remove one first."
MOST_PARTS, _LEAST_PART_ML = 24, 1.5  # bones and fragments


def segment_of(screen: Screen, label: int) -> ScreenSegment | None:
    """Returns the segment of a label."""
    return next((segment for segment in screen.segments if segment.label == label), None)


def free_label(screen: Screen) -> int:
    """Returns the label that the next segment gets. Raises StepError where there is none."""
    if len(screen.segments) >= MOST_SEGMENTS:
        raise StepError(FULL)
    taken = {segment.label for segment in screen.segments} | marked_labels(screen.solid.steps)
    free = next((label for label in range(CUT_AWAY + 1, 256) if label not in taken), None)
    if free is None:
        raise StepError(FULL)
    return free


def segment_added(screen: Screen, name: str, label: int | None = None) -> Screen:
    """Adds an empty segment, in the next colour; under another name where that one is taken. label : None for the next
    one. Raises StepError where there are too many."""
    following, taken = free_label(screen), {segment.name for segment in screen.segments}
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name} {number}", number + 1
    colour = COLOURS[len(screen.segments) % len(COLOURS)]
    return replace(screen, segments=(*screen.segments, ScreenSegment(label or following, unique, colour)))


def segment_removed(screen: Screen, label: int) -> Screen:
    """Removes a segment, and the steps that made it; a part of bones loses its name and colour alone."""
    left = tuple(segment for segment in screen.segments if segment.label != label)
    steps = tuple(step for step in screen.solid.steps if label not in _labels(step))
    return replace(screen, segments=left, solid=replace(screen.solid, steps=steps))


def segment_changed(screen: Screen, label: int, **fields: Any) -> Screen:
    """Changes name, colour, opacity, or where a segment is shown."""
    changed = tuple(replace(each, **fields) if each.label == label else each for each in screen.segments)
    return replace(screen, segments=changed)


def marked(screen: Screen, step: MaskStep, name: str = "") -> Screen:
    """Adds a step that marks or changes a segment; a new one called `name` where its label has none yet."""
    if name and segment_of(screen, step.label) is None:
        screen = segment_added(screen, name, step.label)
    return replace(screen, solid=replace(screen.solid, steps=(*screen.solid.steps, step)))


def bones_in_parts(screen: Screen) -> tuple[MaskStep, ...]:
    """Returns the steps that find bone and part it into single bones and fragments, with labels that are free."""
    bone = max({CUT_AWAY, *marked_labels(screen.solid.steps), *(each.label for each in screen.segments)}) + 1
    part, metal = bone + 1, bone + 1 + MOST_PARTS
    return (
        Automatic("bone", bone),
        Fragments(bone, least_ml=_LEAST_PART_ML, most=MOST_PARTS, metal_label=metal, label=part),
    )


def parts_marked(screen: Screen, steps: Sequence[MaskStep], found: Mapping[int, str]) -> Screen:
    """Adds the steps of `bones_in_parts`, and a segment for each label that they have found, by name."""
    segments = list(screen.segments)
    for label, name in found.items():
        segments.append(ScreenSegment(label, name, COLOURS[len(segments) % len(COLOURS)]))
    solid = replace(screen.solid, steps=(*screen.solid.steps, *steps))
    return replace(screen, segments=tuple(segments), solid=solid)


def seen_through(screen: Screen, around: float) -> Screen:
    """Sets how much is left in 3D of what is in no segment: 1 all of it, 0 nothing."""
    return replace(screen, solid=replace(screen.solid, around=min(max(around, 0.0), 1.0)))


def _labels(step: MaskStep) -> tuple[int, ...]:
    """Returns the labels that a step is about, but those that an eraser takes from."""
    if isinstance(step, Brush) and step.label == 0:
        return ()
    of = (step.of,) if isinstance(step, KeptParts | Shaped | Boolean | Fragments) else ()
    return (step.label, *of)
