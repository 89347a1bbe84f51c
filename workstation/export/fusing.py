"""Recipes with a second series over their reformats: where it lies, and how it is shown."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_io.objects.spatial_registration import read_spatial_registration
from render.fusion import COLOUR_MAPS
from render.geometry import IDENTITY, Matrix
from render.progress import Progress
from render.recipe import Fusion, Recipe, RecipeError, Reformat, VolumeRendering, Window
from render.registration import register
from render.volume import Volume
from workstation.export.registration_files import RegistrationFileError

_MATRIX: TypeAdapter[Matrix] = TypeAdapter(Matrix)
# Uptake and bright signal stand out; what is dark leaves the first volume as it is.
_WINDOW = Window(0.55, 0.9, relative=True)


def fused_recipes(
    recipes: Sequence[Recipe], volume: Volume, second: Volume, move: Path | None, progress: Progress
) -> tuple[Recipe, ...]:
    """Returns the recipes with the second volume over every reformat that does not say itself how.

    move : a file of `workstation register`; None takes the frame of reference that both share, else registers them.
    Raises RecipeError without a reformat, RegistrationFileError where no move is good enough or the file has none.
    """
    said = [recipe for recipe in recipes if isinstance(recipe, Reformat | VolumeRendering) and recipe.fusion]
    unsaid = [recipe for recipe in recipes if isinstance(recipe, Reformat) and not recipe.fusion]
    if not said and not unsaid:
        raise RecipeError(
            "A second series is fused with reformats, and with renderings that say how (`fusion`); there is none of "
            "them to draw. Choose another recipe."
        )
    if not unsaid:
        return tuple(recipes)
    transform = read_move(move, second, volume) if move else _found(volume, second, progress)
    over = Fusion(transform, _WINDOW, COLOUR_MAPS["hot_iron"])
    return tuple(
        replace(recipe, fusion=over) if isinstance(recipe, Reformat) and recipe.fusion is None else recipe
        for recipe in recipes
    )


def read_move(path: Path, moving: Volume, fixed: Volume) -> Matrix:
    """Reads the map of `moving` to `fixed` from .json or a Spatial Registration. Raises RegistrationFileError."""
    if path.suffix.lower() != ".json":
        try:
            return read_spatial_registration(dcmread(path)).move(moving, fixed)
        except InvalidDicomError as error:
            raise RegistrationFileError(f"{path}: neither .json nor DICOM.") from error
    try:
        return _MATRIX.validate_python(json.loads(path.read_text(encoding="utf-8"))["transform"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise RegistrationFileError(
            f"{path}: no `transform` of four rows in it. Write it with `workstation register FIXED MOVING -o FILE`."
        ) from error


def _found(volume: Volume, second: Volume, progress: Progress) -> Matrix:
    if volume.frame_of_reference and volume.frame_of_reference == second.frame_of_reference:
        return IDENTITY
    found = register(volume, second, progress=lambda part: progress("registering", part))
    if found.declined:
        raise RegistrationFileError(f"The second series was not fused: {found.declined}")
    return found.matrix
