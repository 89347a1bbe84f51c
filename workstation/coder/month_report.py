"""Money and measure of a month: what was charged, held and denied, by whom and why; and what may have been lost."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from dicom_io.objects.derived import CAPTURE_CLASSES, IMAGE_TYPES
from workstation.billing.day_sheet import csv_line
from workstation.billing.filing import unfiled
from workstation.billing.gather_facts import site_policy
from workstation.charge.cms_imports import imported_fees
from workstation.coder.expected_amount import ExpectedAmount, expected_amount
from workstation.coder.work_list import WorkError, WorkItem, work_items
from workstation.config import Config
from workstation.hl7.syntax import Hl7Error
from workstation.orders.stated import MessageRefused, Ordered
from workstation.orders.statements import ORDERS, statements_of
from workstation.site import Site
from workstation.text_table import table

# Image Type value 3 or 4 that says so: our own, and by habit those of the scanners' 3D packages.
_THREE_D = {*IMAGE_TYPES.values(), "VOLUME", "3D", "3DVR", "VRT", "SSD", "MIP"}
_AGES = ((7, "up to 7 days"), (30, "8 to 30 days"), (90, "31 to 90 days"))


def report(site: Site, month: str) -> dict[str, Any]:
    """Return the month, JSON-ready; dollars as text with cents. `month` is YYYY-MM, the month of service.

    Raises WorkError when it is not a month.
    """
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", month):
        raise WorkError(f"{month!r} is not a month written as YYYY-MM.")
    fees, config = imported_fees(site.root), site.config
    rows: list[dict[str, Any]] = []
    for item in work_items(site):
        day = _day(item)
        if day is None or not day.isoformat().startswith(month):
            continue
        content = item.ruling.content
        lines = content["lines"] or content["proposed"]
        money = expected_amount(
            lines, content["payer"], day, config.site, fees.fees, fees.source, config.fees, config.payers
        )
        rows.append(_row(item, day, money))
    three_d = {r["accession"] for r in rows if r["modality"] in config.counted_modalities and r["techniques"]}
    examined = three_d | _performed(site, month)
    share = len(three_d) / len(examined) if examined else None
    return {
        "month": month,
        "cases": rows,
        "states": _sums(rows, "state"),
        "by_physician": _sums(rows, "physician"),
        "by_payer": _sums(rows, "payer"),
        "by_technique": _sums(rows, "techniques"),
        "by_reason": _sums(rows, "reasons"),
        "share": {
            "with_3d": len(three_d),
            "examinations": len(examined),
            "share": None if share is None else round(share, 4),
            "limit": config.share_limit,
            "above_limit": share is not None and share > config.share_limit,
        },
        "hold_ageing": _ageing(rows),
        "lost": lost(site),
    }


def lost(site: Site) -> list[str]:
    """Return what was rendered and has no decision: SRs without a case, and 3D images that no SR tells of."""
    found = [
        f"SR {sr.sop_instance_uid}, accession {sr.accession or '(none)'}: no decision; run `charge recheck`"
        for sr in unfiled(site)
    ]
    told = {
        image.sop_instance_uid
        for record in site.casebook.records()
        for product in record.evidence.products
        for image in product.images
    }
    studies: Counter[tuple[str, str]] = Counter()
    for sop_class in CAPTURE_CLASSES:
        for image in site.archive.instances_of(sop_class):
            if image.sop_instance_uid not in told and _THREE_D & {word.upper() for word in image.image_type}:
                studies[image.accession, image.study_uid] += 1
    found += [
        f"study {study}, accession {accession or '(none)'}: {count} 3D images that no SR tells of"
        for (accession, study), count in sorted(studies.items())
    ]
    return found


def _row(item: WorkItem, day: date, money: ExpectedAmount | None) -> dict[str, Any]:
    content = item.ruling.content
    return {
        "accession": item.accession,
        "date_of_service": day.isoformat(),
        "state": item.state,
        "code": item.code,
        "physician": content["physician"] or "(none)",
        "payer": content["payer"],
        "modality": content["modality"],
        "techniques": content["techniques"],
        "reasons": list(item.reasons),
        "age_days": item.age_days,
        "expected_low": f"{money.low:.2f}" if money else "",
        "expected_high": f"{money.high:.2f}" if money else "",
        "basis": money.basis if money else "",
    }


def _sums(rows: Iterable[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Cases and money by one column. A case with several values counts under each of them."""
    counts: Counter[str] = Counter()
    charged: Counter[str] = Counter()
    money: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        values = row[key] if isinstance(row[key], list) else [row[key]]
        for value in values:
            counts[value] += 1
            charged[value] += row["state"] in ("queued", "sent", "acknowledged", "operator")
            low, high = money.get(value, (Decimal(0), Decimal(0)))
            money[value] = (
                low + Decimal(row["expected_low"] or 0),
                high + Decimal(row["expected_high"] or 0),
            )
    return [
        {
            key: value,
            "cases": count,
            "charged": charged[value],
            "expected_low": f"{money[value][0]:.2f}",
            "expected_high": f"{money[value][1]:.2f}",
        }
        for value, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    ]


