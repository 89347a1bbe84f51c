"""The charge rules, one small function each: what it finds wrong with the work, as holds and denials.

The numbers are those of the second edition of the contract; facts that were written down under the first are decided
by those of the rules that it had. Every function looks at the whole case and gives each reason once, however many facts
bear it out; none of them knows what the others found. `decide.py` weighs the findings.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from .codes import CodeEntry
from .facts import NOT_FOR_SITE, Contract, Facts, PreviousCharge, Region
from .policy import INDEPENDENT_CODE, PLAIN_CODE
from .reasons import Reason, deny, hold
from .work import PerformedBase, Work, contiguous_groups, touch

Rule = Callable[[Work], Iterator[Reason]]
# A charge in one of these states is out, or on its way out.
_LIVE = ("queued", "sent", "acknowledged")
_PAIR = (PLAIN_CODE, INDEPENDENT_CODE)


def identity(facts: Facts) -> Iterator[Reason]:
    """Rule 1: a verified SR and a report of the same patient. Holds under every edition, and under none."""
    if not facts.sr.verified:
        yield hold(
            "SR_NOT_VERIFIED",
            "The 3D SR is not verified; a physician has to sign it.",
            "sr.verified",
        )
    if facts.report.status != "none" and facts.report.patient_id != facts.patient_id:
        yield hold(
            "PATIENT_MISMATCH",
            "The report on file is for another patient than the SR; find out which is filed wrongly and correct it.",
            "report.patient_id",
        )


def no_edition(facts: Facts) -> Reason:
    """Rule 1: no edition of the policy covers the date of service."""
    return hold(
        "PACK_NOT_EFFECTIVE",
        f"No edition of the policy covers the date of service {facts.date_of_service}; charge it by hand.",
        "date_of_service",
    )


def history(work: Work) -> Iterator[Reason]:
    """Rule 2: the same work is not charged twice under an accession, and the two codes exclude each other."""
    live = {charge.code: index for index, charge in _live(work) if _own(charge, work) and _same_work(charge, work)}
    if work.codes and all(code in live for code in work.codes):
        code = work.codes[0]
        yield deny(
            "DUPLICATE",
            f"{code} is already charged for this work under this accession.",
            f"previous_charges[{live[code]}]",
        )
    elif live and work.codes:
        code, index = next(iter(live.items()))
        yield hold(
            "MUTUALLY_EXCLUSIVE",
            f"{code} is already charged for this accession and may exclude this charge; credit it first if "
            "it is to be replaced.",
            f"previous_charges[{index}]",
        )
    elif any(code in _PAIR for code in work.facts.other_procedures) and work.codes:
        yield hold(
            "MUTUALLY_EXCLUSIVE",
            "A 3D rendering code is already among the procedures of this session; remove it, or do not charge again.",
            "other_procedures",
        )


def same_day(work: Work) -> Iterator[Reason]:
    """Rule 2: contiguous areas are one unit, whatever accession of the same day they are filed under."""
    found = [
        charge
        for _, charge in _live(work)
        if not _own(charge, work) and charge.date_of_service == work.facts.date_of_service and _same_work(charge, work)
    ]
    if found and work.codes:
        yield hold(
            "SAME_DAY_REVIEW",
            f"{_words(charge.code for charge in found)} is already charged for the same day under accession "
            f"{_words(charge.accession for charge in found)}, for an area that touches this one; a coder has to decide "
            "whether it is a second unit.",
            _charges(found),
        )


def rendering_made_here(work: Work) -> Iterator[Reason]:
    """Rule 3: something was rendered, on this workstation."""
    if not work.facts.renderings:
        yield deny("NO_RENDERING", "Nothing was rendered.", "renderings")
    elif not work.counted:
        yield deny(
            "NOT_PERFORMED_HERE",
            "Every rendering was made on another device; only work done here is charged.",
            _paths("renderings", range(len(work.facts.renderings)), "performed_here"),
        )


def purpose(work: Work) -> Iterator[Reason]:
    """Rule 4: mapping for a needle belongs to the needle procedure."""
    mapping = [index for index, rendering in work.counted if rendering.purpose == "needle_mapping"]
    if mapping:
        yield deny(
            "NEEDLE_MAPPING",
            "The rendering maps the way of a needle, which belongs to that procedure.",
            _paths("renderings", mapping, "purpose"),
        )


def modality(work: Work) -> Iterator[Reason]:
    """Rule 5: slices to render from."""
    found = work.facts.study.modality
    if found in work.edition.review_modalities:
        yield hold(
            "ANGIO_3D_REVIEW",
            f"3D from modality {found} is charged by other rules; a coder has to look.",
            "study.modality",
        )
    elif found in work.edition.other_modalities:
        yield hold(
            "OTHER_MODALITY_REVIEW",
            f"The policy names other modalities than {found}; a coder has to look.",
            "study.modality",
        )
    elif found not in work.edition.tomographic:
        yield deny(
            "NOT_TOMOGRAPHIC",
            f"Modality {found} is not tomographic; only renderings of slices are charged.",
            "study.modality",
        )


def technique(work: Work) -> Iterator[Reason]:
    """Rule 6: the code can be told from the technique and the physician's statement."""
    if work.requirement_unstated:
        yield hold(
            "IW_REQUIREMENT_UNSTATED",
            "The physician has not stated whether an independent workstation was required, which decides the code.",
            "independent_workstation_required",
        )
    if work.kind == "reformat" and work.edition.reformats != "release":
        make = hold if work.edition.reformats == "hold" else deny
        ending = "; a coder has to look." if work.edition.reformats == "hold" else "."
        yield make(
            "TWO_D_ONLY",
            "Only 2D reformats were made, which the code book counts into the base examination" + ending,
            _paths("renderings", [index for index, _ in work.counted], "technique"),
        )


