"""How right registration is: known moves of real series found again, and pairs that must be declined.

`python -m tests.accuracy.registration` prints the section.
"""

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render.geometry import Affine
from render.registration import LEAST_QUALITY, LEAST_SHARPNESS, PLAIN_QUALITY, register
from render.volume import Volume
from tests.dicom_io.real import SAMPLE, real_set
from tests.render.heads import head, move_of, target_error_mm

_BRAIN = "mr_stroke_t1_t2_flair"
_SETS = {
    "head CT (sample)": lambda: SAMPLE,
    "chest CT": lambda: real_set("ct_chest_iv_lidc0001_jls"),
    "pulmonary CT": lambda: real_set("ct_ctpa_rider_jls"),
    "abdomen CT": lambda: real_set("ct_liver_ircad01") / "images",
    "pelvis CT": lambda: real_set("ct_colon_pelvis_hips"),
    "T1": lambda: real_set(_BRAIN) / "T1",
    "T2": lambda: real_set(_BRAIN) / "T2",
    "FLAIR": lambda: real_set(_BRAIN) / "FLAIR",
    "another T1": lambda: real_set("mr_t1_colin27") / "images",
    "fruit MR": lambda: real_set("mr_ge_fruit_sag_196"),
    "TOF": lambda: real_set("mra_circle_of_willis"),
    "liver MR": lambda: real_set("mr_liver_haste_coronal"),
    "FLAIR of another": lambda: real_set("mr_brain_tumour_flair_a") / "HF0990",
    "FLAIR of a third": lambda: real_set("mr_brain_tumour_flair_a") / "HF1139",
    "T1 SE": lambda: real_set("mr_brain_tumour_t1_se"),
}
# Turns about x, y, z in degrees, shift in mm.
_MOVES = (
    ((6.0, -8.0, 10.0), (12.0, -7.0, 15.0)),
    ((-4.0, 3.0, -9.0), (-6.3, 4.1, -21.7)),
)
_OTHERS = (
    ("head CT (sample)", "abdomen CT"),
    ("abdomen CT", "head CT (sample)"),
    ("head CT (sample)", "chest CT"),
    ("head CT (sample)", "pelvis CT"),
    ("head CT (sample)", "fruit MR"),
    ("another T1", "abdomen CT"),
    ("another T1", "fruit MR"),
    ("T1", "chest CT"),
    ("TOF", "abdomen CT"),
    ("liver MR", "another T1"),
    ("chest CT", "abdomen CT"),
    ("chest CT", "pelvis CT"),
    ("chest CT", "pulmonary CT"),
    ("abdomen CT", "pelvis CT"),
    ("liver MR", "abdomen CT"),
    ("another T1", "head CT (sample)"),
    ("T1", "another T1"),
    ("T2", "another T1"),
    ("FLAIR of another", "FLAIR of a third"),
    ("FLAIR of another", "head CT (sample)"),
    ("FLAIR of a third", "head CT (sample)"),
    ("FLAIR of a third", "another T1"),
    ("T1 SE", "head CT (sample)"),
    ("T1", "T1 SE"),
)


MOVED_WORDS = (
    "Mean distance between where points all over the volume were and where the move that was found takes the moved "
    "ones; asked for is 0.3 of a voxel (of its longest side). T1, T2 and FLAIR of one brain come registered, so errors "
    "between them hold that registration's own. A moved CT has every second slice and noise of 20 HU; a moved MR is "
    "sampled anew by splines. Rigid, no shared frame of reference."
)
PHANTOM_WORDS = "Made-up heads of 3.5 mm, random moves up to 12° and 20 mm, every second in another contrast."
OTHER_WORDS = (
    "Pairs that show something else, the last ones heads of two people. A quality below "
    f"{LEAST_QUALITY:g} is declined, and one below {PLAIN_QUALITY:g} with a sharpness below {LEAST_SHARPNESS:g}."
)


def moved_rows() -> list[list[str]]:
    """The header, then a row for each known move of a real series."""
    head = ["fixed", "moving", "move", "error mm", "of a voxel", "quality", "sharpness", "processor s"]
    return [head, *_moved(_volumes())]


def phantom_rows() -> list[list[str]]:
    """The header, then a row for each made-up head."""
    return [["head", "error mm", "of a voxel"], *(list(_phantom(number)) for number in range(8))]


