"""Work that was rendered and brings nothing: turned down though no rule forbids the charge, or never decided at all."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dicom_io.objects.derived import CAPTURE_CLASSES, IMAGE_TYPES
from workstation.billing.filing import read_record, unfiled
from workstation.charge import FactsError, Policy, read_facts
from workstation.charge.lines import lines_of
from workstation.charge.reasons import REASONS
from workstation.charge.work import work_of
from workstation.coder.expected_amount import NOT_KNOWN
from workstation.site import Site
from workstation.store.cases import Ruling

# Image Type value 3 or 4 that says so: our own, and by habit those of the scanners' 3D packages.
_THREE_D = {*IMAGE_TYPES.values(), "VOLUME", "3D", "3DVR", "VRT", "SSD", "MIP"}
_TECHNIQUES = {word: name for name, word in reversed(IMAGE_TYPES.items())}
# A denial that a physician in attendance would have spared: the one rule whose denials are work lost.
_AVOIDABLE = "NO_CONCURRENT_SUPERVISION"
# Denials of work that could never be charged, whatever anybody had done: not lost.
NEVER_CHARGEABLE = frozenset(
    kind.code for kind in REASONS if kind.severity == "deny" and kind.rule and kind.code != _AVOIDABLE
)


def is_lost(state: str, reasons: Sequence[str]) -> bool:
    """Tell whether a case in this state is lost: no charge is out or to come, and one might have been."""
    return state in ("denied", "credited") and not NEVER_CHARGEABLE & {*reasons}


def lines_of_lost(ruling: Ruling, policy: Policy) -> list[dict[str, Any]]:
    """Return the lines that the work of a case earns, as in a decision's JSON; empty where that cannot be told.

    A denial has no lines of its own, so they are worked out again from the facts that were kept with it.
    """
    try:
        facts = read_facts({**json.loads(ruling.facts), "previous_charges": []}, ruling.contract)
    except FactsError:
        return []
    edition = policy.edition_on(facts.date_of_service, facts.contract)
    if edition is None:
        return []
    return [
        {"code": each.code, "modifiers": list(each.modifiers), "units": each.units, "entity": each.entity}
        for each in lines_of(work_of(facts, policy, edition))
    ]


def undecided(site: Site, month: str) -> list[dict[str, Any]]:
    """Return what was rendered in a month and has no decision: SRs without a case, and 3D images that no SR tells of.

    What it would have brought is not known: nobody has said what was done and for whom.
    """
    found, records = [], list(site.casebook.records())
    for sr in unfiled(site):
        # Its pictures are its own, and no further work that was lost.
        record, _ = read_record(sr, site)
        records.append(record)
        techniques = sorted({product.technique for product in record.evidence.products})
        why = f"SR {sr.sop_instance_uid} has no decision: run `charge recheck`"
        found.append(_row(sr.accession, sr.study_date, techniques, why))
    told = {
        image.sop_instance_uid for record in records for product in record.evidence.products for image in product.images
    }
    counts: Counter[tuple[str, str, str]] = Counter()
    named: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for sop_class in CAPTURE_CLASSES:
        for image in site.archive.instances_of(sop_class):
            words = _THREE_D & {word.upper() for word in image.image_type}
            if words and image.sop_instance_uid not in told:
                key = image.accession, image.study_uid, image.study_date
                counts[key] += 1
                named[key] |= {_TECHNIQUES.get(word, word) for word in words}
    for (accession, study, day), count in sorted(counts.items()):
        why = f"{count} 3D images of study {study} that no SR tells of"
        found.append(_row(accession, day, sorted(named[accession, study, day]), why))
    # One without a date may be of any month, and is shown in each rather than in none.
    return [row for row in found if row["date_of_service"][:7] in ("", month)]


def of_cases(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lost ones among the cases of a month, as rows of the same columns as `undecided`."""
    return [
        {
            "accession": row["accession"],
            "date_of_service": row["date_of_service"],
            "techniques": row["techniques"],
            "why": ", ".join(row["reasons"]),
            "expected_low": row["expected_low"],
            "expected_high": row["expected_high"],
            "basis": row["basis"],
        }
        for row in rows
        if row["outcome"] == "lost"
    ]


def _row(accession: str, day: str, techniques: Sequence[str], why: str) -> dict[str, Any]:
    try:
        iso = date.fromisoformat(day).isoformat()  # the eight digits of DICOM too
    except ValueError:
        iso = ""
    return {
        "accession": accession or "(none)",
        "date_of_service": iso,
        "techniques": list(techniques),
        "why": why,
        "expected_low": "",
        "expected_high": "",
        "basis": NOT_KNOWN,
    }
