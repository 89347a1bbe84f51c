"""How figures grow with what is on file: `python -m tests.benchmarks.bench_scale`.

State folders with 1,000, 20,000 and 100,000 instances (a hundred a series, two series a study, two messages each) and
a tenth as many cases, made by copying the rows of one case that was decided here. The ledger of the copies is not made.
What is on screen all day is timed on each: health, open messages, an idle turn of the deliverer, the coder's list,
C-FIND, the archive's figures, and from the command to its end `outbox list --waiting` and `serve`.
"""

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from dicom_io.archive.upkeep import status
from dicom_io.network.provide import archive_services
from tests.dicom_io.synthetic import grid, image
from tests.peers.servers import postgresql_server
from tests.workstation.orders.ris import Ris, Study, config, journalled
from tests.workstation.serve.running import Serving
from workstation.administration.health import health
from workstation.billing.filing import file_new_records, unfiled
from workstation.billing.settle import settle_due
from workstation.coder.work_list import newest_items, work_items
from workstation.orders.hl7_listener import answering
from workstation.serve.measured import metrics
from workstation.site import Site, open_site
from workstation.store.schema import database_of, move
from workstation.transports.deliver import deliver_all, drain

_SCALES = (1_000, 20_000, 100_000)
_NAMES = ("Sample^Ada", "Muster^Erika", "Tanaka^Hanako", "Example^Jean")
_COPIED = ("record", "decision", "message", "attempt", "charge", "instance", "received", "concern")