def other_rows() -> list[list[str]]:
    """The header, then a row for each pair that has to be declined."""
    return [["fixed", "moving", "overlap", "quality", "sharpness", "result"], *_others(_volumes())]


def section() -> str:
    """The sections of `docs/accuracy.md`, as Markdown."""
    parts = []
    for title, words, rows in (
        ("Registration: known moves", MOVED_WORDS, moved_rows),
        ("Registration: phantoms", PHANTOM_WORDS, phantom_rows),
        ("Registration: pairs that have to be declined", OTHER_WORDS, other_rows),
    ):
        head, *others = rows()
        table = "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))
        parts.append(f"## {title}\n\n{words}\n\n{table}\n")
    return "\n".join(parts)


@functools.cache
def _volumes() -> dict[str, Volume]:
    return dict(_read())


def _read() -> Iterator[tuple[str, Volume]]:
    for name, folder in _SETS.items():
        if (found := _there(folder)) is not None:
            series = max(open_series(found), key=lambda s: len(s.instances))
            yield name, build_volume(series)


def _there(folder: Callable[[], Path]) -> Path | None:
    try:
        return folder()
    except pytest.skip.Exception:
        return None


def _moved(volumes: dict[str, Volume]) -> Iterator[list[str]]:
    brain = ("T1", "T2", "FLAIR")
    pairs = [(a, b) for a in brain for b in brain]
    pairs += [(name, name) for name in ("another T1", "head CT (sample)", "chest CT", "abdomen CT", "pelvis CT")]
    for fixed, moving in pairs:
        if fixed not in volumes or moving not in volumes:
            continue
        for number, (angles, shift) in enumerate(_MOVES[: 2 if fixed != moving else 1], start=1):
            one, other = volumes[fixed], volumes[moving]
            move = _about(other, move_of(angles, shift))
            began = time.process_time()
            found = register(one, _elsewhere(other, move))
            took = time.process_time() - began
            error = target_error_mm(other, move, found.affine)
            words = found.declined and "declined"
            numbers = (error, error / max(one.spacing_mm), found.quality, found.sharpness)
            yield [fixed, moving, words or str(number), *(f"{each:.2f}" for each in numbers), f"{took:.1f}"]


def _about(volume: Volume, move: Affine) -> Affine:
    """The move about the middle of the volume instead of the scanner's origin."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = volume.centre_mm, [-v for v in volume.centre_mm]
    return np.asarray(there @ move @ back, dtype=np.float64)


def _elsewhere(volume: Volume, move: Affine) -> Volume:
    """The volume moved, as another scan would give it: other voxels, no frame of reference in common."""
    if volume.unit == "HU":
        part = volume.voxels[1::2]
        noise = np.random.default_rng(1).normal(0.0, 20.0, part.shape)
        affine = volume.affine.copy()
        affine[:3, 3] += affine[:3, 0]
        affine[:3, 0] *= 2.0
        return Volume((part + noise).astype(np.int16), move @ affine, "HU")
    # Half a voxel aside, so that no voxel is a copy.
    aside = np.eye(4)
    aside[:3, 3] = 0.5
    shifted = ndimage.shift(volume.voxels.astype(np.float32), (-0.5, -0.5, -0.5), order=3, mode="nearest")
    return Volume(shifted, move @ volume.affine @ aside, volume.unit)


def _phantom(number: int) -> tuple[str, str, str]:
    random = np.random.default_rng(number)
    a, b, c, x, y, z = (float(v) for v in random.uniform(-1.0, 1.0, 6))
    move = move_of((12.0 * a, 12.0 * b, 12.0 * c), (20.0 * x, 20.0 * y, 20.0 * z))
    other = number % 2 == 1
    error = target_error_mm(head(), move, register(head(), head(move, inverted=other)).affine)
    return f"{number + 1}{', other contrast' if other else ''}", f"{error:.2f}", f"{error / 3.5:.2f}"


def _others(volumes: dict[str, Volume]) -> Iterator[list[str]]:
    for fixed, moving in _OTHERS:
        if fixed in volumes and moving in volumes:
            found = register(volumes[fixed], volumes[moving])
            result = "declined" if found.declined else "accepted"
            figures = (found.overlap, found.quality, found.sharpness)
            yield [fixed, moving, *(f"{each:.2f}" for each in figures), result]


if __name__ == "__main__":
    print(section())
