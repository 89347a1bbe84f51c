"""The work list, imports and reports by their commands: what they print, and how they end."""

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.workstation.charge.test_cms_imports import FEES, PTP, write
from tests.workstation.conftest import Command
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import DAY, DR1, JD, WHOLE, Ris, Study, journalled
from tests.workstation.samples import DOCUMENTED
from tests.workstation.test_day import write_settings
from workstation.coder.work_list import newest_items
from workstation.config import load_config
from workstation.serve.deciding import recheck_between
from workstation.transports.order import deliver_pending

FLAT = Study("ACC1", technique="mpr")
BY = ("--by", "jd", "--why", "looked at it")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The state folder that `command` uses, with settings."""
    root = tmp_path / "root"
    write_settings(root, 1, "coder")
    return root


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each test gets a copy of: two cases, one held for a coder, one charged."""
    root = tmp_path_factory.mktemp("decided") / "root"
    write_settings(root, 1, "coder")
    with desk(root, load_config(root)) as here:
        for study in (FLAT, Study("ACC2", "P2", "A2", "V2")):
            ris = Ris(study)
            here.sr(study)
            here.hear(ris.order(), ris.report())
    return root


@pytest.fixture
def two(decided: Path, tmp_path: Path) -> Iterator[Desk]:
    root = shutil.copytree(decided, tmp_path / "root")
    with desk(root, load_config(root)) as here:
        yield here


def test_list_and_its_filters(command: Command, two: Desk) -> None:
    rows = command("charge", "list", "--json").json
    assert [(row["accession"], row["state"], row["who"]) for row in rows] == [
        ("ACC2", "queued", ""),
        ("ACC1", "held", "coder"),
    ]
    assert rows[1]["reasons"] == "TWO_D_ONLY"
    assert command("charge", "list", "--page", 0, "--json").json == rows[::-1]
    assert [row["accession"] for row in command("charge", "list", "--state", "queued", "--json").json] == ["ACC2"]
    assert [row["accession"] for row in command("charge", "list", "--who", "coder", "--json").json] == ["ACC1"]
    age = (datetime.now(DAY.tzinfo) - DAY).days
    assert len(command("charge", "list", "--older-than", str(max(age - 2, 1)), "--json").json) == 2
    assert command("charge", "list", "--older-than", str(age + 1), "--json").json == []
    assert "TWO_D_ONLY" in command("charge", "list").out


def test_a_page_of_the_list_is_read_without_the_history(two: Desk) -> None:
    """By the steps of SQLite's own machine: a page costs the same when there are a thousand cases more."""
    engine = two.site.papers.engine

    def steps() -> int:
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        @event.listens_for(engine, "checkout")
        def watch(connection: Any, *_: object) -> None:
            connection.set_progress_handler(count, 1)

        assert len(newest_items(two.site, 1, 2)) == 2
        event.remove(engine, "checkout", watch)
        return counted[0]

    def more(some: range) -> None:
        kept = "number, at, since, state, cause, content, facts"
        copied = text(
            f"INSERT INTO decision (accession, session, sr_uid, {kept}) "
            f"SELECT accession || :n, session || :n, sr_uid || :n, {kept} FROM decision WHERE accession = 'ACC1'"
        )
        with engine.begin() as connection:
            for n in some:
                connection.execute(copied, {"n": f"-{n}"})

    more(range(10))
    first = steps()
    more(range(10, 1000))
    assert steps() < 1.2 * first + 200


def test_a_session_that_nobody_has_decided_is_seen(command: Command, two: Desk) -> None:
    two.site.archive.keep(journalled(Study("ACC5"), two.site.journal))
    rows = command("charge", "list", "--state", "undecided", "--json").json
    assert [(row["accession"], row["state"]) for row in rows] == [("ACC5", "undecided")]
    assert len(command("charge", "list", "--page", 0, "--json").json) == 3
    assert command("charge", "recheck", "--json").json["forgotten"] == 1
    assert command("charge", "list", "--state", "undecided", "--json").json == []


def test_a_destination_that_is_not_there(command: Command, root: Path) -> None:
    checked = command("outbox", "check", "--json")
    assert checked.code == 1
    (row,) = checked.json
    assert (row["destination"], row["state"]) == ("billing", "not reached")
    assert "check that the receiver is running" in row["answer"]


