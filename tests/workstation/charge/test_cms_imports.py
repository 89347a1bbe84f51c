"""CMS's files: read, compared, and in force only when that is asked for; what they change in a decision."""

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import facts_of_every_kind, steady
from tests.workstation.desk import desk
from tests.workstation.orders.ris import JD, Ris, Study
from workstation.billing import recheck
from workstation.charge import Facts, cms_imports, decide, load_policy
from workstation.charge.cms import EditsError, PairEdit, entries_of, read_fees, read_pair_edits, read_unit_edits
from workstation.charge.cms_imports import import_edits, import_fees, imported, with_edits
from workstation.charge.codes import shipped_codes
from workstation.charging import Fees, PayerRule
from workstation.coder import acts
from workstation.coder.expected_amount import expected_amount
from workstation.coder.work_list import WorkError

TODAY = date(2026, 3, 2)
# Made up, in the layout of the practitioner file: notice, header, rows. No descriptors and no rationale texts.
PTP = """\
A notice in the first line, with a comma, and no code
Column 1\tColumn 2\t*=prior to 1996\tEffective Date\tDeletion Date\tModifier\tRationale
70450\t76377\t \t20200101\t*\t0\tx
70486\t76377\t \t20200101\t*\t1\tx
71260\t76376\t \t20200101\t20251231\t0\tx
72131\t76376\t \t20200101\t*\t9\tx
99213\t99214\t \t20200101\t*\t1\tx
76377\t76376\t \t20060101\t*\t0\tx
22558\t76377\t \t20200101\t*\t0\tx
"""
MUE = (
    "HCPCS/CPT Code,Practitioner Services MUE Values,MUE Adjudication Indicator,MUE Rationale\n"
    "76376,2,3 Date,x\n76377,1,3 Date,x\n99213,1,2,x\n"
)
FEES = (
    '"2026","01112","05","76377","26","0000041.98","0000041.50"," ","1","A"\n'
    '"2026","01112","05","76377","","0000075.20","0000075.20"," ","1","A"\n'
    '"2026","01112","05","99213","","0000090.00","0000070.00"," ","1","A"\n'
    '"TRL","A notice at the end"\n'
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestPairs:
    def test_only_what_bears_on_the_pair_is_kept(self) -> None:
        edits, count = read_pair_edits(PTP, "ptp.txt")
        assert count == 7
        assert {(e.column_1, e.column_2) for e in edits} == {
            ("70450", "76377"), ("70486", "76377"), ("71260", "76376"), ("72131", "76376"), ("76377", "76376"),
            ("22558", "76377"),
        }  # fmt: skip

    def test_what_they_say_of_codes(self) -> None:
        edits, _ = read_pair_edits(PTP, "ptp.txt")
        table = shipped_codes().with_imported(entries_of(edits, shipped_codes(), "ptp.txt"))

        def known(code: str, day: date = TODAY) -> str:
            entry = table.lookup(code, day)
            assert entry is not None
            return entry.code_class

        assert known("70450") == "includes_3d"
        assert known("70486") == "review"
        assert known("71260") == "eligible"  # the edit has ended
        assert known("71260", date(2025, 6, 1)) == "includes_3d"
        assert known("70450", date(2019, 12, 31)) == "eligible"  # it had not begun
        assert known("72131") == "eligible"  # indicator 9 says nothing
        assert known("22558") == "procedure_includes_3d"
        entry = table.lookup("70450", TODAY)
        assert entry is not None
        assert (entry.modality, entry.region, entry.verified) == ("CT", "HEAD", True)
        assert entry.basis == "ptp.txt: PTP edit with modifier indicator 0"

    def test_a_known_inclusion_is_not_softened(self) -> None:
        edits = [PairEdit("71275", "76377", date(2020, 1, 1), None, "1")]
        (entry,) = entries_of(edits, shipped_codes(), "x")
        assert entry.code_class == "includes_3d"

    @steady
    @given(facts_of_every_kind)
    def test_edits_never_raise_what_is_billed(self, facts: Facts) -> None:
        policy = load_policy("guide")
        edits, _ = read_pair_edits(PTP, "ptp.txt")
        with_them = policy.with_codes(policy.codes.with_imported(entries_of(edits, policy.codes, "x")))
        assert len(decide(facts, with_them).lines) <= len(decide(facts, policy).lines)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no edit of two codes found"),
            ("hello\nworld\n", "no edit of two codes found"),
            (PTP + "70450\t76377\n", "line 10: not a row of two codes"),
            (PTP.replace("\t20200101\t*\t0\tx", "\t2020-01-01\t*\t0\tx", 1), "line 3: '2020-01-01' is not a date"),
            (PTP.replace("\t*\t1\tx", "\t*\t7\tx", 1), "line 4: modifier indicator '7'"),
            (PTP.replace("20251231", "20191231"), "line 5: the deletion date 2019-12-31 is before"),
        ],
    )
    def test_what_is_no_such_file(self, text: str, words: str) -> None:
        with pytest.raises(EditsError, match=words):
            read_pair_edits(text, "ptp.txt")


