"""Pictures of all vessels at once, as recipes: alone, and behind bones that are seen through."""

from dataclasses import replace

from render.contrast import contrast_levels
from render.geometry import Vector, View
from render.mask_steps import Automatic, Grown, KeptParts, MaskStep
from render.presets import load_preset
from render.recipe import LabelRule, Projection, Recipe, Rotation, VolumeRendering, Window
from render.resolve import value_range
from render.segment import find
from render.vessels.lumen import VesselError
from render.volume import Volume

TREE, BONES = 1, 2
# Bone is seen as through milk glass: own choice, between its outline lost and the vessels hidden.
_LEFT = 0.12
_IVORY: Vector = (0.93, 0.9, 0.82)
# Shares of an angiogram's own range: sure blood, and what may be a vessel beside it. Own choice, on time of flight.
_CORE, _EDGE = 0.75, 0.45
_LEAST_ML = 0.15
_MOST_SHARE = 0.08  # of the voxels: more is no tree but tissue
_FRAMES = 36


def tree_pictures(volume: Volume) -> tuple[Recipe, ...]:
    """Returns the recipes of a volume's vessels: a MIP and a rendering of them alone, the rendering as a turn, and,
    in CT, before and behind bones that are seen through.

    Raises VesselError where no dye is seen, or nothing that looks like vessels.
    """
    if volume.unit == "HU":
        return _of_ct(volume)
    return _of_mr(volume)


def _of_ct(volume: Volume) -> tuple[Recipe, ...]:
    found, levels = find(volume, "vessels"), contrast_levels(volume)
    if found.declined or levels is None:
        raise VesselError(found.declined or "No vessel filled with dye is seen. Nothing was drawn.")
    steps: tuple[MaskStep, ...] = (Automatic("vessels", label=TREE),)
    alone = (LabelRule(TREE, "include"),)
    contrast = levels.lumen - levels.tissue
    window = Window(round(levels.tissue + 0.9 * contrast, 1), round(2.0 * contrast, 1))
    pictures = _alone(VolumeRendering(load_preset("ct_vessels")), window, steps, alone)
    bones = find(volume, "bone")
    if bones.declined:
        return pictures
    bone = (
        LabelRule(BONES, "include"),
        LabelRule(BONES, "tint", _IVORY),
        LabelRule(BONES, "fade", opacity=_LEFT),
    )
    through = VolumeRendering(
        load_preset("ct_vessels"),
        segments=(Automatic("bone", label=BONES), *steps),
        masking=(*alone, *bone),
        fit="shown",
        name="Vessels, bones faded",
    )
    return (
        *pictures,
        through,
        replace(through, view=View.parse("left"), name="Vessels, bones faded, left"),
        replace(through, view=View.parse("posterior"), name="Vessels, bones faded, posterior"),
    )


def _of_mr(volume: Volume) -> tuple[Recipe, ...]:
    low, high = value_range(volume)
    scale = high - low
    edge, core = round(low + _EDGE * scale, 1), round(low + _CORE * scale, 1)
    most = volume.ends[1]
    if float((volume.voxels >= edge).mean()) > _MOST_SHARE or most <= core:
        raise VesselError(
            "Vessels do not stand out of this volume: too much of it is as bright as blood. Nothing was drawn; an "
            "angiogram is needed."
        )
    steps: tuple[MaskStep, ...] = (
        Grown((), edge, most, core_low=core, core_high=most, reach_mm=30.0, label=TREE),
        KeptParts(of=TREE, least_ml=_LEAST_ML, label=TREE),
    )
    base = VolumeRendering(load_preset("mr_angio_tof"))
    # From the edge of the vessels to their brightest: the range of the volume leaves them all white.
    window = Window(round(0.5 * (edge + most), 1), round(most - edge, 1))
    return _alone(base, window, steps, (LabelRule(TREE, "include"),))


def _alone(
    base: VolumeRendering, window: Window, steps: tuple[MaskStep, ...], rules: tuple[LabelRule, ...]
) -> tuple[Recipe, ...]:
    views = ("anterior", "left", "head")
    mips = [
        Projection("mip", window, View.parse(view), segments=steps, masking=rules, fit="shown", name=f"MIP, {view}")
        for view in views
    ]
    alone = replace(base, segments=steps, masking=rules, fit="shown")
    drawn = [replace(alone, view=View.parse(view), name=f"Vessels, {view}") for view in views]
    turn = replace(alone, rotation=Rotation(_FRAMES), name="Vessels, turn")
    return (*mips, *drawn, turn)
