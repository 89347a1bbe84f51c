"""A site on PostgreSQL with a store that hosts share: its backup, and what `doctor --site` says of it."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from dicom_io.archive import upkeep
from tests.workstation.desk import desk
from tests.workstation.orders.ris import Ris, Study, config
from workstation.administration.site_check import _of_postgresql, check_site
from workstation.backup.making import make
from workstation.backup.restoring import restore
from workstation.backup.snapshot import BackupError

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ["postgresql"], indirect=True)]


def written(root: Path, url: str) -> Path:
    """A state folder whose settings name database and store."""
    root.mkdir(mode=0o700)
    store = root.parent / "store"
    store.mkdir(mode=0o700, exist_ok=True)
    (root / "config.toml").write_text(f'database = "{url}"\nstore = "{store}"\n')
    return store


def test_its_backup(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = engine.url.render_as_string(False)
    store = written(tmp_path / "root", url)
    with desk(tmp_path / "root", config(database=url, store=str(store))) as at:
        at.sr(Study("ACC1"))
        ris = Ris(Study("ACC1"))
        at.hear(ris.order(), ris.report())
        snapshot, manifest = make(at.site, tmp_path / "backup")
        wanted = at.charges("ACC1")
    assert manifest.database == "postgresql" and (snapshot / "store" / "instances").is_dir()
    shutil.rmtree(store)
    with pytest.raises(BackupError, match="has tables already"):
        restore(snapshot, tmp_path / "new")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE IF EXISTS other"))
        connection.execute(text("CREATE DATABASE other"))
    other = engine.url.set(database="other").render_as_string(False)
    monkeypatch.setenv("WORKSTATION_SET_DATABASE", other)
    restore(snapshot, tmp_path / "new")
    with desk(tmp_path / "new", config(database=other, store=str(store))) as at:
        assert at.charges("ACC1") == wanted and list(upkeep.verify(at.site.archive)) == []
        assert list(at.site.ledger.faults()) == []


def test_what_doctor_says_of_it(engine: Engine, tmp_path: Path) -> None:
    written(tmp_path / "root", engine.url.render_as_string(False))
    found = {(finding.what, finding.state) for finding in check_site(tmp_path / "root")}
    assert {("clock", "ok"), ("database", "ok"), ("store", "ok")} <= found
    written(tmp_path / "other", f"postgresql+psycopg://ws@/ws?host={tmp_path}")  # where nobody listens
    (finding,) = (each for each in check_site(tmp_path / "other") if each.what == "database")
    assert finding.state == "fault" and "does not answer" in finding.words
    assert "verify-full" in next(_of_postgresql("postgresql+psycopg://ws@db.example/ws")).todo
