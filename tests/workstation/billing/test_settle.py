"""Facts from their owners, in any order: what is decided, what is charged, what is taken back, and why it says so."""

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from tests.thorough import examples, slowly
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import READING, WHOLE, Ris, Study, config, journalled
from workstation.billing.filing import documents, file_new_records
from workstation.billing.recheck import recheck
from workstation.billing.settle import settle_accession, settle_due
from workstation.coder.unmatched import unmatched
from workstation.coder.work_list import work_items
from workstation.destinations import FolderDestination, SheetDestination
from workstation.orders.hl7_listener import answering
from workstation.store.messages import Charge, Message

STUDY = Study("ACC1")


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


@pytest.fixture
def automatic(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, corrections="automatic") as found:
        yield found


class TestFactsFromTheirOwners:
    def test_a_case_waits_for_its_papers_one_by_one(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        state, reasons = at_desk.state
        assert state == "held"
        assert {"BASE_MISSING", "REPORT_NOT_FINAL", "ORDER_MISSING"} <= set(reasons)
        at_desk.hear(ris.order())
        assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
        at_desk.hear(ris.report("P"))
        assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
        at_desk.hear(ris.report("F", WHOLE[:3]))
        assert at_desk.state == ("held", ["UTILITY_MISSING"])
        at_desk.hear(ris.report("C"))
        assert at_desk.state == ("charged", [])
        assert at_desk.charges() == [("76377", "queued")]

    def test_every_change_says_what_changed_and_what_told_it(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order())
        at_desk.hear(ris.report("P"))
        at_desk.hear(ris.report("F"))
        history = at_desk.site.casebook.history(at_desk.case().session)
        assert len(history) == 4
        assert history[0].cause.startswith("SR ")
        assert history[1].cause == "ORM^O01 RACC1-1"
        assert "order.three_d_ordered: false → true" in history[1].content["changed"]
        assert "report.status: none → preliminary" in history[2].content["changed"]
        # Still held for the same reason, and since the same time.
        assert history[2].since == history[1].since
        assert history[3].cause == "ORU^R01 RACC1-3"
        assert history[3].content["lines"][0]["code"] == "76377"

    def test_an_unknown_accession_is_kept_and_matched_later(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        assert at_desk.hear(ris.order(), ris.report()) == ["AA", "AA"]
        assert [accession for _, accession in at_desk.site.casebook.unmatched()] == ["ACC1", "ACC1"]
        at_desk.sr(STUDY)
        assert at_desk.site.casebook.unmatched() == ()
        assert at_desk.charges() == [("76377", "queued")]

    def test_a_message_again_changes_nothing(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        bodies = (ris.order(), ris.report())
        at_desk.hear(*bodies)
        before = at_desk.site.casebook.history(at_desk.case().session)
        assert at_desk.hear(*bodies, *bodies) == ["AA"] * 4
        assert at_desk.site.casebook.due() == ()
        assert at_desk.site.casebook.history(at_desk.case().session) == before
        assert at_desk.charges() == [("76377", "queued")]

    def test_deciding_again_writes_nothing(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(), ris.report())
        before = at_desk.site.casebook.history(at_desk.case().session)
        for _ in range(3):
            (settled,) = settle_accession("ACC1", at_desk.site, "again")
            assert (settled.state, settled.messages) == ("charged", ())
        assert at_desk.site.casebook.history(at_desk.case().session) == before

    def test_a_report_of_another_patient_holds(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(), ris.report(patient="P9"))
        assert at_desk.state == ("held", ["PATIENT_MISMATCH"])
        at_desk.hear(ris.merge("P1", prior="P9", account=""))
        assert at_desk.state[0] == "charged"

    def test_an_order_of_another_patient_is_not_used_and_is_listed(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(patient="P9"), ris.report())
        assert "BASE_MISSING" in at_desk.state[1]
        assert at_desk.case().content["strangers"] == ["ORM^O01 RACC1-1"]

    def test_a_session_signed_anew_counts_as_the_newer(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(replace(STUDY, signed=False))
        at_desk.hear(ris.order(), ris.report())
        assert at_desk.state == ("held", ["SR_NOT_VERIFIED"])
        at_desk.sr(STUDY)
        assert at_desk.state[0] == "charged"
        # An SR without a signature that comes later (the case run again) takes nothing away.
        at_desk.sr(replace(STUDY, signed=False, signed_after_min=300))
        assert at_desk.state[0] == "charged"
        assert at_desk.charges() == [("76377", "queued")]

    def test_two_sessions_of_an_accession_are_charged_once(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.sr(replace(STUDY, session="two"))
        at_desk.hear(ris.order(), ris.report())
        assert sorted(each.state for each in work_items(at_desk.site)) == ["denied", "queued"]
        assert at_desk.charges() == [("76377", "queued")]

    def test_a_message_that_cannot_be_built_holds_and_says_why(self, at_desk: Desk) -> None:
        long = replace(STUDY, account="A" * 250)
        ris = Ris(long)
        at_desk.sr(long)
        at_desk.hear(ris.order(), ris.report())
        assert at_desk.state == ("held", ["MESSAGE_NOT_BUILT"])
        content = at_desk.case().content
        assert "account_number has more than 199 characters" in content["explanations"][0]["sentence"]
        assert [line["code"] for line in content["proposed"]] == ["76377"]
        at_desk.hear(ris.account("A1"))
        assert at_desk.state[0] == "charged"

    def test_what_is_out_stays_out_while_its_replacement_cannot_be_built(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report())
        automatic.hear(ris.account("A" * 250))
        assert automatic.state == ("correction", ["MESSAGE_NOT_BUILT"])
        assert automatic.charges() == [("76377", "queued")]

    def test_urgency_is_documented_in_the_order_or_the_report(self, at_desk: Desk) -> None:
        reading = replace(READING, phrases={**READING.phrases, "urgent_documented": (r"3D needed at once",)})
        site = replace(at_desk.site, config=replace(at_desk.site.config, reading=reading))
        here = Desk(site, answering(site))
        ris = Ris(STUDY)
        here.sr(STUDY)
        here.hear(ris.report(), ris.order(three_d=False, priority="S"))
        assert here.state == ("held", ["ORDER_MISSING"])
        here.hear(ris.order(three_d=False, priority="S") + b"NTE|1||3D needed at once, dissection.\r")
        assert here.state[0] == "charged"

    def test_payer_rules_are_the_sites(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(payer="STRICT"), ris.report())
        assert at_desk.state == ("held", ["PRIOR_AUTH_MISSING"])
        at_desk.hear(ris.order(payer="STRICT", authorization="PA1"))
        assert at_desk.state[0] == "charged"


class TestCorrections:
    def test_a_changed_base_is_replaced(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report())
        automatic.deliver()
        automatic.hear(ris.order("70460", control="XO"))
        assert automatic.charges() == [("76377", "credited"), ("76377", "queued")]
        charge, credit, again = automatic.sent()
        assert (charge[0], credit[0], again[0]) == ("CG", "CR", "CG")
        assert charge[1:] == credit[1:]
        assert again[2] != charge[2]
        assert automatic.state == ("charged", [])

    def test_a_retracted_report_is_credited_and_a_new_one_charged_again(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report(), ris.report("X", ()))
        automatic.hear(ris.report("X", ()))
        assert automatic.state == ("held", ["REPORT_NOT_FINAL"])
        assert automatic.charges() == []
        automatic.hear(ris.report())
        automatic.deliver()
        automatic.hear(ris.report("X", ()))
        assert automatic.charges() == [("76377", "credited")]
        automatic.hear(ris.report())
        assert automatic.charges() == [("76377", "credited"), ("76377", "queued")]
        assert len({key for _, _, key, _, _ in automatic.sent()}) == 2

    def test_a_merged_patient_and_account_are_replaced(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report())
        automatic.hear(ris.merge("P2", account="A2", prior_account="A1"))
        assert [(kind, patient, account) for kind, _, _, patient, account in automatic.sent()] == [
            ("CG", "P1", "A1"),
            ("CR", "P1", "A1"),
            ("CG", "P2", "A2"),
        ]
        last = automatic.site.outbox.list()[-1].message.body
        assert last is not None
        assert b"Of^P2" in last

    def test_another_account_is_replaced(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report(), ris.account("A7"))
        automatic.hear(ris.account("A8"))
        assert [(kind, account) for kind, _, _, _, account in automatic.sent()] == [
            ("CG", "A7"),
            ("CR", "A7"),
            ("CG", "A8"),
        ]
        assert automatic.case().content["changed"] == ["account: A7 → A8"]

    def test_a_base_that_includes_3d_is_only_credited(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report())
        automatic.hear(ris.order("70496", control="XO"))
        assert automatic.state == ("denied", ["BASE_INCLUDES_3D"])
        assert automatic.charges() == [("76377", "credited")]

    def test_by_default_a_coder_corrects(self, at_desk: Desk) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(), ris.report())
        at_desk.hear(ris.report("X", ()))
        (item,) = work_items(at_desk.site)
        assert (item.state, item.reasons) == ("correction", ("CORRECTION_DUE", "REPORT_NOT_FINAL"))
        assert item.who == ("coder", "physician")
        assert at_desk.charges() == [("76377", "queued")]
        # The report comes again: what is out is right again, and nothing was sent for it.
        at_desk.hear(ris.report())
        assert at_desk.state == ("charged", [])
        assert len(at_desk.sent()) == 1

    def test_a_rule_that_changes_corrects_nothing_by_itself(self, tmp_path: Path) -> None:
        ris = Ris(STUDY)
        with desk(tmp_path, corrections="automatic") as before:
            before.sr(STUDY)
            before.hear(ris.order(), ris.report())
            assert before.charges() == [("76377", "queued")]
        with desk(tmp_path, corrections="automatic", entity="facility") as after:
            recheck(after.site, everything=True)
            assert after.state == ("correction", [])
            assert after.charges() == [("76377", "queued")]
            # But a fact that changes then does.
            after.hear(ris.order("70460", control="XO"))
            assert after.charges() == [("76377", "credited"), ("76377", "queued")]

    def test_what_our_own_archive_lacks_is_no_reason_to_credit(self, automatic: Desk) -> None:
        ris = Ris(STUDY)
        automatic.sr(STUDY)
        automatic.hear(ris.order(), ris.report())
        from sqlalchemy import text

        with automatic.site.papers.engine.begin() as connection:
            connection.execute(text("DELETE FROM instance WHERE sop_class_uid NOT LIKE '%88.34'"))
        settle_accession("ACC1", automatic.site, "test")
        assert automatic.state == ("correction", ["NOT_ARCHIVED"])
        assert automatic.charges() == [("76377", "queued")]

    def test_a_second_receiver_hears_of_credits_too(self, tmp_path: Path) -> None:
        first = FolderDestination(name="out", takes=("charges",), folder="out")
        copy = SheetDestination(name="copy", takes=("charges",), folder="sheets")
        ris = Ris(STUDY)
        with desk(tmp_path, config(first, copy, corrections="automatic")) as at_both:
            at_both.sr(STUDY)
            at_both.hear(ris.order(), ris.report())
            at_both.hear(ris.report("X", ()))
            at_both.deliver()
            at_both.deliver()
        (sheet,) = (tmp_path / "sheets").iterdir()
        lines = sheet.read_text(encoding="utf-8").splitlines()
        assert [line.split(",")[5] for line in lines] == ["action", "charge", "credit"]
        assert len(list((tmp_path / "out").iterdir())) == 2


class TestEarlierVersions:
    """A charge that was queued before charges said what they bill: it is believed by code and base."""

    def queue(self, here: Desk, base: str) -> None:
        here.sr(STUDY)
        charge = Charge("OLDKEY", "76377", "ACC1", base, here.case().sr_uid)
        old = Message("out", "file", "old.hl7", "ACC1", body=b"MSH|", charges=(charge,))
        here.site.outbox.queue([old], here.site.clock())

    def test_the_same_charge_is_not_made_again(self, automatic: Desk) -> None:
        self.queue(automatic, "70450")
        ris = Ris(STUDY)
        automatic.hear(ris.order(), ris.report())
        assert automatic.state == ("charged", [])
        assert automatic.charges() == [("76377", "queued")]

    def test_another_one_waits_for_a_coder_and_cannot_be_credited_word_for_word(self, automatic: Desk) -> None:
        self.queue(automatic, "70460")
        ris = Ris(STUDY)
        automatic.hear(ris.order(), ris.report())
        assert automatic.state == ("correction", ["MESSAGE_NOT_BUILT"])
        assert "does not say what it billed" in repr(automatic.case().content["explanations"])
        assert automatic.charges() == [("76377", "queued")]


class TestDestinations:
    def test_each_part_goes_to_its_biller(self, tmp_path: Path) -> None:
        hospital = FolderDestination(name="hospital", takes=("charges",), folder="hospital", entities=("technical",))
        practice = FolderDestination(name="practice", takes=("charges",), folder="practice", entities=("professional",))
        copies = SheetDestination(name="copies", takes=("charges",), folder="copies")
        with desk(
            tmp_path, config(hospital, practice, copies, site="office", entity="split", corrections="automatic")
        ) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            entries = here.site.outbox.list()
            assert [(e.message.destination, len(e.message.charges)) for e in entries] == [
                ("hospital", 1),
                ("practice", 1),
                ("copies", 0),
                ("copies", 0),
            ]
            here.hear(ris.report("X", ()))
            for _ in range(4):
                here.deliver()
            assert [state for _, state in here.charges()] == ["credited", "credited"]
        for name, modifier in (("hospital", b"|TC"), ("practice", b"|26")):
            bodies = [file.read_bytes() for file in (tmp_path / name).iterdir()]
            assert len(bodies) == 2
            assert all(modifier in body and body.count(b"\rFT1|") == 1 for body in bodies)

    def test_a_charge_that_nobody_takes_is_not_lost(self, tmp_path: Path) -> None:
        nobody = config(FolderDestination(name="pacs", takes=("images",), folder="pacs"))
        with desk(tmp_path, nobody) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report())
            assert here.state == ("held", ["MESSAGE_NOT_BUILT"])
            assert "No destination of the settings takes charges" in repr(here.case().content["explanations"])
        with desk(tmp_path) as here:
            assert recheck(here.site)["changed"] == 1
            assert here.charges() == [("76377", "queued")]


STORIES = {
    "corrected": lambda ris: [ris.order(), ris.report("P"), ris.report("F", WHOLE[:3]), ris.report("C")],
    "another base": lambda ris: [ris.order(), ris.report(), ris.order("70460", control="XO")],
    "retracted": lambda ris: [ris.order(), ris.report(), ris.report("X", ())],
    "merged": lambda ris: [ris.order(), ris.report(), ris.merge("P2", account="A2", prior_account="A1")],
    "merged there and back": lambda ris: [
        ris.order(),
        ris.merge("P2", account=""),
        ris.report(patient="P2"),
        ris.merge("P1", prior="P2", account=""),
    ],
}


@pytest.mark.parametrize("name", [*[*STORIES][:1], *slowly(*[*STORIES][1:])])
def test_any_order_ends_the_same(name: str, tmp_path: Path) -> None:
    """Many orders of arrival, with the SR in any place, end with the same case and the same charge out."""
    messages = STORIES[name](Ris(STUDY))
    ends = set()
    orders = list(permutations([*messages, None]))
    for number, order in enumerate(random.Random(1).sample(orders, min(len(orders), examples(9)))):
        with desk(tmp_path / str(number), corrections="automatic") as here:
            for each in order:
                if each is None:
                    here.sr(STUDY)
                else:
                    here.hear(each)
            balance: dict[str, tuple[str, str, str]] = {}
            for kind, code, key, patient, account in here.sent():
                if kind == "CG":
                    assert key not in balance
                    balance[key] = code, patient, account
                else:
                    assert balance.pop(key) == (code, patient, account)
            assert len(balance) <= 1
            ends.add((here.state[0], tuple(here.state[1]), tuple(balance.values())))
    assert len(ends) == 1, ends


# Messages of one accession of every kind, some of which contradict each other, by number.
_SCRIPT = Ris(STUDY)
SCRIPT = [
    _SCRIPT.order(),
    _SCRIPT.report("P"),
    _SCRIPT.report("F"),
    _SCRIPT.order("70496", control="XO"),
    _SCRIPT.order("70460", control="XO"),
    _SCRIPT.report("F", WHOLE[:2]),
    _SCRIPT.merge("P2", account="A2", prior_account="A1"),
    _SCRIPT.report("X", ()),
    _SCRIPT.account("A5"),
    _SCRIPT.report("C", patient="P2"),
    _SCRIPT.order(control="CA", status="CA"),
    _SCRIPT.order(diagnoses=("C34.11",)),
]


@settings(deadline=None, max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(
    arrivals=st.lists(st.sampled_from([*SCRIPT, None, "deliver", "settle twice"]), max_size=24),
    corrections=st.sampled_from(["automatic", "coder"]),
)
def test_nothing_is_charged_twice_whatever_comes(
    arrivals: list[bytes | str | None], corrections: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with desk(tmp_path_factory.mktemp("d"), corrections=corrections) as here:
        for each in arrivals:
            if each is None:
                here.sr(STUDY)
            elif each == "deliver":
                here.deliver()
            elif isinstance(each, bytes):
                here.hear(each)
            else:
                settle_accession("ACC1", here.site, "again")
                queued = [m.key for one in settle_accession("ACC1", here.site, "again") for m in one.messages]
                assert queued == []
            live = [state for _, state in here.charges() if state in ("queued", "sent", "acknowledged")]
            assert len(live) <= 1
        out: set[str] = set()
        for kind, _, key, _, _ in here.sent():
            assert (key in out) == (kind == "CR")
            out ^= {key}
        assert len(out) <= 1


def test_one_case_that_cannot_be_decided_stops_no_other(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from workstation.billing import accession, settle

    other = Study("ACC2", "P2", "A2", "V2")
    at_desk.sr(STUDY)
    at_desk.sr(other)
    real = accession.read

    def broken(which: str, *rest: object) -> object:
        if which == "ACC1":
            raise KeyError("a defect")
        return real(which, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(settle, "read", broken)
    for study in (STUDY, other):
        at_desk.answer(Ris(study).order())
    failed: list[str] = []
    assert settle_due(at_desk.site, failed=lambda accession, error: failed.append(accession)) == 1
    assert failed == ["ACC1"]
    assert at_desk.site.casebook.due() == ("ACC1",)
    assert at_desk.case("ACC2").content["reasons"] == ["REPORT_NOT_FINAL"]
    with pytest.raises(KeyError):
        settle_due(at_desk.site)


@pytest.mark.slow
def test_two_processes_at_once_decide_once(tmp_path: Path) -> None:
    """Threads with connections of their own to the same file, as processes have."""
    ris = Ris(STUDY)
    with desk(tmp_path, corrections="automatic") as one, desk(tmp_path, corrections="automatic") as two:
        one.sr(STUDY)
        one.site.casebook.touch("ACC1", "test")
        for body in (ris.order(), ris.report(), ris.order("70460", control="XO"), ris.report("X", ()), ris.report("C")):
            answered = one.answer(body)
            assert answered
            failed: list[BaseException] = []

            def settle(here: Desk, failed: list[BaseException] = failed) -> None:
                try:
                    settle_due(here.site)
                    settle_accession("ACC1", here.site, "at once")
                except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
                    failed.append(error)

            threads = [threading.Thread(target=settle, args=(here,)) for here in (one, two, one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failed
        assert one.charges() == [("76377", "credited"), ("76377", "credited"), ("76377", "queued")]
        assert [kind for kind, *_ in one.sent()] == ["CG", "CR", "CG", "CR", "CG"]


def test_a_file_that_is_gone_stops_no_other_case(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        for accession in ("ACC1", "ACC2"):
            here.sr(Study(accession))
        here.site.archive.keep(journalled(Study("ACC3"), here.site.journal))
        for sr in here.site.archive.instances_of(COMPREHENSIVE_3D_SR):
            if sr.accession != "ACC2":
                Path(sr.path).unlink()
        assert file_new_records(here.site) == 0
        ((sr, why),) = documents(here.site)
        assert sr.accession == "ACC3" and "cannot be read" in why
        for accession in ("ACC1", "ACC2"):
            here.hear(Ris(Study(accession)).order(), Ris(Study(accession)).report())
        assert here.case("ACC2").state == "charged"
        assert here.case("ACC1").state == "held"
        assert here.case("ACC1").content["reasons"] == ["MESSAGE_NOT_BUILT"]
        assert {row.accession for row in unmatched(here.site)} == {"ACC3"}
        recheck(here.site)
