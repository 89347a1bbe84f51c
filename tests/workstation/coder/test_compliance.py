"""What compliance looks at: searches over everything that was done, samples and reviews, rates, lists as files."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from dicom_io.evidence import Person
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DAY, DR1, JD, Ris, Study, config
from workstation.audit.reading import entries
from workstation.audit.trail import Moved, trail_of
from workstation.charging import ComplianceSettings
from workstation.coder import acts
from workstation.coder.audit_search import AuditFilter, everything, search
from workstation.coder.exports import as_csv, as_pdf, cell, write
from workstation.coder.queue import Queue
from workstation.coder.rates import by_hand, charges_by_person, rates
from workstation.coder.samples import DrawnSample, chosen, draw, review, sample, samples, worksheet
from workstation.coder.work_list import WorkError
from workstation.config import AuditSettings

MONTH = "2026-03"
STUDIES = tuple(
    Study(f"ACC{n}", patient=f"P{n}", account=f"A{n}", visit=f"V{n}", technique="mpr" if n % 2 else "volume_rendering")
    for n in range(4)
)


def read_by(body: bytes, physician: str) -> bytes:
    """The same report with a principal interpreter (OBR-32)."""
    segments = body.decode().split("\r")
    return "\r".join(
        f"{each}{'|' * (32 - each.count('|'))}{physician}&Sample&Radiologist" if each.startswith("OBR|") else each
        for each in segments
    ).encode()


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two charged cases and two that wait for a coder, one of them released by hand; two examinations without 3D."""
    now = [DAY + timedelta(hours=12)]

    def clock() -> Any:
        now[0] += timedelta(seconds=1)
        return now[0]

    limits = ComplianceSettings({"CT": 0.5}, rate_least=4)
    settings = config(audit=AuditSettings(), compliance=limits)
    with desk(tmp_path_factory.mktemp("four"), settings, clock) as here:
        for study in STUDIES:
            ris = Ris(study)
            here.sr(study)
            here.hear(ris.order(), read_by(ris.report(), "DR1"))
        for n in (8, 9):
            ris = Ris(Study(f"ACC{n}", patient=f"P{n}", account=f"A{n}", visit=f"V{n}"))
            here.hear(ris.order(three_d=False), read_by(ris.report(), "DR7"))
        acts.note(here.site, "ACC0", JD, "called the ward")
        now[0] += timedelta(days=2)
        acts.release(here.site, "ACC1", JD, "=looked at it")
        trail = trail_of(here.site.config, here.site.root)
        trail.accessed("jd", Moved("1.2.3", "ACC1", "P1", {}), "R", now[0])
        trail.accessed("co", Moved("1.2.4", "ACC2", "P2", {}), "R", now[0] + timedelta(days=1), "4")
        yield here


@pytest.fixture(scope="module")
def queue(four: Desk) -> Queue:
    return Queue(four.site)


