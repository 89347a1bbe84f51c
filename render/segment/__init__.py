"""Masks from the steps of a recipe. The same volume and steps give the same mask, on every machine."""

from render.segment.automatic import find
from render.segment.finding import Finding
from render.segment.given import give, given_mask, onto
from render.segment.grid import volume_ml
from render.segment.lesion import LesionMeasures, distances_mm, measure_lesion
from render.segment.making import made, region

__all__ = [
    "Finding",
    "LesionMeasures",
    "distances_mm",
    "find",
    "give",
    "given_mask",
    "made",
    "measure_lesion",
    "onto",
    "region",
    "volume_ml",
]