def base_performed(work: Work) -> Iterator[Reason]:
    """Rule 7: a base was performed, and every rendering that is tied to one is tied to one that was."""
    codes = {base.code for base in work.bases} | work.elsewhere
    astray = [index for index, each in work.counted if each.base_procedure and each.base_procedure not in codes]
    if not work.bases:
        yield hold(
            "BASE_MISSING",
            "No base examination on this accession has been performed; link the charge to one.",
            "base_procedures",
        )
    elif astray:
        yield hold(
            "BASE_MISSING",
            "A rendering is tied to a base examination that was not performed on this accession; correct the link.",
            _paths("renderings", astray, "base_procedure"),
        )


def base_session(work: Work) -> Iterator[Reason]:
    """Rule 7: the base was performed in this study, and no rendering is tied to one of another."""
    other = [base for base in work.bases if not base.same_study]
    tied = [index for index, each in work.counted if each.base_procedure in work.elsewhere]
    if other:
        yield hold(
            "BASE_NOT_SAME_SESSION",
            f"{_list(other)} was performed in another study than the one rendered; a coder has to look.",
            _paths("base_procedures", (base.index for base in other), "study_instance_uid"),
        )
    elif tied:
        yield hold(
            "BASE_NOT_SAME_SESSION",
            "A rendering is tied to a base examination of another study than the one rendered; a coder has to look.",
            _paths("renderings", tied, "base_procedure"),
        )


def base_modality(work: Work) -> Iterator[Reason]:
    """Rule 7: the base is an examination by the study's modality."""
    study = work.facts.study.modality
    other = [base for base in work.bases if base.entry and not _fits(base.entry.modality, study)]
    if other:
        yield hold(
            "BASE_MODALITY_MISMATCH",
            f"{_list(other)} is not an examination by {study}, the study's modality; correct the order or the link.",
            _paths("base_procedures", (base.index for base in other), "code"),
        )


def base_class(work: Work) -> Iterator[Reason]:
    """Rule 7: what the base is must be known. A row nobody has verified is not knowledge."""
    # A coder who reviews the modality reviews with it a base that can be in no list.
    excused = work.facts.study.modality in work.edition.review_modalities | work.edition.other_modalities
    unclear = [
        base
        for base in work.bases
        if (base.entry is None and not excused)
        or (base.entry is not None and (base.entry.code_class == "review" or not base.entry.verified))
    ]
    if unclear:
        yield hold(
            "BASE_UNCLASSIFIED",
            f"Whether 3D may be charged with {_list(unclear)} is not settled in the code table on the date of "
            "service; a coder has to classify it.",
            _paths("base_procedures", (base.index for base in unclear), "code"),
        )


