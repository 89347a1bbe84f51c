"""Objects stored beside the pictures of a case, as the site chooses: segmentations, surfaces, presentation states."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydicom.dataset import Dataset

from dicom_io.evidence import Measurement, Product
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects.encapsulated_stl import surface_object
from dicom_io.objects.presentation_state import PictureNote, presentation_state
from dicom_io.objects.segmentation import segmentation
from dicom_io.objects.volumetric_state import volumetric_state
from dicom_io.stamp import Stamp
from render.mask import Mask
from render.mask_steps import Given, MaskStep
from render.picture import Picture
from render.recipe import Recipe, Solid
from render.surface import surface
from render.volume import Volume

# Objects stored beside pictures and SR: masks as segmentations and as surfaces (STL), windows and measurements as
# presentation states, the making of views as volumetric presentation states, the pictures of a report as a key object
# selection.
StoredObject = Literal["segmentation", "surface", "presentation", "view", "key_objects"]


def objects_beside(
    wanted: Sequence[StoredObject],
    pictures: Sequence[Picture],
    drawn: Sequence[Product],
    datasets: Sequence[Dataset],
    measurements: Sequence[Measurement],
    volume: Volume,
    series: Series,
    stamp: Stamp,
    notes: Sequence[PictureNote] = (),
) -> list[Dataset]:
    """Makes the objects of a case. drawn, datasets : the results of `products` and `derive` for the pictures. notes :
    words on its planes."""
    found: list[Dataset] = []
    found += _given(pictures, volume, series, stamp)
    for number, (name, steps, mask) in enumerate(_masks(pictures, volume), start=1):
        if "segmentation" in wanted:
            segmented = segmentation(mask, steps, volume, series, stamp, number, name)
            found += [] if segmented is None else [segmented]
        if "surface" in wanted:
            found += _surfaces(name, mask, volume, series, stamp, number)
    source = read_dataset(series.first.path)
    for number, (picture, product) in enumerate(zip(pictures, drawn, strict=True), start=1):
        uids = {image.sop_instance_uid for image in product.images}
        images = [ds for ds in datasets if ds.SOPInstanceUID in uids]
        shown = presentation_state(picture, images, measurements, source, stamp, number, notes)
        if shown is not None and "presentation" not in wanted and "GraphicAnnotationSequence" not in shown:
            shown = None  # measures on a plane are always drawn there: pixels never carry them
        view = volumetric_state(picture, images, series, stamp, number) if "view" in wanted else None
        found += [state for state in (shown, view) if state is not None]
    return found


def _masks(pictures: Sequence[Picture], volume: Volume) -> Iterator[tuple[str, tuple[MaskStep, ...], Mask]]:
    """Yields every mask that a picture was drawn with, once."""
    from render.segment import made  # as late as any mask: see `render.draw`

    known: set[tuple[MaskStep, ...]] = set()
    for picture in pictures:
        steps = _steps(picture.recipe)
        if steps and steps not in known:
            known.add(steps)
            yield f"Mask of {picture.recipe.name or 'a picture'}", steps, made(volume, steps)


def _given(pictures: Sequence[Picture], volume: Volume, series: Series, stamp: Stamp) -> Iterator[Dataset]:
    """Yields the masks that were made elsewhere, whatever the site stores: without them no picture is made again."""
    from render.segment import given_mask

    steps = [step for picture in pictures for step in _steps(picture.recipe) if isinstance(step, Given)]
    for number, digest in enumerate(dict.fromkeys(step.digest for step in steps), start=1):
        mask = given_mask(volume, digest)
        if mask is not None:
            own = [step for step in steps if step.digest == digest]
            kept = segmentation(mask, own, volume, series, stamp, 400 + number, f"Segments by {own[0].made_by}")
            yield from [] if kept is None else [kept]


def _steps(recipe: Recipe) -> tuple[MaskStep, ...]:
    return recipe.segments if isinstance(recipe, Solid) else ()


def _surfaces(name: str, mask: Mask, volume: Volume, series: Series, stamp: Stamp, number: int) -> Iterator[Dataset]:
    for label in range(1, int(mask.labels.max(initial=0)) + 1):
        shape = surface(mask, label, volume)
        if shape is not None:
            yield surface_object(shape, f"{name}, label {label}", volume, series, stamp, 300 * (number - 1) + label)
