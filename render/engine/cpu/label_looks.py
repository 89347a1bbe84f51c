"""How the rules of a mask change what is seen at a place: colours of tinted labels, opacities of faded ones."""

from typing import Any

from render.engine.cpu.jit import kernel
from render.engine.cpu.sampling import ONE, ZERO, cell


@kernel
def tinted(
    labels: Any, shown: Any, tints: Any, pk: float, pj: float, pi: float, red: Any, green: Any, blue: Any
) -> Any:
    """Returns the colour at a place: the tints of tinted voxels around it and the given colour for the others, by
    trilinear weight.

    tints : (256, 4) float32 red, green, blue, 1 where a label has a tint.
    """
    k, fk = cell(pk, labels.shape[0])
    j, fj = cell(pj, labels.shape[1])
    i, fi = cell(pi, labels.shape[2])
    whole_weight, r, g, b = ZERO, ZERO, ZERO, ZERO
    for corner in range(8):
        dk, dj, di = corner >> 2, (corner >> 1) & 1, corner & 1
        label = labels[k + dk, j + dj, i + di]
        if shown[label]:
            w = (fk if dk else ONE - fk) * (fj if dj else ONE - fj) * (fi if di else ONE - fi)
            plain = tints[label, 3] <= ZERO
            whole_weight += w
            r += w * (red if plain else tints[label, 0])
            g += w * (green if plain else tints[label, 1])
            b += w * (blue if plain else tints[label, 2])
    if whole_weight <= ZERO:
        return red, green, blue
    return r / whole_weight, g / whole_weight, b / whole_weight


@kernel
def fade_at(labels: Any, shown: Any, opacities: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns the scale of the opacity at a place: that of the shown labels around it, by trilinear weight."""
    k, fk = cell(pk, labels.shape[0])
    j, fj = cell(pj, labels.shape[1])
    i, fi = cell(pi, labels.shape[2])
    whole_weight, scale = ZERO, ZERO
    for corner in range(8):
        dk, dj, di = corner >> 2, (corner >> 1) & 1, corner & 1
        label = labels[k + dk, j + dj, i + di]
        if shown[label]:
            w = (fk if dk else ONE - fk) * (fj if dj else ONE - fj) * (fi if di else ONE - fi)
            whole_weight += w
            scale += w * opacities[label]
    return ONE if whole_weight <= ZERO else scale / whole_weight
