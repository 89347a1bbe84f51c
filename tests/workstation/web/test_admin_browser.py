"""The administrator's pages in a browser: usable for everybody at three sizes, and an act from end to end."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.workstation.web.chromium import AtWork, chromium, serving
from tests.workstation.web.conftest import a_counter
from workstation.config import AuditSettings
from workstation.peers.known import KnownPeer, add_peer
from workstation.store.messages import Delivery, Message
from workstation.store.preparation_rows import WantedPreparation
from workstation.web.admin_pages import AREA

pytestmark = pytest.mark.slow


def test_an_administrator_looks_at_everything_and_mends_a_message(tmp_path: Path) -> None:
    with a_counter(tmp_path, audit=AuditSettings()) as counter, serving(counter.desk.site) as address:
        site = counter.desk.site
        add_peer(site.root, KnownPeer("pacs", "127.0.0.1", 1, "PACS"))
        site.preparations.plan("1.2.3", "ACC9", 1, [WantedPreparation("head", 5)], 0.0, 0.0)
        message = Message("billing", "hl7", "MSG1", "ACC9", body=b"MSH")
        site.outbox.queue([message], site.clock() - timedelta(hours=3))
        refused = Delivery("rejected", "AR The patient class is not known; the interface team has to map it first")
        site.outbox.attempted(message.key, site.clock(), refused)
        with chromium() as browser:
            at = AtWork(browser, address, "ad")
            for path, title in AREA:
                at.go(path)
                at.page.get_by_role("heading", level=1, name=title).wait_for()
                at.check(f"admin-{title.lower().replace(' ', '-')}")
            at.go("/admin/outbox")
            at.page.get_by_text("Retry or withdraw").click()
            at.check("admin-outbox-open")
            at.page.get_by_label("Why").fill("mapped")
            at.page.get_by_role("button", name="Try again").click()
            at.page.get_by_text("The message is due again.").wait_for()
            assert site.outbox.entry(message.key).last_detail == "mapped (ad)"
            at.go("/admin/people")
            at.page.get_by_text("Add somebody").click()
            at.check("admin-people-open")
            assert [each for each in at.faults if "401" not in each] == []
