"""A day from end to end, over real sockets, with faults and sudden deaths on both sides.

Orders, SRs, reports, corrections and merges come in random order and repeated. Billing drops, delays, refuses, sends
half answers and dies; our own process is killed at random. In the end billing has exactly what the reference says for
each study: nothing twice, nothing lost.
"""

import json
import os
import random
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from dicom_io.files.series import read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.dask_farm import Dask, dask
from tests.peers.servers import PostgreSQL, postgresql_server
from tests.thorough import THOROUGH
from tests.workstation.billing.billing_system import Billing
from tests.workstation.day import Charge, Story, same_day, story
from tests.workstation.odd_traffic import Denial, denials, odd_traffic
from tests.workstation.orders.ris import JD, READING, enrol, journalled
from tests.workstation.serve.running import Serving
from workstation.billing.filing import documents
from workstation.billing.settle import settle_due
from workstation.coder.acts import correct, credit, payer_denied, release
from workstation.coder.work_list import work_items
from workstation.hl7 import mllp
from workstation.preparation.proposals import folder_of, sweep
from workstation.preparation.working import Preparer, plan_all
from workstation.serve.deciding import look_again
from workstation.site import Site, open_site
from workstation.transports.deliver import drain

NOTHING: Mapping[str, str] = {}


def write_settings(root: Path, port: int, corrections: str = "automatic", shared: Mapping[str, str] = NOTHING) -> None:
    """The same settings as `ris.config`, as a site would write them. shared : database and store of several hosts."""
    root.mkdir(parents=True)
    (root / "config.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in shared.items()))
    phrases = "\n".join(f"{fact} = {json.dumps(list(each))}" for fact, each in READING.phrases.items())
    enrol(root)
    own = (root / "config.toml").read_text(encoding="utf-8")
    (root / "config.toml").write_text(
        f"""{own}
institution_code = "RAD"
device_uid = "2.25.1"
corrections = "{corrections}"
[[destinations]]
name = "billing"
kind = "mllp"
takes = ["charges"]
port = {port}
timeout_s = 5.0
retry_s = 0.01
retry_max_s = 0.05
[listener]
port = 0
[[listener.senders]]
application = "RIS"
may = ["orders", "reports", "merges"]
[reading]
procedure_codes = {{ CTH = "70450", 3D = "76377" }}
observations = {{ 3DUTIL = "clinical_utility" }}
assigning_authority = "HOSPITAL"
[reading.phrases]
{phrases}
[payers.MCARE]
plan = "medicare"
""",
        encoding="utf-8",
    )


class Ward:
    """Our own process, which is killed and started again; what it says is read all the time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.lives = 0
        self.said: Counter[str] = Counter()
        self._pids: dict[str, int] = {}

    def start(self) -> None:
        self.lives += 1
        self._serving = Serving(self._root, "--interval-s", "0.1", "--hl7-port", "0", limit_s=1800)
        self._serving.__enter__()
        self._pids = dict(self._serving.processes)
        self._reader = threading.Thread(target=self._read, args=(self._serving,), name="reader")
        self._reader.start()

    def _read(self, serving: Serving) -> None:
        for event in serving.events():
            self.said[event["event"]] += 1
            if event["event"] == "restarted":
                self._pids[event["process"]] = int(event["pid"])

    def kill_one(self, rng: random.Random) -> None:
        """Kills one of its processes; the others start it again."""
        with suppress(ProcessLookupError):
            os.kill(self._pids[rng.choice(sorted(self._pids))], signal.SIGKILL)

    def kill(self) -> None:
        self._serving.kill()
        self._end()

    def stop(self) -> None:
        self._serving.ask_to_stop()
        self._end()

    def _end(self) -> None:
        self._reader.join()
        self._serving.__exit__(None, None, None)

    @property
    def hl7_port(self) -> int:
        return self._serving.hl7_port

    @property
    def dicom(self) -> Peer:
        return Peer("127.0.0.1", self._serving.port, "WORKSTATION")


def deliver_message(ward: Ward, body: bytes, cut_short: bool) -> None:
    """Sends a message until it is acknowledged, as an interface engine does. `cut_short`: we die while it is sent."""
    for _ in range(20):
        if cut_short:
            thread = threading.Thread(target=ward.kill)
            thread.start()
        try:
            answer = mllp.send("127.0.0.1", ward.hl7_port, body, 30)
        except mllp.MllpError:
            answer = None
        if cut_short:
            thread.join()
            ward.start()
            cut_short = False
        if answer is not None:
            assert answer.code == "AA", answer.text
            return
    pytest.fail("our process takes no message any more")


def deliver_refused(ward: Ward, body: bytes) -> None:
    """Sends what must not be taken, until there is an answer to it, or the connection is closed instead of one."""
    answer = b""
    # A process that was just killed closes the connection without a word.
    with (
        socket.create_connection(("127.0.0.1", ward.hl7_port), 30) as connection,
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(mllp.frame(body))
        while b"\x1c" not in answer and (more := connection.recv(4096)):
            answer += more
    assert not answer or re.search(rb"\rMSA\|A[ER]\|", answer), answer


def deliver_instances(ward: Ward, files: list[Path]) -> None:
    """Sends instances until they are accepted, as a modality does."""
    waiting = [read_instance(file) for file in files]
    for _ in range(20):
        results = list(send(waiting, ward.dicom, "MODALITY"))
        waiting = [instance for instance, sent in zip(waiting, results, strict=True) if not sent.accepted]
        if not waiting:
            return
    pytest.fail(f"our process takes no instances any more: {results}")


def write_instances(stories: list[Story], folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for each in stories:
        for ds in each.instances:
            found.setdefault(each.study.accession, []).append(written(ds, folder))
    return found


def written(ds: Dataset, folder: Path) -> Path:
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    return path


@contextmanager
def opened(root: Path) -> Iterator[Site]:
    site = open_site(root)
    yield site
    site.papers.engine.dispose()


def settle_to_the_end(root: Path, behind: Mapping[str, str]) -> int:
    """Decides and delivers until nothing is left. A coder corrects what waits for one, an operator lets go what waits
    for one; returns how often an operator had to."""
    operated = 0
    with opened(root) as site:
        look_again(site)  # as the next start does: at the end of a busy day records were kept and not filed yet
        for _ in range(5000):
            settle_due(site)
            drain(site)
            waiting = [e for e in site.outbox.list() if e.state == "operator"]
            for entry in waiting:
                site.outbox.requeue(entry.message.key, site.clock(), "operator: try again")
            operated += len(waiting)
            items = work_items(site)
            due = [item for item in items if item.state == "correction"]
            for item in due:
                correct(site, item.session, JD, "the day's end")
            # Of two accessions that touch, the first is charged: the other one is taken back for it.
            known = {item.accession: item for item in items}
            for other, first in behind.items():
                if known[first].reasons == ("SAME_DAY_REVIEW",) and known[first].state == "held" and not due:
                    credit(site, other, JD, f"charged under {first}")
                    due.append(known[first])
            if not (waiting or due or site.casebook.due() or site.outbox.pending()):
                return operated
    pytest.fail("there is no end to it")


def deny(root: Path, denied: list[Denial]) -> None:
    """Payers turn charges down; a coder charges them again with a modifier, writes them off, or leaves them."""
    with opened(root) as site:
        for each in denied:
            payer_denied(site, each.accession, JD, "the payer's answer")
            if each.then == "again":
                release(site, each.accession, JD, "sent again", ["76"])
            elif each.then == "write off":
                credit(site, each.accession, JD, "written off")


def simulate(
    count: int,
    kills: int,
    seed: int,
    tmp_path: Path,
    corrections: str = "automatic",
    hosts: int = 1,
    database: PostgreSQL | None = None,
    scans: int = 0,
    farm: Dask | None = None,
) -> dict[str, Any]:
    """hosts : that share a database and a store. What comes in goes to any of them; processes of any of them, whole
    hosts and the database die, `kills` times each. scans : series of 50 images that come as well, in pieces, and are
    prepared. farm : that draws them; its workers die `kills` times, its scheduler a tenth as often."""
    rng = random.Random(seed)
    stories = [story(number, rng) for number in range(count * 9 // 10)]
    for number in range(count // 20):
        stories += same_day(number, rng)
    odd, denied = odd_traffic(stories, rng), denials(stories, rng)
    behind = {each.study.accession: each.behind for each in stories if each.behind}
    folder = tmp_path / "modality"
    folder.mkdir()
    files = write_instances(stories, folder)
    roots = [tmp_path / f"host{number}" for number in range(hosts)]
    root = roots[0]
    shared = {"database": database.url, "store": str(tmp_path / "store")} if database is not None else {}
    shared |= {"farm": farm.address} if farm is not None else {}
    series = [
        write_series(tmp_path / f"scan{n}", ramp((50, 16, 16)), grid(), series=f"scan {n}", change=without_accession)
        for n in range(scans)
    ]

    # Everything that comes in, in random order, a third of it twice.
    incoming: list[bytes | list[Path]] = [body for each in stories for body in each.messages]
    incoming += [*odd.taken, *odd.refused]
    incoming += rng.sample(incoming, len(incoming) // 3)
    batches = [*files.values(), [written(ds, folder) for ds in odd.instances]]
    rng.shuffle(batches)
    size = max(len(batches) // 40, 1)
    incoming += [[f for batch in batches[n : n + size] for f in batch] for n in range(0, len(batches), size)]
    incoming += [[f for batch in batches[:size] for f in batch]]
    rng.shuffle(incoming)
    for scan in series:  # each by itself, so that it is drawn while the day goes on
        start = rng.randrange(len(incoming))
        incoming[start:start] = [[Path(i.path) for i in scan.instances[n : n + 10]] for n in range(0, 50, 10)]
    refused = set(odd.refused)
    cuts = set(rng.sample([n for n, e in enumerate(incoming) if isinstance(e, bytes) and e not in refused], kills))
    deaths = set(rng.sample(range(len(incoming)), kills))
    ends = set(rng.sample(range(len(incoming)), kills)) if database is not None else set()
    crashes = set(rng.sample(range(len(incoming)), kills)) if database is not None else set()
    losses = set(rng.sample(range(len(incoming)), kills)) if farm is not None else set()
    restarts = set(rng.sample(range(len(incoming)), max(kills // 10, 1))) if farm is not None else set()

    with Billing(seed) as billing:
        for each_root in roots:
            write_settings(each_root, billing.port, corrections, shared)
            if scans:
                with (each_root / "config.toml").open("a") as settings:
                    settings.write('[receiver]\nseries_quiet_s = 2.0\n[[prepare]]\nname = "all"\nmin_images = 50\n')
                    settings.write('modality = "CT"\nprotocol = "ct_generic"\n')
                    settings.write("[preparation]\nattempts = 100\nretry_s = 0.1\nretry_max_s = 1.0\n")
        with opened(root) as site:
            for each_story in stories:
                for study in each_story.signed:
                    journalled(study, site.journal)
        wards = [Ward(each_root) for each_root in roots]
        for ward in wards:
            ward.start()
        try:
            for number, each in enumerate(incoming):
                ward = rng.choice(wards)
                if number in ends:
                    ward.kill_one(rng)
                if number in crashes and database is not None:
                    database.crash()
                if number in losses and farm is not None:
                    farm.kill_a_worker(rng)
                if number in restarts and farm is not None:
                    farm.kill_the_scheduler()
                if number in deaths:
                    billing.die()
                elif number % 7 == 0:
                    billing.revive()
                if isinstance(each, bytes) and each in refused:
                    deliver_refused(ward, each)
                elif isinstance(each, bytes):
                    deliver_message(ward, each, number in cuts)
                else:
                    deliver_instances(ward, each)
        finally:
            for ward in wards:
                ward.stop()
        billing.revive()
        operated = settle_to_the_end(root, behind)
        deny(root, denied)
        operated += settle_to_the_end(root, behind)
    books = billing.books
    owed = {each.study.accession: each.charge for each in stories} | {each.accession: each.charge for each in denied}
    expected = Counter[Charge](each for each in owed.values() if each is not None)
    found = Counter[Charge](books.charges.values())
    with opened(root) as site:
        states = Counter(ruling.state for ruling in site.casebook.newest())
        cases = len(site.casebook.newest())
        kinds = {kind: number for kind, number in site.casebook.refused_counts().items() if number}
        documented = len(documents(site))
        counts = site.archive.counts([each.uid for each in series])
        prepared = prepare_the_rest(site)
    return {
        "studies": count,
        "stories": dict(Counter(each.name for each in stories)),
        "sent in": len(incoming),
        "refused": kinds,
        "documents": documented,
        "denied by payers": dict(Counter(each.then for each in denied)),
        "our lives": sum(ward.lives for ward in wards),
        "processes killed": len(ends),
        "crashes of the database": len(crashes),
        "hosts killed": len(cuts),
        "workers of the farm killed": len(losses),
        "restarts of its scheduler": len(restarts),
        "said by our hosts": dict(sum((ward.said for ward in wards), Counter())),
        "images": sum(counts.values()),
        "prepared": prepared,
        "billing": dict(billing.did),
        "operator": operated,
        "messages kept by billing": len(books.messages),
        "charges": len(books.charges),
        "credits": len(books.credited),
        "states": dict(states),
        "cases": cases,
        "missing": sorted((expected - found).elements()),
        "too many": sorted((found - expected).elements()),
        "complaints": books.complaints,
    }


def without_accession(ds: Dataset, k: int) -> None:
    """Nobody charges anything for it."""
    ds.AccessionNumber = ""


def prepare_the_rest(site: Site) -> dict[str, int]:
    """Prepares what waits. Returns how many preparations are in each state, and how many folders there are of them."""
    if not site.config.prepare:
        return {}
    site.arrivals.left_open(0.0)
    site.arrivals.look(3600.0, site.clock())  # an hour later nothing more has come
    plan_all(site)
    worker = Preparer(site, threading.Event())
    while worker.work_one():
        pass
    worker.close()
    sweep(site)
    rows = site.preparations.list()
    assert {row.folder for row in rows} == {entry.name for entry in folder_of(site.archive.root).iterdir()}
    assert len({row.series_uid for row in rows}) == len(rows)
    return dict(Counter(row.state for row in rows))


def check(day: dict[str, Any]) -> None:
    print()
    for key, value in day.items():
        print(f"{key}: {value}")
    assert day["complaints"] == []
    assert day["missing"] == []
    assert day["too many"] == []
    assert day["cases"] == day["studies"]
    assert day["states"].get("correction", 0) == 0
    assert day["charges"] > day["studies"] * 0.4
    assert {"unknown_sender", "unreadable", "ahead", "not_heard"} <= day["refused"].keys()
    assert day["documents"] > 0
    assert set(day["denied by payers"]) == {"again", "write off", "leave"}
    assert day["our lives"] > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corrections", "seed"), [("automatic", 20260302), pytest.param("coder", 7, marks=pytest.mark.slow)]
)
def test_a_small_day(tmp_path: Path, corrections: str, seed: int) -> None:
    check(simulate(40 if THOROUGH else 20, 2 if THOROUGH else 1, seed, tmp_path, corrections))


@pytest.mark.slow
def test_a_small_day_of_two_hosts(tmp_path: Path) -> None:
    """One database, one store, two hosts: lost nothing, charged nothing twice."""
    with postgresql_server() as database:
        check(simulate(20, 3, 11, tmp_path, "coder", hosts=2, database=database))


@pytest.mark.campaign
def test_a_day_of_300_studies_on_two_hosts(tmp_path: Path) -> None:
    (tmp_path / "dask").mkdir()
    with postgresql_server() as database, dask(tmp_path / "dask", 2) as farm:
        day = simulate(300, 20, 5, tmp_path, hosts=2, database=database, scans=40, farm=farm)
    check(day)
    # The farm was used throughout; a host that is killed at that moment does not tell what it has made.
    assert day["said by our hosts"]["preparation"] >= 20
    assert day["images"] == 2000
    assert day["prepared"] == {"ready": 40}


@pytest.mark.campaign
def test_a_day_of_2000_studies(tmp_path: Path) -> None:
    day = simulate(2000, 12, 4, tmp_path)
    check(day)
    # Large enough for every story, every fault and every state to have come up.
    assert len(day["stories"]) == 18
    assert day["credits"] > 50
    assert day["operator"] > 0
    assert set(day["states"]) == {"held", "denied", "charged"}
