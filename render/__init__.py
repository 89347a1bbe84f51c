"""Pixels: volumes, recipes and the pictures drawn from them. Knows no DICOM, no network, no patient and no money."""

from render.annotate import AnnotationError, annotated
from render.draw import Cancelled, DrawError, draw
from render.geometry import Box, GeometryError, Plane, View
from render.mask import Mask
from render.mask_steps import Bone, MaskStep, Piece, Scissors, StepError, Values
from render.picture import Picture, Provenance, to_rgb
from render.presets import load_preset, load_window, preset_names
from render.progressive import coarser, refined
from render.protocols import Protocol, load_protocol, protocol_names
from render.recipe import (
    Clip,
    ControlPoint,
    CurvedReformat,
    FusedRendering,
    Fusion,
    LabelRule,
    Projection,
    Recipe,
    RecipeError,
    Reformat,
    Rotation,
    Shading,
    TransferFunction,
    VolumeRendering,
    Window,
    read_recipe,
)
from render.reformat_sets import orthogonal, parallel, radial
from render.volume import Volume

__all__ = [
    "AnnotationError",
    "Bone",
    "Box",
    "Cancelled",
    "Clip",
    "ControlPoint",
    "CurvedReformat",
    "DrawError",
    "FusedRendering",
    "Fusion",
    "GeometryError",
    "LabelRule",
    "Mask",
    "MaskStep",
    "Picture",
    "Piece",
    "Plane",
    "Projection",
    "Protocol",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Reformat",
    "Rotation",
    "Scissors",
    "Shading",
    "StepError",
    "TransferFunction",
    "Values",
    "View",
    "Volume",
    "VolumeRendering",
    "Window",
    "annotated",
    "coarser",
    "draw",
    "load_preset",
    "load_protocol",
    "load_window",
    "orthogonal",
    "parallel",
    "preset_names",
    "protocol_names",
    "radial",
    "read_recipe",
    "refined",
    "to_rgb",
]