def base_inclusion(work: Work) -> Iterator[Reason]:
    """Rule 7: a base that includes 3D takes the rendering with it, unless that is tied to another, eligible base."""
    including = [base for base in work.bases if base.includes_3d]
    eligible = {base.code for base in work.bases if base.eligible}
    tied = bool(work.counted) and all(each.base_procedure in eligible for _, each in work.counted)
    # An imaging code filed among the other procedures is no base of this charge, but may still contain the work.
    misfiled = [
        index
        for index, code in enumerate(work.facts.other_procedures)
        if (entry := _entry(code, work)) and entry.code_class == "includes_3d"
    ]
    if including and not tied:
        yield deny(
            "BASE_INCLUDES_3D",
            f"{_list(including)} already includes 3D rendering.",
            _paths("base_procedures", (base.index for base in including), "code"),
        )
    elif including or misfiled:
        paths = [
            *(f"base_procedures[{base.index}].code" for base in including),
            *(f"other_procedures[{index}]" for index in misfiled),
        ]
        yield hold(
            "PTP_REVIEW",
            "The session has an examination that includes 3D rendering beside the one that was rendered; a coder "
            "has to tell them apart.",
            ", ".join(paths),
        )


def base_region(work: Work) -> Iterator[Reason]:
    """Rule 7: what was rendered lies in its base, or next to it."""
    astray = [
        index
        for index, rendering in work.counted
        if (regions := _base_regions(rendering.base_procedure, work))
        and not any(_near(rendering.region, region, work) for region in regions)
    ]
    if astray:
        names = _words(work.facts.renderings[index].region for index in astray)
        yield hold(
            "REGION_MISMATCH",
            f"{names} was rendered, which is neither in the base examination nor next to it; correct the order or "
            "the link.",
            _paths("renderings", astray, "region"),
        )


def procedure_inclusion(work: Work) -> Iterator[Reason]:
    """Rule 8: a procedure of the session that includes 3D takes the rendering with it, in whichever list it came."""
    listed = [
        *((f"base_procedures[{base.index}].code", base.code) for base in work.bases),
        *((f"other_procedures[{index}]", code) for index, code in enumerate(work.facts.other_procedures)),
    ]
    verified: dict[str, str] = {}
    believed: dict[str, str] = {}
    for path, code in listed:
        entry = _entry(code, work)
        if entry and entry.code_class == "procedure_includes_3d":
            (verified if entry.verified else believed)[path] = code
    if verified:
        yield deny(
            "INCLUDED_IN_PROCEDURE",
            f"{' and '.join(verified.values())} of the same session includes the 3D rendering.",
            ", ".join(verified),
        )
    if believed:
        yield hold(
            "INCLUSION_UNVERIFIED",
            f"{' and '.join(believed.values())} of the same session is believed to include 3D rendering; a coder has "
            "to verify that.",
            ", ".join(believed),
        )


def procedure_class(work: Work) -> Iterator[Reason]:
    """Rule 8: what a procedure of the session is must be known where its code may stand for 3D work."""
    unclear = [
        index
        for index, code in enumerate(work.facts.other_procedures)
        if _may_include_3d(code) and _entry(code, work) is None
    ]
    if unclear:
        codes = _words(work.facts.other_procedures[index] for index in unclear)
        yield hold(
            "PROCEDURE_UNCLASSIFIED",
            f"Whether {codes} of the same session includes 3D rendering is not settled in the code table on the date "
            "of service; a coder has to classify it.",
            ", ".join(f"other_procedures[{index}]" for index in unclear),
        )


def supervision(work: Work) -> Iterator[Reason]:
    """Rule 9: a physician took part while the rendering was made, and it is on record."""
    found, operator = work.facts.supervision, work.facts.operator
    if operator.role == "automatic" or found.concurrent is False:
        yield deny(
            "NO_CONCURRENT_SUPERVISION",
            "No physician supervised while the rendering was made.",
            "operator.role" if operator.role == "automatic" else "supervision.concurrent",
        )
    gaps = {
        "supervision.physician": found.physician is None,
        "supervision.concurrent": found.concurrent is None,
        "supervision.acts": not found.acts,
    }
    if any(gaps.values()):
        yield hold(
            "SUPERVISION_NOT_DOCUMENTED",
            "The record does not say who supervised, that it was at the same time, and what was done; the physician "
            "has to attest it.",
            ", ".join(path for path, missing in gaps.items() if missing),
        )
    if found.physician is not None and found.physician.role != "physician":
        yield hold(
            "SUPERVISOR_NOT_QUALIFIED",
            f"The person named as supervisor is a {found.physician.role.replace('_', ' ')}; it takes a physician.",
            "supervision.physician.role",
        )


