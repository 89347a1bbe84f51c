"""A site whose rules prepare the sample series, with small pictures, in this process."""

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.workstation.conftest import SiteAt
from tests.workstation.samples import tiny_protocol
from workstation.config import Config
from workstation.preparation import making
from workstation.preparation.working import Preparer, plan_all
from workstation.preparing import PreparationSettings, PrepareRule
from workstation.site import Site
from workstation.storage import take_in

RULE = PrepareRule("head", protocol="ct_generic", modality="CT")


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every protocol is a small one, for what is prepared."""
    monkeypatch.setattr(making, "load_protocol", lambda name: tiny_protocol())


def site_with(site_at: SiteAt, root: Path, slices: Path, *rules: PrepareRule, **settings: Any) -> Site:
    """A site with the sample series, complete and planned."""
    config = Config(prepare=rules or (RULE,), preparation=PreparationSettings(**settings), believe_papers=True)
    site = site_at(root, config)
    take_in(site, slices, "T1")
    plan_all(site)
    return site


def thread() -> Executor:
    return ThreadPoolExecutor(1)


def preparer(site: Site, **more: Any) -> Preparer:
    """Works off what waits, in this process."""
    return Preparer(site, Event(), executor=thread, **more)


def prepare(site: Site, **more: Any) -> list[str]:
    """Works off all that is due. Returns what became of each."""
    states: list[str] = []
    worker = preparer(site, tell=lambda claimed, state: states.append(state), **more)
    while worker.work_one():
        pass
    worker.close()
    return [state for state in states if state != "running"]
