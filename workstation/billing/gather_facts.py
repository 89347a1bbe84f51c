"""The facts of a charge from their owners: the SR, what is on file, the site's settings, earlier charges."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from dicom_io.dates import day_of
from dicom_io.evidence import Evidence, ImageReference
from workstation.billing.human_decisions import held
from workstation.charge import Decision, Facts, FactsError, Policy, decide, load_policy, read_facts
from workstation.charge.cms_imports import with_edits
from workstation.charge.codes import CodeTable
from workstation.charge.facts import PreviousCharge
from workstation.charge.reasons import Reason, hold
from workstation.config import Config
from workstation.store.journal import SUPERVISION_ACTS
from workstation.store.papers import OnFile

SITE_CODES = "site_codes.csv"
# What a report lacks that a part of it which could not be read may say.
_OF_REPORT_TEXT = ("NO_3D_INTERPRETATION", "WORKSTATION_STATEMENT_MISSING", "NECESSITY_MISSING", "UTILITY_MISSING")


def site_policy(config: Config, root: Path) -> Policy:
    """The site's policy with its own rule for reformats alone, and its own code rows from `root/site_codes.csv`.

    Raises PolicyError or CodesError, naming file and line, when a setting or a row is not usable.
    """
    policy = load_policy(config.policy)
    policy = policy.with_codes(with_edits(table_before_edits(config, root), root))
    policy = policy.with_order_grounds(config.order_grounds).with_modifiers(config.modifiers)
    return policy.with_reformats(config.reformat_only) if config.policy == "guide" else policy


class PoliciesByDay:
    """The site's policy for each date of service, each read once: for many cases in a row."""

    def __init__(self, config: Config, root: Path) -> None:
        self._config, self._root = config, root
        self._known: dict[tuple[date, ...], Policy] = {}

    def on(self, day: date | None) -> Policy:
        """The policy with the settings for a date of service. Raises as `site_policy`."""
        in_force = tuple(each.begins for each in self._config.charging if day is not None and each.begins <= day)
        if in_force not in self._known:
            self._known[in_force] = site_policy(self._config.on(day), self._root)
        return self._known[in_force]


def table_before_edits(config: Config, root: Path) -> CodeTable:
    """The shipped code table with the site's own rows. Raises CodesError, naming file and line."""
    table = load_policy(config.policy).codes
    return table.with_site_rows(root / SITE_CODES) if (root / SITE_CODES).exists() else table


def decide_case(
    evidence: Evidence,
    papers: OnFile,
    previous: Sequence[PreviousCharge],
    archived: Callable[[ImageReference], bool],
    config: Config,
    policy: Policy,
    patient_id: str | None = None,
    required: bool | None = None,
    doubt: str = "",
    here: bool = True,
    unread: Sequence[str] = (),
) -> tuple[Decision, Facts | None]:
    """The decision for a session, with the facts it rests on.

    What the facts cannot even name (no accession, an unknown role) holds as well; then there are no facts.
    doubt : why the record's acts cannot be believed, empty when they can; it holds. here : as `facts_of`.
    unread : parts of the report that could not be read; they hold where the report lacks what the charge needs.
    """
    why = f"{doubt} What the physician did rests on it; have the journal and the SR restored from their backups."
    tampered = (hold("JOURNAL_TAMPERED", why, "journal"),) if doubt else ()
    try:
        facts = facts_of(evidence, papers, previous, archived, config, patient_id, required, here)
    except FactsError as error:
        reasons = tuple(
            hold("FACT_MISSING", f"The record is incomplete: {line}.", line.split(":")[0])
            for line in str(error).splitlines()
        )
        return Decision("hold", "none", (), (), (*reasons, *tampered), config.policy, None), None
    return decide_facts(facts, policy, unread, tampered), facts


def decide_facts(facts: Facts, policy: Policy, unread: Sequence[str] = (), further: Sequence[Reason] = ()) -> Decision:
    """Decide facts by the rules and by what surrounds them. unread : as `decide_case`. further : reasons to wait."""
    decision = decide(facts, policy)
    return held(decision, *_unread(decision, unread), *further)


def _unread(decision: Decision, unread: Sequence[str]) -> tuple[Reason, ...]:
    """That what the report lacks may stand where nobody could read it."""
    if not unread or not any(reason.code in _OF_REPORT_TEXT for reason in decision.reasons):
        return ()
    why = (
        f"Part of the report could not be read ({'; '.join(unread[:3])}) and may say what is missing; have it sent as "
        "text, or have the physician answer."
    )
    return (hold("REPORT_UNREAD", why, "report"),)


def facts_of(
    evidence: Evidence,
    papers: OnFile,
    previous: Sequence[PreviousCharge],
    archived: Callable[[ImageReference], bool],
    config: Config,
    patient_id: str | None = None,
    required: bool | None = None,
    here: bool = True,
) -> Facts:
    """The facts of a session.

    patient_id : what the SR's patient has become by merges. required : the physician's word on the requirement of an
    independent workstation where it is later than the SR. here : whether the work counts as done by this site, which is
    concluded (`belief.made_by_us`) and never read from the SR.

    Raises FactsError naming what the record lacks.
    """
    attestation, supervisor = evidence.attestation, evidence.supervisor
    acts = [a.kind for a in evidence.acts if supervisor and a.person_id == supervisor.id and a.kind in SUPERVISION_ACTS]
    obj: dict[str, Any] = {
        "sr": {"sop_instance_uid": evidence.sop_instance_uid, "verified": evidence.verified},
        "patient_id": evidence.patient_id if patient_id is None else patient_id,
        "accession": evidence.accession,
        "study_instance_uid": evidence.study_uid,
        "date_of_service": _iso(evidence.study_date),
        "study": {"modality": evidence.modality, "region": evidence.products[0].region if evidence.products else ""},
        "base_procedures": [asdict(b) for b in papers.base_procedures],
        "other_procedures": list(papers.other_procedures),
        "renderings": [
            {
                "technique": p.technique,
                "region": p.region,
                "laterality": p.laterality or None,
                "base_procedure": p.base_procedure or None,
                "performed_here": here,
                "prepared": p.prepared,
                "archived": bool(p.images) and all(archived(image) for image in p.images),
                "purpose": p.purpose,
            }
            for p in evidence.products
        ],
        "independent_workstation": evidence.independent,
        "independent_workstation_required": (
            required if required is not None else attestation.independent_workstation_required if attestation else None
        ),
        "supervision": {
            "physician": {"id": supervisor.id, "role": supervisor.role} if supervisor else None,
            "concurrent": attestation.concurrent_supervision if attestation else None,
            "acts": list(dict.fromkeys(acts)),
        },
        "operator": {"id": evidence.operator.id, "role": evidence.operator.role},
        "report": asdict(papers.report),
        "order": asdict(papers.order),
        "setting": {"site": config.site, "entity": config.entity},
        "payer": asdict(papers.payer),
        "diagnoses": list(papers.diagnoses),
        "previous_charges": [asdict(p) for p in previous],
    }
    return read_facts(obj)


def _iso(date: str) -> str:
    """DICOM DA to ISO; anything else stays as it is and is refused as a fact."""
    day = day_of(date)
    return day.isoformat() if day else date
