"""The points of a planning sheet, as a reader names them by words on the pictures. Knows no Qt."""

from collections.abc import Callable, Sequence

from render.geometry import Vector
from render.vessels.evar import EVAR_OPTIONAL, EVAR_POINTS
from render.vessels.tavi import TAVI_OPTIONAL, TAVI_POINTS
from workstation.desktop.model.screen import Measure
from workstation.export.vessel_sheets import PlanningSheet, SheetKind

POINT_NAMES: dict[SheetKind, tuple[str, ...]] = {
    "evar": (*EVAR_POINTS, *EVAR_OPTIONAL),
    "tavi": (*TAVI_POINTS, *TAVI_OPTIONAL),
}


def points_named(measures: Sequence[Measure], say: Callable[[str], str] = str) -> tuple[SheetKind, dict[str, Vector]]:
    """Returns which sheet the words on the pictures name points of, and these points, LPS mm, by their names; of an
    arrow its tip. Without any, that of a stent graft and none. say : the reader's language, in which the points may
    be named as well."""
    names = {say(said(name)).lower(): name for names in POINT_NAMES.values() for name in names}
    named: dict[str, Vector] = {}
    for measure in measures:
        if measure.text:
            words = " ".join(measure.text.lower().split())
            named[names.get(words, words.replace(" ", "_"))] = measure.points_mm[0]
    found: dict[SheetKind, dict[str, Vector]] = {
        kind: {name: named[name] for name in names if name in named} for kind, names in POINT_NAMES.items()
    }
    kind: SheetKind = "tavi" if len(found["tavi"]) > len(found["evar"]) else "evar"
    return kind, found[kind]


def said(name: str) -> str:
    """Returns the name of a point as it is written on a picture."""
    return name.replace("_", " ")


def findings_of(sheet: PlanningSheet, say: Callable[[str], str] = str) -> str:
    """Returns the measures of a sheet for the findings of a report, a part of the anatomy each line; what was not
    measured is said. say : the reader's language, in which they write the report."""
    parts: dict[str, list[str]] = {}
    for row in sheet.rows:
        value = say("not measured") if row.value is None else f"{row.value:.1f} {row.unit}".strip().replace(" °", "°")
        parts.setdefault(row.part, []).append(f"{say(row.measure)} {value}")
    lines = [f"{say(part.capitalize())}: {'; '.join(measures)}." for part, measures in parts.items()]
    return "\n".join([*lines, *map(say, (*sheet.words, *sheet.warnings))])
