"""`doctor --site`: each thing that may be wrong has its line, its state and what to do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from dicom_io.archive.database import open_database
from tests.dicom_io.certificates import make
from tests.peers.servers import free_ports
from tests.workstation.conftest import Command
from workstation.administration import site_check
from workstation.administration.site_check import SiteFinding, check_site
from workstation.peers.known import KnownPeer, add_peer
from workstation.site import open_site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A state folder where all is well."""
    folder = tmp_path / "root"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text("monitor_port = 9100\n")
    open_site(folder).papers.engine.dispose()
    return folder


def states(root: Path) -> dict[tuple[str, str], list[SiteFinding]]:
    found: dict[tuple[str, str], list[SiteFinding]] = {}
    for finding in check_site(root):
        assert bool(finding.todo) == (finding.state != "ok"), finding
        found.setdefault((finding.what, finding.state), []).append(finding)
    return found


def test_where_all_is_well_but_nobody_is_there_and_no_backup(root: Path) -> None:
    found = states(root)
    assert {what for what, state in found if state != "ok"} == {"people", "backup"}
    assert {"settings", "state folder", "disk", "database", "destination", "font", "OpenGL"} <= {w for w, _ in found}


def written(text: str) -> Callable[[Path], object]:
    return lambda root: (root / "config.toml").write_text(text)


def older(root: Path) -> None:
    engine = open_database(root / "workstation.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()


@pytest.mark.parametrize(
    ("harm", "what", "state", "words"),
    [
        (written("porrt = 1"), "settings", "fault", "porrt"),
        (
            written('[[prepare]]\nname = "a"\nprior = { peer = "nobody" }'),
            "settings",
            "warning",
            "prepare 'a': prior.peer: no peer 'nobody'",
        ),
        (written("[receiver]\nmin_free_mb = 999999999"), "disk", "fault", "are free"),
        (written('[[trust]]\nname = "b"\ndevice_uid = "1.2"\ncertificate = "b.pem"'), "certificate", "fault", "b.pem"),
        (written("monitor_port = 0"), "monitor", "warning", "nobody can watch"),
        (written('[receiver]\nexpected_from = "ct"'), "settings", "warning", "no peer 'ct'"),
        (lambda root: root.chmod(0o755), "state folder", "warning", "open to other accounts"),
        (lambda root: (root / ".restoring").mkdir(), "state folder", "fault", "was not finished"),
        (older, "database", "fault", "of version 0001"),
        (lambda root: (root / "peers.toml").write_text("what"), "peers", "fault", "peers.toml"),
    ],
)
def test_what_is_wrong(root: Path, harm: Callable[[Path], object], what: str, state: str, words: str) -> None:
    harm(root)
    found = states(root).get((what, state), [])
    assert any(words in finding.words for finding in found), found


def test_a_farm_that_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    monkeypatch.setattr("workstation.farm._ANSWER_S", 0.3)
    written('farm = "tcp://127.0.0.1:1"')(root)
    (found,) = states(root)["farm", "fault"]
    assert "does not answer" in found.words


def test_nobody_is_reached(root: Path, command: Command) -> None:
    (port,) = free_ports(1)
    written(
        f'[[destinations]]\nname = "billing"\nkind = "mllp"\ntakes = ["charges"]\nhost = "127.0.0.1"\nport = {port}\n'
    )(root)
    add_peer(root, KnownPeer("pacs", "127.0.0.1", port, "PACS"))
    found = states(root)
    assert "billing (mllp)" in found["destination", "fault"][0].words
    assert found["peer", "warning"][0].words.startswith("pacs: ")
    answer = command("doctor", "--site", "--json")
    assert answer.code == 1 and {each["state"] for each in answer.json} == {"ok", "warning", "fault"}
    assert "fault    destination" in command("doctor", "--site").out


@pytest.mark.parametrize(("days", "state"), [(-1, "fault"), (2, "warning"), (200, "ok")])
def test_a_certificate_is_told_of_a_month_before_it_ends(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, state: str
) -> None:
    made = make(tmp_path, "ours")
    written(f'[receiver]\ncertificate = "{made.certificate}"\nkey = "{made.key}"\n')(root)
    if days != 2:
        monkeypatch.setattr(site_check, "last_day_of", lambda _: datetime.now(UTC) + timedelta(days=days, hours=1))
    (finding,) = states(root)["certificate", state]
    assert finding.words.startswith("receiver certificate: ")


@pytest.mark.parametrize(("ahead_s", "state"), [(0.1, "ok"), (-5.0, "warning"), (90.0, "fault")])
def test_clocks(ahead_s: float, state: str) -> None:
    assert site_check._clock(ahead_s).state == state
