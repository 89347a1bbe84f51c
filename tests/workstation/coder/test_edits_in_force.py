"""Edits of CMS accepted by a person: what is out and breaks them is marked and written down, and not taken back."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.workstation.charge.test_cms_imports import MUE, PTP, write
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DR1, JD, Ris, Study
from workstation.charge import cms_imports
from workstation.charge.cms import PairEdit, violated
from workstation.coder import acts, edits_in_force, work_list
from workstation.coder.work_list import WorkError

DAY = date(2026, 3, 2)
WHY = "edition of April"
EDIT = PairEdit("70450", "76377", date(2020, 1, 1), None, "0")


def charged(here: Desk, study: Study) -> None:
    ris = Ris(study)
    here.sr(study)
    here.hear(ris.order(), ris.report())


@pytest.mark.parametrize(
    ("edit", "modifiers", "beside", "breaks"),
    [
        (EDIT, ("26",), {"70450"}, True),
        (EDIT, ("26", "59"), {"70450"}, True),  # indicator 0: no modifier parts them
        (replace(EDIT, indicator="1"), ("26",), {"70450"}, True),
        (replace(EDIT, indicator="1"), ("26", "XU"), {"70450"}, False),
        (replace(EDIT, indicator="9"), ("26",), {"70450"}, False),
        (EDIT, ("26",), {"70460"}, False),
        (EDIT, ("26",), {"76377"}, False),
        (replace(EDIT, column_1="76377", column_2="70450"), (), {"70450"}, True),
        (replace(EDIT, effective_from=DAY), (), {"70450"}, True),
        (replace(EDIT, effective_from=date(2026, 3, 3)), (), {"70450"}, False),
        (replace(EDIT, effective_to=DAY), (), {"70450"}, True),
        (replace(EDIT, effective_to=date(2026, 3, 1)), (), {"70450"}, False),
        (replace(EDIT, column_1="76376"), (), {"76376"}, True),  # the pair beside each other
        (replace(EDIT, column_2="76376"), (), {"70450"}, False),
    ],
)
def test_which_edits_a_charge_breaks(
    edit: PairEdit, modifiers: tuple[str, ...], beside: set[str], breaks: bool
) -> None:
    assert violated([edit], "76377", modifiers, beside, DAY) == ((edit,) if breaks else ())


def test_what_is_out_is_marked_once_and_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, "ptp.txt", PTP)
    with desk(tmp_path / "root", corrections="automatic") as here:
        for number, base in enumerate(("70450", "70486", "71260"), 1):
            charged(here, Study(f"ACC{number}", f"P{number}", f"A{number}", f"V{number}", base=base))
        for accession in ("ACC1", "ACC2"):
            assert here.charges(accession) == [("76377", "queued")]
        seen = edits_in_force.import_edits(here.site, file, None)
        assert ([each["accession"] for each in seen["marked"]], seen["in_force"]) == (["ACC1", "ACC2"], False)
        assert here.site.casebook.acts() == ()
        found = edits_in_force.accept_edits(here.site, file, None, CO, WHY)
        assert found["marked"] == seen["marked"]
        accepted, *marks = here.site.casebook.acts()
        assert (accepted.person, accepted.kind, accepted.why, accepted.detail["file"]) == (
            "co",
            "accept",
            WHY,
            "ptp.txt",
        )
        assert [(act.session, act.kind) for act in marks] == [
            (here.case(accession).session, "mark") for accession in ("ACC1", "ACC2")
        ]
        assert "the charge has none" in marks[1].why
        # Nothing was taken back, and the ledger has it all.
        assert here.charges("ACC1") == here.charges("ACC2") == [("76377", "queued")]
        assert here.site.casebook.due() == ()
        assert list(here.site.ledger.faults()) == []
        assert edits_in_force.accept_edits(here.site, file, None, CO, WHY)["marked"] == []
        edits_in_force.keep(here.site, "ACC1", JD, "billing added it")
        items = {item.accession: item.reasons for item in work_list.work_items(here.site)}
        assert (items["ACC1"], items["ACC2"]) == ((), ("EDIT_FORBIDS",))
        # The same edits again do not take back what the coder said.
        assert edits_in_force.accept_edits(here.site, file, None, CO, WHY)["marked"] == []


def test_a_coder_corrects_what_is_marked(tmp_path: Path) -> None:
    with desk(tmp_path / "root") as here:
        charged(here, Study("ACC1", base="70486", region="FACE"))
        edits_in_force.accept_edits(here.site, write(tmp_path, "ptp.txt", PTP), None, JD, WHY)
        acts.correct(here.site, "ACC1", JD, "the edit wants a modifier")
        assert here.charges() == [("76377", "credited")]
        acts.release(here.site, "ACC1", JD, "separate session", ["XE"])
        assert here.charges() == [("76377", "credited"), ("76377", "queued")]
        (item,) = work_list.work_items(here.site)
        assert (item.state, item.reasons) == ("queued", ())
        assert edits_in_force.import_edits(here.site, tmp_path / "ptp.txt", None)["marked"] == []


def test_who_may_not(tmp_path: Path) -> None:
    file = write(tmp_path, "mue.csv", MUE)
    with desk(tmp_path / "root") as here:
        with pytest.raises(WorkError, match="DR1 is a physician; to accept takes a coder or compliance"):
            edits_in_force.accept_edits(here.site, file, DAY, DR1, WHY)
        with pytest.raises(WorkError, match="Say why"):
            edits_in_force.accept_edits(here.site, file, DAY, JD, " ")
        assert not (here.site.root / cms_imports.EDITS_FILE).exists()
        assert here.site.casebook.acts() == ()
        assert edits_in_force.accept_edits(here.site, file, DAY, JD, WHY)["kind"] == "mue"


def test_units_over_those_of_a_day_are_marked_and_no_more_are_released(tmp_path: Path) -> None:
    """One 76377 a day and patient: of three accessions of one the later two go over it, another patient's does not."""
    file = write(tmp_path, "mue.csv", MUE)
    with desk(tmp_path / "root", corrections="automatic") as here:
        for number, (base, region) in enumerate((("70450", "HEAD"), ("71260", "CHEST"), ("72131", "LSPINE")), 1):
            charged(here, Study(f"ACC{number}", "P1", "A1", f"V{number}", base=base, region=region))
        charged(here, Study("ACC4", "P4", "A4", "V4"))
        assert [here.charges(f"ACC{number}") for number in (1, 2, 3, 4)] == [[("76377", "queued")]] * 4
        assert edits_in_force.import_edits(here.site, file, date(2026, 3, 3))["marked"] == []  # holds from a later day
        marked = edits_in_force.accept_edits(here.site, file, DAY, CO, WHY)["marked"]
        words = "3 units of 76377 are out for this patient on 2026-03-02; the MUE file allows 1"
        assert [(each["accession"], each["edits"]) for each in marked] == [("ACC2", [words]), ("ACC3", [words])]
        assert edits_in_force.accept_edits(here.site, file, DAY, CO, WHY)["marked"] == []
        items = {item.accession: item.reasons for item in work_list.work_items(here.site)}
        assert (items["ACC2"], items["ACC4"]) == (("EDIT_FORBIDS",), ())
        here.deliver()
        acts.payer_denied(here.site, "ACC3", JD, "one a day")
        with pytest.raises(
            WorkError, match="3 units of 76377 would be charged, with ACC1, ACC2; the MUE file allows 1"
        ):
            acts.release(here.site, "ACC3", JD, "separate", ["XE"])
        assert here.charges("ACC3") == [("76377", "denied")]