class TestImport:
    def test_it_is_compared_first_and_in_force_when_accepted(self, tmp_path: Path) -> None:
        file = write(tmp_path, "ptp.txt", PTP)
        root = tmp_path / "root"
        root.mkdir()
        found = import_edits(file, root, shipped_codes(), TODAY, None, accept=False)
        assert (found["kind"], found["rows"], found["kept"], found["in_force"]) == ("ptp", 7, 6, False)
        assert "70450/76377 from 2020-01-01 to now, indicator 0" in found["added"]
        assert "70450: eligible → includes_3d" in found["codes"]
        assert with_edits(shipped_codes(), root) is shipped_codes()
        import_edits(file, root, shipped_codes(), TODAY, None, accept=True)
        assert imported(root).pairs_source == "ptp.txt"
        again = import_edits(file, root, shipped_codes(), TODAY, None, accept=False)
        assert (again["added"], again["removed"], again["codes"]) == ([], [], [])
        # The next quarter's file takes the place of this one.
        later = write(
            tmp_path, "later.txt", PTP.replace("70450\t76377\t \t20200101\t*", "70450\t76377\t \t20200101\t20260331")
        )
        found = import_edits(later, root, shipped_codes(), date(2026, 4, 1), None, accept=True)
        assert found["removed"] == ["70450/76377 from 2020-01-01 to now, indicator 0"]
        assert found["codes"] == ["70450: includes_3d → eligible"]

    def test_units_keep_their_days(self, tmp_path: Path) -> None:
        first, second = (
            write(tmp_path, "mue.csv", MUE),
            write(tmp_path, "mue2.csv", MUE.replace("76377,1,", "76377,3,")),
        )
        with pytest.raises(EditsError, match="say with --from"):
            import_edits(first, tmp_path, shipped_codes(), TODAY, None, accept=True)
        import_edits(first, tmp_path, shipped_codes(), TODAY, date(2026, 1, 1), accept=True)
        import_edits(second, tmp_path, shipped_codes(), TODAY, date(2026, 4, 1), accept=True)
        assert [
            imported(tmp_path).units_allowed("76377", day)
            for day in (date(2025, 12, 31), date(2026, 3, 31), date(2026, 4, 1))
        ] == [
            None,
            1,
            3,
        ]
        assert imported(tmp_path).pairs == ()

    def test_a_damaged_file_of_pairs_is_not_taken_for_one_of_units(self, tmp_path: Path) -> None:
        file = write(tmp_path, "ptp.txt", PTP.replace("20251231", "20191231"))
        with pytest.raises(EditsError, match="the deletion date"):
            import_edits(file, tmp_path, shipped_codes(), TODAY, date(2026, 1, 1), accept=True)
        assert not (tmp_path / cms_imports.EDITS_FILE).exists()

    def test_a_zip_and_what_is_none(self, tmp_path: Path) -> None:
        packed = tmp_path / "ptp.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("ccipra.txt", PTP)
        assert import_edits(packed, tmp_path, shipped_codes(), TODAY, None, accept=False)["kept"] == 6
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr("another.txt", PTP)
        broken = tmp_path / "broken.zip"
        broken.write_bytes(b"PK\x03\x04 and no more")
        sheet = tmp_path / "ptp.xlsx"
        sheet.write_bytes(b"PK\x03\x04")
        for file, words in (
            (packed, "holds 2 text files"),
            (broken, "not a whole zip"),
            (sheet, "a spreadsheet"),
            (tmp_path / "none.txt", "cannot be read"),
        ):
            with pytest.raises(EditsError, match=words):
                import_edits(file, tmp_path, shipped_codes(), TODAY, None, accept=True)
        assert not (tmp_path / cms_imports.EDITS_FILE).exists()

    def test_a_damaged_file_in_the_state_folder_is_said(self, tmp_path: Path) -> None:
        (tmp_path / cms_imports.EDITS_FILE).write_text("{", encoding="utf-8")
        with pytest.raises(EditsError, match="damaged"):
            imported(tmp_path)

    def test_open_cases_follow_and_what_is_out_waits_for_a_coder(self, tmp_path: Path) -> None:
        file = write(tmp_path, "ptp.txt", PTP)
        held, out = Study("ACC1"), Study("ACC2", patient="P2", account="A2", visit="V2")
        with desk(tmp_path / "root", corrections="automatic") as here:
            for study in (held, out):
                here.sr(study)
            here.hear(Ris(held).order(), *(body for r in [Ris(out)] for body in (r.order(), r.report())))
            assert here.charges("ACC2") == [("76377", "queued")]
            import_edits(file, here.site.root, shipped_codes(), TODAY, None, accept=True)
            recheck.recheck(here.site)
            assert here.case("ACC1").content["reasons"] == ["BASE_INCLUDES_3D"]
            recheck.recheck(here.site, everything=True)
            assert here.case("ACC2").state == "correction"
            assert here.charges("ACC2") == [("76377", "queued")]

    def test_no_release_goes_over_the_units(self, tmp_path: Path) -> None:
        study = Study("ACC1", technique="mpr")
        with desk(tmp_path / "root") as here:
            ris = Ris(study)
            here.sr(study)
            here.hear(ris.order(), ris.report())
            file = write(tmp_path, "mue.csv", MUE.replace("76376,2,", "76376,0,"))
            import_edits(file, here.site.root, shipped_codes(), TODAY, date(2020, 1, 1), accept=True)
            with pytest.raises(WorkError, match="1 units of 76376 would be charged; the MUE file allows 0"):
                acts.release(here.site, "ACC1", JD, "why")
            assert here.charges() == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("code,units\n", "no unit value found"),
            (MUE + "x\n", "not a row of a code"),
            (MUE.replace(",2,", ",two,"), "is not a number"),
        ],
    )
    def test_what_is_no_unit_file(self, text: str, words: str) -> None:
        with pytest.raises(EditsError, match=words):
            read_unit_edits(text, "mue.csv", TODAY)


