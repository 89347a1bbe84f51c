"""Why a charge is held or denied: every reason there is, who can resolve it, and what else follows from it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["hold", "deny"]
Resolver = Literal["physician", "technologist", "coder", "ordering", "nobody"]
# What the reading physician fills in: pictures, answers and sentences of the report, the signature itself.
Field = Literal[
    "captures", "required", "concurrent", "findings", "workstation", "necessity", "utility", "signature", "delivery", ""
]


@dataclass(frozen=True, slots=True)
class ReasonKind:
    """One reason as it may be given.

    code : its name for programs. severity : at which it may be given. resolver : who can resolve it; a denial stands
    whoever looks at it, so nobody resolves it: other work makes another set of facts.
    releasable : a coder may decide it, since it is a matter of judgement; the others want a paper, a physician, a
    credit, or a charge by hand. ours : it says that our own record, settings or rules are wanting, not that the charge
    was wrong: no reason to take a charge back unasked, and reason to look again when nobody told us anything.
    field : which field of the reader's desktop supplies it; empty where none does.
    rule : that a rule of the contract gives it, from facts alone; the others are given by what surrounds the rules.
    """

    code: str
    severity: Severity
    resolver: Resolver
    releasable: bool = False
    ours: bool = False
    field: Field = ""
    rule: bool = True


# In the order of the rules. A reason is added here and given by a rule in `rules.py`.
REASONS: tuple[ReasonKind, ...] = (
    ReasonKind("PACK_NOT_EFFECTIVE", "hold", "coder", ours=True),
    ReasonKind("SR_NOT_VERIFIED", "hold", "physician", field="signature"),
    ReasonKind("PATIENT_MISMATCH", "hold", "technologist"),
    ReasonKind("DUPLICATE", "deny", "nobody"),
    ReasonKind("MUTUALLY_EXCLUSIVE", "hold", "coder"),
    ReasonKind("SAME_DAY_REVIEW", "hold", "coder", releasable=True),
    ReasonKind("NO_RENDERING", "deny", "nobody", field="captures"),
    ReasonKind("NOT_PERFORMED_HERE", "deny", "nobody"),
    ReasonKind("NEEDLE_MAPPING", "deny", "nobody"),
    ReasonKind("ANGIO_3D_REVIEW", "hold", "coder", releasable=True),
    ReasonKind("OTHER_MODALITY_REVIEW", "hold", "coder", releasable=True),
    ReasonKind("NOT_TOMOGRAPHIC", "deny", "nobody"),
    ReasonKind("IW_REQUIREMENT_UNSTATED", "hold", "physician", field="required"),
    ReasonKind("TWO_D_ONLY", "hold", "coder", releasable=True),
    ReasonKind("TWO_D_ONLY", "deny", "nobody"),
    ReasonKind("BASE_MISSING", "hold", "coder"),
    ReasonKind("BASE_NOT_SAME_SESSION", "hold", "coder", releasable=True),
    ReasonKind("BASE_MODALITY_MISMATCH", "hold", "coder", releasable=True),
    ReasonKind("BASE_UNCLASSIFIED", "hold", "coder", releasable=True),
    ReasonKind("BASE_INCLUDES_3D", "deny", "nobody"),
    ReasonKind("PTP_REVIEW", "hold", "coder", releasable=True),
    ReasonKind("REGION_MISMATCH", "hold", "coder", releasable=True),
    ReasonKind("INCLUDED_IN_PROCEDURE", "deny", "nobody"),
    ReasonKind("INCLUSION_UNVERIFIED", "hold", "coder", releasable=True),
    ReasonKind("PROCEDURE_UNCLASSIFIED", "hold", "coder", releasable=True),
    ReasonKind("NO_CONCURRENT_SUPERVISION", "deny", "nobody", field="concurrent"),
    ReasonKind("SUPERVISION_NOT_DOCUMENTED", "hold", "physician", field="concurrent"),
    ReasonKind("SUPERVISOR_NOT_QUALIFIED", "hold", "physician"),
    ReasonKind("PREPARED_UNCHANGED", "hold", "physician", field="captures"),
    ReasonKind("NOT_ARCHIVED", "hold", "technologist", ours=True, field="delivery"),
    ReasonKind("REPORT_NOT_FINAL", "hold", "physician", field="signature"),
    ReasonKind("NO_3D_INTERPRETATION", "hold", "physician", field="findings"),
    ReasonKind("WORKSTATION_STATEMENT_MISSING", "hold", "physician", field="workstation"),
    ReasonKind("NECESSITY_MISSING", "hold", "physician", field="necessity"),
    ReasonKind("UTILITY_MISSING", "hold", "physician", field="utility"),
    ReasonKind("ORDER_MISSING", "hold", "ordering"),
    ReasonKind("NONCONTIGUOUS_REVIEW", "hold", "coder", releasable=True),
    ReasonKind("ENTITY_NOT_FOR_SITE", "hold", "coder", ours=True),
    ReasonKind("PRIOR_AUTH_MISSING", "hold", "ordering"),
    ReasonKind("DX_NOT_IN_POLICY", "hold", "coder", releasable=True),
    # Given by what surrounds the rules: the record that the facts are read from, people, and the messages.
    ReasonKind("FACT_MISSING", "hold", "technologist", ours=True, rule=False),
    ReasonKind("JOURNAL_TAMPERED", "hold", "technologist", ours=True, rule=False),
    ReasonKind("REPORT_UNREAD", "hold", "physician", rule=False),
    ReasonKind("CHARGE_TURNED_DOWN", "hold", "coder", releasable=True, rule=False),
    ReasonKind("CREDITED_ELSEWHERE", "hold", "coder", releasable=True, rule=False),
    ReasonKind("CHOSEN_LINES_CHANGED", "hold", "coder", releasable=True, rule=False),
    ReasonKind("DENIED_BY_CODER", "deny", "coder", rule=False),
    ReasonKind("CREDITED_BY_CODER", "deny", "coder", rule=False),
    ReasonKind("MESSAGE_NOT_BUILT", "hold", "technologist", ours=True, rule=False),
)
_BY_CODE = {(kind.code, kind.severity): kind for kind in REASONS}
# The codes of a kind, for those who look at decisions that were written down.
RELEASABLE = frozenset(kind.code for kind in REASONS if kind.releasable)
OURS = frozenset(kind.code for kind in REASONS if kind.ours)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code, a sentence for people, the key paths of the facts it rests on, who can resolve it."""

    code: str
    sentence: str
    fact: str
    resolver: Resolver
    severity: Severity

    @property
    def kind(self) -> ReasonKind:
        """What the table says of it."""
        return _BY_CODE[self.code, self.severity]


def hold(code: str, sentence: str, fact: str) -> Reason:
    """Return a reason to wait. Raises KeyError for one that is not in the table."""
    return Reason(code, sentence, fact, _BY_CODE[code, "hold"].resolver, "hold")


def deny(code: str, sentence: str, fact: str) -> Reason:
    """Return a reason never to charge this work. Raises KeyError for one that is not in the table."""
    return Reason(code, sentence, fact, _BY_CODE[code, "deny"].resolver, "deny")
