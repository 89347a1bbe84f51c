"""What a charge may bring, by code and component: from the site's fee file, else the guide's range. Pure.

Where neither tells, the amount is not known: a wrong number is worse than none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from workstation.charge.cms import Fee
from workstation.charge.facts import SiteKind
from workstation.charge.policy import INDEPENDENT_CODE
from workstation.charging import Fees, PayerRule

Component = Literal["global", "26", "TC", "facility"]

# Source: the customer's 3D billing guide. US dollars, lowest and highest, for the global service of 76377; it gives no
# range for 76376, nor for the professional or the technical component of either.
_GUIDE: Mapping[str, tuple[Decimal, Decimal]] = {
    "medicare": (Decimal(150), Decimal(250)),
    "private": (Decimal(200), Decimal(400)),
}
GUIDE = "guide's estimate"
NOT_KNOWN = "not known"
# A hospital's facility line has no modifier, and is paid by the facility's own schedule, which no fee file here holds.
_COMPONENTS: Mapping[str, Component] = {
    "professional": "26",
    "technical": "TC",
    "global": "global",
    "facility": "facility",
}


@dataclass(frozen=True, slots=True)
class ExpectedAmount:
    """An expected amount: lowest and highest in US dollars (the same where a fee is known), and where it comes from."""

    low: Decimal
    high: Decimal
    basis: str

    def __add__(self, other: "ExpectedAmount") -> "ExpectedAmount":
        basis = self.basis if self.basis == other.basis else f"fee file and {GUIDE}"
        return ExpectedAmount(self.low + other.low, self.high + other.high, basis)


def component_of(line: Mapping[str, object]) -> Component:
    """Return which component a line of a decision's JSON claims.

    The modifiers tell; a site may have others than 26 and TC, and then the entity of the line does.
    """
    modifiers = line["modifiers"]
    assert isinstance(modifiers, (list, tuple))
    if "26" in modifiers:
        return "26"
    if "TC" in modifiers:
        return "TC"
    return _COMPONENTS[str(line.get("entity", "global"))]


def expected_amount(
    lines: Iterable[Mapping[str, object]],
    payer: str,
    day: date,
    site: SiteKind,
    fees: Iterable[Fee],
    source: str,
    ours: Fees,
    payers: Mapping[str, PayerRule],
) -> ExpectedAmount | None:
    """Return what the lines of a case may bring together; None where that is not known of every one of them.

    lines : as in a decision's JSON. A fee file holds what Medicare allows, so only for payers of plan `medicare` does
    it tell the amount. The guide's range stands in for the global 76377 alone.
    """
    rows = [fee for fee in fees if _is_ours(fee, ours) and fee.year == day.year]
    plan = payers[payer].plan if payer in payers else "private"
    total: ExpectedAmount | None = None
    for line in lines:
        code, component, units = str(line["code"]), component_of(line), int(str(line["units"]))
        amount = _allowed(rows, code, component, site) if plan == "medicare" else None
        if amount is not None:
            one = ExpectedAmount(amount * units, amount * units, source)
        elif (code, component) == (INDEPENDENT_CODE, "global"):
            low, high = _GUIDE[plan]
            one = ExpectedAmount(low * units, high * units, GUIDE)
        else:
            return None
        total = one if total is None else total + one
    return total


def _allowed(rows: Iterable[Fee], code: str, component: Component, site: SiteKind) -> Decimal | None:
    """Return what the fee file allows; None where it has no row, no amount, or rows of localities that differ."""
    if component == "facility":
        return None
    modifier = "" if component == "global" else component
    amounts = {
        fee.facility if site == "hospital" else fee.office
        for fee in rows
        if (fee.code, fee.modifier) == (code, modifier)
    }
    # A schedule writes 0.00 where it sets no amount; of several localities the settings have to name one.
    return amounts.pop() if len(amounts) == 1 and 0 not in amounts else None


def _is_ours(fee: Fee, ours: Fees) -> bool:
    return ours.carrier in ("", fee.carrier) and ours.locality in ("", fee.locality)
