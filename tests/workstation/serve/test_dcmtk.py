"""DCMTK's storescu sends a series to `workstation serve`; it goes through the story and out, while serve runs."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.conftest import Command
from tests.workstation.samples import CT_HEAD, DOCUMENTED, SERIES_UID
from tests.workstation.serve.running import Serving

STORESCU = shutil.which("storescu")
pytestmark = pytest.mark.skipif(STORESCU is None, reason="DCMTK's storescu is not installed (Debian package dcmtk)")


def storescu(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    files = sorted(map(str, CT_HEAD.glob("*.dcm")))
    command = [str(STORESCU), "-aec", "WORKSTATION", *words, "127.0.0.1", str(port), *files]
    # DCMTK leaves Nagle's algorithm on; with it each instance waits 40 ms for a delayed acknowledgement.
    environment = {**os.environ, "TCP_NODELAY": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def look(serving: Serving, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{serving.monitor_port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def test_from_storescu_to_the_outgoing_folder(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text("[receiver]\nseries_quiet_s = 0.5\n")
    # As many processes receive as by default: one a core, four at most.
    words = ("--interval-s", "0.2", "--monitor-port", "0", "-aet", "OTHER")
    with Serving(root, *words, receivers=0) as serving:
        # The called AE title is not held against a sender: many are set up wrongly, and images must not be lost.
        assert serving.ae_title == "OTHER"
        # -xt: propose JPEG-LS lossless, in which the sample is kept.
        sent = storescu(serving.port, "-xt")
        assert sent.returncode == 0, sent.stderr
        new, complete = 0, dict[str, Any](instances=0)
        # Two processes tell of it, and a sender that is held up for half a second has it completed early, and again.
        while new < 108 or complete["instances"] < 108:
            event = serving.next("received", "series complete")
            if event["event"] == "received":
                new += event["new"]
            else:
                complete = event
        assert (complete["series"], complete["instances"], new) == (SERIES_UID, 108, 108)
        kept = {file.name: file.read_bytes() for file in (root / "instances").rglob("*.dcm")}
        assert len(kept) == 108
        well = json.loads(look(serving, "/health"))
        assert well["state"] == "ready" and set(well["processes"].values()) == {"running"}
        while "workstation_instances_received_total 108\n" not in (counted := look(serving, "/metrics")):
            time.sleep(0.1)
        assert "workstation_associations_rejected_total 0\n" in counted
        assert 'workstation_process_up{process="decide"} 1\n' in counted

        ran = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["decision"]["disposition"] == "release"
        assert len(ran.json["queued"]) == 6
        # Without any setting, `serve` writes what has to leave into a folder.
        delivered = [serving.next("acknowledged", "failed") for _ in range(6)]
        assert {(event["event"], event["destination"]) for event in delivered} == {("acknowledged", "outgoing")}

        # Sent once more, nothing changes.
        assert storescu(serving.port, "-xt").returncode == 0
        assert serving.received(108) == 0
        assert serving.terminate() == (0, "stopped")
    written = {file.name for file in (root / "outgoing").iterdir()}
    assert written == {event["identity"] for event in delivered}
    assert sorted(Path(name).suffix for name in written) == [".dcm"] * 5 + [".hl7"]
    assert {state["state"] for state in command("outbox", "list", "--json").json} == {"acknowledged"}