def build(root: Path, instances: int, cases: int = 0) -> None:
    """Makes a state folder with so many instances, and so many cases or a tenth as many."""
    site = open_site(root, config())
    answer = answering(site)
    for study in (Study("ACC_A", patient="PAT_A", account="ACT_A", visit="V_A"), Study("ACC_B", patient="PAT_B")):
        site.archive.keep(journalled(study, site.journal))
        ris = Ris(study)
        answer(ris.order())
        if study.accession == "ACC_A":
            answer(ris.report())
    file_new_records(site)
    settle_due(site)
    deliver_all(site)
    for n in range(instances // 100):
        site.archive.keep([_first(n)])
    site.papers.engine.dispose()
    with closing(sqlite3.connect(root / "workstation.db")) as base, base:
        _copy_instances(base)
        _copy_cases(base, cases or instances // 10)
        _add_messages(base, instances)
        _complete(base)


def _first(n: int) -> Dataset:
    """The first instance of series `n`, of study `n // 2`."""
    study = n // 2
    ds = image(np.zeros((8, 8), np.int16), grid(), 0, series=f"series {n}")
    ds.StudyInstanceUID = f"1.2.3.{study}"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = f"P{study}", f"{_NAMES[study % 4]}{study}", "19700131"
    ds.AccessionNumber, ds.StudyDate, ds.StudyTime = (
        f"S{study}",
        f"2026{1 + study % 12:02}{1 + study % 28:02}",
        "080000",
    )
    ds.Modality = "MR" if study % 3 else "CT"
    ds.StudyDescription, ds.SeriesNumber, ds.InstanceNumber = "Study", n % 2, 1
    return ds


def _copy_instances(base: sqlite3.Connection) -> None:
    """A hundred instances a series, of the one that has a file."""
    names = _columns(base, "instance")
    for row in base.execute("SELECT * FROM instance WHERE accession LIKE 'S%'").fetchall():
        held = dict(zip(names, row, strict=True))
        uid = held["sop_instance_uid"]
        rows = []
        for n in range(2, 101):
            one = {**held, "sop_instance_uid": f"{uid}.{n}"}
            one["header"] = held["header"].replace('"instance_number":1', f'"instance_number":{n}', 1)
            rows.append(tuple(one.values()))
        _insert(base, "instance", rows)


def _copy_cases(base: sqlite3.Connection, count: int) -> None:
    """Nine cases in ten charged and acknowledged, one held; two rulings each."""
    for table in _COPIED:
        names = _columns(base, table)
        found = base.execute(f"SELECT * FROM {table}").fetchall()
        unique = {"sr_uid", "session", "key", "message", "digest", "sop_instance_uid", "charge", "series_uid"}
        rows = []
        place = max((row[names.index("place")] for row in found), default=0) if "place" in names else 0
        for letter in "AB":
            mine = [row for row in found if _is_of(dict(zip(names, row, strict=True)), letter, table, base)]
            for n in range(count):
                if (n % 10 == 0) != (letter == "B"):
                    continue
                for row in mine:
                    one = dict(zip(names, row, strict=True))
                    for name, value in one.items():
                        if name == "place":
                            place += 1
                            one[name] = place
                        elif name in unique and isinstance(value, str):
                            one[name] = f"{value}.{n}"
                        elif isinstance(value, str | bytes):
                            one[name] = _renamed(value, letter, n)
                    rows.append(tuple(one.values()))
        _insert(base, table, rows)


def _renamed(value: str | bytes, letter: str, n: int) -> str | bytes:
    if isinstance(value, bytes):
        return value.replace(f"_{letter}".encode(), f"_{letter}{n}".encode())
    return value.replace(f"_{letter}", f"_{letter}{n}")


def _is_of(row: dict[str, object], letter: str, table: str, base: sqlite3.Connection) -> bool:
    if table == "attempt":
        found = base.execute("SELECT accession FROM message WHERE key = ?", (row["message"],)).fetchone()
        return bool(found and found[0] == f"ACC_{letter}")
    if table == "concern":
        return str(row["value"]).endswith(f"_{letter}") or str(row["other"]).endswith(f"_{letter}")
    if table == "received":
        return f"ACC_{letter}".encode() in bytes(row["body"])  # type: ignore[call-overload]
    return row["accession"] == f"ACC_{letter}"


def _add_messages(base: sqlite3.Connection, instances: int) -> None:
    """Two acknowledged messages an instance, and five that wait for an operator."""
    names = _columns(base, "message")
    place = base.execute("SELECT max(place) FROM message").fetchone()[0]
    rows, attempts = [], []
    for n in range(2 * instances + 5):
        values = {
            "place": place + n + 1, "key": f"k{n:063}", "destination": "out", "kind": "dicom", "identity": f"1.9.{n}",
            "accession": f"S{n // 400}", "path": f"instances/{n}.dcm", "queued_at": "2026-03-02T08:00:00+00:00",
            "account": "", "head": "",
        }  # fmt: skip
        rows.append(tuple(values.get(name) for name in names))
        outcome = "acknowledged" if n < 2 * instances else "rejected"
        attempts.append((f"k{n:063}", "2026-03-02T08:00:01+00:00", outcome, "0x0000"))
    _insert(base, "message", rows)
    base.executemany("INSERT INTO attempt (message, at, outcome, detail) VALUES (?, ?, ?, ?)", attempts)


def _complete(base: sqlite3.Connection) -> None:
    """Every series is complete, as it is hours later."""
    base.execute(
        "INSERT INTO series_completion (series_uid, revision, instances, at) "
        "SELECT series_uid, 1, count(*), '2026-03-02T08:00:00+00:00' FROM instance GROUP BY series_uid"
    )


def _columns(base: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in base.execute(f"PRAGMA table_info({table})")]


def _insert(base: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        base.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)


def on_postgresql(root: Path, url: str) -> Site:
    """The same site with a copy of its database in an empty one on PostgreSQL."""
    source, target = database_of(root, ""), database_of(root, url)
    move(source, target)
    with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")  # as its own housekeeping does sooner or later
    target.dispose()
    source.dispose()
    return open_site(root, replace(config(), database=url, store=str(root)))


class _Asked:
    """A request as a receiver hands it on."""

    calling, address = "PACS", "127.0.0.1"

    def __init__(self, keys: Dataset) -> None:
        self.data_set = keys

    def cancelled(self) -> bool:
        return False


def query(site: Site, **keys: str) -> int:
    """Asks at study level, as a PACS does. Returns how many answers there were."""
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    wanted = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber")
    for keyword in (*wanted, "ModalitiesInStudy", "StudyDescription", "NumberOfStudyRelatedInstances"):
        setattr(ds, keyword, keys.get(keyword, "") or None)
    (find, *_) = archive_services(site.archive, lambda title: None, "WS").values()
    replies = list(find(_Asked(ds)))  # type: ignore[arg-type]
    return sum(reply.data_set is not None for reply in replies)


def took_ms(act: Callable[[], object], times: int) -> float:
    """Median ms of an act."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(taken)


def _idle(site: Site) -> None:
    """A turn of the deliverer that finds nothing to do."""
    drain(site, at_once=False)
    assert not site.casebook.due()
    site.outbox.pending()


def acts(site: Site) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed within this process."""
    yield "/health", lambda: health(site, ())
    yield "/metrics", lambda: metrics(site, ())
    yield "deliverer, an idle turn", lambda: _idle(site)
    yield "charge list", lambda: newest_items(site, 1, 50)
    yield "charge list --page 0", lambda: (work_items(site), unfiled(site))
    yield "charge list --state held", lambda: _held(site)
    yield "C-FIND one patient's ID", lambda: query(site, PatientID="P3")
    yield "C-FIND a name", lambda: query(site, PatientName="muster^erika1*")
    yield "C-FIND an accession", lambda: query(site, AccessionNumber="S3")
    yield "C-FIND a day", lambda: query(site, StudyDate="20260303")
    yield "C-FIND nobody", lambda: query(site, PatientName="Nobody*")
    yield "storage status", lambda: status(site.archive)


def _held(site: Site) -> object:
    try:
        return work_items(site, state="held")
    except TypeError:  # before there was such an argument
        return [item for item in work_items(site) if item.state == "held"]


def commands(root: Path, times: int) -> Iterator[tuple[str, float]]:
    """What is timed from the command to its end."""
    for name in ("outbox list --waiting", "charge list --state held", "storage status"):
        command = [sys.executable, "-m", "workstation", "--root", str(root), *name.split()]
        act = partial(subprocess.run, command, check=True, capture_output=True)
        yield f"workstation {name}", took_ms(act, times)

    def start() -> None:
        with Serving(root, receivers=2):
            pass  # and killed: each start but the first is one after a crash

    yield "serve, listening", took_ms(start, times + 1)
    with Serving(root, "--interval-s", "1", receivers=2) as serving:
        pid = serving.processes["deliver"]
        time.sleep(2)
        before, began = _processor_s(pid), time.perf_counter()
        time.sleep(10)
        part = (_processor_s(pid) - before) / (time.perf_counter() - began)
    yield "deliverer idle, looking each second, % of a core", 100 * part


def _processor_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--instances", type=int, nargs="*", default=_SCALES)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--no-commands", action="store_true", help="only what is timed within one process")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="also on PostgreSQL: an empty database, or `own` for a server here",
    )
    parser.add_argument("--keep", type=Path, help="where state folders are made once, and used again")
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for instances in given.instances:
            root = (given.keep or Path(folder)) / str(instances)
            if not root.exists():
                build(root, instances)
            site = open_site(root, config())
            for name, act in acts(site):
                found.setdefault(name, []).append(took_ms(act, given.times))
            site.papers.engine.dispose()
            if given.database:
                with postgresql_server() if given.database == "own" else nullcontext() as server:
                    shared = on_postgresql(root, server.url if server is not None else given.database)
                    for name, act in acts(shared):
                        found.setdefault(f"PostgreSQL: {name}", []).append(took_ms(act, given.times))
                    shared.papers.engine.dispose()
            for name, value in commands(root, given.times) if not given.no_commands else ():
                found.setdefault(name, []).append(value)
            if given.keep is None:
                shutil.rmtree(root)
    print(f"{'median ms, with so many instances':50}" + "".join(f"{n:>10,}" for n in given.instances))
    for name, values in found.items():
        print(f"{name:50}" + "".join(f"{value:10.1f}" for value in values))


if __name__ == "__main__":
    main()
