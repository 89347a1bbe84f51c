"""Backups: whole while everything goes on, restored into nothing, and the day goes on to the same charges."""

import os
import platform
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import text

from dicom_io.archive import upkeep
from dicom_io.archive.database import open_database
from dicom_io.errors import Busy
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import postgresql_server
from tests.workstation.conftest import Command, SiteAt
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import Ris, Study, journalled
from tests.workstation.test_day import write_settings
from workstation.backup import restoring
from workstation.backup.making import make
from workstation.backup.restoring import restore
from workstation.backup.snapshot import BackupError, snapshots, verify
from workstation.billing.filing import file_new_records
from workstation.config import Config, load_config
from workstation.hosts import note_host, other_hosts
from workstation.site import NotRestored, open_site
from workstation.store import dump, schema
from workstation.store.preparation_rows import WantedPreparation

STUDIES = [Study(f"ACC{n}", f"P{n}", f"A{n}", f"V{n}") for n in range(5)]


def send_all(at: Desk, objects: dict[str, list[Dataset]], studies: Sequence[Study] = STUDIES) -> None:
    """What modality and RIS send of these studies, whether or not they have before; it is charged and delivered."""
    for study in studies:
        ris = Ris(study)
        at.site.archive.keep(objects[study.accession])
        file_new_records(at.site)
        assert set(at.hear(ris.order(), ris.report())) == {"AA"}
        at.deliver()


def charged(at: Desk) -> dict[str, list[tuple[str, str]]]:
    return {study.accession: at.charges(study.accession) for study in STUDIES}


