"""The queue: the work list's meaning, kept in memory, found again after whatever people and messages do."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.thorough import slowly
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DAY, DR1, JD, WHOLE, Ris, Study, config
from workstation.charging import PayerRule
from workstation.coder import acts, denials, work_list
from workstation.coder.assigning import assign
from workstation.coder.queries import query
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter, case_key
from workstation.coder.work_list import WorkError
from workstation.store.changes import CaseChanges

STUDIES = (
    Study("ACC1", patient="P1"),
    Study("ACC2", patient="P2", technique="mpr"),
    Study("ACC3", patient="P3", base="70551", modality="MR"),
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A charged case, two held ones of different reasons; read only."""
    payers = {"MCARE": PayerRule(plan="medicare", timely_filing_days=10), "OTHER": PayerRule()}
    with desk(tmp_path_factory.mktemp("mixed"), config(payers=payers)) as here:
        first, second, third = STUDIES
        for study in STUDIES:
            here.sr(study)
        here.hear(Ris(first).order(), Ris(first).report())
        here.hear(Ris(second).order(), Ris(second).report())
        here.hear(Ris(third).order(payer="OTHER"))
        yield here


@pytest.fixture(scope="module")
def queue(mixed: Desk) -> Queue:
    return Queue(mixed.site)


def accessions(queue: Queue, wanted: QueueFilter, sort: str = "accession") -> list[str]:
    return [row.accession for row in queue.page(wanted, sort).rows]


def same_as_the_list(queue: Queue, here: Desk) -> None:
    """The rows say what `work_items` does, in its order, and what a queue says that is read anew."""
    rows = queue.rows()
    listed = work_list.work_items(here.site)
    assert [(r.session, r.state, r.reasons, r.who, r.since, ", ".join(r.codes), r.sr_uid) for r in rows] == [
        (i.session, i.state, i.reasons, i.who, i.since, i.code, i.sr_uid) for i in listed
    ]
    assert [replace(row, age_days=0) for row in rows] == [replace(row, age_days=0) for row in Queue(here.site).rows()]


class TestRows:
    def test_a_row_has_what_a_coder_asks_first(self, queue: Queue, mixed: Desk) -> None:
        (row,) = queue.rows(QueueFilter(text="acc2"))
        assert (row.patient, row.patient_id, row.accession) == ("Of^P2", "P2", "ACC2")
        assert (row.state, row.reasons, row.who, row.codes) == ("held", ("TWO_D_ONLY",), ("coder",), ("76376",))
        assert (row.day, row.bases, row.payer, row.physician) == (DAY.date(), ("70450",), "MCARE", "DR1")
        assert (row.examination, row.techniques, row.owner, row.asked) == ("70450", ("mpr",), "", ())
        assert (row.file_until, row.days_left) == (date(2026, 3, 12), 10)
        assert row.key == case_key(row.session) and len(row.key) == 20
        assert queue.find(row.key) == replace(row, age_days=queue.find(row.key).age_days)
        assert row.as_json()["day"] == "2026-03-02"

    def test_a_charge_that_has_left_is_not_late(self, queue: Queue, mixed: Desk) -> None:
        assert accessions(queue, QueueFilter(due_within_days=10)) == ["ACC1", "ACC2"]
        assert accessions(queue, QueueFilter(due_within_days=9)) == []
        (row,) = queue.rows(QueueFilter(text="ACC3"))
        assert (row.file_until, row.days_left) == (None, None)

    def test_an_address_of_no_case(self, queue: Queue) -> None:
        with pytest.raises(WorkError, match="No case has this address"):
            queue.find("0" * 20)


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (QueueFilter(), ["ACC1", "ACC2", "ACC3"]),
            (QueueFilter(state="queued"), ["ACC1"]),
            (QueueFilter(reason="TWO_D_ONLY"), ["ACC2"]),
            (QueueFilter(who="physician"), ["ACC3"]),
            (QueueFilter(payer="OTHER"), ["ACC3"]),
            (QueueFilter(owner="nobody"), ["ACC1", "ACC2", "ACC3"]),
            (QueueFilter(owner="jd"), []),
            (QueueFilter(physician="DR1", technique="mpr"), ["ACC2"]),
            (QueueFilter(physician="DR9"), []),
            (QueueFilter(base="70551"), ["ACC3"]),
            (QueueFilter(month="2026-03"), ["ACC1", "ACC2", "ACC3"]),
            (QueueFilter(month="2026-02"), []),
            (QueueFilter(older_than_days=1), []),
            (QueueFilter(text="of p3"), ["ACC3"]),
            (QueueFilter(text="ÓF cc1"), ["ACC1"]),
            (QueueFilter(text="p1 acc2"), []),
        ],
    )
    def test_each_field(self, queue: Queue, wanted: QueueFilter, found: list[str]) -> None:
        assert accessions(queue, wanted) == found

    def test_the_counts_of_a_facet_leave_its_own_filter_out(self, queue: Queue) -> None:
        page = queue.page(QueueFilter(state="held", payer="MCARE"))
        assert page.total == 1
        assert page.counts["state"] == {"queued": 1, "held": 1}
        assert page.counts["payer"] == {"MCARE": 1, "OTHER": 1}
        assert page.counts["reason"] == {"TWO_D_ONLY": 1}
        assert page.counts["owner"] == {"nobody": 1}

    def test_pages_and_order(self, queue: Queue) -> None:
        page = queue.page(sort="-accession", number=2, size=2)
        assert ([row.accession for row in page.rows], page.number, page.pages, page.total) == (["ACC1"], 2, 2, 3)
        assert queue.page(number=9, size=2).number == 2
        assert accessions(queue, QueueFilter(), "patient") == ["ACC1", "ACC2", "ACC3"]
        assert accessions(queue, QueueFilter(), "-day") == [row.accession for row in queue.rows()]
        with pytest.raises(WorkError, match="is not sorted by 'colour'"):
            queue.page(sort="colour")
        with pytest.raises(WorkError, match="'March' is not a month"):
            queue.page(QueueFilter(month="March"))

    def test_it_says_how_long_in_whole_days(self, tmp_path: Path) -> None:
        now = first = DAY + timedelta(hours=12)
        with desk(tmp_path, clock=lambda: now) as here:
            here.sr(STUDIES[0])
            queue = Queue(here.site)
            assert queue.refresh() == 1
            now = first + timedelta(days=9, hours=3)
            assert [row.age_days for row in queue.rows()] == [9]
            assert accessions(queue, QueueFilter(older_than_days=8)) == ["ACC1"]
            assert accessions(queue, QueueFilter(older_than_days=9)) == []
            assert queue.refresh() == 0


