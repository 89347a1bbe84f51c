"""Each role of `serve` does its work as its own user of the database, and can do no more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from tests.dicom_io.synthetic import grid, image, ramp
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import JD, Ris, Study, config, journalled
from workstation.backup.making import make
from workstation.billing.filing import file_new_records
from workstation.billing.settle import settle_due
from workstation.coder.acts import credit
from workstation.coder.assigning import assign
from workstation.store.preparation_rows import PreparationProgress, WantedPreparation

SQL = Path(__file__).parents[3] / "docs" / "services" / "roles.sql"
# What a role must not be able to write: a word of what it would forge.
FORBIDDEN = {
    "receive": ("event", "act", "decision", "charge", "message", "person", "papers", "ledger"),
    "decide": ("event", "act", "person", "papers"),
    "deliver": ("event", "act", "decision", "charge", "message", "person", "papers", "ledger", "instance"),
    "prepare": ("event", "act", "decision", "charge", "message", "attempt", "person", "papers", "ledger", "due"),
    "web": ("event", "papers"),
    "backup": ("event", "act", "decision", "charge", "message", "attempt", "instance", "due"),
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_day_by_users_of_their_own(engine: Engine, tmp_path: Path) -> None:
    for _ in range(2):  # and again, after an upgrade
        with engine.begin() as connection:
            connection.connection.cursor().execute(SQL.read_text(encoding="utf-8"))
    owner = engine.url.render_as_string(False)

    def at(role: str, do: Callable[[Desk], object]) -> None:
        url = owner.replace("//tester@", f"//workstation_{role}@") if role else owner
        with desk(tmp_path / (role or "owner"), config(database=url, store=str(tmp_path / "store"))) as opened:
            do(opened)
            opened.site.archive.leases.clear()
            if role != "owner":
                for table in FORBIDDEN.get(role, ()):
                    with (
                        pytest.raises(ProgrammingError, match="permission denied"),
                        opened.site.papers.engine.begin() as connection,
                    ):
                        connection.execute(text(f"INSERT INTO {table} DEFAULT VALUES"))
                for verb in (
                    "DELETE FROM attempt",
                    "UPDATE decision SET state = 'x'",
                    "DROP TABLE due",
                    "TRUNCATE act",
                ):
                    with (
                        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
                        opened.site.papers.engine.begin() as connection,
                    ):
                        connection.execute(text(verb))

    study, ris = Study("ACC1"), Ris(Study("ACC1"))
    objects = list[Dataset]()
    at("work", lambda d: objects.extend(journalled(study, d.site.journal)))

    def receive(d: Desk) -> None:
        for instance in d.site.archive.keep(objects):
            d.site.news.tell("series", instance.series_uid)

    def decide(d: Desk) -> None:
        file_new_records(d.site)
        d.hear(ris.order(), ris.report())
        settle_due(d.site)
        news = d.site.news.untold()
        d.site.arrivals.whole([each.uid for each in news], d.site.clock())
        d.site.news.acted_on(news)
        assert d.charges() == [("76377", "queued")], d.state

    def prepare(d: Desk) -> None:
        d.site.preparations.plan("1.2", "ACC1", 1, [WantedPreparation("r", 0)], 1.0, 1.0)
        claimed = d.site.preparations.claim(2.0)
        assert claimed is not None and d.site.preparations.note_prior(claimed, "1.3")
        assert d.site.preparations.renew(claimed, 3.0, PreparationProgress("prior"))
        d.site.archive.keep([image(ramp((1, 4, 4))[0], grid(), 0, series="a prior, by C-GET")])

    def deliver(d: Desk) -> None:
        d.deliver()
        assert d.charges() == [("76377", "acknowledged")]

    def browse(d: Desk) -> None:
        d.site.people.add(JD, password="a long password")
        token = d.site.console.begin("jd", d.site.clock())
        assert d.site.console.session(token) is not None
        d.site.console.take_attempt("jd", "127.0.0.1", d.site.clock(), d.site.clock(), 5)
        d.site.console.attempted_rightly("jd", "127.0.0.1", d.site.clock())
        d.site.console.save_view("jd", "mine", "owner=me")
        d.site.console.look_at("0" * 20, "jd", d.site.clock(), 45.0)
        assign(d.site, "ACC1", JD, "jd")
        credit(d.site, "ACC1", JD, "wrong patient class")
        assert d.charges() == [("76377", "credited")]

    at("receive", receive)
    at("decide", decide)
    at("prepare", prepare)
    at("deliver", deliver)
    at("web", browse)
    at("backup", lambda d: make(d.site, tmp_path / "kept"))
