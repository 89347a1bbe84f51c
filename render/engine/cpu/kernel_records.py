"""The arguments of the shading kernels as NamedTuples, which numba compiles to their fields."""

from typing import Any, NamedTuple


class TransferTables(NamedTuple):
    """The transfer function as tables.

    colours : (N, 4) float32 red, green, blue, opacity per step. opacities : (N,), that column alone. Entry 0 is for
    first_value; there are entries_per_unit entries for each unit of the volume. first_seen : (2, N) float32, for each
    entry the first visible value when values fall from there, and when they rise.
    visible_range : (2,) values outside have no opacity. gradient_range : low, high; both < 0 for none.
    """

    colours: Any
    opacities: Any
    first_seen: Any
    first_value: Any
    entries_per_unit: Any
    visible_range: Any
    gradient_range: Any


class RayGrid(NamedTuple):
    """The rays of a picture. start, down, right, step : (3,) float64 pixel (0, 0) and the steps to the next row, column
    and sample. In perspective, start, down and right are directions from the eye, and step is not used."""

    start: Any
    down: Any
    right: Any
    step: Any


class Light(NamedTuple):
    """The headlight. terms : (4,) float32 ambient, diffuse, specular, shaded or not (1 or 0). squarings : number of
    squarings of the cosine, for the specular power. towards : (3,) float32 unit LPS vector to the observer and light.
    to_lps : (3, 3) inverse transpose of the affine, index gradient to unit/mm. background : (3,)."""

    terms: Any
    squarings: Any
    towards: Any
    to_lps: Any
    background: Any


class OptionalParts(NamedTuple):
    """Features that most pictures lack: clips, masks, perspective, a placed light, depth cueing, occlusion and shadows.

    clips : (N, 4) float64, see `rays.clip_planes`.
    has_mask, mask_labels, brick_states, label_is_drawn, label_tints : whether there is a mask; (K, J, I) uint8;
        `brick_states`; (256,) uint8; (256, 4) float32 red, green, blue, 1 where a label has a tint.
    has_fades, label_opacities : whether a label is faded; (256,) float32 by which opacities are scaled.
    is_perspective, eye_index, eye_mm, sample_distance_mm : whether rays start at one point, that point in index and LPS
        coordinates, and the distance between samples.
    light_is_placed, towards_light : whether the light is not the observer's, (3,) float32 unit LPS vector.
    depth_cue : (3,) float32 strength, first step, 1 / number of steps over which it grows.
    occlusion_terms : (5,) float32 strength, cells per voxel along k, j, i, width of a cell in mm.
    cell_openness : (CK, CJ, CI) float32, see `cell_openness`, read one cell in front of the surface; in front of a flat
        surface 0.6 of the light arrives.
    shadow_strength : 0…1. cell_lit : (CK, CJ, CI) float32 share of the light that arrives at each cell.
    border_steps : number of steps behind a cut or a mask's border that take their shading from it.
    """

    clips: Any
    has_mask: Any
    mask_labels: Any
    brick_states: Any
    label_is_drawn: Any
    label_tints: Any
    has_fades: Any
    label_opacities: Any
    is_perspective: Any
    eye_index: Any
    eye_mm: Any
    sample_distance_mm: Any
    light_is_placed: Any
    towards_light: Any
    depth_cue: Any
    occlusion_terms: Any
    cell_openness: Any
    shadow_strength: Any
    cell_lit: Any
    border_steps: Any