def test_show_tells_the_whole_story(command: Command, two: Desk) -> None:
    command("charge", "note", "ACC1", *BY)
    seen = command("charge", "show", "ACC1", "--json").json
    assert (seen["state"], seen["decision"]["reasons"]) == ("held", ["TWO_D_ONLY"])
    assert [each["cause"].split()[0] for each in seen["history"]] == ["SR", "ORM^O01"]
    assert seen["history"][1]["cause"] == "ORM^O01 RACC1-1; ORU^R01 RACC1-2"
    assert [(a["person"], a["kind"], a["why"]) for a in seen["acts"]] == [("jd", "note", "looked at it")]
    words = command("charge", "show", "ACC2").out
    assert "report.status: none → final" in words
    assert "76377-26 beside 70450: queued" in words


def test_release_credit_and_reopen(command: Command, two: Desk) -> None:
    assert "once cleared, line 1: 76376-26" in command("charge", "show", "ACC1").out
    assert command("charge", "release", "ACC1", *BY, "--line", "2").code == 1
    released = command("charge", "release", "ACC1", *BY, "--line", "1", "--json").json
    assert (released["state"], len(released["queued"])) == ("charged", 1)
    assert command("charge", "credit", "ACC1", *BY, "--json").json["state"] == "denied"
    assert [row["state"] for row in command("charge", "list", "--json").json if row["accession"] == "ACC1"] == [
        "credited"
    ]
    assert command("charge", "reopen", "ACC1", *BY, "--json").json["state"] == "held"
    assert command("charge", "deny", "ACC1", *BY, "--json").json["decision"]["reasons"] == ["DENIED_BY_CODER"]


def test_correct_after_a_changed_base(command: Command, two: Desk) -> None:
    two.hear(Ris(Study("ACC2", "P2", "A2", "V2"), minute=30).order("70460", control="XO"))
    assert "correction" in command("charge", "list").out
    corrected = command("charge", "correct", "ACC2", *BY, "--json").json
    assert (corrected["state"], len(corrected["queued"])) == ("charged", 2)
    assert len(command("outbox", "list", "--json").json) == 3


def test_answer_by_the_right_person(command: Command, two: Desk, tmp_path: Path) -> None:
    study = replace(FLAT, accession="ACC3", patient="P3", account="A3", visit="V3", technique="mip")
    ris = Ris(study)
    two.sr(study)
    two.hear(ris.order(), ris.report(text=WHOLE[:3]))
    letter = write(tmp_path, "addendum.txt", "3D clarified it.")
    fact = ("charge", "answer", "ACC3", "report.clinical_utility=true", "--document", letter)
    refused = command(*fact, *BY)
    assert refused.code == 1
    assert "only a physician can state this; jd is a coder" in refused.err
    answered = command(*fact, "--by", "DR1", "--why", "addendum", "--json").json
    assert answered["state"] == "charged"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("release", "ACC2", *BY), "is charged, not held"),
        (("deny", "ACC2", *BY), "use `workstation charge credit`"),
        (("credit", "ACC1", *BY), "nothing to credit"),
        (("correct", "ACC2", *BY), "no correction is due"),
        (("reopen", "ACC1", *BY), "nothing was decided by hand"),
        (("denied", "ACC2", *BY), "the payer cannot have seen it"),
        (("release", "ACC1", "--by", "nobody", "--why", "x"), "Nobody has the ID 'nobody'"),
        (("show", "ACC9"), "no case has this"),
    ],
)
def test_what_is_refused_says_why(command: Command, two: Desk, words: tuple[str, ...], said: str) -> None:
    answer = command("charge", *words)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err


def test_the_acts_need_a_name_and_a_reason(command: Command, two: Desk) -> None:
    for verb in ("release", "deny", "credit", "correct", "reopen", "note", "denied"):
        assert command("charge", verb, "ACC1").code == 2


def test_recheck_and_unmatched(command: Command, two: Desk) -> None:
    two.hear(Ris(Study("ACC9")).order())
    two.answer(b"hello")
    rows = command("charge", "unmatched", "--json").json
    assert [(row["what"], row["accession"]) for row in rows] == [("unknown accession", "ACC9"), ("refused, none", "")]
    assert command("charge", "recheck", "--json").json == {"forgotten": 0, "due": 0, "looked_at": 1, "changed": 0}
    assert command("charge", "recheck", "--all", "--json").json["looked_at"] == 2


