"""`workstation serve` and an Orthanc by TLS, set up as an administrator does it: settings and `workstation peers`."""

from dataclasses import replace
from pathlib import Path

import pytest

from dicom_io.network.send import send
from tests.dicom_io.certificates import both_sides, shown
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import orthanc, orthanc_tls
from tests.workstation.conftest import Command
from tests.workstation.serve.running import Serving


@pytest.mark.slow
def test_a_pacs_that_speaks_tls_alone(tmp_path: Path, command: Command) -> None:
    sent = write_series(tmp_path / "sent", ramp((4, 16, 16)), grid())
    root, study = tmp_path / "root", sent.first.study_uid
    root.mkdir()
    folder = tmp_path / "certificates"
    folder.mkdir()
    both_sides(folder)
    (root / "config.toml").write_text(
        f'[receiver]\ncertificate = "{folder}/ours.pem"\nkey = "{folder}/ours.key"\n'
        f'client_authority = "{folder}/authority.pem"\n'
    )
    files = [
        "--authority",
        folder / "authority.pem",
        "--certificate",
        folder / "ours.pem",
        "--key",
        folder / "ours.key",
    ]
    with (
        Serving(root, "--interval-s", "0.2") as serving,
        orthanc(tmp_path / "it", **orthanc_tls(folder, serving.port)) as theirs,
    ):
        peer = theirs.peer
        assert all(r.accepted for r in send(sent.instances, replace(peer, tls=shown(folder, "ours"))))
        words = ["peers", "add", "pacs", peer.host, str(peer.port), "-aec", peer.ae_title]
        assert command(*words).code == 0
        assert command("peers", "echo", "pacs").code == 1  # it speaks TLS alone
        assert command(*words, "--tls", "--retrieve", "move", *map(str, files)).code == 0
        assert command("peers", "echo", "pacs").code == 0
        assert [row["study_uid"] for row in command("query", "pacs", "--json").json] == [study]
        moved = command("retrieve", "pacs", study, "--json")
        assert (moved.code, moved.json["completed"]) == (0, 4)
        assert serving.terminate() == (0, "stopped")
    assert command("list", "--json").json[0]["instances"] == 4
