"""Why a charge is held or denied, and who can resolve it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["hold", "deny"]
Resolver = Literal["physician", "technologist", "coder", "ordering", "nobody"]

# Every reason a rule may give, at the severity it may give it, with who can resolve it. A denial stands whoever looks
# at it, so nobody resolves it; other work makes another set of facts.
RESOLVERS: dict[tuple[str, Severity], Resolver] = {
    ("PACK_NOT_EFFECTIVE", "hold"): "coder",
    ("SR_NOT_VERIFIED", "hold"): "physician",
    ("PATIENT_MISMATCH", "hold"): "technologist",
    ("DUPLICATE", "deny"): "nobody",
    ("MUTUALLY_EXCLUSIVE", "hold"): "coder",
    ("NO_RENDERING", "deny"): "nobody",
    ("NOT_PERFORMED_HERE", "deny"): "nobody",
    ("NEEDLE_MAPPING", "deny"): "nobody",
    ("ANGIO_3D_REVIEW", "hold"): "coder",
    ("NOT_TOMOGRAPHIC", "deny"): "nobody",
    ("IW_REQUIREMENT_UNSTATED", "hold"): "physician",
    ("TWO_D_ONLY", "hold"): "coder",
    ("TWO_D_ONLY", "deny"): "nobody",
    ("BASE_MISSING", "hold"): "coder",
    ("BASE_NOT_SAME_SESSION", "hold"): "coder",
    ("BASE_MODALITY_MISMATCH", "hold"): "coder",
    ("BASE_UNCLASSIFIED", "hold"): "coder",
    ("BASE_INCLUDES_3D", "deny"): "nobody",
    ("PTP_REVIEW", "hold"): "coder",
    ("INCLUDED_IN_PROCEDURE", "deny"): "nobody",
    ("INCLUSION_UNVERIFIED", "hold"): "coder",
    ("NO_CONCURRENT_SUPERVISION", "deny"): "nobody",
    ("SUPERVISION_NOT_DOCUMENTED", "hold"): "physician",
    ("SUPERVISOR_NOT_QUALIFIED", "hold"): "physician",
    ("NOT_ARCHIVED", "hold"): "technologist",
    ("REPORT_NOT_FINAL", "hold"): "physician",
    ("NO_3D_INTERPRETATION", "hold"): "physician",
    ("WORKSTATION_STATEMENT_MISSING", "hold"): "physician",
    ("NECESSITY_MISSING", "hold"): "physician",
    ("UTILITY_MISSING", "hold"): "physician",
    ("ORDER_MISSING", "hold"): "ordering",
    ("NONCONTIGUOUS_REVIEW", "hold"): "coder",
    ("PRIOR_AUTH_MISSING", "hold"): "ordering",
    ("DX_NOT_IN_POLICY", "hold"): "coder",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code, a sentence for people, the key paths of the facts it rests on, who can resolve it."""

    code: str
    sentence: str
    fact: str
    resolver: Resolver
    severity: Severity


def hold(code: str, sentence: str, fact: str) -> Reason:
    """Return a reason to wait."""
    return Reason(code, sentence, fact, RESOLVERS[code, "hold"], "hold")


def deny(code: str, sentence: str, fact: str) -> Reason:
    """Return a reason never to charge this work."""
    return Reason(code, sentence, fact, RESOLVERS[code, "deny"], "deny")
