"""What a charge may be expected to bring: from the site's fee file, else the guide's estimate. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from workstation.charge.cms import Fee
from workstation.charge.facts import SiteKind
from workstation.config import Fees, PayerRule

# Source: the customer's 3D billing guide. US dollars, lowest and highest.
_GUIDE: Mapping[str, tuple[Decimal, Decimal]] = {
    "medicare": (Decimal(150), Decimal(250)),
    "private": (Decimal(200), Decimal(400)),
}
GUIDE = "guide's estimate"


@dataclass(frozen=True, slots=True)
class ExpectedAmount:
    """An expected amount: lowest and highest in US dollars (the same where a fee is known), and where it comes from."""

    low: Decimal
    high: Decimal
    basis: str

    def __add__(self, other: "ExpectedAmount") -> "ExpectedAmount":
        basis = self.basis if self.basis == other.basis else f"fee file and {GUIDE}"
        return ExpectedAmount(self.low + other.low, self.high + other.high, basis)


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
    """Return what the lines of a case may bring; None where there is none.

    lines : as in a decision's JSON. A fee file holds what Medicare allows, so only for payers of plan `medicare` does
    it tell the amount; for the others, and where it has no row, the guide's estimate stands for the whole case.
    """
    rows = {(fee.code, fee.modifier): fee for fee in fees if _is_ours(fee, ours) and fee.year == day.year}
    plan = payers[payer].plan if payer in payers else "private"
    found: list[ExpectedAmount] = []
    for line in lines:
        modifiers = line["modifiers"]
        assert isinstance(modifiers, list)
        modifier = next((each for each in modifiers if each in ("26", "TC")), "")
        fee = rows.get((str(line["code"]), modifier)) if plan == "medicare" else None
        if fee is None:
            return ExpectedAmount(*_GUIDE[plan], GUIDE)
        amount = (fee.facility if site == "hospital" else fee.office) * int(str(line["units"]))
        found.append(ExpectedAmount(amount, amount, source))
    if not found:
        return None
    total = found[0]
    for each in found[1:]:
        total += each
    return total


def _is_ours(fee: Fee, ours: Fees) -> bool:
    return ours.carrier in ("", fee.carrier) and ours.locality in ("", fee.locality)
