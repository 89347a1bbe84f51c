"""Money and measure of a month: what was charged, held and denied, by whom and why; and what may have been lost."""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from workstation.billing.gather_facts import PoliciesByDay
from workstation.charge.cms_imports import imported_fees
from workstation.coder import lost_work
from workstation.coder.expected_amount import NOT_KNOWN, ExpectedAmount, expected_amount
from workstation.coder.messages_read import read_once
from workstation.coder.work_list import WorkError, WorkItem, items_under, work_items
from workstation.config import Config
from workstation.hl7.syntax import Hl7Error
from workstation.orders.stated import MessageRefused, Ordered
from workstation.orders.statements import ORDERS, statements_of
from workstation.site import Site
from workstation.store.cases import Received
from workstation.text_table import csv_line, table

# What the states of the work list mean for the money; a case that is neither of these waits, and is held.
_CHARGED = ("queued", "sent", "acknowledged", "operator")
_AGES = ((7, "up to 7 days"), (30, "8 to 30 days"), (90, "31 to 90 days"))


def report(site: Site, month: str, accessions: Collection[str] | None = None) -> dict[str, Any]:
    """Return the month, JSON-ready; dollars as text with cents. `month` is YYYY-MM, the month of service.

    accessions : those that have cases of the month, where it is known; all are read instead.

    Raises WorkError when it is not a month.
    """
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", month):
        raise WorkError(f"{month!r} is not a month written as YYYY-MM.")
    fees, policies = imported_fees(site.root), PoliciesByDay(site.config, site.root)
    rows: list[dict[str, Any]] = []
    items = work_items(site) if accessions is None else items_under(site, accessions)
    for item in sorted(items, key=lambda item: (item.since, item.accession, item.session)):
        day = _day(item)
        if day is None or not day.isoformat().startswith(month):
            continue
        content = item.ruling.content
        outcome = _outcome(item)
        lines = content["lines"] or content["proposed"]
        if outcome == "lost":
            lines = lost_work.lines_of_lost(item.ruling, policies.on(day))
        elif outcome == "not chargeable":
            lines = []
        config = site.config.on(day)
        money = expected_amount(
            lines, content["payer"], day, config.site, fees.fees, fees.source, config.fees, config.payers
        )
        rows.append(_row(item, day, outcome, money))
    lost = [*lost_work.of_cases(rows), *lost_work.undecided(site, month)]
    return {
        "month": month,
        "cases": rows,
        "money": {
            "charged": _total(row for row in rows if row["outcome"] == "charged"),
            "held": _total(row for row in rows if row["outcome"] == "held"),
            "lost": _total(lost),
        },
        "not_chargeable": sum(row["outcome"] == "not chargeable" for row in rows),
        "states": _sums(rows, "state"),
        "by_physician": _sums(rows, "physician"),
        "by_payer": _sums(rows, "payer"),
        "by_technique": _sums(rows, "techniques"),
        "by_reason": _sums(rows, "reasons"),
        "share": _shares(rows, performed_in(site, month), site.config),
        "hold_ageing": _ageing(rows),
        "lost": lost,
    }


def _outcome(item: WorkItem) -> str:
    if item.state in _CHARGED:
        return "charged"
    if item.state in ("denied", "credited"):
        return "lost" if lost_work.is_lost(item.state, item.reasons) else "not chargeable"
    return "held"


def _shares(rows: Iterable[Mapping[str, Any]], performed: Mapping[str, set[str]], config: Config) -> dict[str, Any]:
    """The rate of 3D, over all counted modalities and for each; by accession, however many sessions one has."""
    three_d: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["modality"] in config.counted_modalities and row["techniques"]:
            three_d[row["modality"]].add(row["accession"])

    def share(modalities: Iterable[str]) -> dict[str, Any]:
        with_3d = set().union(*(three_d[each] for each in modalities))
        examined = with_3d.union(*(performed.get(each, set()) for each in modalities))
        rate = len(with_3d) / len(examined) if examined else None
        return {
            "with_3d": len(with_3d),
            "examinations": len(examined),
            "share": None if rate is None else round(rate, 4),
            "limit": config.share_limit,
            "above_limit": rate is not None and rate > config.share_limit,
        }

    counted = config.counted_modalities
    return {**share(counted), "by_modality": {each: share((each,)) for each in counted}}