def _ageing(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = dict.fromkeys([*(name for _, name in _AGES), "more than 90 days"], 0)
    for row in rows:
        if row["state"] == "held":
            name = next((name for days, name in _AGES if row["age_days"] <= days), "more than 90 days")
            found[name] += 1
    return found


def _performed(site: Site, month: str) -> set[str]:
    """The accessions whose orders say that a CT or MR was performed in the month, as far as messages tell."""
    config: Config = site.config
    policy = site_policy(config, site.root)
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    found: set[str] = set()
    for received in site.casebook.all_messages(ORDERS):
        with suppress(MessageRefused, Hl7Error):
            for stated in statements_of(received.body, config.reading, zone, _processing_id(config)):
                said = stated.statement
                day = stated.stated_at.date()
                if not isinstance(said, Ordered) or not day.isoformat().startswith(month):
                    continue
                for item in said.items:
                    entry = policy.codes.lookup(item.code, day)
                    if item.status == "performed" and entry and entry.modality in config.counted_modalities:
                        found.add(said.accession)
    return found


def _processing_id(config: Config) -> str:
    return config.listener.processing_id if config.listener is not None else "P"


def _day(item: WorkItem) -> date | None:
    text = json.loads(item.ruling.facts).get("date_of_service", "")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


_CASE_COLUMNS = (
    "accession",
    "date_of_service",
    "state",
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
    lines = [csv_line(_CASE_COLUMNS)]
    for row in found["cases"]:
        values = (row[column] for column in _CASE_COLUMNS)
        lines.append(csv_line(tuple(" ".join(v) if isinstance(v, list) else str(v) for v in values)))
    path.write_bytes(b"".join(lines))


def in_words(found: Mapping[str, Any]) -> str:
    """Return a month for people."""
    lines = [f"Month {found['month']}: {len(found['cases'])} cases"]
    for title, key, column in (
        ("State", "states", "state"),
        ("Physician", "by_physician", "physician"),
        ("Payer", "by_payer", "payer"),
        ("Technique", "by_technique", "techniques"),
        ("Reason", "by_reason", "reasons"),
    ):
        if found[key]:
            rows = [
                [str(r[column]), str(r["cases"]), str(r["charged"]), f"{r['expected_low']} to {r['expected_high']}"]
                for r in found[key]
            ]
            lines += ["", table(rows, [title, "cases", "charged", "expected dollars"])]
    bases = sorted({row["basis"] for row in found["cases"] if row["basis"]})
    lines += ["", f"Expected amounts: {', '.join(bases) or 'none'}."]
    share = found["share"]
    if share["share"] is not None:
        flag = "ABOVE the limit of" if share["above_limit"] else "limit"
        lines.append(
            f"3D with {share['with_3d']} of {share['examinations']} CT and MR: {share['share']:.1%} "
            f"({flag} {share['limit']:.0%})"
        )
    lines.append("Holds: " + ", ".join(f"{count} {name}" for name, count in found["hold_ageing"].items()))
    lines += [f"LOST? {each}" for each in found["lost"]] or ["Lost: nothing found."]
    return "\n".join(lines)


def write_page(found: Mapping[str, Any], path: Path) -> None:
    """Plot a month on one page; the kind of file follows from the name: .png, .pdf or .svg.

    Raises WorkError for another kind.
    """
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise WorkError(f"{path}: a page is a .png, .pdf or .svg file.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.7, 8.3), layout="constrained")  # A4, inches
    FigureCanvasAgg(figure)
    share = found["share"]
    words = "no CT or MR on file" if share["share"] is None else f"3D with {share['share']:.1%} of CT and MR"
    above = ", ABOVE the limit" if share["above_limit"] else ""
    figure.suptitle(f"3D charges, {found['month']}: {len(found['cases'])} cases; {words}{above}")
    axes = figure.subplots(2, 3).ravel()
    for axis, (title, key, column) in zip(
        axes,
        (
            ("State", "states", "state"),
            ("Physician", "by_physician", "physician"),
            ("Payer", "by_payer", "payer"),
            ("Technique", "by_technique", "techniques"),
            ("Reason", "by_reason", "reasons"),
        ),
        strict=False,
    ):
        rows = found[key][:10][::-1]
        names = [str(row[column]) for row in rows]
        axis.barh(names, [row["cases"] for row in rows], color="0.75", label="cases")
        axis.barh(names, [row["charged"] for row in rows], color="tab:blue", label="charged", height=0.4)
        axis.set_title(title)
        axis.tick_params(axis="y", labelsize=7)
    axes[0].legend(fontsize=7)
    ageing = found["hold_ageing"]
    axes[5].bar(list(ageing), list(ageing.values()), color="tab:orange")
    axes[5].set_title("Age of holds")
    axes[5].tick_params(axis="x", labelsize=6)
    figure.savefig(path)
