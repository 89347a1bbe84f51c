"""Whether a picture shows who the patient is: text burned into its source, or a face."""

import numpy as np
from pydicom.dataset import Dataset

from dicom_io.objects.inherit import inherit
from render.recipe import Recipe, VolumeRendering

# Body parts whose surface shows a face. From PS3.16 Table L-1 (Body Part Examined values).
_WITH_FACE = frozenset("BRAIN EAR EYE FACE HEAD HEADNECK JAW MANDIBLE MAXILLA NOSE ORBIT SINUS SKULL WHOLEBODY".split())
# The values of skin and fat, and the opacity from which they count as visible: own choice, on the safe side.
_SKIN_HU, _SEEN = (-400.0, 0.0), 0.05


def mark_identifying(ds: Dataset, recipe: Recipe, source: Dataset, modality: str) -> None:
    """Sets Burned In Annotation and Recognizable Visual Features. Source: PS3.3 C.7.6.1 (General Image).

    If the source has either, so has every picture made from it. A face is recognisable in a rendering of skin, and in
    MR of nearly every surface; where we do not know, the attribute is left out.
    """
    ds.BurnedInAnnotation = "YES" if source.get("BurnedInAnnotation") == "YES" else "NO"
    inherit(ds, source, "RecognizableVisualFeatures")
    if isinstance(recipe, VolumeRendering) and str(source.get("BodyPartExamined") or "").upper() in _WITH_FACE:
        points = recipe.transfer.points
        opacity = np.interp(np.linspace(*_SKIN_HU, 41), [p.value for p in points], [p.opacity for p in points])
        if modality == "MR" or (recipe.transfer.unit == "HU" and opacity.max() >= _SEEN):
            ds.RecognizableVisualFeatures = "YES"