def _total(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Cases, their money, and how many there are whose amount is not known, which is in no sum."""
    listed = list(rows)
    return {
        "cases": len(listed),
        "expected_low": f"{sum((Decimal(row['expected_low'] or 0) for row in listed), Decimal(0)):.2f}",
        "expected_high": f"{sum((Decimal(row['expected_high'] or 0) for row in listed), Decimal(0)):.2f}",
        "unknown": sum(not row["expected_low"] and row.get("outcome") != "not chargeable" for row in listed),
    }


def _row(item: WorkItem, day: date, outcome: str, money: ExpectedAmount | None) -> dict[str, Any]:
    content = item.ruling.content
    return {
        "accession": item.accession,
        "date_of_service": day.isoformat(),
        "state": item.state,
        "outcome": outcome,
        "code": item.code,
        "physician": content["physician"] or "(none)",
        "payer": content["payer"],
        "modality": content["modality"],
        "techniques": content["techniques"],
        "reasons": list(item.reasons),
        "age_days": item.age_days,
        "expected_low": f"{money.low:.2f}" if money else "",
        "expected_high": f"{money.high:.2f}" if money else "",
        "basis": money.basis if money else "" if outcome == "not chargeable" else NOT_KNOWN,
    }


def _sums(rows: Iterable[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Cases and money by one column. A case with several values counts under each of them."""
    listed: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        for value in row[key] if isinstance(row[key], list) else [row[key]]:
            listed[value].append(row)
    return [
        {key: value, "charged": sum(row["outcome"] == "charged" for row in own), **_total(own)}
        for value, own in sorted(listed.items(), key=lambda each: (-len(each[1]), each[0]))
    ]


def _ageing(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = dict.fromkeys([*(name for _, name in _AGES), "more than 90 days"], 0)
    for row in rows:
        if row["state"] == "held":
            name = next((name for days, name in _AGES if row["age_days"] <= days), "more than 90 days")
            found[name] += 1
    return found


def performed_in(site: Site, month: str) -> dict[str, set[str]]:
    """Return the accessions that were performed in a month as orders tell, by counted modality."""
    config, policies = site.config, PoliciesByDay(site.config, site.root)
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"

    def read(received: Received) -> tuple[tuple[date, str, str], ...]:
        """Day, modality and accession of what the order says was performed."""
        said: list[tuple[date, str, str]] = []
        with suppress(MessageRefused, Hl7Error):
            reading = config.on(received.at.date()).reading
            for stated in statements_of(received.body, reading, zone, _processing_id(config)):
                order, day = stated.statement, stated.stated_at.date()
                if not isinstance(order, Ordered):
                    continue
                for item in order.items:
                    entry = policies.on(day).codes.lookup(item.code, day)
                    if item.status == "performed" and entry and entry.modality in config.counted_modalities:
                        said.append((day, entry.modality, order.accession))
        return tuple(said)

    found: dict[str, set[str]] = defaultdict(set)
    # No message comes before the day that it speaks of, but for a clock that is wrong by hours.
    first = date.fromisoformat(f"{month}-01")
    for said in read_once(site, "performed", ORDERS, first, site.clock().date(), read):
        for day, modality, accession in said:
            if day.isoformat().startswith(month):
                found[modality].add(accession)
    return found


def _processing_id(config: Config) -> str:
    return config.listener.processing_id if config.listener is not None else "P"


def _day(item: WorkItem) -> date | None:
    text = json.loads(item.ruling.facts).get("date_of_service", "")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


CASE_COLUMNS = (
    "accession",
    "date_of_service",
    "state",
    "outcome",
    "code",
    "physician",
    "payer",
    "modality",
    "techniques",
    "reasons",
    "age_days",
    "expected_low",
    "expected_high",
    "basis",
)


def write_csv(found: Mapping[str, Any], path: Path) -> None:
    """Write the cases of a month as CSV."""
    lines = [csv_line(CASE_COLUMNS)]
    for row in found["cases"]:
        values = (row[column] for column in CASE_COLUMNS)
        lines.append(csv_line(tuple(" ".join(v) if isinstance(v, list) else str(v) for v in values)))
    path.write_bytes(b"".join(lines))


def dollars(row: Mapping[str, Any]) -> str:
    """Return an expected amount for people: one amount or a range, or that it is not known."""
    low, high = row["expected_low"], row["expected_high"]
    if not low or (row.get("unknown") and not Decimal(high)):
        return NOT_KNOWN
    return f"{Decimal(low):,.2f}" if low == high else f"{Decimal(low):,.2f} to {Decimal(high):,.2f}"


def limit_in_words(found: Mapping[str, Any]) -> list[str]:
    """Return what is flagged and at which value, and whether this month is: one line for all, one by modality."""
    share = found["share"]
    counted = " and ".join(share["by_modality"])
    lines = [
        f"A month is flagged when more than {share['limit'] * 100:.6g}% of {counted} have 3D "
        f"(share_limit of the settings). This one: {_rate(share)}."
    ]
    parts = [f"{name} {_rate(each)}" for name, each in share["by_modality"].items()]
    return [*lines, f"By modality: {'; '.join(parts)}."] if len(parts) > 1 else lines


def _rate(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "none on file"
    flag = "ABOVE the limit" if share["above_limit"] else "within the limit"
    return f"{share['with_3d']} of {share['examinations']}, {share['share']:.1%}, {flag}"


def in_words(found: Mapping[str, Any]) -> str:
    """Return a month for people."""
    lines = [f"Month {found['month']}: {len(found['cases'])} cases", ""]
    money = [[name, str(each["cases"]), dollars(each), str(each["unknown"])] for name, each in found["money"].items()]
    lines.append(table(money, ["Money", "cases", "expected dollars", "amount not known"]))
    lines.append(f"Not chargeable by the rules, and so not lost: {found['not_chargeable']} cases")
    for title, key, column in (
        ("State", "states", "state"),
        ("Physician", "by_physician", "physician"),
        ("Payer", "by_payer", "payer"),
        ("Technique", "by_technique", "techniques"),
        ("Reason", "by_reason", "reasons"),
    ):
        if found[key]:
            rows = [
                [str(r[column]), *(str(r[c]) for c in ("cases", "charged")), dollars(r), str(r["unknown"])]
                for r in found[key]
            ]
            lines += ["", table(rows, [title, "cases", "charged", "expected dollars", "amount not known"])]
    bases = sorted({row["basis"] for row in found["cases"]} - {"", NOT_KNOWN})
    lines += ["", f"Expected amounts: {', '.join(bases) or 'none'}.", *limit_in_words(found)]
    lines.append("Holds: " + ", ".join(f"{count} {name}" for name, count in found["hold_ageing"].items()))
    if not found["lost"]:
        return "\n".join([*lines, "Lost: nothing found."])
    rows = [
        [r["accession"], r["date_of_service"], " ".join(r["techniques"]), dollars(r), r["why"]] for r in found["lost"]
    ]
    lines += ["", table(rows, ["Lost", "date", "technique", "expected dollars", "why"])]
    return "\n".join(lines)
