"""What a decision about a charge says to a reader. Knows no Qt."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from workstation.charge import Decision

# Sentences with {places}: what a window has to be able to say in another language.
NOTHING_YET = "Nothing to charge yet."
NO_PICTURE = "No picture is captured."
NO_REGION = "The region is not known."
DENIED = "Cannot be charged."
HELD = "Would be held: {count} missing."
THEN = "Then: {codes}"
CHARGED = "Will be charged when signed: {codes}"
ONCE_ARCHIVED = "Once the pictures are archived: {waits}"
DELIVERED = "Delivered: {state} {codes}"
STORING = "Signed. It is being stored, and then the charge is decided."
VERDICTS = (
    NOTHING_YET, NO_PICTURE, NO_REGION, DENIED, HELD, THEN, CHARGED, ONCE_ARCHIVED, DELIVERED, STORING,
)  # fmt: skip
# Missing facts that signing itself supplies.
BY_SIGNING = ("signature", "delivery")


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a charge waits for. sentence : in English. resolver : who can supply it. report_field : the field
    of the desktop for it, or ''."""

    sentence: str
    resolver: str
    report_field: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision in words. said, noted : of VERDICTS, or other text as it is. values : for their {places}."""

    said: str
    missing: tuple[Missing, ...] = ()
    noted: str = ""
    values: dict[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first sentence, in English."""
        return self.said.format_map(self.values).strip()

    @property
    def note(self) -> str:
        """What is said below, in English; what the outbox said stays as it is."""
        return self.noted.format_map(self.values) if self.noted in VERDICTS else self.noted


def verdict_of(decision: Decision, waits: str) -> Verdict:
    """Returns what a decision means that would be made if the study were signed now. waits : the names of destinations
    that have to archive first."""
    missing = tuple(
        Missing(reason.sentence, reason.resolver, str(reason.kind.field))
        for reason in decision.reasons
        if reason.kind.field not in BY_SIGNING
    )
    lines = decision.lines or decision.proposed
    codes = ", ".join(coded(line.code, line.modifiers, line.base or "no base yet") for line in lines)
    if any(reason.severity == "deny" for reason in decision.reasons):
        return Verdict(DENIED, missing)
    if missing:
        return Verdict(HELD, missing, THEN if codes else "", {"count": str(len(missing)), "codes": codes})
    archived_first = any(reason.kind.field == "delivery" for reason in decision.reasons)
    return Verdict(CHARGED, (), ONCE_ARCHIVED if archived_first else "", {"codes": codes, "waits": waits})


def coded(code: str, modifiers: Iterable[str], base: str) -> str:
    """Writes a line of a charge as coders do."""
    return f"{'-'.join((code, *modifiers))} beside {base}"