def prepared(work: Work) -> Iterator[Reason]:
    """Rule 9: what came out unattended is a proposal until somebody works on it."""
    if work.counted and all(rendering.prepared for _, rendering in work.counted):
        yield hold(
            "PREPARED_UNCHANGED",
            "Every rendering is as it was prepared unattended; a physician has to adjust one, or draw it anew.",
            _paths("renderings", [index for index, _ in work.counted], "prepared"),
        )


def archived(work: Work) -> Iterator[Reason]:
    """Rule 10: every counted rendering is kept."""
    missing = [index for index, rendering in work.counted if not rendering.archived]
    if missing:
        yield hold(
            "NOT_ARCHIVED",
            f"{len(missing)} of {len(work.counted)} renderings made here are not in the archive; store them.",
            _paths("renderings", missing, "archived"),
        )


def report(work: Work) -> Iterator[Reason]:
    """Rule 11: a final report that says what the charge needs."""
    found = work.facts.report
    if found.status != "final":
        yield hold(
            "REPORT_NOT_FINAL",
            "There is no report yet; one has to be signed."
            if found.status == "none"
            else "The report is preliminary; it has to be signed.",
            "report.status",
        )
        return
    if not found.three_d_findings:
        yield hold(
            "NO_3D_INTERPRETATION",
            "The report does not interpret the 3D images; add the findings.",
            "report.three_d_findings",
        )
    if work.codes == (INDEPENDENT_CODE,) and not found.workstation_statement:
        yield hold(
            "WORKSTATION_STATEMENT_MISSING",
            f"The report does not say that an independent workstation was used, which {INDEPENDENT_CODE} needs; add "
            "the statement.",
            "report.workstation_statement",
        )
    if not found.medical_necessity:
        yield hold(
            "NECESSITY_MISSING",
            "The report does not say why 3D rendering was necessary; add it.",
            "report.medical_necessity",
        )
    if not found.clinical_utility:
        yield hold(
            "UTILITY_MISSING",
            "The report does not say what the 3D rendering contributed; add it.",
            "report.clinical_utility",
        )


def order(work: Work) -> Iterator[Reason]:
    """Rule 12: 3D was ordered, or something the rules accept stands in for the order."""
    found = work.facts.order
    grounds = {
        "ordered": found.three_d_ordered,
        "rationale": work.facts.setting.site == "hospital" and found.radiologist_rationale,
        "urgent": found.urgent and found.urgent_documented,
    }
    if not any(grounds[each] for each in work.policy.order_grounds):
        yield hold(
            "ORDER_MISSING",
            "3D rendering was not ordered, and neither a radiologist's rationale in a hospital nor documented "
            "urgency stands in for the order; obtain one.",
            "order",
        )


def contiguity(work: Work) -> Iterator[Reason]:
    """Rules 2 and 13: one unit for contiguous regions of an accession; more than one waits for a coder."""
    groups = contiguous_groups(work)
    others = [charge for _, charge in _live(work) if _own(charge, work) and not _same_work(charge, work)]
    found: list[str] = []
    facts: list[str] = []
    if len(groups) > 1:
        names = " and ".join(", ".join(_area(region, side) for region, side in group) for group in groups)
        found.append(f"The regions rendered are not contiguous: {names}")
        facts.append(_paths("renderings", [index for index, _ in work.counted], "region"))
        if any(side for group in groups for _, side in group):
            facts.append(_paths("renderings", [index for index, _ in work.counted], "laterality"))
    if others and work.codes:
        names = ", ".join(dict.fromkeys(region for charge in others for region in charge.regions))
        found.append(f"Other work of this accession, {names}, is already charged")
        facts.append(_charges(others))
    if found:
        yield hold(
            "NONCONTIGUOUS_REVIEW",
            f"{'. '.join(found)}; a coder has to decide on the units.",
            ", ".join(facts),
        )


def entity(work: Work) -> Iterator[Reason]:
    """Rule 14: the part claimed is one that this kind of site may claim. What each part bills stands in `lines.py`."""
    setting = work.facts.setting
    if setting.entity in NOT_FOR_SITE[setting.site]:
        yield hold(
            "ENTITY_NOT_FOR_SITE",
            f"At a hospital the facility bills its own part; entity {setting.entity} may not. Correct the settings.",
            "setting.entity",
        )


