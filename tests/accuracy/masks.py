"""The automatic masks against reference masks."""

import time

import numpy as np

from render.mask_steps import Structure
from render.segment import find
from tests.accuracy.real_sets import dice, surface_mm, truth, volume_of

WORDS = (
    "Against experts' masks (`ct_liver_ircad01`) and the published brain mask of `mr_t1_colin27`. Distance: mean "
    "between the surfaces. Time on the machine that wrote the page, other work beside it."
)
BONE_WORDS = (
    "The share of other structures that the bone mask takes with it, which has to be near 0. Masks of "
    "`cta_aorta_dissection_heart` are the output of a model. Its vertebra is a row of what is left out: the reference "
    "has all the marrow, the tool what is denser than 180 HU. Arteries of four voxels across that touch bone or a vein "
    "of undiluted contrast are taken with it: at 1.5 mm nothing tells them from a rib."
)
_CASES: tuple[tuple[str, Structure, tuple[str, ...]], ...] = (
    ("ct_liver_ircad01", "body", ("skin",)),
    ("ct_liver_ircad01", "bone", ("bone",)),
    ("ct_liver_ircad01", "lungs", ("left_lung", "right_lung")),
    ("mr_t1_colin27", "brain", ("brain",)),
)
_TAKEN = (
    ("ct_liver_ircad01", ("artery", "portalvein", "venoussystem", "left_kidney", "right_kidney", "liver")),
    (
        "cta_aorta_dissection_heart",
        (
            *("aorta", "pulmonary_artery", "heart", "common_carotid_artery_left", "brachiocephalic_trunk"),
            *("subclavian_artery_left", "vertebrae_T12"),
        ),
    ),
)
# Where no reference is: what is found, or why it is declined.
_SEEN: tuple[tuple[str, Structure], ...] = (
    ("ct_chest_iv_lidc0001_jls", "lungs"),
    ("ct_chest_iv_lidc0001_jls", "airways"),
    ("ct_chest_iv_lidc0001_jls", "bone"),
    ("ct_liver_ircad01", "airways"),
    ("ct_liver_ircad01", "brain"),
    ("mra_circle_of_willis", "brain"),
)


def rows() -> list[list[str]]:
    table = [["series", "tool", "Dice", "distance, mm", "volume error", "confidence", "seconds"]]
    for name, structure, names in _CASES:
        volume = volume_of(name)
        if volume is None:
            table.append([name, structure, "not on this machine", "", "", "", ""])
            continue
        start = time.perf_counter()
        found = find(volume, structure)
        seconds = time.perf_counter() - start
        wanted = np.logical_or.reduce([truth(name, each, volume) for each in names])
        region = found.region == 1
        error = np.count_nonzero(region) / np.count_nonzero(wanted) - 1.0
        apart = surface_mm(region, wanted, volume.spacing_mm)
        numbers = [f"{dice(region, wanted):.3f}", f"{apart:.2f}", f"{error:+.1%}"]
        table.append([name, structure, *numbers, f"{found.confidence:.2f}", f"{seconds:.1f}"])
    for name, structure in _SEEN:
        volume = volume_of(name)
        if volume is not None:
            found = find(volume, structure)
            said = found.declined or "no reference"
            table.append([name, structure, said, "", "", f"{found.confidence:.2f}", ""])
    return table


def bone_rows() -> list[list[str]]:
    table = [["series", "structure", "share in the bone mask"]]
    for name, names in _TAKEN:
        volume = volume_of(name)
        if volume is None:
            table.append([name, "not on this machine", ""])
            continue
        region = find(volume, "bone").region == 1
        for each in names:
            wanted = truth(name, each, volume)
            share = np.count_nonzero(region & wanted) / np.count_nonzero(wanted)
            table.append([name, each, f"{share:.2%}"])
    return table