class TestFees:
    def test_they_are_compared_and_kept_by_year(self, tmp_path: Path) -> None:
        found = import_fees(write(tmp_path, "PFALL26.txt", FEES), tmp_path, accept=True)
        assert (found["rows"], found["kept"], len(found["added"])) == (3, 2, 2)
        older = write(tmp_path, "PFALL25.txt", FEES.replace('"2026"', '"2025"'))
        assert import_fees(older, tmp_path, accept=True)["kept"] == 4
        changed = write(tmp_path, "new.txt", FEES.replace("41.50", "43.00"))
        found = import_fees(changed, tmp_path, accept=False)
        assert found["added"] == ["2026 carrier 01112 locality 05: 76377-26 office 41.98, facility 43.00"]
        assert found["removed"] == ["2026 carrier 01112 locality 05: 76377-26 office 41.98, facility 41.50"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("hello\n", "no fee found"),
            (FEES.replace("0000041.98", "x"), "line 1: 'x' and"),
            (FEES.replace("0000041.98", "-1"), "are no amounts"),
            (FEES.replace('"76377",""', '"76377","26"'), "two rows give a fee"),
        ],
    )
    def test_what_is_no_fee_file(self, text: str, words: str) -> None:
        with pytest.raises(EditsError, match=words):
            read_fees(text, "fees.txt")

    def test_what_a_charge_may_bring(self) -> None:
        fees, _ = read_fees(FEES, "PFALL26.txt")
        payers = {"MCARE": PayerRule(plan="medicare")}
        professional = [{"code": "77", "modifiers": ["26"], "units": 1} | {"code": "76377"}]

        def of(
            payer: str, day: date = TODAY, ours: Fees | None = None, site: str = "hospital"
        ) -> tuple[Decimal, Decimal, str] | None:
            found = expected_amount(professional, payer, day, site, fees, "PFALL26.txt", ours or Fees(), payers)  # type: ignore[arg-type]
            return None if found is None else (found.low, found.high, found.basis)

        assert of("MCARE") == (Decimal("41.50"), Decimal("41.50"), "PFALL26.txt")
        assert of("MCARE", site="office") == (Decimal("41.98"), Decimal("41.98"), "PFALL26.txt")
        # Of another year, another locality or another payer's: the guide has no range for a component.
        assert of("MCARE", date(2025, 3, 2)) is None
        assert of("MCARE", ours=Fees(locality="99")) is None
        assert of("OTHER") is None
        assert expected_amount([], "MCARE", TODAY, "hospital", fees, "x", Fees(), payers) is None


@steady
@given(st.text(max_size=200))
def test_no_text_breaks_a_reader(text: str) -> None:
    for read in (
        lambda: read_pair_edits(text, "x"),
        lambda: read_unit_edits(text, "x", TODAY),
        lambda: read_fees(text, "x"),
        lambda: read_pair_edits(PTP + text, "x"),
    ):
        try:
            read()
        except EditsError:
            continue
