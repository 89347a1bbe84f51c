"""The charge rules, one small function each: what it finds wrong with the work, as holds and denials.

The numbers are those of the site charge rules. Every function looks at the whole case and gives each reason once,
however many facts bear it out; none of them knows what the others found. `decide.py` weighs the findings.
"""

from collections.abc import Callable, Iterable, Iterator

from .facts import Facts
from .policy import INDEPENDENT_CODE, PLAIN_CODE
from .reasons import Reason, deny, hold
from .work import PerformedBase, Work, contiguous_groups

# A charge in one of these states is out, or on its way out.
_LIVE = ("queued", "sent", "acknowledged")


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
    """Rule 2: nothing is charged twice for an accession, and the two codes exclude each other."""
    pair = (PLAIN_CODE, INDEPENDENT_CODE)
    live = {
        charge.code: index
        for index, charge in enumerate(work.facts.previous_charges)
        if charge.accession == work.facts.accession and charge.state in _LIVE and charge.code in pair
    }
    if work.codes and all(code in live for code in work.codes):
        code = work.codes[0]
        yield deny(
            "DUPLICATE",
            f"{code} is already charged for this accession.",
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
    elif any(code in pair for code in work.facts.other_procedures) and work.codes:
        yield hold(
            "MUTUALLY_EXCLUSIVE",
            "A 3D rendering code is already among the procedures of this session; remove it, or do not charge again.",
            "other_procedures",
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
    codes = {base.code for base in work.bases}
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
    """Rule 7: the base was performed in this study."""
    other = [base for base in work.bases if not base.same_study]
    if other:
        yield hold(
            "BASE_NOT_SAME_SESSION",
            f"{_list(other)} was performed in another study than the one rendered; a coder has to look.",
            _paths("base_procedures", (base.index for base in other), "study_instance_uid"),
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
    # No angiography base can be in the lists, so a coder who reviews the modality reviews the base with it.
    excused = work.facts.study.modality in work.edition.review_modalities
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
        if (entry := work.policy.codes.lookup(code, work.facts.date_of_service)) and entry.code_class == "includes_3d"
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


def procedure_inclusion(work: Work) -> Iterator[Reason]:
    """Rule 8: a procedure of the session that includes 3D takes the rendering with it, in whichever list it came."""
    listed = [
        *((f"base_procedures[{base.index}].code", base.code) for base in work.bases),
        *((f"other_procedures[{index}]", code) for index, code in enumerate(work.facts.other_procedures)),
    ]
    verified: dict[str, str] = {}
    believed: dict[str, str] = {}
    for path, code in listed:
        entry = work.policy.codes.lookup(code, work.facts.date_of_service)
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
            f"The person named as supervisor is a {found.physician.role}; it takes a physician.",
            "supervision.physician.role",
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
    """Rule 13: one unit for contiguous regions; more than one waits for a coder."""
    groups = contiguous_groups((rendering.region for _, rendering in work.counted), work.edition)
    if len(groups) > 1:
        names = " and ".join(", ".join(group) for group in groups)
        yield hold(
            "NONCONTIGUOUS_REVIEW",
            f"The regions rendered are not contiguous: {names}; a coder has to decide on the units.",
            _paths("renderings", [index for index, _ in work.counted], "region"),
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


# In the order of the rules; identity comes before them. Rule 14, the entity, can find nothing wrong: see `lines.py`.
RULES: tuple[Callable[[Work], Iterator[Reason]], ...] = (
    history,
    rendering_made_here,
    purpose,
    modality,
    technique,
    base_performed,
    base_session,
    base_modality,
    base_class,
    base_inclusion,
    procedure_inclusion,
    supervision,
    archived,
    report,
    order,
    contiguity,
    payer,
)


def _fits(base: str | None, study: str) -> bool:
    # The table lists nuclear medicine, PET included, as NM; DICOM writes a PET study as PT.
    return base is None or base == study or (base, study) == ("NM", "PT")


def _icd(code: str) -> str:
    # The point is for people: I71.4 and I714 are one code.
    return code.replace(".", "").upper()


def _list(bases: Iterable[PerformedBase]) -> str:
    return " and ".join(dict.fromkeys(base.code for base in bases))


def _paths(table: str, indices: Iterable[int], key: str) -> str:
    return ", ".join(f"{table}[{index}].{key}" for index in indices)
