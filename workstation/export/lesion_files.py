"""A lesion measured, alone or against a prior, as JSON and in words."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dicom_io.dates import day_of
from dicom_io.files.series import Series
from render.follow_up import SURE_PERCENT, LesionChange, compare_lesion
from render.geometry import Vector
from render.progress import Progress
from render.registration import register
from render.segment import LesionMeasures, distances_mm, measure_lesion
from render.volume import Volume
from workstation.export.label_files import read_labels

_WithVolume = tuple[Volume, Series]
_NUMBERS = ("volume_ml", "longest_mm", "recist_mm", "short_axis_mm", "mean", "sd", "minimum", "maximum")


@dataclass(frozen=True, slots=True)
class LesionFound:
    """What `workstation lesion` prints: as JSON, in words, with warnings; or why it declined."""

    as_json: dict[str, Any]
    text: str
    warnings: tuple[str, ...] = ()
    declined: str = ""


def measured(now: _WithVolume, at_mm: Vector, beside: Path | None = None) -> LesionFound:
    """Measures the lesion about a point, LPS mm. beside : a file of segments whose distances are wanted.

    Raises LabelFileError.
    """
    volume = now[0]
    found = measure_lesion(volume, at_mm)
    result, text = _numbers(found), _words(found, volume.unit)
    if beside is not None and not found.declined:
        labelled = read_labels(beside, volume)
        apart = distances_mm(volume, at_mm, labelled.mask, tuple(labelled.names))
        named = {labelled.names[label]: distance for label, distance in apart.items()}
        result["distances_mm"] = {name: None if d is None else round(d, 2) for name, d in named.items()}
        text += "".join(f"\n{_apart(name, d)}" for name, d in named.items())
    return LesionFound(result, text, declined=found.declined)


def _apart(name: str, distance: float | None) -> str:
    if distance is None:
        return f"{name}: not within reach"
    return f"{name}: touches" if distance == 0.0 else f"{name}: {distance:.1f} mm away"


def compared(
    now: _WithVolume, at_mm: Vector, prior: _WithVolume, prior_at_mm: Vector | None, progress: Progress
) -> LesionFound:
    """Measures the lesion about a point in both series. prior_at_mm : where it is in the prior; it is registered and
    searched otherwise."""
    (volume, series), (earlier, earlier_series) = now, prior
    warnings = []
    if series.first.patient_id != earlier_series.first.patient_id:
        warnings.append("the two series name different patients.")
    days = _days(earlier_series, series)
    if days is None:
        warnings.append("a series has no study date: without the days between them there is no doubling time.")
    elif days <= 0:
        warnings.append("the prior is not older than the series: there is no doubling time.")
    registration = None
    if prior_at_mm is None:
        registration = register(volume, earlier, progress=lambda part: progress("registering", part))
        if registration.declined:
            declined = f"{registration.declined} Or say where the lesion is in the prior, with --prior-at."
            return LesionFound({}, "", tuple(warnings), declined)
        if registration.warning:
            warnings.append(registration.warning)
    found = compare_lesion(volume, at_mm, earlier, max(days or 0, 0), registration, prior_at_mm)
    if found.declined:
        return LesionFound({}, "", tuple(warnings), found.declined)
    return LesionFound(_change(found, days), _in_words(found, volume.unit, earlier.unit), tuple(warnings))


def _days(earlier: Series, later: Series) -> int | None:
    first, second = (day_of(series.first.study_date) for series in (earlier, later))
    return None if first is None or second is None else (second - first).days


def _numbers(found: LesionMeasures) -> dict[str, Any]:
    numbers: dict[str, Any] = {key: round(value, 3) for key, value in asdict(found).items() if key in _NUMBERS}
    if found.density:
        numbers["density"] = found.density
    if found.density == "part-solid":
        numbers |= {"solid_ml": round(found.solid_ml, 3), "solid_mm": round(found.solid_mm, 3)}
    return numbers


def _change(found: LesionChange, days: int | None) -> dict[str, Any]:
    doubling = found.doubling_days
    return {
        **_numbers(found.now),
        "prior": {**_numbers(found.before), "at_mm": [round(v, 3) for v in found.at_mm]},
        "days": days,
        "change_percent": round(found.change_percent, 1),
        "recist_change_percent": round(found.recist_change_percent, 1),
        "doubling_days": None if doubling is None else round(doubling, 1),
        "transform": None if found.registration is None else [list(row) for row in found.registration.matrix],
    }


def _words(found: LesionMeasures, unit: str) -> str:
    return (
        f"{found.volume_ml:.2f} ml, longest {found.longest_mm:.1f} mm; in the scan plane {found.recist_mm:.1f} x "
        f"{found.short_axis_mm:.1f} mm; {found.mean:.0f} ± {found.sd:.0f} {unit} ({found.minimum:.0f} to "
        f"{found.maximum:.0f})" + (f"; {_density(found)}" if found.density else "")
    )


def _density(found: LesionMeasures) -> str:
    if found.density != "part-solid":
        return found.density
    return f"part-solid, the solid part {found.solid_ml:.2f} ml, {found.solid_mm:.1f} mm in the scan plane"


def _in_words(found: LesionChange, unit: str, earlier_unit: str) -> str:
    x, y, z = found.at_mm
    lines = [
        f"now:    {_words(found.now, unit)}",
        f"prior:  {_words(found.before, earlier_unit)}, at ({x:.1f}, {y:.1f}, {z:.1f}) mm",
        f"change: volume {found.change_percent:+.0f} %, longest in the scan plane {found.recist_change_percent:+.0f} %",
    ]
    if abs(found.change_percent) <= SURE_PERCENT:
        lines.append(f"        within {SURE_PERCENT:.0f} %: two measures of the same lesion may differ by so much")
    if found.doubling_days is not None:
        lines.append(f"        volume doubles in {found.doubling_days:.0f} days; {found.days} lie between the studies")
    return "\n".join(lines)