@pytest.mark.slow
def test_a_day_goes_on_from_a_backup_that_was_made_in_its_middle(tmp_path: Path) -> None:
    """Made again and again while messages and records come in; each is restored, hears everything again as the senders
    would send it, and has charged each study once."""
    folder = tmp_path / "backup"
    with desk(tmp_path / "root") as at:
        objects = {study.accession: journalled(study, at.site.journal) for study in STUDIES}
        make(at.site, folder)
        working = threading.Thread(target=send_all, args=(at, objects))
        working.start()
        made = 0
        while working.is_alive() and made < 4:
            make(at.site, folder)
            made += 1
        working.join()
        wanted = charged(at)
        assert all(found == [("76377", "acknowledged")] for found in wanted.values())
    kept = snapshots(folder)
    assert len(kept) == made + 1 >= 3
    middle = kept[1 + len(kept) // 2]
    for each in (middle, kept[-1]):
        again = tmp_path / f"of {each.name}"
        restore(each, again)
        with desk(again) as at:
            assert list(upkeep.verify(at.site.archive)) == []
            send_all(at, objects)
            assert charged(at) == wanted
            sent = at.sent()
            assert len(sent) == len(set(sent)) == len(STUDIES)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Desk]:
    """A site with a charge, a series, settings, and files that others fetch."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "site.pem").write_text("-----BEGIN PRIVATE " + "KEY-----\n")
    (tmp_path / "authority.pem").write_text("elsewhere")
    (root / "config.toml").write_text(
        f'[signing]\ncertificate = "{tmp_path / "authority.pem"}"\nkey = "site.pem"\n', encoding="utf-8"
    )
    (root / "documents").mkdir()
    (root / "documents" / "abc.pdf").write_text("a letter")
    write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    with desk(root) as at:
        at.site.archive.import_files(tmp_path / "in")
        at.sr(Study("ACC1"))
        at.hear(Ris(Study("ACC1")).order())
        os.mkfifo(root / "pipe")
        (root / "out").mkdir()
        (root / "out" / "given.hl7").write_text("handed over")
        yield at


def test_what_is_in_it_and_what_is_not(filled: Desk, tmp_path: Path) -> None:
    snapshot, manifest = make(filled.site, tmp_path / "backup")
    assert manifest.keys == ("state/site.pem",) and manifest.outside == (str(tmp_path / "authority.pem"),)
    assert manifest.left_out == (str(filled.site.root / "out"),) and manifest.faults == ()
    names = {file.relative_to(snapshot / "state").parts[0] for file in (snapshot / "state").rglob("*")}
    assert names == {"config.toml", "site.pem", "documents", "instances", "workstation.db"}
    assert {each.stat().st_mode & 0o077 for each in (tmp_path / "backup", snapshot, snapshot / "state")} == {0}
    assert list(verify(snapshot)) == []
    again, second = make(filled.site, tmp_path / "backup")
    assert again.name > snapshot.name and second.files == manifest.files
    linked = [file for file in again.rglob("*") if file.is_file() and file.stat().st_nlink > 1]
    assert {file.name for file in again.rglob("*") if file.is_file()} - {file.name for file in linked} == {
        "workstation.db", "SHA256SUMS", "manifest.json",
    }  # fmt: skip
    assert second.copied < second.size and list(verify(again)) == []
    # Whoever removes the older one has the whole of the newer one.
    shutil.rmtree(snapshot)
    assert list(verify(again)) == []


def test_one_that_was_interrupted_is_none(filled: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workstation.backup.making.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        make(filled.site, tmp_path / "backup")
    monkeypatch.undo()
    with pytest.raises(BackupError, match="no whole backup"):
        restore(tmp_path / "backup", tmp_path / "new")
    # Nor one that the power went from.
    (tmp_path / "backup" / "20200101T000000.part").mkdir()
    (tmp_path / "backup" / "20200101T000000.part" / "manifest.json").write_text("{}")
    with pytest.raises(BackupError, match="no whole backup"):
        restore(tmp_path / "backup" / "20200101T000000.part", tmp_path / "new")
    make(filled.site, tmp_path / "backup")
    assert [each.name for each in (tmp_path / "backup").iterdir() if each.name.endswith(".part")] == []


def test_what_was_changed_in_it_is_found_and_nothing_is_restored(filled: Desk, tmp_path: Path) -> None:
    snapshot, _ = make(filled.site, tmp_path / "backup")
    (snapshot / "state" / "documents" / "abc.pdf").write_text("another!")
    (found,) = verify(snapshot)
    assert "abc.pdf holds other bytes" in found
    with pytest.raises(BackupError, match="damaged, nothing was restored"):
        restore(snapshot, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with (snapshot / "SHA256SUMS").open("a") as sums:
        sums.write("\n")
    with pytest.raises(BackupError, match="was changed"):
        list(verify(snapshot))


def test_what_the_site_itself_has_damaged_is_told(filled: Desk, tmp_path: Path) -> None:
    one, two, *_ = sorted(filled.site.archive.files.rglob("*.dcm"))
    one.unlink()
    two.write_bytes(two.read_bytes()[:-1] + b"\x7f")
    snapshot, manifest = make(filled.site, tmp_path / "backup")
    assert [fault.split(" ", 1)[0] for fault in sorted(manifest.faults)] == sorted([str(one), str(two)])
    assert list(verify(snapshot)) == []
    restore(snapshot, tmp_path / "new")
    with desk(tmp_path / "new") as at:
        assert len(list(upkeep.verify(at.site.archive))) == 2


def test_nothing_is_removed_meanwhile_and_it_is_not_made_beside_a_removal(filled: Desk, tmp_path: Path) -> None:
    with upkeep.alone(filled.site.archive):
        answers = list[BaseException]()

        def try_it() -> None:
            try:
                make(filled.site, tmp_path / "backup")
            except Busy as error:
                answers.append(error)

        other = threading.Thread(target=try_it)
        other.start()
        other.join()
    assert "at this moment" in str(answers[0])


def test_where_it_cannot_be_restored(filled: Desk, tmp_path: Path, site_at: SiteAt) -> None:
    with pytest.raises(BackupError, match="in the site's own folder"):
        make(filled.site, filled.site.root / "backup")
    snapshot, _ = make(filled.site, tmp_path / "backup")
    with pytest.raises(BackupError, match="is not empty"):
        restore(snapshot, filled.site.root)


@pytest.mark.parametrize("at", ["flush", "flush_folders", "start_anew"])
def test_a_restore_that_was_interrupted_opens_nothing(
    filled: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    snapshot, _ = make(filled.site, tmp_path / "backup")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring, at, killed)
    with pytest.raises(KeyboardInterrupt):
        restore(snapshot, tmp_path / "half")
    monkeypatch.undo()
    with pytest.raises(NotRestored, match="not to the end"):
        open_site(tmp_path / "half")
    with pytest.raises(BackupError, match="is not empty"):
        restore(snapshot, tmp_path / "half")


def test_what_was_prepared_is_prepared_again(filled: Desk, tmp_path: Path, site_at: SiteAt) -> None:
    plans = filled.site.preparations
    plans.plan("1.2.3", "ACC1", 1, [WantedPreparation("r", 0)], 1.0, 1.0)
    claimed = plans.claim(2.0)
    assert claimed is not None and plans.ready(claimed, "1-x", 10, 3.0)
    snapshot, _ = make(filled.site, tmp_path / "backup")
    restore(snapshot, tmp_path / "new")
    assert [row.state for row in site_at(tmp_path / "new").preparations.list()] == ["waiting"]


def test_of_another_version(filled: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an older program it is restored, and then upgraded; of a newer one it is not."""
    snapshot, manifest = make(filled.site, tmp_path / "backup")
    monkeypatch.setattr(schema, "NEWEST", "9999")
    _, _, left = restore(snapshot, tmp_path / "new")
    assert "`workstation upgrade" in left and (tmp_path / "new" / "workstation.db").exists()
    monkeypatch.setattr(schema, "NEWEST", "0000")
    with pytest.raises(BackupError, match=f"version {manifest.schema}; this program knows 0000"):
        restore(snapshot, tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_a_database_older_than_its_files_and_the_other_way_round(command: Command, tmp_path: Path) -> None:
    """Storage names both kinds; repaired, what the files have is in the index, and what they lack is not."""
    root = tmp_path / "root"
    write_series(tmp_path / "in", ramp((4, 8, 8)), grid())
    first, *others = sorted((tmp_path / "in").rglob("*"))
    command("import", first)
    command("backup", tmp_path / "backup")
    for file in others:
        command("import", file)
    new = tmp_path / "new"
    command("restore", tmp_path / "backup", root=new)
    (gone,) = (new / "instances").rglob("*.dcm")
    shutil.copytree(root / "instances", new / "instances", dirs_exist_ok=True)
    gone.unlink()
    found = command("storage", "verify", "--json", root=new)
    assert found.code == 1 and sorted(row["damaged"] for row in found.json) == [False, False, False, True]
    repaired = command("storage", "verify", "--repair", "--json", root=new)
    assert sum(row["indexed"] for row in repaired.json) == 3 and sum(row["set_aside"] for row in repaired.json) == 1
    assert command("storage", "verify", root=new).code == 0
    assert command("list", "--json", root=new).json[0]["instances"] == 3


def test_the_commands(command: Command, tmp_path: Path) -> None:
    write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    command("import", tmp_path / "in")
    made = command("backup", tmp_path / "backup")
    assert made.code == 0 and "0.00 GB of them new" in made.out
    read = command("backup", tmp_path / "backup", "--verify")
    assert read.code == 0 and "Every file is as it was written." in read.out
    back = command("restore", tmp_path / "backup", "--json", root=tmp_path / "new")
    assert back.code == 0 and back.json["files"] == 4
    assert command("storage", "verify", root=tmp_path / "new").code == 0
    refused = command("restore", tmp_path / "backup", root=tmp_path / "new")
    assert refused.code == 1 and "is not empty" in refused.err


@pytest.mark.slow
def test_a_department_of_two_hosts_is_restored(tmp_path: Path, command: Command) -> None:
    """Database and store from the one, the other one's state folder from a backup of its own, which the first names."""
    one, two, store = tmp_path / "one", tmp_path / "two", tmp_path / "store"
    with postgresql_server() as server:
        for root in (one, two):
            write_settings(root, 1, "coder", {"database": server.url, "store": str(store), "station_name": root.name})
        (two / "sessions").mkdir()
        (two / "sessions" / "1.2.json").write_text("in work at the second host")
        with desk(one, load_config(one)) as at:
            at.sr(Study("ACC1"))
            at.hear(Ris(Study("ACC1")).order(), Ris(Study("ACC1")).report())
            before = at.charges("ACC1")
        assert command("backup", tmp_path / "of two", "--this-host", root=two).code == 0
        made = command("backup", tmp_path / "site", root=one)
        assert made.code == 0 and f"Not in it: {two} of " in made.out and ", last backed up 20" in made.out
        told = [row for row in command("doctor", "--site", "--json", root=one).json if str(two) in row["words"]]
        assert [(row["what"], row["state"]) for row in told] == [("backup", "ok")]
        refused = command("backup", tmp_path / "site", "--this-host", root=two)
        assert refused.code == 1 and "holds backups of a whole site; name another folder" in refused.err
        assert command("backup", tmp_path / "of two", "--verify", root=two).code == 0

        for lost in (one, two, store):
            shutil.rmtree(lost)
        emptied = open_database(server.url)
        with emptied.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        emptied.dispose()
        restored = command("restore", tmp_path / "site", root=one)
        assert restored.code == 0 and f"Restore by itself, from a backup of its own: {two} of " in restored.out
        assert command("restore", tmp_path / "of two", root=two).code == 0
        assert (two / "sessions" / "1.2.json").read_text() == "in work at the second host"
        assert command("storage", "verify", root=two).code == 0
        with desk(two, load_config(two)) as at:
            assert at.site.config.station_name == "two" and at.charges("ACC1") == before != []
        with desk(one, load_config(one)) as at:
            at.deliver()
            assert [code for code, _ in at.charges("ACC1")] == [code for code, _ in before]


def test_a_host_that_shares_nothing_has_no_backup_of_a_part(filled: Desk, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="make a whole backup"):
        make(filled.site, tmp_path / "backup", this_host_only=True)


def test_hosts_that_are_gone_are_not_named(tmp_path: Path) -> None:
    for folder in ("store", "one", "two"):
        (tmp_path / folder).mkdir()
    at = datetime(2026, 3, 2, tzinfo=UTC)
    note_host(tmp_path / "store", tmp_path / "one", at)
    note_host(tmp_path / "store", tmp_path / "two", at - timedelta(days=90))
    assert [Path(each.state_folder).name for each in other_hosts(tmp_path / "store", tmp_path / "x", at)] == ["one"]
    note_host(tmp_path / "store", tmp_path / "two", at, backed_up=True)
    note_host(tmp_path / "store", tmp_path / "two", at + timedelta(days=2))
    (two,) = other_hosts(tmp_path / "store", tmp_path / "one", at)
    assert (two.seen_at, two.backed_up_at) == ((at + timedelta(days=2)).isoformat(), at.isoformat())


def test_a_note_that_says_no_time_zone_is_written_anew(tmp_path: Path) -> None:
    at, store = datetime(2026, 3, 2, 16, 0, tzinfo=UTC), tmp_path / "store"
    for folder in ("store", "one", "two"):
        (tmp_path / folder).mkdir()
    note_host(store, tmp_path / "one", at)
    (note,) = (store / "hosts").iterdir()
    note.write_text(note.read_text().replace("+00:00", ""))
    assert other_hosts(store, tmp_path / "two", at) == ()
    note_host(store, tmp_path / "one", at)
    (one,) = other_hosts(store, tmp_path / "two", at)
    assert one.seen_at == at.isoformat()


def test_containers_that_share_a_state_folder_are_one_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, root, at = tmp_path / "store", tmp_path / "root", datetime(2026, 3, 2, tzinfo=UTC)
    for folder in (store, root, tmp_path / "other"):
        folder.mkdir()
    for name in ("receive-1", "decide-1"):
        monkeypatch.setattr(platform, "node", lambda name=name: name)
        note_host(store, root, at)
    assert other_hosts(store, root, at) == ()
    assert len(other_hosts(store, tmp_path / "other", at)) == 1


def test_without_the_programs_of_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site_at: SiteAt) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    site = site_at(tmp_path / "root", Config())
    with pytest.raises(dump.DumpError, match="pg_dump is not installed here"):
        dump.dump(site.papers.engine, tmp_path / "x")
