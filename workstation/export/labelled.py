"""Recipes with segments that were made elsewhere, in colour in their renderings."""

from collections.abc import Sequence
from dataclasses import replace

from dicom_io.objects.segmentation_reading import LabelledVolume
from render.geometry import Vector
from render.mask_steps import Given
from render.recipe import LabelRule, Recipe, RecipeError, VolumeRendering

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


def labelled_recipes(recipes: Sequence[Recipe], found: LabelledVolume) -> tuple[Recipe, ...]:
    """Returns the recipes with every segment in a colour of its own in each volume rendering. A rendering that shows
    certain structures alone stays as it is.

    Raises RecipeError where that leaves no rendering.
    """
    coloured = tuple(_coloured(recipe, found) for recipe in recipes)
    if coloured == tuple(recipes):
        raise RecipeError(
            "Segments are coloured in volume renderings that show the whole; there is none to draw. Choose another "
            "protocol or recipe."
        )
    return coloured


def _coloured(recipe: Recipe, found: LabelledVolume) -> Recipe:
    if not isinstance(recipe, VolumeRendering) or any(rule.action == "include" for rule in recipe.masking):
        return recipe
    first = 1 + max([0, *(step.label for step in recipe.segments), *(rule.label for rule in recipe.masking)])
    labels = list(found.names)[: 256 - first]
    steps = [Given(found.mask.digest, found.made_by, label, first + n) for n, label in enumerate(labels)]
    rules = [LabelRule(first + n, "tint", COLOURS[n % len(COLOURS)]) for n in range(len(labels))]
    return replace(recipe, segments=(*recipe.segments, *steps), masking=(*recipe.masking, *rules))
