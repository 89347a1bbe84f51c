"""Who is heard and what they may say; and that one frame is one message of one patient."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicom_io.network.tls import Tls, client_context, server_context
from tests.dicom_io.certificates import make
from tests.workstation.conftest import Command
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import DAY, WHOLE, Ris, Study, config
from tests.workstation.samples import ticking
from tests.workstation.store.before_versions import as_before_versions
from workstation.administration.preflight import check_settings
from workstation.config import ConfigError, load_config
from workstation.hl7 import mllp
from workstation.hl7.acknowledgement import parse_acknowledgement
from workstation.hl7.mllp import HL7Caller, MllpListener, frame
from workstation.hl7.reader import read_message
from workstation.listening import Heard, HL7Sender, Listener
from workstation.orders.hl7_listener import answering, refusing_too_long
from workstation.orders.stated import Reported
from workstation.orders.statements import statements_of
from workstation.serve.measured import metrics
from workstation.store.schema import upgrade

FAILING = Path(__file__).with_name("failing")
STUDY = Study("ACC1")
HOST = "127.0.0.1"
ALL: tuple[Heard, ...] = ("orders", "reports", "merges")


def read(name: str) -> bytes:
    return (FAILING / name).read_bytes()


def heard(tmp_path: Path, *senders: HL7Sender, **more: Any) -> Any:
    return desk(tmp_path / "root", config(listener=Listener(0, senders=senders, **more)))


def said(here: Desk, body: bytes, caller: HL7Caller = HL7Caller(HOST)) -> tuple[str, str]:  # noqa: B008
    answer = here.answer(body, caller)
    assert answer
    found = parse_acknowledgement(answer)
    return found.code, found.text


def test_what_is_refused_is_counted_by_kind_and_names_nobody(tmp_path: Path) -> None:
    senders = (HL7Sender("RIS", ("orders",)), HL7Sender("BILLING", ("acknowledgements",)))
    with heard(tmp_path, *senders) as here:
        ris = Ris(STUDY)
        bodies = {
            "unreadable": [b"hello", ris.order() * 2],
            "unknown_sender": [ris.order().replace(b"|RIS|", b"|LIS|")],
            "not_allowed": [ris.report()],
            "ahead": [ris.order().replace(b"|20260302", b"|20290302")],
            "not_heard": [ris.order().replace(b"ORM^O01", b"QRY^A19"), ris.order().replace(b"|P|2.5.1", b"|T|2.5.1")],
            "incomplete": [ris.order().replace(b"\rPID|", b"\rNTE|")],
            "no_charge": [b"MSH|^~\\&|BILLING|H|W|R|20260302||ACK|1|P|2.5.1\rMSA|AA|NOBODY\r"],
        }
        for several in bodies.values():
            for body in several:
                here.answer(body)
        refusing_too_long(here.site)(b"MSH|", HL7Caller(HOST))
        counts = here.site.casebook.refused_counts()
        assert counts == {kind: len(several) for kind, several in bodies.items()} | {"too_long": 1, "other": 0}
        assert len(here.site.casebook.refused()) == sum(counts.values())
        found = "".join(metric.text() for metric in metrics(here.site, []))
        assert 'workstation_hl7_refused_total{reason="unknown_sender"} 1\n' in found
        assert 'workstation_hl7_refused_total{reason="other"} 0\n' in found
        assert not any(name in found for name in ("LIS", "P1", "ACC1"))


def test_refusals_of_a_folder_without_kinds_are_counted_as_others(tmp_path: Path) -> None:
    with heard(tmp_path) as here:
        here.answer(b"hello")
        with here.site.papers.engine.begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_refused_kind")
            connection.exec_driver_sql("ALTER TABLE refused DROP COLUMN kind")
        as_before_versions(here.site.papers.engine)
        upgrade(here.site.papers.engine)
    with heard(tmp_path) as here:
        assert here.site.casebook.refused_counts()["other"] == 1
        here.answer(b"hello")
        assert here.site.casebook.refused_counts()["unreadable"] == 1


class TestSenders:
    @pytest.mark.parametrize("name", ["RIS\u200b", "\uff32IS", "R\u0406S", "ris", "RIS\u00ad", "RI", ""])
    def test_a_name_that_looks_alike_is_another_one(self, tmp_path: Path, name: str) -> None:
        with heard(tmp_path, HL7Sender("RIS", ALL)) as here:
            assert said(here, Ris(STUDY).report().replace(b"|RIS|", f"|{name}|".encode()))[0] == "AR"

    @pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\u2060", "\ufeff"])
    def test_a_report_of_a_number_that_looks_alike_holds(self, tmp_path: Path, mark: str) -> None:
        with heard(tmp_path, HL7Sender("RIS", ALL)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.report(patient=f"P1{mark}"))
            assert here.state == ("held", ["PATIENT_MISMATCH"])
            assert here.charges() == []

    def test_of_a_stranger_only_the_beginning_is_kept(self, tmp_path: Path) -> None:
        with heard(tmp_path, HL7Sender("LIS", ALL)) as here:
            assert said(here, Ris(STUDY).report(text=("x" * 100_000,)))[0] == "AR"
            with here.site.papers.engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT length(body) FROM refused").scalar() == 1000

    def test_nobody_that_is_not_named(self, tmp_path: Path) -> None:
        with heard(tmp_path, HL7Sender("LIS", ALL)) as here:
            code, words = said(here, Ris(STUDY).order())
            assert code == "AR" and "no sender that is heard here" in words
            ((_, answer, reason),) = here.site.casebook.refused()
            assert (answer, reason) == ("AR", words)

    @pytest.mark.parametrize(
        ("sender", "caller", "taken"),
        [
            (HL7Sender("RIS", ALL, facility="HOSPITAL"), HL7Caller(HOST), True),
            (HL7Sender("RIS", ALL, facility="OTHER"), HL7Caller(HOST), False),
            (HL7Sender("RIS", ALL, addresses=("10.0.0.0/8",)), HL7Caller("10.1.2.3"), True),
            (HL7Sender("RIS", ALL, addresses=("10.0.0.0/8",)), HL7Caller("11.1.2.3"), False),
            (HL7Sender("RIS", ALL, addresses=("::1",)), HL7Caller("::1"), True),
            (HL7Sender("RIS", ALL, addresses=("10.0.0.0/8",)), HL7Caller("no address"), False),
            (HL7Sender("RIS", ALL, subject="CN=ris"), HL7Caller(HOST, "CN=ris"), True),
            (HL7Sender("RIS", ALL, subject="CN=ris"), HL7Caller(HOST, "CN=other"), False),
            (HL7Sender("RIS", ALL, subject="CN=ris"), HL7Caller(HOST), False),
        ],
        ids=str,
    )
    def test_by_name_address_and_certificate(
        self, tmp_path: Path, sender: HL7Sender, caller: HL7Caller, taken: bool
    ) -> None:
        with heard(tmp_path, sender) as here:
            assert (said(here, Ris(STUDY).order(), caller)[0] == "AA") is taken

    @pytest.mark.parametrize("may", [("orders",), ("reports",), ("merges",)], ids=str)
    def test_each_says_only_what_it_may(self, tmp_path: Path, may: Any) -> None:
        ris = Ris(STUDY)
        bodies = {"orders": ris.order(), "reports": ris.report(), "merges": ris.merge("P9")}
        with heard(tmp_path, HL7Sender("RIS", may)) as here:
            for what, body in bodies.items():
                code, words = said(here, body)
                assert code == ("AA" if what in may else "AR")
                assert what in may or f"it may say {may[0]} only" in words

    def test_the_first_that_fits_counts_and_no_two_rights_add_up(self, tmp_path: Path) -> None:
        """Two senders of one application tell by where they call from: neither borrows the other's right."""
        senders = (
            HL7Sender("RIS", ("orders",), addresses=("10.0.0.1",)),
            HL7Sender("RIS", ("reports",), addresses=("10.0.0.2",)),
        )
        with heard(tmp_path, *senders) as here:
            assert said(here, Ris(STUDY).report(), HL7Caller("10.0.0.1"))[0] == "AR"
            assert said(here, Ris(STUDY).report(), HL7Caller("10.0.0.2"))[0] == "AA"

    def test_an_answer_to_a_charge_needs_the_right_to_answer(self, tmp_path: Path) -> None:
        ack = b"MSH|^~\\&|BILLING|X|WORKSTATION|RAD|20260302120000||ACK^P03|A1|P|2.5.1\rMSA|AA|NOBODYS\r"
        with heard(tmp_path, HL7Sender("BILLING", ("orders",))) as here:
            assert said(here, ack)[0] == "AR"
            assert here.site.casebook.refused() != ()

    def test_a_time_to_come_is_refused(self, tmp_path: Path) -> None:
        with desk(tmp_path / "root", clock=ticking(DAY + timedelta(hours=2))) as here:
            ris = Ris(STUDY)
            assert said(here, ris.order())[0] == "AA"  # a minute ahead
            ris.minute = 30
            code, words = said(here, ris.report())
            assert code == "AE" and "minutes ahead of the clock here" in words

    def test_a_listener_without_senders_does_not_start(self, tmp_path: Path, command: Command) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (root / "config.toml").write_text("[listener]\nport = 0\n")
        refused = command("serve", "--port", "0")
        assert refused.code == 1 and "no senders" in refused.err and "[[listener.senders]]" in refused.err
        with (
            desk(tmp_path / "other", config(listener=Listener(0))) as here,
            pytest.raises(ConfigError, match="no senders"),
        ):
            check_settings(here.site)

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            ('application = "RIS"\nmay = []', "may"),
            ('application = "RIS"\nmay = ["everything"]', "orders, reports, merges"),
            ('application = "RIS"\nmay = ["orders"]\naddresses = ["ris.local"]', "no address or network"),
            ('may = ["orders"]', "application"),
        ],
    )
    def test_a_sender_that_cannot_be(self, tmp_path: Path, lines: str, words: str) -> None:
        (tmp_path / "config.toml").write_text(f"[listener]\nport = 0\n[[listener.senders]]\n{lines}\n")
        with pytest.raises(ConfigError, match=words):
            load_config(tmp_path)

    def test_the_certificate_of_the_connection_counts(self, tmp_path: Path) -> None:
        authority = make(tmp_path, "authority")
        ours, ris, stranger = (make(tmp_path, name, authority) for name in ("ours", "ris", "stranger"))
        with heard(tmp_path, HL7Sender("RIS", ALL, subject="CN=ris")) as here:
            tls = server_context(Tls(authority.certificate, ours.certificate, ours.key))
            with MllpListener(here.answer, tls=tls) as listener:
                for who, code in ((ris, "AA"), (stranger, "AR")):
                    shown = client_context(Tls(authority.certificate, who.certificate, who.key))
                    answer = mllp.send(HOST, listener.port, Ris(STUDY).order(), 10, shown)
                    assert answer.code == code, answer.text


