"""Sheets for the planning of stent grafts (EVAR) and valves (TAVI): a page, JSON and a table."""

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from render import draw
from render.curved import Points
from render.geometry import Vector
from render.picture import Picture, to_rgb
from render.recipe import Recipe, canonical_json
from render.vessels.evar import NECK_MM, Diameters, EvarSheet, measure_evar
from render.vessels.pictures import curved_pictures, plane_across, section_at
from render.vessels.tavi import TaviSheet, measure_tavi
from render.volume import Volume
from workstation.export.pages import scale_and_sides

SheetKind = Literal["evar", "tavi"]
SHEETS: tuple[SheetKind, ...] = ("evar", "tavi")
_ROUND = 2
_NOT_MEASURED = "not measured"
_FOOT = "Not cleared for diagnosis. Check every section before a device is chosen."


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One measure of a sheet: its part of the anatomy, its name, value (None where it is not measured) and unit."""

    part: str
    measure: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class PlanningSheet:
    """A sheet before it is drawn. rows : the table. recipes : its pictures. outlines : LPS mm, by the name of a
    picture. words : lines below the table, such as angles of a C-arm. warnings : what the reader has to know."""

    kind: SheetKind
    rows: tuple[SheetRow, ...]
    recipes: tuple[Recipe, ...]
    outlines: dict[str, Points]
    words: tuple[str, ...]
    warnings: tuple[str, ...]


def planning_sheet(kind: SheetKind, volume: Volume, points: Mapping[str, Vector]) -> PlanningSheet:
    """Measures a sheet. points : LPS mm by the names that it knows. Raises VesselError."""
    return _evar(measure_evar(volume, points)) if kind == "evar" else _tavi(measure_tavi(volume, points))


def sheet_json(sheet: PlanningSheet) -> dict[str, Any]:
    """JSON-ready: the rows by part and measure, with the unit at the end of each key."""
    parts: dict[str, dict[str, float | None]] = {}
    for row in sheet.rows:
        key = "_".join(row.measure.replace(",", "").split())
        unit = {"mm": "_mm", "mm²": "_mm2", "ml": "_ml", "°": "_deg"}.get(row.unit, "")
        parts.setdefault("_".join(row.part.split()), {})[f"{key}{unit}"] = row.value
    return {"sheet": sheet.kind, **parts, "views": list(sheet.words), "warnings": list(sheet.warnings)}


def sheet_in_words(sheet: PlanningSheet) -> str:
    """The table as lines of text."""
    lines = [f"{row.part:16s} {row.measure:34s} {_cell(row)}" for row in sheet.rows]
    return "\n".join([*lines, *sheet.words, *(f"warning: {words}" for words in sheet.warnings)])


def write_sheet(sheet: PlanningSheet, volume: Volume, output: Path) -> list[Path]:
    """Writes the page (PNG), the measures (JSON, CSV) and the recipes of its pictures. Returns the files."""
    output.mkdir(parents=True, exist_ok=True)
    page, table, data = (output / f"{sheet.kind}.{ending}" for ending in ("png", "csv", "json"))
    page.write_bytes(sheet_page(sheet, volume))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "measure", "value", "unit"])
        writer.writerows(
            [row.part, row.measure, "" if row.value is None else row.value, row.unit] for row in sheet.rows
        )
    recipes = [json.loads(canonical_json(recipe)) for recipe in sheet.recipes]
    text = json.dumps({**sheet_json(sheet), "recipes": recipes}, indent=2, ensure_ascii=False)
    data.write_text(text + "\n", encoding="utf-8")
    return [page, table, data]


def _row(part: str, measure: str, value: float | None, unit: str = "mm") -> SheetRow:
    return SheetRow(part, measure, None if value is None else round(float(value), _ROUND), unit)


def _diameters(part: str, where: str, found: Diameters | None) -> list[SheetRow]:
    values = (None,) * 3 if found is None else (found.mean_mm, found.least_mm, found.greatest_mm)
    words = (f"diameter {where}".strip(), f"least {where}".strip(), f"greatest {where}".strip())
    return [_row(part, measure, value) for measure, value in zip(words, values, strict=True)]


def _evar(found: EvarSheet) -> PlanningSheet:
    sac = found.sac
    rows = [r for way, one in zip(NECK_MM, found.neck, strict=False) for r in _diameters("neck", f"at {way:g} mm", one)]
    rows += [
        _row("neck", "length", found.neck_mm),
        _row("neck", "alpha, suprarenal to neck", found.alpha_deg, "°"),
        _row("neck", "beta, neck to sac", found.beta_deg, "°"),
        _row("sac", "greatest diameter", None if sac.declined else sac.diameter_mm),
        _row("sac", "lumen", None if sac.declined else sac.sac_ml, "ml"),
        _row("aorta", "renal to bifurcation", found.renal_to_bifurcation_mm),
        *_diameters("bifurcation", "above", found.bifurcation),
    ]
    vessel = found.iliacs[0].vessel
    recipes: list[Recipe] = [
        section_at(vessel, one.at_mm, f"Neck, {way:g} mm below") for way, one in zip(NECK_MM, found.neck, strict=False)
    ]
    if not sac.declined:
        recipes.append(section_at(vessel, sac.at_mm, "Sac, widest"))
    recipes.append(section_at(vessel, found.bifurcation.at_mm, "Above the bifurcation"))
    for iliac in found.iliacs:
        part = f"{iliac.side} iliac"
        rows += [
            *_diameters(part, "at its end", iliac.end),
            _row(part, "widest diameter", iliac.widest.greatest_mm),
            _row(part, "landing length", iliac.landing_mm),
            _row(part, "bifurcation to end", iliac.bifurcation_to_end_mm),
            _row(part, "renal to end", iliac.renal_to_end_mm),
            _row(part, "access, least diameter", iliac.access.mean_mm),
        ]
        recipes.append(section_at(iliac.vessel, iliac.end.at_mm, f"{part.capitalize()}, end"))
        recipes.append(section_at(iliac.vessel, iliac.access.at_mm, f"{part.capitalize()}, narrowest"))
    straight = [_named(curved_pictures(one.vessel)[-1], f"Straightened, {one.side}") for one in found.iliacs]
    words = (
        "The neck is conical." if found.conical else "The neck is not conical.",
        "Angles: 0° is in line. Diameters: mean (of a circle of the same area), least, greatest, at right angles.",
    )
    return PlanningSheet("evar", tuple(rows), (*straight, *recipes), {}, words, found.warnings)


def _tavi(found: TaviSheet) -> PlanningSheet:
    ring = found.annulus
    rows = [
        *(
            _row("annulus", measure, value if ring.is_ring else None, unit)
            for measure, value, unit in (
                ("area", ring.area_mm2, "mm²"),
                ("perimeter", ring.perimeter_mm, "mm"),
                ("diameter by area", ring.area_diameter_mm, "mm"),
                ("diameter by perimeter", ring.perimeter_diameter_mm, "mm"),
                ("least diameter", ring.least_mm, "mm"),
                ("greatest diameter", ring.greatest_mm, "mm"),
                ("eccentricity", ring.eccentricity, ""),
            )
        ),
        *(_row("coronary", f"height, {side}", found.coronary_mm.get(side)) for side in ("left", "right")),
        *_diameters("sinus", "", found.sinus),
        *_diameters("stj", "", found.stj),
        _row("aorta", "angulation, coronal", found.angulation_deg, "°"),
        _row("aorta", "tilt of the annulus", found.tilt_deg, "°"),
        _row("access", "least diameter", None if found.access is None else found.access.mean_mm),
    ]
    levels = found.aorta.levels
    side = max(50.0, 1.8 * ring.greatest_mm)
    recipes: list[Recipe] = [
        plane_across(np.array(ring.centre_mm), np.array(ring.normal), side, levels, "Annulus"),
        *(
            section_at(found.aorta, one.at_mm, name)
            for name, one in (("Sinus, widest", found.sinus), ("Sinotubular junction", found.stj))
            if one is not None
        ),
        _named(curved_pictures(found.aorta)[-1], "Root and aorta, straightened"),
    ]
    if found.access is not None and found.access_vessel is not None:
        recipes.append(section_at(found.access_vessel, found.access.at_mm, "Access, narrowest"))
        recipes.append(_named(curved_pictures(found.access_vessel)[-1], "Access, straightened"))
    words = (
        f"C-arm, three cusps side by side: {found.three_cusps.words}",
        f"C-arm, right and left cusp over each other: {found.overlap.words}",
        "Annulus as a line: " + "; ".join(one.words for one in found.perpendicular[1:-1:2]),
    )
    return PlanningSheet("tavi", tuple(rows), tuple(recipes), {"Annulus": ring.outline_mm}, words, found.warnings)


def _named(recipe: Any, name: str) -> Recipe:
    changed: Recipe = replace(recipe, name=name, count=1)
    return changed


def _cell(row: SheetRow) -> str:
    return _NOT_MEASURED if row.value is None else f"{row.value:.{2 if not row.unit else 1}f} {row.unit}".strip()


def sheet_page(sheet: PlanningSheet, volume: Volume, say: Callable[[str], str] = str) -> bytes:
    """Draws the page, its table and its pictures, as a PNG of 1600 x 1000 pixels. say : its words in the language of
    the reader."""
    pictures = [draw(volume, recipe) for recipe in sheet.recipes]
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 10), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    title = {"evar": "Aorta and iliac arteries before EVAR", "tavi": "Aortic root before TAVI"}[sheet.kind]
    figure.text(0.015, 0.965, say(title), fontsize=17, weight="bold", va="center")
    top, last = 0.935, ""
    step = min(0.0225, 0.78 / (len(sheet.rows) + len({row.part for row in sheet.rows}) * 0.5))
    for row in sheet.rows:
        if row.part != last:
            top, last = top - 0.5 * step, row.part
            words = "STJ" if row.part == "stj" else row.part.capitalize()
            figure.text(0.015, top, say(words), fontsize=9, weight="bold", va="center")
        figure.text(0.095, top, say(row.measure), fontsize=9, va="center")
        colour = "0.5" if row.value is None else "black"
        figure.text(0.315, top, say(_cell(row)), fontsize=9, va="center", ha="right", color=colour)
        top -= step
    for line in (*sheet.words, *sheet.warnings):
        for part in textwrap.wrap(say(line), 66):
            figure.text(0.015, top - 0.4 * step, part, fontsize=8, va="center", color="0.25")
            top -= 0.017
    figure.text(0.015, 0.012, say(_FOOT), fontsize=8)
    long = [one for one in pictures if one.recipe.kind == "curved_reformat"]
    square = [one for one in pictures if one.recipe.kind != "curved_reformat"]
    columns = 3 if len(square) > 4 else 2
    wide = 0.66 * (1.0 - 0.17 * len(long))
    for number, picture in enumerate(square):
        rows = -(-len(square) // columns)
        width, height = wide / columns, 0.96 / rows
        left, low = 0.335 + width * (number % columns), 0.98 - height * (number // columns + 1)
        axes = figure.add_axes((left, low, width * 0.97, height * 0.9))
        axes.imshow(to_rgb(picture, 0))
        _outline(axes, picture, sheet.outlines.get(picture.recipe.name))
        scale_and_sides(axes, picture)
        axes.set_title(say(picture.recipe.name), fontsize=9, pad=2)
        axes.set_axis_off()
    for number, picture in enumerate(long):
        width = (0.66 - wide) / len(long)
        axes = figure.add_axes((0.335 + wide + width * number, 0.02, width * 0.95, 0.93))
        axes.imshow(to_rgb(picture, 0))
        axes.set_title(say(picture.recipe.name), fontsize=9, pad=2)
        axes.set_axis_off()
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _outline(axes: Any, picture: Picture, places: Points | None) -> None:
    if places is None:
        return
    plane = picture.planes[0]
    offset = np.vstack([places, places[:1]]) - np.array(plane.origin_mm)
    sides = [np.array(way) / (np.array(way) @ np.array(way)) for way in (plane.right_mm, plane.down_mm)]
    across, down = (offset @ side for side in sides)
    axes.plot(across, down, color="yellow", linewidth=1.2)
