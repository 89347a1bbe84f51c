"""Where a picture is put: those of one kind are in one series of the session, a stack of planes is one of its own."""

from dataclasses import dataclass

from dicom_io import codes
from dicom_io.stamp import Stamp
from render.picture import Picture
from render.recipe import CurvedReformat, Projection, Recipe, Reformat, Solid, VolumeRendering


def technique(recipe: Recipe) -> str:
    """Returns the technique of a recipe, named as in the charge facts."""
    if isinstance(recipe, VolumeRendering):
        return "volume_rendering"
    if isinstance(recipe, Projection):
        return {"mip": "mip", "minip": "minip", "average": "average_ip"}[recipe.mode]
    return "mpr" if isinstance(recipe, Reformat) else "curved_mpr"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture is put. instance : the number of its first instance in the series."""

    series_uid: str
    number: int
    description: str
    instance: int = 1


# The series of each kind of single pictures and of rotations: number and description.
_KINDS: dict[str, tuple[int, str]] = {
    "reformat": (9001, "3D workstation: planes"),
    "curved": (9002, "3D workstation: curved reformats"),
    "projection": (9003, "3D workstation: projections"),
    "volume_rendering": (9004, "3D workstation: volume renderings"),
    "rotation": (9005, "3D workstation: rotations"),
}
_STACKS = 9010  # stacks have numbers above this one, by their place among the pictures


def place_of(picture: Picture, number: int, stamp: Stamp) -> Place:
    """Returns the series of a picture. number : its place among the pictures, from 1.

    Whatever stands in an object follows from its UID: a session that is amended may have its pictures in another order.
    """
    recipe, several = picture.recipe, len(picture.pixels) > 1
    if several and not isinstance(recipe, Solid):
        uid = stamp.uid("series", picture.provenance.recipe_digest, picture.digest, str(number))
        name = recipe.name or codes.DERIVATIONS[technique(recipe)].meaning
        return Place(uid, _STACKS + number, name[:64])
    kind = "rotation" if several else "curved" if isinstance(recipe, CurvedReformat) else recipe.kind
    return Place(stamp.uid("series", "pictures", kind), *_KINDS[kind])