class TestOneMessageAFrame:
    @pytest.mark.parametrize(("name", "words"), [("two_msh.hl7", "2 messages"), ("batch.hl7", "batch")])
    def test_more_is_answered_with_its_reason_and_filed_nowhere(self, tmp_path: Path, name: str, words: str) -> None:
        with heard(tmp_path, HL7Sender("RIS", ALL)) as here:
            code, text = said(here, read(name))
            assert code == "AR" and words in text
            assert list(here.site.casebook.unmatched()) == []
            assert [answer for _, answer, _ in here.site.casebook.refused()] == ["AR"]

    def test_what_was_taken_by_an_earlier_version_counts_no_more(self, tmp_path: Path) -> None:
        """A frame of two messages that was filed under the first patient is not read again."""
        with heard(tmp_path, HL7Sender("RIS", ALL)) as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order())
            from workstation.store.cases import Concern

            other = Ris(Study("ACC9", "P9"))
            two = other.report() + ris.report(text=WHOLE)
            here.site.casebook.receive(two, "ORU^R01", "x", [Concern("accession", "ACC1")], here.site.clock(), "old")
            assert here.state[0] == "held"

    @pytest.fixture
    def listener(self, tmp_path: Path) -> Iterator[tuple[MllpListener, Desk, list[dict[str, str]]]]:
        events: list[dict[str, str]] = []
        with (
            heard(tmp_path, HL7Sender("RIS", ALL), max_message_mb=1) as here,
            MllpListener(
                answering(here.site, events.append),
                maximum_bytes=1 << 20,
                too_long=refusing_too_long(here.site, events.append),
                broken=lambda why, caller: events.append({"event": "refused", "detail": why}),
            ) as listening,
        ):
            yield listening, here, events

    def test_between_two_frames_line_ends_are_passed_over(self, listener: Any) -> None:
        listening, here, _ = listener
        ris = Ris(STUDY)
        for between in (b"\n", b"\r\n", b"\r", b""):
            bodies = [ris.order(), ris.report()]
            with socket.create_connection((HOST, listening.port), 10) as connection:
                connection.sendall(frame(bodies[0]) + between + frame(bodies[1]) + between)
                received = b""
                while received.count(b"\x1c\r") < 2:
                    received += connection.recv(4096)
            assert received.count(b"MSA|AA|") == 2, between
        assert here.site.casebook.refused() == ()

    def test_anything_else_between_frames_closes_the_connection_and_is_said(self, listener: Any) -> None:
        listening, _, events = listener
        with socket.create_connection((HOST, listening.port), 10) as connection:
            connection.sendall(frame(Ris(STUDY).order()) + b"garbage")
            while connection.recv(4096):
                pass
        assert any("does not begin a frame" in event.get("detail", "") for event in events)

    def test_a_message_beyond_the_limit_is_answered_and_the_next_one_taken(self, listener: Any) -> None:
        listening, here, events = listener
        ris = Ris(STUDY)
        large = ris.report(text=("x" * 200,) * 8000)
        assert len(large) > 1 << 20
        answer = mllp.send(HOST, listening.port, large, 20)
        assert answer.code == "AR" and "longer than 1 MB" in answer.text
        assert [reason for _, _, reason in here.site.casebook.refused()] == [answer.text]
        assert any(event["detail"] == answer.text for event in events)
        assert mllp.send(HOST, listening.port, ris.order(), 10).code == "AA"

    @pytest.mark.slow
    def test_a_large_one_within_it_is_taken(self, tmp_path: Path) -> None:
        with (
            heard(tmp_path, HL7Sender("RIS", ALL)) as here,
            MllpListener(here.answer, maximum_bytes=4 << 20) as listening,
        ):
            large = Ris(STUDY).report(text=("x" * 20_000,) * 160)
            assert len(large) > 3 << 20
            assert mllp.send(HOST, listening.port, large, 60).code == "AA"