def test_import_ncci_compares_then_takes_effect(command: Command, two: Desk, tmp_path: Path) -> None:
    file = write(tmp_path, "ptp.txt", PTP)
    compared = command("charge", "import-ncci", file)
    assert "code 70450: eligible → includes_3d" in compared.out
    assert "Nothing was changed" in compared.out
    assert command("charge", "codes", "70450", "--json").json["class"] == "eligible"
    assert "76377 of ACC2 would be marked: 70450/76377 from 2020-01-01 to now, indicator 0" in compared.out
    for said in ((), BY[:2], BY[2:]):
        assert command("charge", "import-ncci", file, "--accept", *said).code == 2
    refused = command("charge", "import-ncci", file, "--accept", "--by", "T1", "--why", "why")
    assert (refused.code, "to accept takes a coder or compliance" in refused.err) == (1, True)
    assert command("charge", "codes", "70450", "--json").json["class"] == "eligible"
    accepted = command("charge", "import-ncci", file, "--accept", *BY, "--json").json
    assert (accepted["in_force"], accepted["recheck"]["changed"]) == (True, 1)
    assert [each["accession"] for each in accepted["marked"]] == ["ACC2"]
    known = command("charge", "codes", "70450", "--json").json
    assert (known["class"], known["table"]) == ("includes_3d", "cms_edits.json")
    assert two.case("ACC1").content["reasons"] == ["BASE_INCLUDES_3D"]
    assert command("charge", "import-ncci", tmp_path / "none").code == 1
    assert command("charge", "import-ncci", file, "--from", "soon").code == 2


def test_a_marked_charge_is_seen_until_a_coder_keeps_it(command: Command, two: Desk, tmp_path: Path) -> None:
    command("charge", "import-ncci", write(tmp_path, "ptp.txt", PTP), "--accept", *BY)
    rows = command("charge", "list", "--who", "coder", "--json").json
    assert [(row["accession"], row["state"], row["reasons"]) for row in rows] == [("ACC2", "queued", "EDIT_FORBIDS")]
    assert "breaks an edit of CMS: 70450/76377" in command("charge", "show", "ACC2").out
    sr = two.site.root / two.site.casebook.records_of(two.case("ACC2").session)[0].path
    (marked,) = command("charge", "explain", sr, "--json").json["breaks_edits"].values()
    assert marked == ["70450/76377 from 2020-01-01 to now, indicator 0: no modifier parts them"]
    assert "breaks an edit of CMS" in command("charge", "explain", sr).out
    assert len(command("charge", "keep", "ACC2", *BY, "--json").json["kept"]) == 1
    assert command("charge", "keep", "ACC2", *BY).code == 1
    assert command("charge", "list", "--who", "coder", "--json").json == []


def test_import_fees_report_and_sheet(command: Command, two: Desk, tmp_path: Path) -> None:
    assert (
        command("charge", "import-fees", write(tmp_path, "PFALL26.txt", FEES), "--accept", "--json").json["kept"] == 2
    )
    files = ("--csv", tmp_path / "m.csv", "--page", tmp_path / "m.png")
    found = command("charge", "report", "--month", "2026-03", *files, "--json").json
    assert {row["accession"]: row["expected_low"] for row in found["cases"]} == {"ACC1": "", "ACC2": "41.50"}
    assert (tmp_path / "m.png").stat().st_size > 5000
    assert "ACC2" in (tmp_path / "m.csv").read_text(encoding="utf-8")
    assert "Month 2026-03: 2 cases" in command("charge", "report", "--month", "2026-03").out
    assert command("charge", "report", "--month", "March").code == 1

    written = command("charge", "sheet", "--day", "2026-03-02", "-o", tmp_path / "sheet.csv", "--json").json
    assert written["rows"] == 1
    with (tmp_path / "sheet.csv").open(encoding="utf-8", newline="") as file:
        assert [row["accession"] for row in csv.DictReader(file)] == ["ACC2"]
    assert command("charge", "sheet", "--day", "today", "-o", tmp_path / "x.csv").code == 2


