"""Recipes with segments that were made elsewhere, in colour in their renderings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dicom_io.objects.segmentation_reading import LabelledVolume
from render.geometry import Vector, View
from render.mask_steps import Given
from render.presets import load_preset
from render.recipe import LabelRule, Recipe, RecipeError, Rotation, VolumeRendering
from render.segment import give
from render.volume import Volume
from workstation.export.label_files import read_labels

# Told apart by people who are colour-blind too. Source: Okabe and Ito 2008, 'Color universal design'.
COLOURS: tuple[Vector, ...] = (
    (0.9, 0.62, 0.0),
    (0.34, 0.71, 0.91),
    (0.0, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.84, 0.37, 0.0),
    (0.8, 0.47, 0.65),
    (0.0, 0.45, 0.7),
)


# How much of the body around segments is left, so that they are seen within it.
_AROUND = 0.02


def with_labels(recipes: Sequence[Recipe], file: Path, volume: Volume) -> tuple[Recipe, ...]:
    """Reads a file of segments, gives them to the volume, and returns the recipes that show them.

    Raises LabelFileError; RecipeError where no recipe is a volume rendering.
    """
    found = read_labels(file, volume)
    give(volume, found.mask)
    return labelled_recipes(recipes, found)


def labelled_recipes(recipes: Sequence[Recipe], found: LabelledVolume) -> tuple[Recipe, ...]:
    """Returns the recipes with every segment in a colour of its own in each volume rendering, and renderings of the
    segments within a see-through body after them. A rendering that shows certain structures alone stays as it is.

    Raises RecipeError where no recipe is a volume rendering.
    """
    first = next((recipe for recipe in recipes if isinstance(recipe, VolumeRendering)), None)
    if first is None:
        raise RecipeError(
            "Segments are coloured in volume renderings; there is none to draw. Choose another protocol or recipe."
        )
    return (*(_coloured(recipe, found) for recipe in recipes), *_within(first, found))


def _within(like: VolumeRendering, found: LabelledVolume) -> Iterator[Recipe]:
    """Yields the segments within a see-through body, from two sides and turning. like : of the same size and unit."""
    soft = load_preset("ct_muscle" if like.transfer.unit in ("HU", "lumen") else "mr_default")
    around = LabelRule(0, "fade", opacity=_AROUND)
    sides = (("anterior", "anterior", None), ("left", "left", None), ("turn", "anterior", Rotation(36)))
    for name, view, turn in sides:
        plain = VolumeRendering(
            soft,
            View.parse(view),
            turn,
            like.rows,
            like.columns,
            fit="body",
            masking=(around,),
            segments=(),
            name=f"Segments within the body, {name}",
        )
        yield _coloured(plain, found)


def _coloured(recipe: Recipe, found: LabelledVolume) -> Recipe:
    if not isinstance(recipe, VolumeRendering) or any(rule.action == "include" for rule in recipe.masking):
        return recipe
    first = 1 + max([0, *(step.label for step in recipe.segments), *(rule.label for rule in recipe.masking)])
    labels = list(found.names)[: 256 - first]
    steps = [Given(found.mask.digest, found.made_by, label, first + n) for n, label in enumerate(labels)]
    rules = [LabelRule(first + n, "tint", COLOURS[n % len(COLOURS)]) for n in range(len(labels))]
    return replace(recipe, segments=(*recipe.segments, *steps), masking=(*recipe.masking, *rules))