def stated(name: str, here: Desk) -> list[Reported]:
    found = statements_of(read(name), here.site.config.reading, DAY.tzinfo or here.site.clock().tzinfo)  # type: ignore[arg-type]
    return [each.statement for each in found if isinstance(each.statement, Reported)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    """Reads as the site of the failing inputs does."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_bytes((FAILING / "config.toml").read_bytes())
    with desk(tmp_path / "root", load_config(tmp_path / "root")) as here:
        yield here


class TestText:
    def test_segments_end_at_cr_and_a_line_feed_is_text(self, site: Desk) -> None:
        (report,) = stated("lf_embedded.hl7", site)
        assert {"three_d_findings", "workstation_statement"} <= report.stated
        assert len(read_message(read("lf_embedded.hl7")).segments) == 4

    @pytest.mark.parametrize("name", ["lf_negation.hl7", "lf_negation_br.hl7"])
    def test_a_negation_behind_a_line_feed_negates(self, site: Desk, name: str) -> None:
        (report,) = stated(name, site)
        assert "three_d_findings" not in report.stated

    @pytest.mark.parametrize("name", ["lf_only.hl7", "crlf.hl7"])
    def test_files_with_line_feeds_go_on_working(self, site: Desk, name: str) -> None:
        (report,) = stated(name, site)
        assert report.stated

    @pytest.mark.parametrize("status", "DIWXN")
    def test_what_is_taken_back_states_nothing(self, site: Desk, status: str) -> None:
        (report,) = stated(f"obx11_{status}.hl7", site)
        assert "three_d_findings" not in report.stated

    def test_each_result_belongs_to_the_order_before_it(self, site: Desk) -> None:
        reports = {each.accession: each.stated for each in stated("two_orc_oru.hl7", site)}
        assert set(reports) == {"ACC1", "ACC2"}
        assert "three_d_findings" not in reports["ACC1"]
        assert "three_d_findings" in reports["ACC2"]

    @pytest.mark.parametrize("name", ["ed_text.hl7", "ed_A.hl7"])
    def test_text_in_encapsulated_data_counts(self, site: Desk, name: str) -> None:
        (report,) = stated(name, site)
        assert {"three_d_findings", "workstation_statement"} <= report.stated


# The study of the failing inputs, whose procedures the site names CTHEAD and 3DRENDER.
SAMPLE = Study("DEMO-0001", "SAMPLE-CRANIUM")
SHARED = Study("ACC1", "P1")


class TestOrders:
    def on_file(self, here: Desk, study: Study, *names: str) -> tuple[list[tuple[str, str]], bool]:
        """Base procedures with their status, and whether 3D is ordered, after these messages."""
        here.sr(study)
        assert here.hear(*map(read, names)) == ["AA"] * len(names)
        from workstation.billing.accession import file_of
        from workstation.billing.accession import read as read_accession
        from workstation.billing.gather_facts import site_policy

        view = read_accession(study.accession, here.site)
        papers = file_of(
            view, view.snapshot.records[0], here.site, site_policy(here.site.config, here.site.root)
        ).papers
        return [(base.code, base.status) for base in papers.base_procedures], papers.order.three_d_ordered

    @pytest.mark.parametrize(
        "names",
        [
            ("orm_same_orc3.hl7",),
            ("orm_one_orc_two_obr.hl7",),
            ("orm_two_msgs_a.hl7", "orm_two_msgs_b.hl7"),
            ("orm_two_msgs_b.hl7", "orm_two_msgs_a.hl7"),
        ],
        ids=str,
    )
    def test_several_procedures_of_one_number_all_stand(self, site: Desk, names: tuple[str, ...]) -> None:
        assert self.on_file(site, SHARED, *names) == ([("70450", "performed")], True)

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            (("xo_no_status.hl7",), "performed"),
            (("unable_to_cancel_1.hl7",), "cancelled"),
            (("unable_to_cancel_1.hl7", "unable_to_cancel_2.hl7"), "performed"),
        ],
        ids=str,
    )
    def test_what_a_message_does_not_say_stays(self, site: Desk, more: tuple[str, ...], status: str) -> None:
        bases, _ = self.on_file(site, SAMPLE, "order_ok.hl7", "report_ok.hl7", *more)
        assert bases == [("70450", status)]

    def test_a_change_puts_one_procedure_in_the_place_of_another(self, tmp_path: Path) -> None:
        with desk(tmp_path / "root") as here:
            ris = Ris(STUDY)
            here.sr(STUDY)
            here.hear(ris.order(), ris.order("70460", control="XO"), ris.report())
            facts = json.loads(here.case().facts)
            assert [base["code"] for base in facts["base_procedures"]] == ["70460"]
