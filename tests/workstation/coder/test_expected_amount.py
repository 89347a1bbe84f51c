"""What lines may bring: by code and component, and not known where neither a fee file nor the guide tells."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from workstation.charge.cms import Fee
from workstation.charging import Fees, PayerRule
from workstation.coder.expected_amount import GUIDE, ExpectedAmount, component_of, expected_amount

DAY = date(2026, 3, 2)
PAYERS = {"MCARE": PayerRule(plan="medicare")}
NAME = "PFALL26.txt"


def fee(code: str, modifier: str, office: str, facility: str, locality: str = "05") -> Fee:
    return Fee(2026, "01112", locality, code, modifier, Decimal(office), Decimal(facility))


# Made up.
FEES = (
    fee("76377", "", "75.20", "75.10"),
    fee("76377", "26", "41.98", "41.50"),
    fee("76377", "TC", "33.22", "33.60"),
    fee("76376", "", "24.10", "24.00"),
    fee("76376", "26", "10.20", "10.00"),
    fee("76376", "TC", "13.90", "0.00"),
)


def line(code: str, *modifiers: str, entity: str = "global", units: int = 1) -> dict[str, Any]:
    return {"code": code, "modifiers": list(modifiers), "units": units, "entity": entity}


def amount(
    *lines: dict[str, Any], payer: str = "MCARE", fees: tuple[Fee, ...] = FEES, ours: Fees | None = None
) -> ExpectedAmount | None:
    return expected_amount(lines, payer, DAY, "hospital", fees, NAME, ours or Fees(), PAYERS)


def one(text: str) -> ExpectedAmount:
    return ExpectedAmount(Decimal(text), Decimal(text), NAME)


@pytest.mark.parametrize(
    ("charged", "expected"),
    [
        (line("76377"), "75.10"),
        (line("76377", "26", entity="professional"), "41.50"),
        (line("76377", "TC", entity="technical"), "33.60"),
        (line("76376"), "24.00"),
        (line("76376", "26", entity="professional"), "10.00"),
        (line("76377", "59", "26", entity="professional"), "41.50"),
        (line("76377", "26", entity="professional", units=2), "83.00"),
    ],
)
def test_a_fee_file_tells_by_code_and_component(charged: dict[str, Any], expected: str) -> None:
    assert amount(charged) == one(expected)


def test_the_components_of_a_split_charge_are_added() -> None:
    assert amount(line("76377", "TC", entity="technical"), line("76377", "26", entity="professional")) == one("75.10")


@pytest.mark.parametrize(("payer", "low", "high"), [("MCARE", 150, 250), ("OTHER", 200, 400)])
def test_the_guides_range_is_for_the_global_76377(payer: str, low: int, high: int) -> None:
    assert amount(line("76377"), payer=payer, fees=()) == ExpectedAmount(Decimal(low), Decimal(high), GUIDE)


@pytest.mark.parametrize("payer", ["MCARE", "OTHER"])
@pytest.mark.parametrize(
    "charged",
    [
        line("76376"),
        line("76377", "26", entity="professional"),
        line("76377", "TC", entity="technical"),
        line("76377", "XX", entity="professional"),  # a site's own modifiers
        line("76377", entity="facility"),
    ],
)
def test_there_is_no_range_for_anything_else(payer: str, charged: dict[str, Any]) -> None:
    assert amount(charged, payer=payer, fees=()) is None


def test_a_facility_line_is_no_global_service() -> None:
    assert component_of(line("76377", entity="facility")) == "facility"
    assert amount(line("76377", entity="facility")) is None


def test_one_line_of_unknown_amount_makes_the_case_unknown() -> None:
    assert amount(line("76377"), line("76377", "26", entity="professional"), payer="OTHER") is None
    assert amount() is None


def test_a_schedule_without_an_amount_tells_none() -> None:
    assert amount(line("76376", "TC", entity="technical")) is None


def test_of_localities_that_differ_the_settings_name_one() -> None:
    fees = (*FEES, fee("76377", "26", "50.00", "50.00", locality="99"))
    professional = line("76377", "26", entity="professional")
    assert amount(professional, fees=fees) is None
    assert amount(professional, fees=fees, ours=Fees(locality="99")) == one("50.00")
