"""The command from outside: what it prints, what it leaves, how it ends. Bad input is a sentence, never a traceback."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicom_io.archive import Archive
from dicom_io.archive.database import open_database
from dicom_io.archive.leases import Leases
from dicom_io.network.receive import Receiver
from tests.workstation.conftest import Command
from tests.workstation.samples import (
    ACCESSION,
    AT,
    CT_HEAD,
    DOCUMENTED,
    SERIES_UID,
    UTILITY_MISSING,
    papers_with,
)
from tests.workstation.serve.running import Serving
from workstation.hl7.acknowledgement import acknowledgement
from workstation.hl7.mllp import MllpReceiver
from workstation.site import open_to_others
from workstation.transports.folder import write_file

FACTS = json.loads((Path(__file__).parents[1] / "charge" / "cases.json").read_text(encoding="utf-8"))[0]["facts"]


def process(*words: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "workstation", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def settings(root: Path, *destinations: dict[str, Any], **keys: object) -> None:
    root.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    for destination in destinations:
        lines += ["[[destinations]]", *(f"{key} = {json.dumps(value)}" for key, value in destination.items())]
    (root / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def facts_file(folder: Path, content: object) -> Path:
    file = folder / "facts.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.fixture
def free_port() -> Any:
    """A port on which nobody listens, kept by a socket that does not listen."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def ran(command: Command, slices: Path) -> Callable[..., Any]:
    """Imports the slices and runs the story on them; returns what `run --json` said."""

    def run(papers: Path | None = DOCUMENTED) -> Any:
        assert command("import", slices).code == 0
        options = ["--papers", papers] if papers else []
        answer = command("run", SERIES_UID, "--protocol", "tiny", *options, "--json")
        assert answer.code == 0, answer.err
        return answer.json

    return run


