"""The work a case claims, as the rules see it: counted renderings, possible codes, bases with their table rows."""

from dataclasses import dataclass
from typing import Literal

from .codes import CodeEntry
from .facts import BaseProcedure, Facts, Laterality, Region, Rendering
from .policy import INDEPENDENT_CODE, PLAIN_CODE, Edition, Policy, Technique, TechniqueKind

WorkTier = Literal["T2", "T1", "none"]
# A region, and the side of it where the two sides are far apart.
Area = tuple[Region, Laterality | None]
# Both orbits, and both breasts, lie side by side.
_TWO_SIDES = ("UPPER_EXTREMITY", "LOWER_EXTREMITY", "EXTREMITY")


@dataclass(frozen=True, slots=True)
class PerformedBase:
    """A performed base procedure, its place in `base_procedures`, its table row (None: in no list), its session."""

    procedure: BaseProcedure
    index: int
    entry: CodeEntry | None
    same_study: bool

    @property
    def code(self) -> str:
        """The code number."""
        return self.procedure.code

    @property
    def eligible(self) -> bool:
        """Whether a 3D charge may rest on it: of this study, class `eligible`, verified."""
        entry = self.entry
        return self.same_study and entry is not None and entry.verified and entry.code_class == "eligible"

    @property
    def includes_3d(self) -> bool:
        """Whether it is known to include 3D rendering already."""
        return self.entry is not None and self.entry.verified and self.entry.code_class == "includes_3d"


@dataclass(frozen=True, slots=True)
class Work:
    """One case under one edition.

    counted : the renderings made here, with their index in `renderings`; no other rendering counts for anything.
    kind : the highest kind of technique among them, None when there are none.
    codes : what the technique rule can still give. Empty: nothing; two: the physician's statement decides.
    bases : the performed base procedures that count, in their order: those of this study, all where none is. Under the
    first edition of the contract all count.
    elsewhere : codes performed in another study alone, which count for nothing beside a base of this one.
    """

    facts: Facts
    policy: Policy
    edition: Edition
    counted: tuple[tuple[int, Rendering], ...]
    kind: TechniqueKind | None
    codes: tuple[str, ...]
    bases: tuple[PerformedBase, ...]
    elsewhere: frozenset[str]

    @property
    def requirement_unstated(self) -> bool:
        """Whether the edition wants the physician's statement for this technique and there is none."""
        technique = _technique(self.edition, self.kind)
        return technique is not None and _statement_missing(technique, self.facts)


def work_of(facts: Facts, policy: Policy, edition: Edition) -> Work:
    """Read the work out of the facts under one edition."""
    kind = kind_of(facts, policy)
    performed = tuple(
        PerformedBase(
            base,
            index,
            policy.codes.lookup(base.code, facts.date_of_service, facts.contract),
            base.study_instance_uid == facts.study_instance_uid,
        )
        for index, base in enumerate(facts.base_procedures)
        if base.status == "performed"
    )
    here = tuple(base for base in performed if base.same_study)
    bases = here if here and facts.contract == 2 else performed
    elsewhere = frozenset(base.code for base in performed) - {base.code for base in bases}
    return Work(facts, policy, edition, _counted(facts), kind, _codes(facts, edition, kind), bases, elsewhere)


def kind_of(facts: Facts, policy: Policy) -> TechniqueKind | None:
    """Return the highest kind of technique among the renderings made here: a reformat beside them adds nothing."""
    kinds = {policy.kind_of(rendering.technique) for _, rendering in _counted(facts)}
    order: tuple[TechniqueKind, ...] = ("volumetric", "projection", "reformat")
    return next((kind for kind in order if kind in kinds), None)


def work_tier(facts: Facts, policy: Policy) -> WorkTier:
    """Return the guide's tier of the work: T2 volumetric, T1 projections and reformats, none."""
    kind = kind_of(facts, policy)
    return "none" if kind is None else "T2" if kind == "volumetric" else "T1"


def area_of(rendering: Rendering) -> Area:
    """Return what was rendered, with the side where the two sides are not one area."""
    return rendering.region, rendering.laterality if rendering.region in _TWO_SIDES else None


def touch(one: Region, other: Region, edition: Edition) -> bool:
    """Tell whether two regions are the same or contiguous."""
    return one == other or frozenset((one, other)) in edition.contiguous


def contiguous_groups(work: Work) -> list[list[Area]]:
    """Split the areas rendered into groups connected through contiguous regions, in order of first appearance.

    A rendering of unknown side adds no area to those of the same region whose side is known.
    """
    areas = list(dict.fromkeys(area_of(rendering) for _, rendering in work.counted))
    sided = {region for region, side in areas if side is not None}
    left = [(region, side) for region, side in areas if side is not None or region not in sided]
    groups: list[list[Area]] = []
    while left:
        group = [left.pop(0)]
        for member in group:  # grows while it is walked
            near = [area for area in left if frozenset((member[0], area[0])) in work.edition.contiguous]
            group += near
            left = [area for area in left if area not in near]
        groups.append(group)
    return groups


def _counted(facts: Facts) -> tuple[tuple[int, Rendering], ...]:
    return tuple((index, each) for index, each in enumerate(facts.renderings) if each.performed_here)


def _technique(edition: Edition, kind: TechniqueKind | None) -> Technique | None:
    return {"volumetric": edition.volumetric, "projection": edition.projection}.get(kind or "")


def _statement_missing(technique: Technique, facts: Facts) -> bool:
    wanted = technique.statement == "always" or (technique.statement == "independent" and facts.independent_workstation)
    return wanted and facts.independent_workstation_required is None


def _codes(facts: Facts, edition: Edition, kind: TechniqueKind | None) -> tuple[str, ...]:
    technique = _technique(edition, kind)
    if technique is None:
        return (PLAIN_CODE,) if kind == "reformat" and edition.reformats != "deny" else ()
    # Where silence is allowed it is yes: the work was done on this independent device. Where it is not, both answers
    # stay open. No answer makes a device independent that is not.
    stated = facts.independent_workstation_required
    answers = (True, False) if _statement_missing(technique, facts) else (stated is not False,)
    required = {answer and facts.independent_workstation and technique.code == "by_requirement" for answer in answers}
    return tuple(sorted(INDEPENDENT_CODE if each else PLAIN_CODE for each in required))
