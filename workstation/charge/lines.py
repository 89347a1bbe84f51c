"""The charge lines of a case: one unit for each group of contiguous regions, split by entity."""

from dataclasses import dataclass

from .facts import Entity
from .work import Area, PerformedBase, Work, area_of, contiguous_groups

# What each entity claims, as (entity of the line, modifiers). A hospital's facility line carries no TC.
_PARTS: dict[Entity, tuple[tuple[Entity, tuple[str, ...]], ...]] = {
    "professional": (("professional", ("26",)),),
    "technical": (("technical", ("TC",)),),
    "global": (("global", ()),),
    "facility": (("facility", ()),),
    "split": (("technical", ("TC",)), ("professional", ("26",))),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One charge line: code number, modifiers, units (always 1), the base it is linked to, and whose part it is."""

    code: str
    modifiers: tuple[str, ...]
    units: int
    base: str
    entity: Entity


def lines_of(work: Work) -> tuple[Line, ...]:
    """Return the lines the work earns, one group of contiguous regions after the other.

    Empty where no single code, or no base to link to, can be told yet.
    """
    if len(work.codes) != 1:
        return ()
    lines: list[Line] = []
    groups = contiguous_groups(work)
    for group in groups:
        base = _base_of(group, work, alone=len(groups) == 1)
        if base is None:
            return ()
        for entity, modifiers in _PARTS[work.facts.setting.entity]:
            own = dict(work.policy.modifiers).get(entity, modifiers)
            lines.append(Line(work.codes[0], own, 1, base.code, entity))
    return tuple(lines)


def _base_of(group: list[Area], work: Work, alone: bool) -> PerformedBase | None:
    """The first base, or the first of those that all renderings of the group are tied to."""
    # While a hold is open there may be no eligible base; then the line is proposed on what was performed.
    able = [base for base in work.bases if not base.includes_3d]
    regions = {region for region, _ in group}
    made = [each for _, each in work.counted if each.region in regions]
    # One whose side is not known counts for either.
    made = [each for each in made if area_of(each) in group or each.laterality is None]
    ties = {rendering.base_procedure for rendering in made}
    if ties <= {base.code for base in able}:
        return next(base for base in able if base.code in ties)
    able = [base for base in able if base.eligible] or able
    if not alone:
        able = [base for base in able if base.entry and base.entry.region in regions] or able
    return able[0] if able else None