class TestLooking:
    @pytest.mark.slow
    def test_inspect_prints_the_geometry(self) -> None:
        done = process("inspect", CT_HEAD, "--json")
        assert done.returncode == 0
        (series,) = json.loads(done.stdout)
        assert set(series) == {
            "series_uid",
            "modality",
            "description",
            "instances",
            "transfer_syntaxes",
            "volumes",
            "possible",
        }
        assert (series["series_uid"], series["modality"]) == (SERIES_UID, "CT")
        assert (series["instances"], series["description"]) == (108, "Cranium 1.5 mm")
        (volume,) = series["volumes"]
        needed = {"shape", "spacing_mm", "origin_mm", "direction", "unit", "minimum", "maximum", "warnings"}
        assert needed <= set(volume) <= needed | {"label", "split_because"}
        assert volume["shape"] == [108, 256, 256]
        assert volume["spacing_mm"] == pytest.approx([1.5, 0.957031, 0.957031])
        assert volume["direction"] == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        assert volume["origin_mm"] == pytest.approx([-122.021478, -122.021478, 0.0])
        assert (volume["unit"], volume["minimum"], volume["maximum"]) == ("HU", -1024, 2986)
        assert volume["warnings"] == []

    def test_inspect_in_words(self, command: Command, slices: Path) -> None:
        answer = command("inspect", slices)
        assert answer.code == 0
        assert "volume: 16 x 256 x 256 voxels of 1.5 x 0.957 x 0.957 mm" in answer.out
        assert SERIES_UID in answer.out

    def test_import_then_list(self, command: Command, slices: Path) -> None:
        answer = command("import", slices, "--json")
        assert (answer.code, answer.json) == (0, {"instances": 16, "series": [SERIES_UID], "refused": []})
        before = command("list", "--json").json
        assert command("import", slices).code == 0
        assert command("list", "--json").json == before
        assert [(s["series_uid"], s["instances"], s["accession"]) for s in before] == [(SERIES_UID, 16, ACCESSION)]
        assert {(s["stage"], s["revision"]) for s in before} == {("complete", 1)}
        assert SERIES_UID in command("list").out

    def test_an_empty_archive_lists_nothing(self, command: Command) -> None:
        assert command("list", "--json").json == []
        assert command("outbox", "list", "--json").json == []
        assert command("charge", "list", "--json").json == []

    def test_presets_and_protocols(self, command: Command) -> None:
        presets = command("presets", "--json").json
        assert {"name": "ct_bone", "unit": "HU"}.items() <= next(p for p in presets if p["name"] == "ct_bone").items()
        protocols = {p["name"]: p for p in command("protocols", "--json").json}
        assert protocols["ct_head_trauma"]["pictures"] == len(protocols["ct_head_trauma"]["recipes"]) == 10
        windows = {p["name"]: p for p in presets if p["kind"] == "window"}
        assert (windows["brain"]["key"], windows["brain"]["centre"], windows["brain"]["width"]) == ("3", 40.0, 80.0)
        assert all(p["title"] and p["unit"] and p["source"] for p in presets)
        assert "ct_bone" in command("presets").out
        assert "ct_head_trauma" in command("protocols").out

    @pytest.mark.slow
    def test_doctor_tells_of_this_machine(self, tmp_path: Path) -> None:
        done = process("--root", tmp_path / "root", "doctor", "--json")
        assert done.returncode == 0
        found = json.loads(done.stdout)
        assert {"cores", "memory_gib", "disk_free_gib", "opengl", "hardware_gpu", "peers", "missing"} <= set(found)
        assert found["cores"] >= 1
        assert found["engine"] == "cpu"
        assert found["engine"] == "cpu" and found["engine_why"]
        assert not (tmp_path / "root").exists()

    def test_no_command_is_misuse(self) -> None:
        assert process().returncode == 2
        assert process("invent").returncode == 2
        assert process("render", CT_HEAD).returncode == 2

    @pytest.mark.slow
    def test_the_root_may_come_from_the_environment(
        self, tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORKSTATION_ROOT", str(tmp_path / "root"))
        assert process("import", slices).returncode == 0
        assert (tmp_path / "root" / "workstation.db").exists()


def pictures_of(result: Any, output: Path) -> dict[str, list[Path]]:
    """The files of each picture; what is written is what the command says, and shows something."""
    assert Path(result["contact_sheet"]) == output / "contact_sheet.png"
    assert {Path(f) for f in result["files"]} | {output / "contact_sheet.png"} == set(output.iterdir())
    by_picture: dict[str, list[Path]] = {}
    for file in map(Path, result["files"]):
        by_picture.setdefault(file.name[:2], []).append(file)
    with Image.open(result["contact_sheet"]) as sheet:
        assert np.asarray(sheet.convert("L")).std() > 5
    return by_picture


class TestRendering:
    def test_pictures_and_contact_sheet_show_something(self, command: Command, slices: Path, tmp_path: Path) -> None:
        output = tmp_path / "pictures"
        result = command("render", slices, "--protocol", "tiny", "-o", output, "--json", root=tmp_path / "none").json
        assert len(pictures_of(result, output)) == len(result["digests"]) == 3
        assert not (tmp_path / "none").exists()

    @pytest.mark.slow  # every picture of a protocol in full; what protocols draw is looked at by their golden pictures
    def test_a_whole_protocol_shows_something(self, tmp_path: Path) -> None:
        output = tmp_path / "pictures"
        done = process(
            "--root", tmp_path / "root", "render", CT_HEAD, "--protocol", "ct_generic", "-o", output, "--json"
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        by_picture = pictures_of(result, output)
        assert len(by_picture) == len(result["digests"]) == 7
        # Of a rotation or a stack the middle one: the first plane may lie in front of the head.
        for file in (Path(result["contact_sheet"]), *(files[len(files) // 2] for files in by_picture.values())):
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert("L"))
            assert pixels.max() > 100, file.name
            assert pixels.std() > 5, file.name
        assert not (tmp_path / "root").exists()

    def test_a_series_of_the_archive(self, command: Command, slices: Path, tmp_path: Path) -> None:
        command("import", slices)
        one = command("render", SERIES_UID, "--protocol", "tiny", "-o", tmp_path / "a", "--json")
        two = command("render", slices, "--protocol", "tiny", "-o", tmp_path / "b", "--json")
        assert (one.code, two.code) == (0, 0)
        assert one.json["digests"] == two.json["digests"]
        assert sorted(f.name for f in (tmp_path / "a").iterdir()) == sorted(f.name for f in (tmp_path / "b").iterdir())


class TestRunning:
    def test_run_queues_and_the_outbox_delivers(self, command: Command, ran: Any, tmp_path: Path) -> None:
        made = ran()
        assert made["decision"]["disposition"] == "release"
        assert [(c["code"], c["modifiers"]) for c in made["decision"]["lines"]] == [("76377", ["26"])]
        assert made["sr"]["verified"]
        assert Path(made["sr"]["path"]).exists()
        assert made["queued"] == made["messages"]
        # Four images, the SR, the charge: by default into a folder of the state folder.
        assert command("outbox", "send", "--dry-run", "--json").json == {"due": 6}
        assert {e["state"] for e in command("outbox", "list", "--json").json} == {"queued"}
        assert command("charge", "list", "--json").json[0]["state"] == "queued"
        sent = command("outbox", "send", "--json")
        assert (sent.code, sent.json) == (0, {"acknowledged": 6, "left": 0, "problems": []})
        listed = command("outbox", "list", "--json").json
        assert {(e["state"], e["tries"]) for e in listed} == {("acknowledged", 1)}
        written = sorted(f.suffix for f in (tmp_path / "root" / "outgoing").iterdir())
        assert written == [".dcm"] * 5 + [".hl7"]
        assert [(r["state"], r["code"]) for r in command("charge", "list", "--json").json] == [
            ("acknowledged", "76377")
        ]
        assert "acknowledged" in command("outbox", "list").out

    def test_in_words(self, command: Command, ran: Any) -> None:
        ran(UTILITY_MISSING)
        answer = command("run", SERIES_UID, "--protocol", "tiny", "--papers", UTILITY_MISSING)
        assert answer.code == 0
        assert "HELD" in answer.out
        assert "UTILITY_MISSING" in answer.out
        assert "can be resolved by: physician" in answer.out
        assert "0 new messages" in answer.out
        assert "UTILITY_MISSING" in command("charge", "list").out

    def test_a_dry_run_does_nothing(self, command: Command, slices: Path, tmp_path: Path) -> None:
        command("import", slices)
        before = sorted(tmp_path.rglob("*.dcm"))
        answer = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--dry-run", "--json")
        assert answer.code == 0
        assert answer.json["recipes"] == "Bone, MIP, Axial"
        assert "outgoing" in answer.json["destinations"]
        assert sorted(tmp_path.rglob("*.dcm")) == before
        assert command("outbox", "list", "--json").json == []
        assert command("charge", "list", "--json").json == []

    def test_papers_then_explain(self, command: Command, ran: Any) -> None:
        made = ran(UTILITY_MISSING)
        sr = made["sr"]["path"]
        held = command("charge", "explain", sr, "--json")
        assert (held.code, held.json) == (0, made["decision"])
        # Papers that complete a held case release it: the charge goes into the outbox, once.
        filed = command("papers", DOCUMENTED, "--json").json
        assert filed["accession"] == ACCESSION
        assert [d["disposition"] for d in filed["decisions"]] == ["release"]
        assert len(filed["queued"]) == 1
        assert command("papers", DOCUMENTED, "--json").json["queued"] == []
        released = command("charge", "explain", sr)
        assert "RELEASED" in released.out
        assert "76377-26 x 1 beside 70450" in released.out
        assert "verified by a physician: yes" in released.out
        again = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json").json
        assert again["sr"] == made["sr"]
        assert again["queued"] == []

    def test_papers_of_another_accession(self, command: Command, slices: Path, tmp_path: Path) -> None:
        command("import", slices)
        papers = papers_with(tmp_path, accession="OTHER-1")
        for more in ([], ["--dry-run"]):
            answer = command("run", SERIES_UID, "--protocol", "tiny", "--papers", papers, *more)
            assert answer.code == 1
            assert "'OTHER-1'" in answer.err
            assert "'DEMO-0001'" in answer.err
        assert command("charge", "list", "--json").json == []


class TestCodes:
    def test_policies_name_their_editions_and_sources(self, command: Command) -> None:
        rows = command("charge", "policies", "--json").json
        assert {r["policy"] for r in rows} == {"guide", "cpt"}
        assert all(r["edition"] and r["from"] and r["source"] for r in rows)
        assert [(r["policy"], r["contract"]) for r in rows if r["used"]] == [("guide", 1), ("guide", 2)]

    @pytest.mark.parametrize(
        ("code", "day", "known", "verified"),
        [
            ("70450", "2026-03-02", "eligible", True),
            ("70450", "2005-03-02", "in no list", False),
            ("78306", "2026-03-02", "includes_3d", True),
            ("34839", "2026-03-02", "procedure_includes_3d", False),
            ("99999", "2026-03-02", "in no list", False),
        ],
    )
    def test_what_is_known_of_a_code(self, command: Command, code: str, day: str, known: str, verified: bool) -> None:
        found = command("charge", "codes", code, "--on", day, "--json").json
        assert found["class"].startswith(known)
        assert found["verified"] is verified

    def test_a_site_adds_rows_and_contradicts_none(self, command: Command, ran: Any, tmp_path: Path) -> None:
        header = "code,class,modality,region,effective_from,effective_to,basis,verified\n"
        rows = tmp_path / "root" / "site_codes.csv"
        rows.parent.mkdir(exist_ok=True)
        rows.write_text(header + "76380,eligible,CT,,2020-01-01,,our coder's reading,yes\n")
        found = command("charge", "codes", "76380", "--json").json
        assert (found["class"], found["table"]) == ("eligible", "site_codes.csv")
        assert command("charge", "codes", "70450", "--json").json["table"] == "shipped"
        rows.write_text(header + "71275,eligible,CT,CHEST,2020-01-01,,wishful,yes\n")
        refused = command("charge", "codes", "71275")
        assert refused.code == 1
        assert "site_codes.csv" in refused.err and "71275" in refused.err
        assert command("charge", "codes", "71275", "--on", "yesterday").code == 2


class TestDeciding:
    @pytest.mark.slow
    def test_an_object_for_an_object_and_a_list_for_a_list(self, command: Command, tmp_path: Path) -> None:
        one = process("charge", "decide", facts_file(tmp_path, FACTS), "--json")
        assert one.returncode == 0
        assert json.loads(one.stdout)["disposition"] == "release"
        several = command("charge", "decide", facts_file(tmp_path, [FACTS, FACTS]), "--policy", "cpt", "--json")
        assert [d["policy"] for d in several.json] == ["cpt", "cpt"]
        assert command("charge", "decide", facts_file(tmp_path, []), "--json").json == []

    def test_in_words(self, command: Command, tmp_path: Path) -> None:
        answer = command("charge", "decide", facts_file(tmp_path, {**FACTS, "accession": "A", "renderings": []}))
        assert answer.code == 0
        assert "NOT BILLABLE" in answer.out
        assert "NO_RENDERING" in answer.out

    @pytest.mark.parametrize(
        ("facts", "key"),
        [
            ({k: v for k, v in FACTS.items() if k != "order"}, "order"),
            ({**FACTS, "colour": "red"}, "colour"),
            ({**FACTS, "report": {**FACTS["report"], "status": "finall"}}, "report.status"),
            ([FACTS, {**FACTS, "date_of_service": "yesterday"}], "date_of_service"),
            ("facts", "facts"),
            (3, "facts"),
        ],
    )
    def test_a_bad_fact_is_named(self, command: Command, tmp_path: Path, facts: object, key: str) -> None:
        answer = command("charge", "decide", facts_file(tmp_path, facts), "--json")
        assert answer.code == 1
        assert key in answer.err
        assert answer.out == ""

    def test_a_bad_policy_is_misuse(self, command: Command, tmp_path: Path) -> None:
        answer = command("charge", "decide", facts_file(tmp_path, FACTS), "--policy", "mine")
        assert answer.code == 2
        assert "mine" in answer.err

    @pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000])
    def test_what_is_no_json(self, command: Command, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "facts.json"
        file.write_bytes(content)
        answer = command("charge", "decide", file)
        assert answer.code == 1
        assert str(file) in answer.err

    def test_explain_wants_an_sr_of_ours(self, command: Command, slices: Path, tmp_path: Path) -> None:
        answer = command("charge", "explain", next(slices.iterdir()))
        assert answer.code == 1
        assert "not a Comprehensive 3D SR" in answer.err
        assert command("charge", "explain", tmp_path / "nothing.dcm").code == 1


class TestSending:
    def test_c_store_to_a_peer(self, command: Command, slices: Path, tmp_path: Path) -> None:
        pacs = Archive(tmp_path / "pacs")
        with Receiver(pacs, ae_title="PACS") as receiver:
            answer = command("send", slices, "127.0.0.1", receiver.port, "-aec", "PACS", "-aet", "US", "--json")
        assert (answer.code, answer.json) == (0, {"accepted": 16, "refused": []})
        assert len(pacs.series(SERIES_UID).instances) == 16

    def test_a_dry_run_connects_to_nobody(self, command: Command, slices: Path, free_port: int) -> None:
        answer = command("send", slices, "127.0.0.1", free_port, "--dry-run", "--json")
        assert (answer.code, answer.json) == (0, {"instances": 16})

    def test_nobody_there(self, command: Command, slices: Path, free_port: int) -> None:
        answer = command("send", slices, "127.0.0.1", free_port)
        assert answer.code == 1
        assert "cannot be reached" in answer.err
        assert str(free_port) in answer.err

    @pytest.mark.parametrize("words", [["-aec", "SEVENTEEN LETTERS"], ["-aet", "BACK\\SLASH"], ["-aec", " "]])
    def test_an_impossible_ae_title_is_misuse(self, command: Command, slices: Path, words: list[str]) -> None:
        assert command("send", slices, "127.0.0.1", 11112, *words).code == 2

    @pytest.mark.parametrize("port", ["0", "65536", "dicom"])
    def test_an_impossible_port_is_misuse(self, command: Command, slices: Path, port: str) -> None:
        assert command("send", slices, "127.0.0.1", port).code == 2

    def test_an_unreachable_pacs_keeps_everything_queued(
        self, command: Command, ran: Any, tmp_path: Path, free_port: int
    ) -> None:
        pacs = {"name": "pacs", "kind": "dicom", "takes": ["images"], "port": free_port, "associations": 1}
        settings(tmp_path / "root", pacs)
        ran()
        sent = command("outbox", "send", "--json")
        assert sent.code == 1
        assert sent.json["left"] == 5
        assert sent.json["acknowledged"] == 0
        first, *rest = command("outbox", "list", "--json").json
        assert (first["state"], first["tries"]) == ("retrying", 1)
        assert "cannot be reached" in first["answer"]
        assert {e["state"] for e in rest} == {"queued"}
        # Once it is there, everything goes, and nothing went twice.
        kept = Archive(tmp_path / "pacs")
        with Receiver(kept) as receiver:
            settings(tmp_path / "root", {**pacs, "port": receiver.port})
            assert command("outbox", "send", "--json").json == {"acknowledged": 5, "left": 0, "problems": []}
        assert sum(len(s.instances) for s in kept.all_series()) == 5

    @pytest.mark.parametrize(("code", "state"), [("AE", "retrying"), ("AR", "operator"), ("AA", "acknowledged")])
    def test_what_billing_answers_is_seen_in_the_outbox(
        self, command: Command, ran: Any, tmp_path: Path, code: Any, state: str
    ) -> None:
        with MllpReceiver(lambda message: acknowledgement(message, code, "the words", at=AT)) as billing:
            settings(tmp_path / "root", {"name": "billing", "kind": "mllp", "takes": ["charges"], "port": billing.port})
            ran()
            sent = command("outbox", "send", "--json")
        assert sent.code == (0 if code == "AA" else 1)
        (entry,) = command("outbox", "list", "--json").json
        assert (entry["state"], entry["kind"], entry["tries"]) == (state, "hl7", 1)
        assert entry["answer"] == f"{code} the words"
        assert len(billing.messages) == 1
        (charge,) = command("charge", "list", "--json").json
        assert charge["state"] == {"AA": "acknowledged", "AE": "sent", "AR": "operator"}[code]

    def test_an_operator_retries_or_withdraws(self, command: Command, ran: Any, tmp_path: Path) -> None:
        def answer(code: Any) -> MllpReceiver:
            return MllpReceiver(lambda message: acknowledgement(message, code, "", at=AT))

        def send_to(billing: MllpReceiver) -> Any:
            settings(tmp_path / "root", {"name": "billing", "kind": "mllp", "takes": ["charges"], "port": billing.port})
            return command("outbox", "send", "--json")

        with answer("AR") as refusing:
            settings(
                tmp_path / "root", {"name": "billing", "kind": "mllp", "takes": ["charges"], "port": refusing.port}
            )
            ran()
            assert command("outbox", "send", "--json").json["left"] == 1
            (entry,) = command("outbox", "list", "--json").json
            # It waits for a person: nothing goes by itself.
            command("outbox", "send", "--json")
            assert len(refusing.messages) == 1
            assert command("outbox", "retry", entry["key"], "--why", "mended, jd").code == 0
        with answer("AA") as taking:
            assert send_to(taking).json == {"acknowledged": 1, "left": 0, "problems": []}
            assert taking.messages == refusing.messages
        done = command("outbox", "withdraw", entry["key"], "--why", "too late, jd")
        assert done.code == 1
        assert "waits for nobody" in done.err

    def test_one_process_delivers_at_a_time(self, command: Command, ran: Any, tmp_path: Path) -> None:
        settings(tmp_path / "root", {"name": "out", "kind": "folder", "takes": ["images"], "folder": "out"})
        ran()
        database = open_database(tmp_path / "root" / "workstation.db")
        with Leases(database, machine="another host").held("outbox"):
            assert command("outbox", "send", "--json").json["acknowledged"] == 0
        database.dispose()
        assert command("outbox", "send", "--json").json["left"] == 0

    def test_a_destination_that_was_removed_is_named(self, command: Command, ran: Any, tmp_path: Path) -> None:
        settings(tmp_path / "root", {"name": "old", "kind": "folder", "takes": ["images"], "folder": "old"})
        ran()
        settings(tmp_path / "root", {"name": "new", "kind": "folder", "takes": ["images"], "folder": "new"})
        sent = command("outbox", "send", "--json")
        assert sent.code == 1
        assert "'old'" in sent.json["problems"][0]


class TestServing:
    @pytest.mark.slow
    def test_listens_receives_and_ends_when_told(self, command: Command, slices: Path, tmp_path: Path) -> None:
        with Serving(tmp_path / "root") as serving:
            assert serving.ae_title == "WORKSTATION"
            answer = command("send", slices, "127.0.0.1", serving.port, "-aec", "WORKSTATION", "--json")
            assert answer.json["accepted"] == 16
            assert serving.received(16) == 16
            assert serving.terminate() == (0, "stopped")
        assert command("list", "--json").json[0]["instances"] == 16

    def test_a_port_in_use(self, command: Command) -> None:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
            answer = command("serve", "--host", "127.0.0.1", "--port", port)
        assert answer.code == 1
        assert f"Port {port} is in use" in answer.err

    @pytest.mark.parametrize("words", [["--port", "65536"], ["-aet", "SEVENTEEN LETTERS"], ["--interval-s", "0"]])
    def test_misuse(self, command: Command, words: list[str]) -> None:
        assert command("serve", *words).code == 2


@pytest.fixture
def broken(slices: Path, tmp_path: Path) -> Path:
    """The slices without one in the middle."""
    folder = tmp_path / "broken"
    shutil.copytree(slices, folder)
    sorted(folder.iterdir())[7].unlink()
    return folder


class TestBadInput:
    def test_a_missing_slice_is_a_gap(self, command: Command, broken: Path, tmp_path: Path) -> None:
        (series,) = command("inspect", broken, "--json").json
        assert series["instances"] == 15
        (volume,) = series["volumes"]
        assert "shape" not in volume
        assert "gap" in volume["refused"]
        assert "3" in volume["refused"]
        assert "refused" in command("inspect", broken).out
        command("import", broken)
        for words in (
            ["run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED],
            ["render", broken, "--protocol", "tiny", "-o", tmp_path / "pictures"],
        ):
            answer = command(*words)
            assert answer.code == 1
            assert answer.err.startswith("error: ")
            assert "gap" in answer.err
        assert not (tmp_path / "pictures").exists()
        assert command("outbox", "list", "--json").json == []
        # The slice comes after all: the same command now goes through.
        command("import", sorted(CT_HEAD.glob("*.dcm"))[47])
        assert command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED).code == 0

    def test_what_is_not_dicom(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "letter.dcm"
        file.write_text("Dear colleague", encoding="utf-8")
        for words in (
            ["inspect", file],
            ["render", file, "--protocol", "tiny", "-o", tmp_path / "p"],
            ["import", file],
        ):
            answer = command(*words)
            assert answer.code == 1
            assert "not a DICOM file" in answer.err + answer.out
        assert command("send", file, "127.0.0.1", 104).code == 1
        assert command("list", "--json").json == []

    def test_a_truncated_instance(self, command: Command, slices: Path, tmp_path: Path) -> None:
        file = tmp_path / "cut.dcm"
        whole = next(slices.iterdir()).read_bytes()
        for part in (len(whole) // 2, len(whole) - 100, 600, 140):
            file.write_bytes(whole[:part])
            answer = command("import", file, "--json")
            assert answer.code == 1
            assert answer.json["instances"] == 0
            assert len(answer.json["refused"]) == 1
        root = tmp_path / "root"
        assert [f for f in root.rglob("*") if f.is_file() and "workstation.db" not in f.name] == []

    def test_good_files_beside_bad_ones(self, command: Command, slices: Path, tmp_path: Path) -> None:
        folder = tmp_path / "mixed"
        shutil.copytree(slices, folder)
        (folder / "readme.txt").write_text("hello", encoding="utf-8")
        answer = command("import", folder)
        assert answer.code == 0
        assert "refused" in answer.out
        assert "readme.txt" in answer.out

    def test_the_same_instance_with_other_content(self, command: Command, slices: Path, tmp_path: Path) -> None:
        command("import", slices)
        ds = dcmread(next(slices.iterdir()))
        ds.SeriesDescription = "Changed"
        ds.save_as(tmp_path / "changed.dcm")
        answer = command("import", tmp_path / "changed.dcm")
        assert answer.code == 1
        assert "other content" in answer.out
        assert command("list", "--json").json[0]["instances"] == 16

    @pytest.mark.parametrize(
        "words",
        [
            ["run", "1.2.3", "--protocol", "tiny"],
            ["run", "1.2.3", "--protocol", "tiny", "--dry-run"],
            ["run", "../../etc", "--protocol", "tiny"],
            ["render", "1.2.3", "--protocol", "tiny", "-o", "nowhere"],
            ["inspect", "no-such-folder"],
            ["import", "no-such-folder"],
            ["papers", "no-such-file.json"],
            ["charge", "decide", "no-such-file.json"],
        ],
        ids=lambda words: " ".join(words[:2]),
    )
    def test_what_is_not_there(
        self, command: Command, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        answer = command(*words)
        assert answer.code == 1
        assert answer.err.startswith("error: ")
        assert words[2 if words[0] == "charge" else 1] in answer.err
        assert not (tmp_path / "nowhere").exists()

    def test_an_unknown_protocol(self, command: Command, slices: Path, tmp_path: Path) -> None:
        command("import", slices)
        for words in (["run", SERIES_UID], ["render", SERIES_UID, "-o", tmp_path / "p"]):
            answer = command(*words, "--protocol", "ct_toe")
            assert answer.code == 1
            assert "'ct_toe'" in answer.err
            assert "ct_head_trauma" in answer.err

    def test_a_volume_that_the_series_does_not_have(self, command: Command, slices: Path, tmp_path: Path) -> None:
        answer = command("render", slices, "--protocol", "tiny", "-o", tmp_path / "p", "--volume", 7)
        assert answer.code == 1
        assert answer.err.startswith("error: ")

    @pytest.mark.parametrize("words", [["list"], ["outbox", "send"], ["serve"], ["charge", "list"]])
    def test_an_unknown_setting(self, command: Command, tmp_path: Path, words: list[str]) -> None:
        settings(tmp_path / "root", colour="red")
        answer = command(*words)
        assert answer.code == 1
        assert "config.toml" in answer.err
        assert "colour" in answer.err

    def test_a_folder_that_the_account_may_not_enter(
        self, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Root's, where an administrator types a command for the service's account: its processes could not start."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("workstation.cli.shared.may_enter", lambda: False)
        assert command("list").code == 0 and Path.cwd() == Path("/")

    def test_a_root_that_cannot_be_one(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        answer = command("list", root=file)
        assert answer.code == 1
        assert answer.err.startswith("error: ")

    def test_a_database_that_is_none(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "workstation.db").write_bytes(b"not a database at all, but long enough to be read" * 99)
        answer = command("list")
        assert answer.code == 1
        assert "workstation.db" in answer.err
        assert "SELECT" not in answer.err

    def test_a_database_server_that_is_away_is_called_by_its_own_name(self, command: Command, tmp_path: Path) -> None:
        pytest.importorskip("psycopg", reason="psycopg is not installed")
        settings(tmp_path / "root", database="postgresql+psycopg://tester@127.0.0.1:1/site", store="store")
        answer = command("list")
        assert answer.code == 1 and '"127.0.0.1", port 1 failed' in answer.err and "workstation.db" not in answer.err

    def test_two_series_below_a_path_have_to_be_told_apart(
        self, command: Command, slices: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "two"
        shutil.copytree(slices, folder)
        for number, file in enumerate(sorted(slices.iterdir())[:4]):
            ds = dcmread(file)
            ds.SeriesInstanceUID = "1.2.3.4"
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
            ds.save_as(folder / f"other-{number}.dcm")
        answer = command("render", folder, "--protocol", "tiny", "-o", tmp_path / "p")
        assert answer.code == 1
        assert "holds 2 series" in answer.err
        assert "1.2.3.4" in answer.err


class TestVolumes:
    """What `inspect`, `export`, `render` and `run` do with what is missing, and how `inspect` shows what is there."""

    def test_thumbnails_are_pictures_of_each_volume(self, command: Command, slices: Path, tmp_path: Path) -> None:
        target = tmp_path / "thumbs"
        (series,) = command("inspect", slices, "--thumbnails", target, "--json").json
        (volume,) = series["volumes"]
        with Image.open(volume["thumbnail"]) as picture:
            assert picture.size == (3 * 256, 256)
            pixels = np.asarray(picture)
        # Three planes, each with something on it, and no two the same.
        parts = [pixels[:, n * 256 : (n + 1) * 256] for n in range(3)]
        assert all(p.std() > 5 for p in parts)
        assert not np.array_equal(parts[0], parts[1]) and not np.array_equal(parts[1], parts[2])
        assert f"thumbnail: {volume['thumbnail']}" in command("inspect", slices, "--thumbnails", target).out

    def test_inspect_takes_a_series_of_the_archive(self, command: Command, slices: Path) -> None:
        command("import", slices)
        (seen,) = command("inspect", SERIES_UID, "--json").json
        (same,) = command("inspect", slices, "--json").json
        assert seen == same
        assert seen["transfer_syntaxes"]
        assert command("inspect", "1.2.3.4").code == 1

    @pytest.mark.slow
    def test_a_gap_is_bridged_when_asked_and_every_record_says_so(
        self, command: Command, broken: Path, tmp_path: Path
    ) -> None:
        (refused,) = command("inspect", broken, "--json").json[0]["volumes"]
        assert refused["bridgeable"] and "--bridge-gaps" in refused["refused"]
        (volume,) = command("inspect", broken, "--bridge-gaps", "--json").json[0]["volumes"]
        assert volume["shape"][0] == 16
        assert any("gaps were bridged" in w for w in volume["warnings"])
        target = tmp_path / "bridged.nrrd"
        assert command("export", broken, "-o", target).code == 1
        assert command("export", broken, "-o", target, "--bridge-gaps").code == 0
        command("import", broken)
        words = ["run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED]
        assert command(*words).code == 1
        done = command(*words, "--bridge-gaps", "--json").json
        assert command("verify", done["sr"]["path"]).code == 0


def test_a_damaged_database_is_said_with_what_to_do(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "workstation.db").write_bytes(b"this is no database at all, however long it is" * 100)
    answer = command("list")
    assert answer.code == 1
    assert "is damaged" in answer.err and "rebuild-index" in answer.err


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_the_state_folder_is_its_owners_alone(command: Command, tmp_path: Path) -> None:
    command("list")
    assert (tmp_path / "root").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_a_state_folder_that_was_open_is_closed(command: Command, tmp_path: Path, slices: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    assert command("doctor", "--json").json["state_folder_is"] == f"{open_to_others(root)}" != ""
    command("import", slices)
    assert open_to_others(root) == ""
    assert not [path for path in root.rglob("*") if path.stat().st_mode & 0o077]
    assert command("doctor", "--json").json["state_folder_is"] == "its owner's alone"


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_a_file_for_others_to_fetch_can_be_read_by_them(tmp_path: Path) -> None:
    for mode, expected in ((0o750, 0o640), (0o755, 0o644), (0o700, 0o600)):
        tmp_path.chmod(mode)
        file = write_file(tmp_path, f"{mode}.hl7", b"MSH")
        assert file.stat().st_mode & 0o777 == expected