def test_the_audit_has_every_decision_and_act(command: Command, two: Desk, tmp_path: Path) -> None:
    command("charge", "release", "ACC1", *BY)
    file = tmp_path / "audit.jsonl"
    assert command("charge", "audit", "-o", file, "--json").json["rows"] == 6
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["what"] for row in rows].count("decision") == 5
    (act,) = [row for row in rows if row["what"] == "release"]
    assert (act["person"], act["role"], act["why"]) == ("jd", "coder", "looked at it")
    assert rows[-1]["cause"] == "release by jd"
    assert "Of^" not in file.read_text(encoding="utf-8")
    assert command("charge", "audit", "-o", file, "--since", "2999-01-01", "--json").json["rows"] == 0


def test_read_tells_what_a_message_states(command: Command, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.hl7"
    file.write_bytes(Ris(FLAT).report(text=WHOLE[:2]).replace(b"\r", b"\n"))
    found = command("charge", "read", file, "--json").json
    assert found["answer"] == "AA"
    assert found["states"][0]["stated"] == ["three_d_findings", "workstation_statement"]
    assert "stated: three_d_findings, workstation_statement" in command("charge", "read", file).out
    file.write_bytes(b"\x0b" + Ris(FLAT).order() + b"\x1c\r")
    words = command("charge", "read", file).out
    assert "70450: performed" in words
    assert "76377: performed, orders 3D" in words
    file.write_bytes(Ris(FLAT).account(""))
    assert "It states nothing that bears on a charge." in command("charge", "read", file).out
    file.write_bytes(Ris(FLAT).order().replace(b"|P|2.5.1", b"|T|2.5.1"))
    refused = command("charge", "read", file)
    assert refused.code == 1
    assert "It would be answered AR: MSH-11 is 'T'" in refused.out
    assert command("charge", "read", tmp_path / "none").code == 1
    file.write_text("hello", encoding="utf-8")
    assert command("charge", "read", file, "--json").json["answer"] == "none"


def test_the_outbox_shows_what_waits_and_gives_up(command: Command, two: Desk) -> None:
    (row,) = command("outbox", "list", "--json").json
    shown = command("outbox", "show", row["key"], "--json").json
    assert shown["body"].startswith("MSH|")
    assert len(shown["charges"]) == 1
    assert "FT1|1|" in command("outbox", "show", row["key"]).out
    assert command("outbox", "show", "nothing").code == 1
    assert command("outbox", "list", "--waiting", "--json").json == []
    from workstation.store.messages import Delivery

    deliver_pending(two.site.outbox, lambda _: Delivery("rejected", "AR"), two.site.clock)
    assert [each["key"] for each in command("outbox", "list", "--waiting", "--json").json] == [row["key"]]
    assert command("outbox", "withdraw", row["key"], "--why", "by hand, op").code == 0
    assert two.case("ACC2").content["reasons"] == ["CHARGE_TURNED_DOWN"]
    assert "withdrawn: by hand, op" in two.case("ACC2").cause


def test_papers_are_believed_only_where_the_settings_say_so(
    command: Command, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKSTATION_SET_BELIEVE_PAPERS")
    refused = command("papers", DOCUMENTED)
    assert refused.code == 1
    assert "believe no papers from files" in refused.err


@pytest.mark.parametrize(
    ("last", "now", "at", "expected"),
    [
        (DAY, DAY + timedelta(hours=1), "08:30", True),
        (DAY, DAY + timedelta(hours=1), "09:30", False),
        (DAY, DAY + timedelta(hours=1), "", False),
        (DAY, DAY + timedelta(days=1), "02:30", True),
        (DAY + timedelta(hours=15), DAY + timedelta(hours=17), "23:30", True),
        (DAY + timedelta(minutes=30), DAY + timedelta(minutes=31), "08:30", False),
    ],
)
def test_when_serve_rechecks(last: datetime, now: datetime, at: str, expected: bool) -> None:
    assert recheck_between(last, now, at) is expected


class TestWhoActs:
    """`--by` is believed of the person's own account, or with their PIN or password."""

    def test_another_account_needs_the_secret(self, command: Command, two: Desk, tmp_path: Path) -> None:
        two.site.people.add(JD, "correct horse", "246810", logins=["somebody-else"])
        refused = command("charge", "release", "ACC1", *BY)
        assert refused.code == 1
        assert "jd acts from the account 'somebody-else', or any with PIN or password" in refused.err
        for number, secret in enumerate(("246811", "", "246810", "correct horse")):
            file = tmp_path / f"secret{number}"
            file.write_text(f"{secret}\n")
            with file.open() as stream:
                done = command("charge", "note", "ACC1", *BY, "--pin-fd", stream.fileno())
            assert done.code == (0 if number >= 2 else 1), secret
        assert [act.person for act in two.site.casebook.acts()] == ["jd", "jd"]

    def test_what_the_environment_says_is_not_believed(
        self, command: Command, two: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two.site.people.add(JD, logins=["somebody-else"])
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.setenv(name, "somebody-else")
        assert command("charge", "release", "ACC1", *BY).code == 1
        assert two.site.casebook.acts() == ()


def test_cases_are_assigned_and_listed_by_page(command: Command, two: Desk) -> None:
    done = command("charge", "assign", "ACC1", "NONE", "--to", "jd", "--by", "jd", "--json")
    assert done.code == 1
    assert [(row["case"], row["to"]) for row in done.json] == [("ACC1", "jd"), ("NONE", "")]
    pages = [command("charge", "list", "--page", n, "--size", 1, "--json").json for n in (1, 2, 3)]
    assert [[row["accession"] for row in page] for page in pages] == [["ACC2"], ["ACC1"], []]


def test_a_query_is_asked_listed_and_replied_to(command: Command, two: Desk, tmp_path: Path) -> None:
    asked = command("charge", "query", "ACC1", "--to", "DR1", "--by", "jd", "--text", "Was it 3D?", "--json").json
    (row,) = command("charge", "queries", "--of", "DR1", "--json").json
    assert (row["query"], row["accession"], row["text"]) == (asked["query"], "ACC1", "Was it 3D?")
    two.site.people.add(DR1, pin="135790")
    secret = tmp_path / "secret"
    secret.write_text("135790\n")
    with secret.open() as file:
        fact = "order.urgent_documented=true"
        words = ("charge", "reply", asked["query"], fact, "--by", "DR1", "--text", "Yes", "--pin-fd", file.fileno())
        assert command(*words, "--json").json["accession"] == "ACC1"
    assert command("charge", "queries", "--of", "DR1", "--json").json == []


def test_unmatched_rows_are_dismissed_by_their_id(command: Command, two: Desk) -> None:
    two.hear(Ris(Study("ACC7", patient="P9")).order())
    (row,) = command("charge", "unmatched", "--json").json
    refused = command("charge", "attach", row["id"], "ACC1", *BY)
    assert refused.code == 1 and "of another patient than ACC1" in refused.err
    assert command("charge", "dismiss", row["id"], *BY, "--json").json == {"dismissed": row["id"]}
    assert command("charge", "unmatched", "--json").json == []


def test_what_the_payer_denied_is_appealed_and_written_off(command: Command, two: Desk) -> None:
    two.deliver()
    command("charge", "denied", "ACC2", *BY)
    assert command("charge", "appeal", "ACC2", "--by", "jd", "--text", "See page 2.", "--json").json["appealed"]
    assert "APPEALED, CHARGE_TURNED_DOWN" in command("charge", "list").out
    assert command("charge", "write-off", "ACC2", *BY, "--json").json["state"] == "denied"
    assert "stands as denied by the payer" in command("charge", "rebill", "ACC2", *BY).err


def test_what_would_be_is_shown_and_not_done(command: Command, two: Desk, tmp_path: Path) -> None:
    tried = ("charge", "what-if", "ACC1", "renderings[0].technique=volume_rendering")
    assert command(*tried, "--json").json["after"]["disposition"] == "release"
    assert "renderings[0].technique: mpr → volume_rendering" in command(*tried).out
    assert "would be the same" in command("charge", "what-if", "ACC1", "payer.prior_authorization=PA1").out
    phrases = tmp_path / "phrases.toml"
    phrases.write_text('clinical_utility = ["not in any report"]')
    assert "2 reports: 0 sentences would count, 2 no longer." in command("charge", "try-phrases", phrases).out
    assert "no correction is due" in command("charge", "correction", "ACC2").err
    two.hear(Ris(Study("ACC2", "P2", "A2", "V2"), minute=9).order("70460", control="XO"))
    rows = command("charge", "correction", "ACC2").out.splitlines()
    assert any(row.split() == ["*", "base", "70450", "70460"] for row in rows)
