"""What `/health` and `/metrics` say of each thing that may be wrong; alerts and dashboard name only what is there."""

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from tests.workstation.conftest import SiteAt
from tests.workstation.desk import desk
from tests.workstation.orders.ris import Ris, Study
from workstation.administration.health import health
from workstation.config import Config
from workstation.serve.measured import metrics
from workstation.site import Site
from workstation.store.messages import Message

MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"


@dataclass
class Stood:
    """A process of `serve` as somebody says that it is."""

    name: str = "decide"
    running: bool = True
    lives: int = 1
    counts: Counter[str] = field(default_factory=Counter)


@pytest.fixture
def site(site_at: SiteAt, tmp_path: Path) -> Site:
    return site_at(tmp_path / "root", Config())


def of(site: Site, *processes: Stood) -> tuple[bool, str, list[str]]:
    fine, said = health(site, processes or (Stood(),))
    json.dumps(said)
    return fine, said["state"], sorted({each["what"] for each in said["why"]})


def test_starting_ready_degraded_down(site: Site) -> None:
    with site.archive.leases.held("arrivals"):
        assert of(site) == (True, "ready", [])
        assert of(site, Stood(), Stood("receive 0", running=False)) == (True, "starting", [])
        assert of(site, Stood(), Stood("receive 0", running=False, lives=2)) == (True, "degraded", ["process"])
        assert of(site, Stood(running=False, lives=2)) == (False, "down", ["process"])
    assert of(site) == (True, "degraded", ["lease"])  # nobody follows what arrives
    assert of(replace(site, config=replace(site.config, roles=("receive",)))) == (True, "ready", [])


def test_a_holder_that_is_gone(site: Site) -> None:
    leases = site.archive.leases
    with leases.held("arrivals"), leases.held("outbox"), leases.held("upkeep"):
        with site.papers.engine.begin() as connection:
            connection.execute(text("UPDATE lease SET until = until - 60 WHERE name = 'upkeep'"))
        assert of(site) == (True, "ready", [])  # a backup that was killed
        with site.papers.engine.begin() as connection:
            connection.execute(text("UPDATE lease SET until = until - 60 WHERE name = 'outbox'"))
        _, said = health(site, [Stood()])
        assert said["state"] == "degraded" and "lease outbox, is gone" in said["why"][0]["words"]
        assert metric(site, 'workstation_lease_left_seconds{lease="outbox"}') < 0.0


@pytest.mark.parametrize(("free_mb", "state", "disk"), [(900, "degraded", "low"), (100, "degraded", "nearly full")])
def test_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch, free_mb: int, state: str, disk: str) -> None:
    usage = shutil.disk_usage(site.root)._replace(free=free_mb << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with site.archive.leases.held("arrivals"):
        fine, said = health(site, [Stood()])
    assert fine and said["state"] == state and said["disk"].startswith(disk)


def test_a_message_that_waits_too_long(site: Site) -> None:
    now = site.clock()
    queued = Message("outgoing", "hl7", "one", "A", body=b"MSH")
    site.outbox.queue([queued], now - timedelta(hours=2))
    with site.archive.leases.held("arrivals"):
        assert of(site) == (True, "degraded", ["outbox"])
    assert metric(site, 'workstation_outbox_oldest_seconds{destination="outgoing"}') == pytest.approx(7200, abs=60)


def test_a_database_that_does_not_answer(site: Site) -> None:
    with site.papers.engine.begin() as connection:
        connection.execute(text("ALTER TABLE message RENAME TO gone"))
    assert of(site) == (True, "degraded", ["database"])
    assert metric(site, "workstation_database_up") == 0.0


def test_holds_are_counted_by_reason(tmp_path: Path) -> None:
    with desk(tmp_path / "root") as at:
        at.sr(Study("ACC1"))
        at.hear(Ris(Study("ACC1")).order())
        state, reasons = at.state
        assert state == "held" and reasons
        for reason in reasons:
            assert metric(at.site, f'workstation_holds{{reason="{reason}"}}') == 1.0
        assert metric(at.site, 'workstation_holds{reason="DUPLICATE"}') == 0.0
        assert metric(at.site, 'workstation_open_cases{state="held"}') == 1.0


def metric(site: Site, name: str) -> float:
    lines = "".join(each.text() for each in metrics(site, [Stood()])).splitlines()
    (found,) = (line.rsplit(" ", 1)[1] for line in lines if line.rsplit(" ", 1)[0] == name)
    return float(found)


def expressions() -> list[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return found + [target["expr"] for panel in panels for target in panel["targets"]]


def test_alerts_and_dashboard_name_what_is_there(site: Site) -> None:
    said = {each.name: set(each.samples) for each in metrics(site, [Stood()])}
    used = set[str]()
    for expression in expressions():
        for name, labels in re.findall(r"\b(workstation_\w+)(?:\{(.*?)\})?", expression):
            assert name in said, f"{name} is in no answer"
            used.add(name)
            for label in filter(None, labels.split(",")):
                assert any(label in sample for sample in said[name]), f"{name} has no {label}"
    assert said.keys() <= used  # what nobody looks at need not be counted


def promtool(*words: object, given: str = "") -> str:
    """What Prometheus' own tool says, which has to be content."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    ran = subprocess.run([program, *map(str, words)], input=given, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_prometheus_reads_what_we_say(site: Site) -> None:
    said = "".join(each.text() for each in metrics(site, [Stood()]))
    assert promtool("check", "metrics", given=said) == ""


def test_alerts_are_raised_when_they_ought_to_be_and_not_on_a_quiet_day(tmp_path: Path) -> None:
    for file in (MONITORING / "alerts.yml", Path(__file__).with_name("alerts_test.yml")):
        shutil.copy(file, tmp_path)
    assert "SUCCESS" in promtool("check", "rules", tmp_path / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "alerts_test.yml")