def payer(work: Work) -> Iterator[Reason]:
    """Rule 15: what the payer demands."""
    found = work.facts.payer
    if found.prior_authorization_required and found.prior_authorization is None:
        yield hold(
            "PRIOR_AUTH_MISSING",
            f"Payer {found.id} wants prior authorisation and none is on file; obtain the number.",
            "payer.prior_authorization",
        )
    if found.covered_diagnoses is not None:
        prefixes = tuple(_icd(prefix) for prefix in found.covered_diagnoses)
        if not any(_icd(diagnosis).startswith(prefixes) for diagnosis in work.facts.diagnoses):
            yield hold(
                "DX_NOT_IN_POLICY",
                f"No diagnosis is among those payer {found.id} covers; check the diagnoses.",
                "diagnoses",
            )


# In the order of the rules; identity comes before them.
RULES: tuple[Rule, ...] = (
    history,
    same_day,
    rendering_made_here,
    purpose,
    modality,
    technique,
    base_performed,
    base_session,
    base_modality,
    base_class,
    base_inclusion,
    base_region,
    procedure_inclusion,
    procedure_class,
    supervision,
    prepared,
    archived,
    report,
    order,
    contiguity,
    entity,
    payer,
)
# The first edition of the contract had none of these.
_SINCE_SECOND: tuple[Rule, ...] = (same_day, base_region, procedure_class, entity)


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """Return the rules of an edition of the contract, in their order, without identity."""
    return tuple(rule for rule in RULES if contract == 2 or rule not in _SINCE_SECOND)


def _may_include_3d(code: str) -> bool:
    """Whether it is a Category III code, or one of the radiology section that is none of the pair."""
    if re.fullmatch(r"[0-9]{4}T", code):
        return True
    return bool(re.fullmatch(r"[0-9]{5}", code)) and "70010" <= code <= "79999" and code not in _PAIR


def _entry(code: str, work: Work) -> CodeEntry | None:
    return work.policy.codes.lookup(code, work.facts.date_of_service, work.facts.contract)


# Charges that went out before


def _live(work: Work) -> Iterator[tuple[int, PreviousCharge]]:
    """Those of the pair that are out, with their index."""
    for index, charge in enumerate(work.facts.previous_charges):
        if charge.state in _LIVE and charge.code in _PAIR:
            yield index, charge


def _own(charge: PreviousCharge, work: Work) -> bool:
    return charge.accession == work.facts.accession


def _same_work(charge: PreviousCharge, work: Work) -> bool:
    """Whether it may be for the same work: its regions touch ours, or no record tells them."""
    ours = {rendering.region for _, rendering in work.counted}
    touching = any(touch(one, other, work.edition) for one in charge.regions for other in ours)
    return touching or not charge.regions


def _charges(charges: Iterable[PreviousCharge]) -> str:
    # By key: their place in the list changes with every charge of the patient.
    return ", ".join(f"previous_charges[key={charge.key}]" for charge in sorted(charges, key=lambda one: one.key))


# Regions


def _base_regions(tie: str | None, work: Work) -> set[Region]:
    """The regions of the base that a rendering is tied to, else of all of this study; empty where one is not known."""
    bases = [base for base in work.bases if (base.code == tie if tie is not None else base.same_study)]
    regions = [base.entry.region if base.entry else None for base in bases]
    return {region for region in regions if region is not None} if None not in regions else set()


def _near(rendered: Region, base: Region, work: Work) -> bool:
    pair = {rendered, base}
    either = "EXTREMITY" in pair and pair & {"UPPER_EXTREMITY", "LOWER_EXTREMITY"}
    return bool(either) or touch(rendered, base, work.edition)


def _area(region: Region, side: str | None) -> str:
    return f"{region} {side}" if side else region


def _fits(base: str | None, study: str) -> bool:
    # The table lists nuclear medicine, PET included, as NM; DICOM writes a PET study as PT.
    return base is None or base == study or (base, study) == ("NM", "PT")


def _icd(code: str) -> str:
    # The point is for people: I71.4 and I714 are one code.
    return code.replace(".", "").upper()


def _list(bases: Iterable[PerformedBase]) -> str:
    return _words(base.code for base in bases)


def _words(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _paths(table: str, indices: Iterable[int], key: str) -> str:
    return ", ".join(f"{table}[{index}].{key}" for index in indices)