_ACTS: tuple[Callable[[Desk, str], object], ...] = (
    lambda here, case: acts.release(here.site, case, JD, "looked at"),
    lambda here, case: acts.deny(here.site, case, JD, "looked at"),
    lambda here, case: acts.reopen(here.site, case, JD, "looked at"),
    lambda here, case: acts.credit(here.site, case, CO, "looked at"),
    lambda here, case: acts.correct(here.site, case, JD, "looked at"),
    lambda here, case: acts.note(here.site, case, JD, "looked at"),
    lambda here, case: acts.payer_denied(here.site, case, JD, "CO-50"),
    lambda here, case: here.deliver(),
    lambda here, case: denials.appeal(here.site, case, JD, "looked at"),
    lambda here, case: denials.write_off(here.site, case, JD, "looked at"),
    lambda here, case: assign(here.site, case, JD, "jd"),
    lambda here, case: query(here.site, case, JD, "DR1", "Why?"),
)
_MESSAGES: tuple[Callable[[Ris], bytes], ...] = (
    lambda ris: ris.order(),
    lambda ris: ris.order("70460", control="XO"),
    lambda ris: ris.report(),
    lambda ris: ris.report(text=WHOLE[:2]),
)


@pytest.mark.parametrize("seed", [0, *slowly(1)])
def test_after_any_acts_it_is_what_a_queue_read_anew_is(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with desk(tmp_path) as here:
        for person in (JD, DR1):
            here.site.people.add(person, logins=["somebody"])
        queue = Queue(here.site)
        ris = {study.accession: Ris(study) for study in STUDIES}
        for study in STUDIES:
            here.sr(study)
            same_as_the_list(queue, here)
        for step in range(24):
            case = chance.choice(list(ris))
            act = chance.randrange(len(_ACTS) + len(_MESSAGES))
            if act < len(_ACTS):
                with suppress(WorkError):
                    _ACTS[act](here, case)
            else:
                here.hear(_MESSAGES[act - len(_ACTS)](ris[case]))
            if not step % 4:
                same_as_the_list(queue, here)
            else:
                queue.refresh()
        same_as_the_list(queue, here)


def _fails(*_: object) -> None:
    raise ZeroDivisionError


class TestChanges:
    def test_a_row_that_comes_late_with_an_earlier_place_is_seen(self, tmp_path: Path) -> None:
        """Two transactions: the one with the lower place ends last."""
        with desk(tmp_path) as here:
            here.sr(STUDIES[0])
            changes = CaseChanges(here.site.ledger.engine)
            changes.begin()
            assert changes.look() == frozenset()
            with here.site.ledger.engine.begin() as connection:
                row = (
                    "INSERT INTO act (place, session, accession, at, person, role, kind, why, detail) "
                    "VALUES ({}, 's', '{}', '2026-03-02', 'jd', 'coder', 'note', 'x', '{{}}')"
                )
                connection.exec_driver_sql(row.format(9, "LATER"))
            assert changes.look() == {"LATER"}
            with here.site.ledger.engine.begin() as connection:
                connection.exec_driver_sql(row.format(8, "EARLIER"))
            assert changes.look() == {"EARLIER"}
            assert changes.look() == frozenset()

    def test_a_read_that_failed_is_made_up_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with desk(tmp_path) as here:
            here.sr(STUDIES[0])
            queue = Queue(here.site)
            queue.refresh()
            here.sr(STUDIES[1])
            with monkeypatch.context() as patch:
                patch.setattr(type(here.site.outbox), "charges", _fails)
                with pytest.raises(ZeroDivisionError):
                    queue.refresh()
            same_as_the_list(queue, here)


def test_a_warm_queue_reads_no_file_for_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path) as here:
        here.sr(Study("ACC1"))
        queue = Queue(here.site)
        queue.warm()
        monkeypatch.setattr("workstation.coder.queue.name_in", lambda path: pytest.fail("it reads"))
        assert [row.accession for row in queue.rows(QueueFilter(text="p1"))] == ["ACC1"]
