"""A day of studies, each with a story; what it sends in; and what has to be charged in the end, told independently.

The reference is made from the facts that the story ends with, by the rules alone: it reads no message, and knows
nothing of orders, casebooks and outboxes.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from tests.workstation.charge.strategies import RELEASING
from tests.workstation.orders.ris import WHOLE, Ris, Study, objects
from workstation.charge import decide, load_policy, read_facts

# (accession, patient, account, code, modifiers, diagnoses): what billing is to have, once.
Charge = tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]
_BASES = (
    ("70450", "CT", "HEAD"),
    ("70486", "CT", "FACE"),
    ("71260", "CT", "CHEST"),
    ("72131", "CT", "LSPINE"),
    ("70551", "MR", "HEAD"),
    ("72148", "MR", "LSPINE"),
)
_TECHNIQUES = ("volume_rendering", "surface_rendering", "mip", "endoluminal", "mpr")


@dataclass(frozen=True, slots=True)
class Story:
    """One study: what it sends, in the order in which it happened, and the charge that it ends with, if any.

    signed : the study as it was signed first, and last; the journal of the device that made it knows both records.
    behind : the accession of the same patient and day, of an area that touches this one, which is charged before it.
    """

    name: str
    study: Study
    messages: tuple[bytes, ...]
    instances: tuple[Dataset, ...]
    charge: Charge | None
    signed: tuple[Study, ...]
    behind: str = ""


@dataclass
class _End:
    """How a story ends: what its facts are then."""

    study: Study
    patient: str
    account: str
    base: str
    diagnoses: tuple[str, ...] = ("S02.0XXA",)
    performed: bool = True
    ordered: bool = True
    report: str = "final"
    text: tuple[str, ...] = WHOLE
    report_patient: str = ""


def _facts(end: _End) -> dict[str, Any]:
    study = end.study
    facts: dict[str, Any] = dict(RELEASING)
    said = {
        "three_d_findings": WHOLE[0] in end.text,
        "workstation_statement": WHOLE[1] in end.text,
        "medical_necessity": WHOLE[2] in end.text,
        "clinical_utility": WHOLE[3] in end.text,
    }
    none = end.report == "none"
    return facts | {
        "sr": {"sop_instance_uid": "1.2", "verified": study.attended and study.signed},
        "patient_id": end.patient,
        "accession": study.accession,
        "study_instance_uid": study.uid,
        "date_of_service": "2026-03-02",
        "study": {"modality": study.modality, "region": study.region},
        "base_procedures": [
            {
                "code": end.base,
                "status": "performed" if end.performed else "cancelled",
                "study_instance_uid": study.uid,
            }
        ],
        "other_procedures": [],
        "renderings": [
            {
                "technique": study.technique,
                "region": study.region,
                "laterality": None,
                "base_procedure": None,
                "performed_here": True,
                "prepared": False,
                "archived": True,
                "purpose": "diagnosis",
            }
        ],
        "independent_workstation": True,
        "independent_workstation_required": study.required if study.attended else None,
        "supervision": {
            "physician": {"id": "DR1", "role": "physician"} if study.attended else None,
            "concurrent": True if study.attended else None,
            "acts": list(study.acts) if study.attended else [],
        },
        "operator": {"id": "T1", "role": "technologist" if study.attended else "automatic"},
        "report": {
            "status": end.report,
            "patient_id": None if none else end.report_patient or end.patient,
            **{key: value and not none for key, value in said.items()},
        },
        "order": {
            "three_d_ordered": end.ordered,
            "radiologist_rationale": False,
            "urgent": False,
            "urgent_documented": False,
        },
        "setting": {"site": "hospital", "entity": "professional"},
        "payer": {
            "id": "MCARE",
            "prior_authorization_required": False,
            "prior_authorization": None,
            "covered_diagnoses": None,
        },
        "diagnoses": list(end.diagnoses),
        "previous_charges": [],
    }


def reference(end: _End) -> Charge | None:
    """The charge that the facts bear, by the rules alone."""
    decision = decide(read_facts(_facts(end)), load_policy("guide"))
    if decision.disposition != "release":
        return None
    (line,) = decision.lines
    return end.study.accession, end.patient, end.account, line.code, line.modifiers, end.diagnoses


# The stories. Each gets a RIS of its study and an end to change; what it writes is sent in any order.


def _plain(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()


def _drafted(ris: Ris, end: _End) -> None:
    ris.order(status="SC", control="NW")
    ris.order(status="CM")
    ris.report("P", WHOLE[:1])
    ris.report("F")


def _incomplete(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report(text=WHOLE[:3])
    end.text = WHOLE[:3]


def _amended(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report(text=WHOLE[:3])
    ris.report("C")


def _another_base(ris: Ris, end: _End) -> None:
    """The base is changed after the charge may have gone out: CT of the head to one with contrast."""
    ris.order()
    ris.report()
    end.base = {"70450": "70460", "71260": "71250", "70551": "70553"}.get(end.base, end.base)
    ris.order(end.base, control="XO")


def _base_includes(ris: Ris, end: _End) -> None:
    """It turns out to have been an angiography, which includes 3D: what went out is taken back."""
    ris.order()
    ris.report()
    end.base = {"CT": "70496", "MR": "70544"}[end.study.modality]
    ris.order(end.base, control="XO")


def _retracted(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()
    ris.report("X", ())
    end.report = "none"


def _reissued(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()
    ris.report("X", ())
    ris.report("C")


def _cancelled(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()
    ris.order(control="CA", status="CA")
    end.performed, end.ordered = False, False


def _not_ordered(ris: Ris, end: _End) -> None:
    ris.order(three_d=False)
    ris.report()
    end.ordered = False


def _merged(ris: Ris, end: _End) -> None:
    """The patient becomes another one, after everything else was said."""
    ris.order()
    ris.report()
    end.patient = f"{end.patient}-M"
    ris.merge(end.patient, account="")


def _merged_twice(ris: Ris, end: _End) -> None:
    """The report comes under the identifier in between."""
    between, end.patient = f"{end.patient}-X", f"{end.patient}-Y"
    ris.order()
    ris.merge(between, account="")
    ris.report(patient=between)
    ris.merge(end.patient, prior=between, account="")


def _another_account(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()
    end.account = f"{end.account}-B"
    ris.account(end.account)


def _wrong_patient(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report(patient="STRANGER")
    end.report_patient = "STRANGER"


def _coded_anew(ris: Ris, end: _End) -> None:
    ris.order()
    ris.report()
    end.diagnoses = ("C34.11", "S02.0XXA")
    ris.order(diagnoses=end.diagnoses)


def _addendum(ris: Ris, end: _End) -> None:
    """What the report lacked comes as an addendum, and stands beside it."""
    ris.order()
    ris.report(text=WHOLE[:3])
    ris.report("C", (f"Addendum: {WHOLE[3]}",))


def _document_addendum(ris: Ris, end: _End) -> None:
    ris.order()
    ris.document(text=WHOLE[:2])
    ris.document("MDM^T06", text=WHOLE[2:])


def _by_document(ris: Ris, end: _End) -> None:
    ris.order(kind="OMI^O23")
    ris.document(completion="DI", text=WHOLE[:2])
    ris.document()


_STORIES: tuple[tuple[Callable[[Ris, _End], None], int], ...] = (
    (_plain, 20),
    (_drafted, 12),
    (_incomplete, 8),
    (_amended, 8),
    (_another_base, 8),
    (_base_includes, 5),
    (_retracted, 8),
    (_reissued, 6),
    (_cancelled, 5),
    (_not_ordered, 4),
    (_merged, 8),
    (_merged_twice, 4),
    (_another_account, 6),
    (_wrong_patient, 3),
    (_coded_anew, 5),
    (_by_document, 6),
    (_addendum, 5),
    (_document_addendum, 4),
)


def story(number: int, rng: random.Random) -> Story:
    """A study with a story, both drawn by `rng`."""
    base, modality, region = rng.choice(_BASES)
    study = Study(
        accession=f"D{number:05}",
        patient=f"P{number:05}",
        account=f"A{number // 2:05}",  # two studies of one account: their messages keep an order
        visit=f"V{number:05}",
        base=base,
        modality=modality,
        region=region,
        technique=rng.choices(_TECHNIQUES, (50, 15, 15, 10, 10))[0],
        attended=rng.random() > 0.06,
        signed=rng.random() > 0.05,
        required=rng.choice((True, True, True, False, None)),
    )
    tell = rng.choices([each for each, _ in _STORIES], [weight for _, weight in _STORIES])[0]
    return _told(study, tell, rng)


def _told(study: Study, tell: Callable[[Ris, _End], None], rng: random.Random) -> Story:
    first = objects(study)
    instances = list(first)
    final = study
    if not study.signed or rng.random() < 0.06:
        # The session is signed, or signed anew with another statement: a second SR of the same session, which counts.
        final = replace(study, signed=True, required=not study.required, signed_after_min=20)
        instances += objects(final)[1:]
    ris, end = Ris(study), _End(final, study.patient, study.account, study.base)
    tell(ris, end)
    return Story(tell.__name__.strip("_"), study, tuple(ris.sent), tuple(instances), reference(end), (study, final))


# Areas that touch, of those in `_BASES`.
_TOUCHING = ({"HEAD", "FACE"},)


def same_day(number: int, rng: random.Random) -> tuple[Story, Story]:
    """Two accessions of one patient on one day. Of two areas that touch one is charged: the first, if it can be."""
    tells = (_plain, _drafted, _incomplete, _retracted, _addendum)
    made = []
    for part in "ab":
        base, modality, region = rng.choice(_BASES)
        study = Study(
            accession=f"S{number:05}{part}",
            patient=f"R{number:05}",
            account=f"C{number:05}",
            visit=f"X{number:05}",
            base=base,
            modality=modality,
            region=region,
        )
        made.append(_told(study, rng.choice(tells), rng))
    first, second = made
    regions = {first.study.region, second.study.region}
    if len(regions) == 1 or any(regions <= each for each in _TOUCHING):
        second = replace(second, charge=None if first.charge else second.charge, behind=first.study.accession)
    return first, second
