"""A vessel measured, as JSON and as files: curved pictures, sections, the curve of its diameter, and a table."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from render import draw
from render.geometry import Vector
from render.vessels.aneurysm import WIDENED, Aneurysm, Neck, aneurysm
from render.vessels.centreline import Vessel, follow, follow_by_hand
from render.vessels.measures import Bend, Stenosis, Widest, bends, stenosis, widest
from render.vessels.pictures import vessel_pictures
from render.volume import Volume
from workstation.export.contact_sheet import contact_sheet, save_pngs

_ROUND = 3
_RESOLVED = 2.0  # voxels across a lumen that is seen as one
_PLAIN = 0.6  # an aneurysm that nobody asked for is told from this confidence on


@dataclass(frozen=True, slots=True)
class MeasuredVessel:
    """A vessel and what is measured along it. references_mm : where along it the caller says that it is healthy.
    aneurysm : None where nobody asked for one, and none is plain to see. voxel_mm : the longest side of a voxel.
    """

    vessel: Vessel
    stenosis: Stenosis
    widest: Widest
    bends: tuple[Bend, ...]
    references_mm: tuple[float, ...]
    aneurysm: Aneurysm | None = None
    voxel_mm: float = 0.0

    @property
    def is_estimate(self) -> bool:
        """Whether the narrowest lumen is too narrow to be resolved: blur has filled it; it may be narrower still."""
        return self.stenosis.least_mm < _RESOLVED * self.voxel_mm


def measure(
    volume: Volume,
    through_mm: Sequence[Vector],
    references_mm: Sequence[Vector],
    *,
    wants_aneurysm: bool = False,
    by_hand: bool = False,
) -> MeasuredVessel:
    """Follows a vessel through points and measures it; references : points beside its healthy parts, LPS mm. by_hand :
    the points are its line, as a person laid it.

    Raises VesselError.
    """
    vessel = follow_by_hand(volume, through_mm) if by_hand else follow(volume, through_mm)
    along = vessel.places_of(references_mm)
    sac: Aneurysm | None = aneurysm(vessel, along if wants_aneurysm or len(along) > 1 else ())
    if sac is not None and not wants_aneurysm and (sac.ratio < WIDENED or sac.confidence < _PLAIN):
        sac = None
    return MeasuredVessel(
        vessel, stenosis(vessel, along), widest(vessel), bends(vessel), along, sac, max(volume.spacing_mm)
    )


def as_json(found: MeasuredVessel) -> dict[str, Any]:
    """JSON-ready: lengths in mm, areas in mm², points LPS mm."""
    vessel, narrow, wide = found.vessel, found.stenosis, found.widest
    least, greatest, mean = vessel.sections.diameters_mm
    samples = [
        {
            "along_mm": _short(vessel.along_mm[n]),
            "position_mm": _point(vessel.centreline_mm[n]),
            "tangent": _point(vessel.sections.tangents[n]),
            "area_mm2": _short(vessel.sections.areas_mm2[n]),
            "diameter_min_mm": _short(least[n]),
            "diameter_max_mm": _short(greatest[n]),
            "diameter_mean_mm": _short(mean[n]),
            "edge_seen": bool(vessel.sections.closed[n]),
        }
        for n in range(len(vessel.along_mm))
    ]
    return {
        "length_mm": _short(vessel.length_mm),
        "tortuosity": _short(vessel.tortuosity),
        "stenosis": {
            "at_mm": _short(narrow.at_mm),
            "position_mm": _point(narrow.position_mm),
            "diameter_mm": _short(narrow.least_mm),
            "nascet_percent": round(narrow.nascet_percent, 1),
            "ecst_percent": round(narrow.ecst_percent, 1),
            "area_percent": round(narrow.area_percent, 1),
            "reference_mm": _short(narrow.reference_mm),
            "is_estimate": found.is_estimate,
        },
        "maximum_diameter_mm": _short(wide.diameter_mm),
        "maximum_at_mm": _short(wide.at_mm),
        "maximum_position_mm": _point(wide.position_mm),
        "aneurysm": None if found.aneurysm is None else aneurysm_json(found.aneurysm),
        "angles_deg": [round(bend.angle_deg, 1) for bend in found.bends],
        "angles_at_mm": [_short(bend.at_mm) for bend in found.bends],
        "centerline_mm": [sample["position_mm"] for sample in samples],
        "samples": samples,
    }


def aneurysm_json(sac: Aneurysm) -> dict[str, Any]:
    """JSON-ready: lengths in mm, the sac in ml; nothing but the reason where it is declined."""
    if sac.declined:
        return {"confidence": 0.0, "declined": sac.declined}
    return {
        "diameter_mm": _short(sac.diameter_mm),
        "across_mm": _short(sac.across_mm),
        "at_mm": _short(sac.at_mm),
        "position_mm": _point(sac.position_mm),
        "healthy_mm": _short(sac.healthy_mm),
        "ratio": round(sac.ratio, 2),
        "begin_mm": _short(sac.begin_mm),
        "end_mm": _short(sac.end_mm),
        "sac_ml": _short(sac.sac_ml),
        "proximal_neck": _neck_json(sac.proximal),
        "distal_neck": _neck_json(sac.distal),
        "confidence": sac.confidence,
        "warnings": list(sac.warnings),
        "declined": "",
    }


def _neck_json(neck: Neck | None) -> dict[str, Any] | None:
    if neck is None:
        return None
    numbers = asdict(neck)
    place = _point(numbers.pop("position_mm"))
    return {**{key: _short(value) for key, value in numbers.items()}, "position_mm": place}


def aneurysm_in_words(sac: Aneurysm) -> list[str]:
    """What a report would say of an aneurysm, in a few lines."""
    if sac.declined:
        return [f"aneurysm declined: {sac.declined}"]
    lines = [
        f"aneurysm {sac.diameter_mm:.1f} mm across the centreline at {sac.at_mm:.0f} mm, {sac.ratio:.1f} times the "
        f"healthy {sac.healthy_mm:.1f} mm; from {sac.begin_mm:.0f} to {sac.end_mm:.0f} mm, lumen {sac.sac_ml:.1f} ml; "
        f"confidence {sac.confidence:.2f}"
    ]
    for words, neck in (("proximal", sac.proximal), ("distal", sac.distal)):
        lines.append(
            f"{words} neck: not seen; follow the vessel further"
            if neck is None
            else f"{words} neck {neck.diameter_mm:.1f} mm, {neck.length_mm:.1f} mm long, angulated by "
            f"{neck.angulation_deg:.0f}° against the sac"
        )
    lines += [f"look: {warning}" for warning in sac.warnings]
    return [*lines, "the lumen alone is measured: thrombus at the wall is no part of it"]


def in_words(found: MeasuredVessel) -> str:
    """What a report would say of it, in a few lines."""
    narrow, wide = found.stenosis, found.widest
    lines = [
        f"length {found.vessel.length_mm:.1f} mm, tortuosity {found.vessel.tortuosity:.2f}",
        f"narrowest {narrow.least_mm:.1f} mm at {narrow.at_mm:.0f} mm: NASCET {narrow.nascet_percent:.0f} % against "
        f"{narrow.reference_mm:.1f} mm, ECST {narrow.ecst_percent:.0f} %, area {narrow.area_percent:.0f} %",
        f"widest {wide.diameter_mm:.1f} mm at {wide.at_mm:.0f} mm, elsewhere {wide.elsewhere_mm:.1f} mm",
        *(f"angle {bend.angle_deg:.0f}° at {bend.at_mm:.0f} mm" for bend in found.bends),
    ]
    if found.is_estimate:
        lines.append(
            f"warning: the narrowest lumen is less than {_RESOLVED:g} voxels wide: its diameter is an estimate from "
            "its brightness, and the stenosis a lower bound"
        )
    if found.aneurysm is not None:
        lines += aneurysm_in_words(found.aneurysm)
    unseen = int((~found.vessel.sections.closed).sum())
    if unseen:
        lines.append(f"warning: of {unseen} of {len(found.vessel.along_mm)} sections the edge is not seen all round")
    return "\n".join(lines)


def write(found: MeasuredVessel, volume: Volume, output: Path) -> list[Path]:
    """Writes the pictures, their overview, the curve of diameter and area, and `samples.csv`. Returns the files."""
    places = {"Narrowest": found.stenosis.at_mm, "Widest": found.widest.at_mm}
    if found.aneurysm is not None and not found.aneurysm.declined:
        sac = found.aneurysm
        places["Sac"] = sac.at_mm
        places |= {
            f"{words} neck": neck.at_mm
            for words, neck in (("Proximal", sac.proximal), ("Distal", sac.distal))
            if neck is not None
        }
    places |= {f"Reference {number}": at for number, at in enumerate(found.references_mm, 1)}
    pictures = [draw(volume, recipe) for recipe in vessel_pictures(found.vessel, places)]
    files = [file for number, picture in enumerate(pictures, 1) for file in save_pngs(number, picture, output)]
    files.append(contact_sheet(pictures, output / "contact_sheet.png"))
    files.append(_curve(found, output / "diameter.png"))
    table = output / "samples.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        samples = as_json(found)["samples"]
        writer = csv.writer(file)
        flat = [{**s, **{f"{axis}_mm": v for axis, v in zip("xyz", s["position_mm"], strict=True)}} for s in samples]
        columns = ["along_mm", "x_mm", "y_mm", "z_mm", "area_mm2"]
        columns += ["diameter_min_mm", "diameter_max_mm", "diameter_mean_mm", "edge_seen"]
        writer.writerow(columns)
        writer.writerows([sample[column] for column in columns] for sample in flat)
    return [*files, table]


def _curve(found: MeasuredVessel, path: Path) -> Path:
    """Draws diameter and area against the length."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    along, sections = found.vessel.along_mm, found.vessel.sections
    least, greatest, mean = sections.diameters_mm
    figure = Figure(figsize=(9, 5), dpi=110)
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.fill_between(along, least, greatest, color="0.85", label="least to greatest")
    above.plot(along, mean, color="tab:red", label="mean (circle of the same area)")
    marks = [("narrowest", found.stenosis.at_mm, "tab:blue"), ("widest", found.widest.at_mm, "tab:green")]
    marks += [("reference", at, "0.4") for at in found.references_mm]
    for words, at, colour in marks:
        for axes in (above, below):
            axes.axvline(at, color=colour, linewidth=1, linestyle="--")
        above.annotate(words, (at, 1.0), xycoords=("data", "axes fraction"), color=colour, fontsize=8, ha="center",
                       xytext=(0, 3), textcoords="offset points")  # fmt: skip
    above.axhline(found.stenosis.reference_mm, color="tab:blue", linewidth=0.6, linestyle=":")
    above.set_ylabel("diameter, mm")
    above.set_ylim(bottom=0)
    above.legend(loc="lower right", fontsize=8)
    below.plot(along, sections.areas_mm2, color="tab:red")
    below.set_ylabel("area, mm²")
    below.set_ylim(bottom=0)
    below.set_xlabel("along the vessel, mm")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _short(value: Any) -> float:
    return round(float(value), _ROUND)


def _point(place: Any) -> list[float]:
    return [_short(value) for value in place]