class TestSearch:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (AuditFilter(person="jd"), ["access", "release", "note"]),
            (AuditFilter(person="jd", source="act"), ["release", "note"]),
            (AuditFilter(case="ACC1"), ["access", "charged", "release", "held", "held"]),
            (AuditFilter(case="ACC1", kind="charged"), ["charged"]),
            (AuditFilter(kind="note"), ["note"]),
            (AuditFilter(source="access"), ["access", "access"]),
            (AuditFilter(kind="accessed", person="co"), ["access"]),
            (AuditFilter(since=date(2026, 3, 4), until=date(2026, 3, 4)), ["access", "charged", "release"]),
            (AuditFilter(since=date(2026, 3, 5)), ["access"]),
            (AuditFilter(case="NONE"), []),
            (AuditFilter(person="xx"), []),
        ],
    )
    def test_each_field(self, four: Desk, wanted: AuditFilter, found: list[str]) -> None:
        rows = everything(four.site, wanted)
        assert ["access" if row.source == "access" else row.kind for row in rows] == found

    def test_rows_say_who_and_why(self, four: Desk) -> None:
        by_kind = {row.kind: row for row in everything(four.site, AuditFilter(case="ACC1"))}
        assert (by_kind["release"].person, by_kind["release"].text) == ("jd", "=looked at it")
        assert "release by jd" in by_kind["charged"].text and by_kind["charged"].detail["policy"] == "guide"
        assert by_kind["DICOM Instances Accessed"].accession == "ACC1"
        (failed,) = everything(four.site, AuditFilter(source="access", person="co"))
        assert failed.text == "failed"

    def test_pages_are_parts_of_the_whole(self, four: Desk) -> None:
        whole = everything(four.site, AuditFilter())
        pages = [search(four.site, AuditFilter(), n, 5) for n in range(1, 20)]
        assert pages[0].total == len(whole) and pages[0].pages == -(-len(whole) // 5)
        assert [row for page in pages[: pages[0].pages] for row in page.rows] == list(whole)
        assert pages[-1].number == pages[0].pages
        assert [row.at for row in whole] == sorted((row.at for row in whole), reverse=True)

    def test_older_parts_of_the_trail_and_names_that_xml_escapes(self, tmp_path: Path) -> None:
        trail = trail_of(config(audit=AuditSettings()), tmp_path)
        assert trail.file is not None
        trail.accessed("a&b", Moved("1.2", "ACC<1>", "P", {}), "R", DAY)
        trail.file.path.rename(tmp_path / "audit.log.000001")
        trail.accessed("jd", Moved("1.2", "ACC2", "P", {}), "R", DAY + timedelta(days=1))
        assert [each.person for each in entries(trail)] == ["jd", "a&b"]
        assert [each.accessions for each in entries(trail, "a&b", "ACC<1>")] == [("ACC<1>",)]
        assert list(entries(trail_of(config(), tmp_path))) == []


class TestSamples:
    def drawn(self, here: Desk, queue: Queue) -> DrawnSample:
        found = samples(here.site)
        return found[-1] if found else draw(here.site, CO, "quarterly", MONTH, 2, seed=7, queue=queue)

    def test_the_seed_draws_the_same_again(self, four: Desk, queue: Queue) -> None:
        drawn = self.drawn(four, queue)
        rows = [row for row in queue.rows() if row.day is not None and f"{row.day:%Y-%m}" == MONTH]
        assert (drawn.population, len(drawn.sessions), drawn.seed) == (4, 2, 7)
        assert chosen(rows[::-1], 2, "", 7) == drawn.sessions
        assert len({chosen(rows, 2, "", seed) for seed in range(20)}) > 3
        assert sample(four.site, drawn.number) == drawn

    def test_of_each_physician_or_reason(self, queue: Queue) -> None:
        rows = queue.rows()
        assert len(chosen(rows, 1, "physician", 1)) == 1
        by_reason = chosen(rows, 1, "reason", 1)
        assert len(by_reason) == 2
        assert {row.reasons for row in rows if row.session in by_reason} == {(), ("TWO_D_ONLY",)}

    def test_a_review_stands_on_the_worksheet(self, four: Desk, queue: Queue) -> None:
        drawn = self.drawn(four, queue)
        first, second = drawn.sessions
        review(four.site, drawn.number, first, CO, "unclear", "asked the coder")
        review(four.site, drawn.number, first, CO, "agreed", "documented")
        sheet = {each.row.session: each for each in worksheet(four.site, drawn.number, queue)}
        assert list(sheet) == [first, second]
        assert (sheet[first].finding, sheet[first].text, sheet[first].reviewer) == ("agreed", "documented", "co")
        assert sheet[second].finding == "" and sheet[second].as_json()["state"] == sheet[second].row.state
        assert list(four.site.ledger.faults()) == [] and four.site.casebook.due() == ()

    @pytest.mark.parametrize(
        ("by", "month", "words"),
        [
            (JD, MONTH, "to sample takes a compliance"),
            (CO, "2026-01", "no case of 2026-01"),
            (CO, "March", "is not a month"),
        ],
    )
    def test_what_is_not_drawn(self, four: Desk, queue: Queue, by: Person, month: str, words: str) -> None:
        with pytest.raises(WorkError, match=words):
            draw(four.site, by, "x", month, 1, queue=queue)

    def test_what_is_not_reviewed(self, four: Desk, queue: Queue) -> None:
        drawn = self.drawn(four, queue)
        other = next(row.session for row in queue.rows() if row.session not in drawn.sessions)
        with pytest.raises(WorkError, match="is not in sample"):
            review(four.site, drawn.number, other, CO, "agreed", "x")
        with pytest.raises(WorkError, match="one of agreed, disagreed, unclear"):
            review(four.site, drawn.number, drawn.sessions[0], CO, "fine", "x")
        with pytest.raises(WorkError, match="takes a compliance"):
            review(four.site, drawn.number, drawn.sessions[0], JD, "agreed", "x")
        with pytest.raises(WorkError, match="no sample 999"):
            worksheet(four.site, 999)


class TestRates:
    def test_by_modality_and_physician_with_limits(self, four: Desk, queue: Queue) -> None:
        found = {(row.modality, row.physician): row for row in rates(four.site, MONTH, queue)}
        every, ours, others = found["CT", ""], found["CT", "DR1"], found["CT", "DR7"]
        assert (every.charges, every.examinations, every.rate, every.flagged) == (3, 6, 0.5, False)
        assert (ours.charges, ours.examinations, ours.rate, ours.limit, ours.flagged) == (3, 4, 0.75, 0.5, True)
        assert (others.charges, others.examinations, others.rate) == (0, 2, 0.0)

    def test_a_rate_of_few_examinations_is_not_flagged(self, four: Desk, queue: Queue) -> None:
        few = replace(four.site.config, compliance=ComplianceSettings({"CT": 0.5}))
        assert not any(row.flagged for row in rates(replace(four.site, config=few), MONTH, queue))

    def test_what_was_decided_by_hand(self, four: Desk) -> None:
        (row,) = by_hand(four.site)
        assert (row.person, row.kind, row.accession, row.why) == ("jd", "release", "ACC1", "=looked at it")
        assert by_hand(four.site, until=date(2026, 3, 3)) == () and by_hand(four.site, person="co") == ()

    def test_charges_by_person(self, four: Desk, queue: Queue) -> None:
        found = {(row.capacity, row.person): row for row in charges_by_person(four.site, MONTH, queue)}
        assert {key: row.cases for key, row in found.items()} == {
            ("supervised", "DR1"): 3,
            ("released", "the rules"): 2,
            ("released", "jd"): 1,
        }
        assert found["released", "jd"].unknown == 1


class TestExports:
    ROWS = ({"a": "=1+1", "b": ["x", "y"], "c": None}, {"a": "@x", "b": {"k": True}, "c": -3})

    def test_no_cell_of_csv_is_a_formula(self) -> None:
        read = list(csv.reader(io.StringIO(as_csv(("a", "b", "c"), self.ROWS).decode())))
        assert read == [["a", "b", "c"], ["'=1+1", "x y", ""], ["'@x", "k: yes", "-3"]]
        for text in ("+1", "-1", "\tx"):
            assert as_csv(("a",), [{"a": text}]).splitlines()[1].strip(b'"').startswith(b"'")

    def test_pages_of_pdf_have_all_rows(self, tmp_path: Path) -> None:
        rows = [{"a": f"row {n} <b> & more", "b": "long " * 200, "c": n} for n in range(30)]
        content = as_pdf("A list", ["of rows"], ("a", "b", "c"), rows, DAY)
        document = pypdfium2.PdfDocument(content)
        text = "".join(page.get_textpage().get_text_range() for page in document)
        assert len(document) > 1 and "row 0 <b> & more" in text and "row 29 <b> & more" in text
        assert content == as_pdf("A list", ["of rows"], ("a", "b", "c"), rows, DAY)
        document.close()
        for name in ("list.csv", "list.PDF"):
            write(tmp_path / name, "A list", [], ("a",), rows[:1], DAY)
            assert (tmp_path / name).stat().st_size
        with pytest.raises(WorkError, match=r"as a \.csv or \.pdf file"):
            write(tmp_path / "list.txt", "A list", [], ("a",), [], DAY)
        assert cell(False) == "no" and DR1.id == "DR1"
