"""Settings that decide money hold from a date of service on: what was done before is decided as it was."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import DAY, JD, READING, WHOLE, Ris, Study, config
from workstation.billing.accession import read
from workstation.billing.recheck import recheck
from workstation.billing.settle import decide_record
from workstation.charge import decision_to_json, facts_to_json
from workstation.charging import DatedSettings, Fees, PayerRule
from workstation.coder import acts, month_report
from workstation.coder.work_list import WorkError
from workstation.config import Config
from workstation.reading import Reading
from workstation.site import Site
from workstation.store.cases import counted

SERVICE = DAY.date()
OUT, FLAT = Study("ACC1"), Study("ACC2", "P2", "A2", "V2", technique="mpr")
UNSAID = Study("ACC3", "P3", "A3", "V3")
# Everything that can be dated, each with a value that decides otherwise than the settings of the tests do.
CHANGES: dict[str, Any] = {
    "policy": "cpt",
    "reformat_only": "release",
    "site": "office",
    "entity": "facility",
    "order_grounds": ("urgent",),
    "modifiers": {"professional": ("26", "GC")},
    "place_of_service": "11",
    "department": "3D",
    "location": "ROOM",
    "location_type": "C",
    "local_codes": {"professional": {"76377": "1"}},
    "revenue_codes": {"professional": {"76377": "0400"}},
    "payers": {"MCARE": PayerRule(prior_authorization_required=True, covered_diagnoses=("Z99",), modifiers=("AB",))},
    "fees": Fees("01112", "05"),
    "reading": replace(READING, phrases={}, procedure_codes={}, performed=("XX",)),
}
some_changes = st.lists(
    st.builds(
        lambda days, keys: DatedSettings(SERVICE + timedelta(days=days), **{key: CHANGES[key] for key in keys}),
        st.integers(1, 400),
        st.sets(st.sampled_from(sorted(CHANGES)), min_size=1),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each.begins,
).map(tuple)


def changed(here: Desk, *dated: DatedSettings) -> Site:
    return replace(here.site, config=replace(here.site.config, charging=dated))


def decisions(site: Site) -> list[Any]:
    """Everything that is decided of everything, with the facts under it."""
    found = []
    for accession in ("ACC1", "ACC2", "ACC3"):
        view = read(accession, site)
        for record in counted(view.snapshot.records).values():
            made = decide_record(record, view, site)
            assert made.facts is not None
            found.append((decision_to_json(made.decision), facts_to_json(made.facts)))
    return found


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One charged, one held for a coder, one held for a report that says too little."""
    with desk(tmp_path_factory.mktemp("dated"), config(corrections="automatic")) as here:
        for study in (OUT, FLAT, UNSAID):
            ris = Ris(study)
            here.sr(study)
            here.hear(ris.order(), ris.report(text=WHOLE if study is not UNSAID else WHOLE[:2]))
        yield here


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(some_changes)
def test_no_change_with_a_date_touches_what_was_done_before(three: Desk, dated: tuple[DatedSettings, ...]) -> None:
    assert decisions(changed(three, *dated)) == decisions(three.site)


def test_nothing_is_written_or_sent_for_what_was_done_before(three: Desk) -> None:
    """All of them from the day after: everything is read and decided again, and nothing follows."""
    tomorrow = changed(three, DatedSettings(SERVICE + timedelta(days=1), **CHANGES))
    before = list(tomorrow.casebook.every_ruling()), [entry.message for entry in tomorrow.outbox.list()]
    assert recheck(tomorrow, everything=True)["changed"] == 0
    assert (list(tomorrow.casebook.every_ruling()), [e.message for e in tomorrow.outbox.list()]) == before


# These do not change a decision, but what is sent with a charge or expected of it.
_OF_THE_MESSAGE = {
    "place_of_service",
    "department",
    "location",
    "location_type",
    "local_codes",
    "revenue_codes",
    "fees",
}


@pytest.mark.parametrize("key", sorted(CHANGES.keys() - _OF_THE_MESSAGE - {"site"}))
def test_each_holds_from_its_day_on(three: Desk, key: str) -> None:
    now = changed(three, DatedSettings(SERVICE, **{key: CHANGES[key]}))
    assert decisions(now) != decisions(three.site)


def test_messages_and_expected_amounts_follow_too(tmp_path: Path) -> None:
    dated = DatedSettings(SERVICE, department="3D", place_of_service="11")
    with desk(tmp_path, config(charging=(dated, DatedSettings(date(2026, 4, 1), department="later")))) as here:
        ris = Ris(OUT)
        here.sr(OUT)
        here.hear(ris.order(), ris.report())
        (body,) = [entry.message.body for entry in here.site.outbox.list() if entry.message.charges]
        assert body is not None
        assert b"|3D|" in body
        assert b"later" not in body


def test_a_payers_modifiers_are_those_of_the_day(tmp_path: Path) -> None:
    later = DatedSettings(SERVICE + timedelta(days=1), payers={"MCARE": PayerRule(modifiers=("AB",))})
    with desk(tmp_path, config(charging=(later,))) as here:
        ris = Ris(FLAT)
        here.sr(FLAT)
        here.hear(ris.order(), ris.report())
        with pytest.raises(WorkError, match="'AB' is no modifier"):
            acts.release(here.site, "ACC2", JD, "why", ["AB"])
        now = replace(here.site, config=config(charging=(replace(later, begins=SERVICE),)))
        (settled,) = acts.release(now, "ACC2", JD, "why", ["AB"])
        assert settled.decision.lines[0].modifiers == ("26", "AB")


def test_the_report_of_a_month_expects_by_the_day(three: Desk) -> None:
    now = changed(three, DatedSettings(SERVICE, site="office", entity="global"))
    later = changed(three, DatedSettings(SERVICE + timedelta(days=1), site="office", entity="global"))
    assert month_report.report(later, "2026-03") == month_report.report(three.site, "2026-03")
    assert now.config.on(SERVICE).entity == "global"


def test_two_sessions_of_an_accession_on_two_days_are_read_by_their_own(three: Desk) -> None:
    """The one that was first in the casebook does not decide for the other."""
    silent = DatedSettings(SERVICE + timedelta(days=1), reading=replace(READING, phrases={}))
    site = changed(three, silent)
    view = read("ACC1", site)
    (record,) = view.snapshot.records
    other = replace(record, evidence=replace(record.evidence, study_date=f"{SERVICE + timedelta(days=1):%Y%m%d}"))
    assert "NO_3D_INTERPRETATION" not in [r.code for r in decide_record(record, view, site).decision.reasons]
    assert "NO_3D_INTERPRETATION" in [r.code for r in decide_record(other, view, site).decision.reasons]


def test_the_day_chooses() -> None:
    base = Config(payers={"A": PayerRule(plan="medicare"), "B": PayerRule()})
    config = replace(
        base,
        charging=(
            DatedSettings(date(2026, 5, 1), payers={"A": PayerRule(modifiers=("ZZ",))}, entity="facility"),
            DatedSettings(date(2026, 4, 1), payers={"B": PayerRule(plan="medicare")}, reading=Reading(urgent=("X",))),
        ),
    )
    assert config.on(date(2026, 3, 31)) == config.on(None) == base
    april, may = config.on(date(2026, 4, 30)), config.on(date(2026, 5, 1))
    assert (april.entity, april.payers["A"].plan, april.payers["B"].plan) == ("professional", "medicare", "medicare")
    assert (may.entity, may.payers["A"].modifiers, may.payers["B"].plan) == ("facility", ("ZZ",), "medicare")
    assert may.reading.urgent == ("X",)
    assert base.on(date(2026, 5, 1)) is base
