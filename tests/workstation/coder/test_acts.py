"""The coder's work list: what people may do, what they may not, and that all of it is written down."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_io.evidence import Person
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DAY, DR1, JD, T1, WHOLE, Ris, Study, config, journalled
from workstation.billing import recheck
from workstation.charge.reasons import REASONS
from workstation.coder import acts, case_view, work_list
from workstation.coder.acts import ANSWERS
from workstation.coder.work_list import WorkError
from workstation.destinations import FolderDestination
from workstation.transports.order import deliver_pending

STUDY = Study("ACC1")
FLAT = replace(STUDY, technique="mpr")
WHY = "looked at it"


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found
        agrees(found)


def agrees(here: Desk) -> None:
    """A part of the list, asked for by state or by who can resolve it, is the part of the whole list."""
    whole = work_list.work_items(here.site)
    for state in ("held", "denied", "correction", "credited", "charged", "queued", "sent", "operator", "acknowledged"):
        found = work_list.work_items(here.site, state)
        assert found == tuple(item for item in whole if item.state == state), state
    for who in ("coder", "physician", "operator", "technologist"):
        assert work_list.work_items(here.site, who=who) == tuple(item for item in whole if who in item.who), who


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    file = tmp_path / "letter.pdf"
    file.write_bytes(b"%PDF letter")
    return file


def charged(here: Desk, study: Study = STUDY) -> Ris:
    ris = Ris(study)
    here.sr(study)
    here.hear(ris.order(), ris.report())
    return ris


class TestList:
    def test_it_says_state_reason_age_and_who(self, tmp_path: Path) -> None:
        now = first = DAY + timedelta(hours=12)
        with desk(tmp_path, clock=lambda: now) as here:
            here.sr(STUDY)
            here.hear(Ris(STUDY).order())
            now = first + timedelta(days=9, hours=3)
            (item,) = work_list.work_items(here.site)
            assert (item.accession, item.state, item.reasons) == ("ACC1", "held", ("REPORT_NOT_FINAL",))
            assert (item.who, item.age_days, item.since, item.code) == (("physician",), 9, first, "76377")

    def test_states_of_the_outbox_are_seen(self, tmp_path: Path) -> None:
        folder = FolderDestination(name="out", takes=("charges",), folder=str(tmp_path / "not there"))
        with desk(tmp_path / "root", config(folder)) as here:
            charged(here)
            assert [item.state for item in work_list.work_items(here.site)] == ["queued"]
            here.deliver()
            assert [item.state for item in work_list.work_items(here.site)] == ["sent"]
            agrees(here)
            (tmp_path / "not there").mkdir()
            here.deliver()
            assert [item.state for item in work_list.work_items(here.site)] == ["acknowledged"]


class TestRelease:
    def test_a_coder_releases_a_matter_of_judgement(self, at_desk: Desk) -> None:
        charged(at_desk, FLAT)
        assert at_desk.state == ("held", ["TWO_D_ONLY"])
        (settled,) = acts.release(at_desk.site, "ACC1", JD, WHY)
        assert settled.state == "charged"
        assert at_desk.charges() == [("76376", "queued")]
        (act,) = at_desk.site.casebook.acts(at_desk.case().session)
        assert (act.person, act.role, act.kind, act.why) == ("jd", "coder", "release", WHY)
        assert at_desk.case().cause == "release by jd"

    def test_single_lines_are_chosen_and_the_choice_is_kept(self, tmp_path: Path) -> None:
        with desk(tmp_path, site="office", entity="split") as here:
            ris = charged(here, FLAT)
            offered = acts.numbered(here.case().content["proposed"])
            assert [(n, each["entity"]) for n, each in offered.items()] == [(1, "technical"), (2, "professional")]
            for number in (0, 3):
                with pytest.raises(WorkError, match=f"there is no line {number}; 2 would be charged"):
                    acts.release(here.site, "ACC1", JD, WHY, lines=[1, number])
            (settled,) = acts.release(here.site, "ACC1", JD, "the other part is the owner's", ["59"], lines=[2])
            assert [(line.entity, line.modifiers) for line in settled.decision.lines] == [
                ("professional", ("26", "59"))
            ]
            (act,) = here.site.casebook.acts(here.case().session)
            assert (act.detail["lines"], act.why) == (
                [["76376", "70450", "professional"]],
                "the other part is the owner's",
            )
            # Asked again, and by facts under which nothing waits any more, it is the same line.
            here.hear(ris.report())
            site = replace(here.site, config=replace(here.site.config, reformat_only="release"))
            recheck.recheck(site, everything=True)
            assert here.charges() == [("76376", "queued")]
            words = case_view.in_words(case_view.view(site, here.case()))
            assert "release (76376 70450 professional, modifiers 59): the other part" in words

    def test_lines_that_are_no_longer_proposed_are_chosen_anew(self, tmp_path: Path) -> None:
        with desk(tmp_path, site="office", entity="split") as here:
            charged(here, FLAT)
            acts.release(here.site, "ACC1", JD, WHY, lines=[2])
            site = replace(here.site, config=replace(here.site.config, entity="global"))
            recheck.recheck(site, everything=True)
            assert here.state == ("correction", ["CHOSEN_LINES_CHANGED"])
            acts.correct(site, "ACC1", JD, WHY)
            assert here.state == ("held", ["CHOSEN_LINES_CHANGED"])
            acts.release(site, "ACC1", JD, WHY, lines=[1])
            assert here.charges() == [("76376", "credited"), ("76376", "queued")]

    def test_it_stands_until_the_facts_under_it_change(self, at_desk: Desk) -> None:
        ris = charged(at_desk, replace(FLAT, base="79999"))
        assert at_desk.state == ("held", ["TWO_D_ONLY", "BASE_UNCLASSIFIED"])
        acts.release(at_desk.site, "ACC1", JD, WHY)
        assert at_desk.state[0] == "charged"
        # The base is another one now: that was never answered. What was answered before still is.
        at_desk.hear(ris.order("79998", control="XO"))
        assert at_desk.state == ("correction", ["BASE_UNCLASSIFIED"])
        acts.correct(at_desk.site, "ACC1", JD, "base changed")
        assert at_desk.state == ("held", ["BASE_UNCLASSIFIED"])
        acts.release(at_desk.site, "ACC1", JD, WHY)
        assert at_desk.charges() == [("76376", "credited"), ("76376", "queued")]

    def test_a_missing_paper_cannot_be_released(self, at_desk: Desk) -> None:
        ris = Ris(FLAT)
        at_desk.sr(FLAT)
        at_desk.hear(ris.order(), ris.report(text=WHOLE[:3]))
        assert set(at_desk.state[1]) == {"TWO_D_ONLY", "UTILITY_MISSING"}
        with pytest.raises(WorkError, match=r"cannot decide UTILITY_MISSING \(can be resolved by: physician\)"):
            acts.release(at_desk.site, "ACC1", JD, WHY)
        assert at_desk.charges() == []
        assert at_desk.site.casebook.acts() == ()

    def test_nothing_that_a_physician_resolves_is_releasable(self) -> None:
        assert [kind.code for kind in REASONS if kind.releasable and kind.resolver != "coder"] == []

    @pytest.mark.parametrize("who", [DR1, T1, CO], ids=lambda who: who.id)
    def test_only_a_coder_releases(self, at_desk: Desk, who: Person) -> None:
        charged(at_desk, FLAT)
        with pytest.raises(WorkError, match="to release takes a coder"):
            acts.release(at_desk.site, "ACC1", who, WHY)
        assert at_desk.state == ("held", ["TWO_D_ONLY"])

    def test_what_is_not_held_is_not_released(self, at_desk: Desk) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match="is charged, not held"):
            acts.release(at_desk.site, "ACC1", JD, WHY)

    def test_no_silent_act_and_none_on_no_case(self, at_desk: Desk) -> None:
        charged(at_desk, FLAT)
        with pytest.raises(WorkError, match="Say why"):
            acts.release(at_desk.site, "ACC1", JD, "  ")
        with pytest.raises(WorkError, match="no case has this"):
            acts.release(at_desk.site, "ACC2", JD, WHY)


class TestDenyAndReopen:
    def test_a_denial_stands_whatever_comes(self, at_desk: Desk) -> None:
        ris = charged(at_desk, FLAT)
        acts.deny(at_desk.site, "ACC1", JD, "belongs to the base")
        assert at_desk.state == ("denied", ["DENIED_BY_CODER"])
        at_desk.hear(ris.report())
        assert at_desk.state == ("denied", ["DENIED_BY_CODER"])
        acts.reopen(at_desk.site, "ACC1", CO, "audit")
        assert at_desk.state == ("held", ["TWO_D_ONLY"])

    def test_what_is_out_is_credited_not_denied(self, at_desk: Desk) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match="use `workstation charge credit`"):
            acts.deny(at_desk.site, "ACC1", JD, WHY)

    def test_nothing_to_reopen(self, at_desk: Desk) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match="nothing was decided by hand"):
            acts.reopen(at_desk.site, "ACC1", JD, WHY)


class TestCredit:
    def test_a_credit_takes_back_and_keeps_it_back(self, at_desk: Desk) -> None:
        ris = charged(at_desk)
        at_desk.deliver()
        acts.credit(at_desk.site, "ACC1", JD, "wrong class")
        assert at_desk.charges() == [("76377", "credited")]
        assert [item.state for item in work_list.work_items(at_desk.site)] == ["credited"]
        at_desk.hear(ris.report(), ris.order())
        recheck.recheck(at_desk.site, everything=True)
        assert at_desk.charges() == [("76377", "credited")]
        acts.reopen(at_desk.site, "ACC1", JD, "class corrected")
        assert at_desk.charges() == [("76377", "credited"), ("76377", "queued")]
        assert [kind for kind, *_ in at_desk.sent()] == ["CG", "CR", "CG"]

    def test_nothing_out_nothing_to_credit(self, at_desk: Desk) -> None:
        charged(at_desk, FLAT)
        with pytest.raises(WorkError, match="nothing to credit"):
            acts.credit(at_desk.site, "ACC1", JD, WHY)
        with pytest.raises(WorkError, match="no correction is due"):
            acts.correct(at_desk.site, "ACC1", JD, WHY)

    def test_a_correction_by_a_coder(self, at_desk: Desk) -> None:
        ris = charged(at_desk)
        at_desk.hear(ris.order("70460", control="XO"))
        assert at_desk.state[0] == "correction"
        acts.correct(at_desk.site, "ACC1", JD, "contrast was given")
        assert at_desk.state == ("charged", [])
        assert [kind for kind, *_ in at_desk.sent()] == ["CG", "CR", "CG"]

    def test_the_payers_denial_waits_for_a_coder(self, at_desk: Desk) -> None:
        charged(at_desk)
        with pytest.raises(WorkError, match="the payer cannot have seen it"):
            acts.payer_denied(at_desk.site, "ACC1", JD, "CO-50")
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "CO-50")
        assert at_desk.state == ("held", ["CHARGE_TURNED_DOWN"])
        recheck.recheck(at_desk.site, everything=True)
        assert at_desk.charges() == [("76377", "denied")]
        acts.release(at_desk.site, "ACC1", JD, "appeal won", ["XU", "76"])
        assert at_desk.charges() == [("76377", "credited"), ("76377", "queued")]
        at_desk.deliver()
        sent = at_desk.sent()
        assert [kind for kind, *_ in sent] == ["CG", "CR", "CG"], "never two debits"
        assert modifiers(at_desk) == [["26"], ["26"], ["26", "XU", "76"]]
        recheck.recheck(at_desk.site, everything=True)
        assert at_desk.state == ("charged", []) and len(at_desk.charges()) == 2

    def test_what_the_payer_denied_is_written_off(self, at_desk: Desk) -> None:
        charged(at_desk)
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "CO-50")
        acts.credit(at_desk.site, "ACC1", JD, "written off")
        assert at_desk.charges() == [("76377", "credited")]
        at_desk.deliver()
        assert [kind for kind, *_ in at_desk.sent()] == ["CG", "CR"]
        assert at_desk.state == ("denied", ["CREDITED_BY_CODER"])

    def test_a_denial_that_stands_leaves_the_debit_to_billing(self, at_desk: Desk) -> None:
        charged(at_desk)
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "CO-50")
        acts.deny(at_desk.site, "ACC1", JD, "not worth an appeal")
        assert at_desk.charges() == [("76377", "denied")] and [kind for kind, *_ in at_desk.sent()] == ["CG"]

    def test_a_release_with_another_base(self, at_desk: Desk) -> None:
        charged(at_desk)
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "CO-50")
        for chosen in ({"base": "70496"}, {"modifiers": ["99"]}, {"modifiers": ["26"]}):
            with pytest.raises(WorkError, match="Nothing was released"):
                acts.release(at_desk.site, "ACC1", JD, "appeal won", **chosen)
        at_desk.hear(Ris(STUDY).order("70460"))
        acts.release(at_desk.site, "ACC1", JD, "appeal won", base="70460")
        assert [line["base"] for line in at_desk.case().content["lines"]] == ["70460"]

    def test_a_turned_down_charge_that_the_rules_deny_stays_denied(self, at_desk: Desk) -> None:
        ris = charged(at_desk)
        at_desk.deliver()
        acts.payer_denied(at_desk.site, "ACC1", JD, "CO-97")
        at_desk.hear(ris.order("70496", control="XO"))
        assert at_desk.state == ("denied", ["BASE_INCLUDES_3D"])

    def test_a_withdrawn_message_waits_for_a_coder(self, at_desk: Desk) -> None:
        ris = charged(at_desk)
        (entry,) = at_desk.site.outbox.list()
        from workstation.store.messages import Delivery

        deliver_pending(at_desk.site.outbox, lambda _: Delivery("rejected", "AR"), at_desk.site.clock)
        at_desk.site.outbox.withdraw(entry.message.key, at_desk.site.clock(), "sent by hand, op")
        at_desk.hear(ris.report())
        assert at_desk.state == ("held", ["CHARGE_TURNED_DOWN"])
        assert at_desk.charges() == [("76377", "denied")]


class TestTwoSessions:
    """What was taken back or turned down in one session does not go out by itself in another of the accession."""

    def both(self, here: Desk) -> None:
        charged(here)
        here.sr(replace(STUDY, session="two"))
        assert sorted(item.state for item in work_list.work_items(here.site)) == ["denied", "queued"]

    def first(self, here: Desk) -> str:
        return next(item.session for item in work_list.work_items(here.site) if item.state == "queued")

    def test_a_credit(self, at_desk: Desk) -> None:
        self.both(at_desk)
        acts.credit(at_desk.site, self.first(at_desk), JD, "wrong session")
        found = {item.reasons: item for item in work_list.work_items(at_desk.site)}
        assert set(found) == {("CREDITED_BY_CODER",), ("CREDITED_ELSEWHERE",)}
        assert at_desk.charges() == [("76377", "credited")]
        acts.release(at_desk.site, found["CREDITED_ELSEWHERE",].session, JD, "this is the one")
        assert at_desk.charges() == [("76377", "credited"), ("76377", "queued")]

    def test_a_withdrawal(self, at_desk: Desk) -> None:
        from workstation.billing.settle import withdraw
        from workstation.store.messages import Delivery

        self.both(at_desk)
        deliver_pending(at_desk.site.outbox, lambda _: Delivery("rejected", "AR"), at_desk.site.clock)
        (entry,) = at_desk.site.outbox.list()
        withdraw(at_desk.site, entry.message.key, "sent by hand, op")
        assert {item.reasons for item in work_list.work_items(at_desk.site)} == {("CHARGE_TURNED_DOWN",)}
        assert at_desk.charges() == [("76377", "denied")]

    def test_an_accession_of_two_cases_has_to_be_named_by_session(self, at_desk: Desk) -> None:
        self.both(at_desk)
        with pytest.raises(WorkError, match="there are 2 cases; name one of the sessions"):
            acts.credit(at_desk.site, "ACC1", JD, WHY)


class TestAnswer:
    def test_an_authorisation_with_its_letter(self, at_desk: Desk, letter: Path) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(payer="STRICT"), ris.report())
        acts.answer(at_desk.site, "ACC1", JD, "by fax", ["payer.prior_authorization=PA7"], letter)
        assert at_desk.state[0] == "charged"
        (act,) = at_desk.site.casebook.acts()
        kept = at_desk.site.root / "documents" / f"{act.detail['sha256']}.pdf"
        assert kept.read_bytes() == letter.read_bytes()
        assert act.detail["document"] == "letter.pdf"
        # An order that comes again without the number does not take the answer away.
        at_desk.hear(ris.order(payer="STRICT"))
        assert at_desk.state[0] == "charged"

    def test_diagnoses_and_a_base(self, at_desk: Desk, letter: Path) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.report(), ris.order(status="SC", diagnoses=()))
        assert at_desk.state == ("held", ["BASE_MISSING"])
        acts.answer(at_desk.site, "ACC1", JD, WHY, ["base_procedures=70450", "diagnoses=S02.0XXA,S03"], letter)
        assert at_desk.state[0] == "charged"
        body = at_desk.site.outbox.list()[-1].message.body
        assert body is not None
        assert b"S02.0XXA^^I10~S03^^I10" in body

    @pytest.mark.parametrize("fact", [f for f, (_, roles) in ANSWERS.items() if roles == {"physician"}])
    def test_what_a_physician_states_nobody_else_can(self, at_desk: Desk, letter: Path, fact: str) -> None:
        charged(at_desk, FLAT)
        for who in (JD, T1, CO):
            with pytest.raises(WorkError, match="only a physician can state this"):
                acts.answer(at_desk.site, "ACC1", who, WHY, [f"{fact}=true"], letter)
        assert at_desk.site.casebook.acts() == ()
        acts.answer(at_desk.site, "ACC1", DR1, WHY, [f"{fact}=true"], letter)
        assert at_desk.site.casebook.acts()[0].role == "physician"

    def test_the_physicians_facts_are_these(self) -> None:
        assert {fact for fact, (_, roles) in ANSWERS.items() if roles == {"physician"}} == {
            "order.radiologist_rationale",
            "report.three_d_findings",
            "report.workstation_statement",
            "report.medical_necessity",
            "report.clinical_utility",
            "independent_workstation_required",
        }

    def test_a_physician_completes_the_report(self, at_desk: Desk, letter: Path) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(), ris.report(text=WHOLE[:3]))
        acts.answer(at_desk.site, "ACC1", DR1, "addendum", ["report.clinical_utility=true"], letter)
        assert at_desk.state[0] == "charged"

    def test_a_physicians_word_on_the_requirement_decides_the_code(self, at_desk: Desk, letter: Path) -> None:
        ris = Ris(STUDY)
        at_desk.sr(STUDY)
        at_desk.hear(ris.order(), ris.report(text=WHOLE[:3]))
        fact = "independent_workstation_required=false"
        acts.answer(at_desk.site, "ACC1", DR1, "was not", [fact, "report.clinical_utility=true"], letter)
        assert at_desk.charges() == [("76376", "queued")]

    @pytest.mark.parametrize(
        ("fact", "words"),
        [
            ("supervision.concurrent=true", "no answer states this"),
            ("sr.verified=true", "no answer states this"),
            ("report.status=final", "no answer states this"),
            ("payer.prior_authorization", "no answer states this|is not one word"),
            ("payer.prior_authorization=", "is not one word"),
            ("order.three_d_ordered=yes", "is not true or false"),
            ("diagnoses=A,,B", "is not words parted by commas"),
        ],
    )
    def test_what_no_answer_can_be(self, at_desk: Desk, letter: Path, fact: str, words: str) -> None:
        charged(at_desk, FLAT)
        with pytest.raises(WorkError, match=words):
            acts.answer(at_desk.site, "ACC1", JD, WHY, [fact], letter)

    def test_it_takes_a_document(self, at_desk: Desk, tmp_path: Path) -> None:
        charged(at_desk, FLAT)
        empty = tmp_path / "empty.pdf"
        empty.touch()
        for file, words in ((tmp_path / "none.pdf", "cannot be read"), (empty, "is empty")):
            with pytest.raises(WorkError, match=words):
                acts.answer(at_desk.site, "ACC1", JD, WHY, ["diagnoses=A"], file)


class TestRecheck:
    def test_a_session_that_was_forgotten_is_found(self, at_desk: Desk) -> None:

        at_desk.site.archive.keep(journalled(STUDY, at_desk.site.journal))
        assert work_list.work_items(at_desk.site) == ()
        assert recheck.recheck(at_desk.site)["forgotten"] == 1
        assert at_desk.state[0] == "held"

    def test_pictures_that_come_later_are_seen(self, at_desk: Desk) -> None:
        from workstation.billing.filing import file_new_records

        ris = Ris(STUDY)
        picture, sr = journalled(STUDY, at_desk.site.journal)
        at_desk.site.archive.keep([sr])
        file_new_records(at_desk.site)
        at_desk.hear(ris.order(), ris.report())
        assert at_desk.state == ("held", ["NOT_ARCHIVED"])
        at_desk.site.archive.keep([picture])
        assert recheck.recheck(at_desk.site)["changed"] == 1
        assert at_desk.state[0] == "charged"

    def test_new_rules_reach_open_cases_and_say_so(self, tmp_path: Path) -> None:
        with desk(tmp_path) as here:
            charged(here, FLAT)
            assert recheck.recheck(here.site) == {"forgotten": 0, "due": 0, "looked_at": 1, "changed": 0}
        with desk(tmp_path, reformat_only="release") as here:
            assert recheck.recheck(here.site)["changed"] == 1
            assert here.state[0] == "charged"
            assert here.case().cause == "re-check"
            assert here.case().content["edition"] == "guide-2006.2+reformats-release"


ACTS: dict[str, Callable[[Desk], object]] = {
    "release": lambda here: acts.release(here.site, "ACC1", JD, WHY),
    "deny": lambda here: acts.deny(here.site, "ACC1", JD, WHY),
    "note": lambda here: acts.note(here.site, "ACC1", DR1, WHY),
}


@pytest.mark.parametrize("kind", ACTS)
def test_an_act_that_was_written_down_happens_after_a_crash(kind: str, tmp_path: Path) -> None:
    """The process dies between the act and what follows from it: the next one does the rest."""
    from workstation.billing import settle

    class Crash(Exception):  # noqa: N818
        pass

    with desk(tmp_path / "crashed") as here, desk(tmp_path / "whole") as whole:
        for each in (here, whole):
            charged(each, FLAT)
        ACTS[kind](whole)
        calls = 0
        real = here.site.casebook.commit

        def dies(*args: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls > 1:  # the first is the look at the case before the act
                raise Crash
            return real(*args, **named)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(here.site.casebook, "commit", dies)
            with pytest.raises(Crash):
                ACTS[kind](here)
        settle.settle_due(here.site)
        assert here.state == whole.state
        assert here.charges() == whole.charges()
        assert len(here.site.casebook.acts()) == 1


def modifiers(here: Desk) -> list[list[str]]:
    """The modifiers (FT1-26) of what was sent, oldest first."""
    bodies = [entry.message.body or b"" for entry in here.site.outbox.list()]
    rows = [line.split("|") for body in bodies for line in body.decode().split("\r") if line.startswith("FT1|")]
    return [row[26].split("~") for row in rows]
