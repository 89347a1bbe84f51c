"""The administrator's pages: what they show, what they do, and whose name the trail has for it."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.network.receive import Receiver
from tests.workstation.audit.audit_messages import checked
from tests.workstation.samples import SLICES
from tests.workstation.web.conftest import PASSWORD, Browser, Counter, a_counter
from workstation.config import AuditSettings
from workstation.peers.known import KnownPeer, add_peer
from workstation.store.messages import Delivery, Message
from workstation.store.preparation_rows import PreparationProgress, WantedPreparation
from workstation.web import admin_pages
from workstation.web.console import with_commands

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[Counter]:
    with a_counter(tmp_path, audit=AuditSettings()) as found:
        yield found


def lines(counter: Counter) -> list[str]:
    return (counter.desk.site.root / "audit.log").read_text(encoding="utf-8").splitlines()


def waiting_message(counter: Counter) -> Message:
    """A message that billing turned down."""
    site = counter.desk.site
    message = Message("billing", "hl7", "MSG1", "ACC9", body=b"MSH")
    site.outbox.queue([message], site.clock() - timedelta(hours=3))
    site.outbox.attempted(message.key, site.clock(), Delivery("rejected", f"AR {EVIL}"))
    return message


def test_the_overview_says_what_waits(counter: Counter) -> None:
    waiting_message(counter)
    browser = counter.browser("ad")  # an administrator begins here
    for words in ("Overview", "degraded", "nobody holds the lease arrivals", "none from this host"):
        assert words in browser.words
    assert "Messages that wait for an operator 1" in browser.words
    browser.post("/admin")
    assert browser.status == 200
    assert "The site, looked at just now" in browser.words and "database" in browser.words


def test_a_message_is_tried_again_or_withdrawn_with_a_reason(counter: Counter) -> None:
    message, browser = waiting_message(counter), counter.browser("ad")
    page = browser.get("/admin/outbox?state=operator")
    assert "ACC9" in browser.words and EVIL not in page
    browser.get("/admin/outbox?destination=pacs")
    assert "ACC9" not in browser.words
    browser.get("/admin/outbox")
    browser.post("/admin/outbox/retry", {"key": message.key, "back": "/admin/outbox"})
    assert browser.status == 422 and "Say why" in browser.words
    browser.get("/admin/outbox")
    browser.post("/admin/outbox/retry", {"key": message.key, "why": "the interface is mended"})
    entry = counter.desk.site.outbox.entry(message.key)
    assert entry.state in ("queued", "retrying") and entry.last_detail == "the interface is mended (ad)"
    browser.post("/admin/outbox/retry", {"key": "0" * 64, "why": "x"})
    assert browser.status == 422 and "no message" in browser.words
    counter.desk.site.outbox.attempted(message.key, counter.desk.site.clock(), Delivery("rejected", "AR again"))
    browser.get("/admin/outbox")
    browser.post("/admin/outbox/withdraw", {"key": message.key, "why": "sent by hand"})
    assert counter.desk.site.outbox.entry(message.key).state == "withdrawn"
    browser.post("/admin/outbox", {"accession": "ACC9"})
    assert "withdrawn" in browser.words and "sent by hand (ad)" in browser.words


def test_peers_are_greeted(counter: Counter, tmp_path: Path) -> None:
    site, browser = counter.desk.site, counter.browser("ad")
    with Receiver(site.archive, ae_title="PACS") as pacs:
        add_peer(site.root, KnownPeer("pacs", "127.0.0.1", pacs.port, "PACS"))
        add_peer(site.root, KnownPeer("gone", "127.0.0.1", 1, "GONE"))
        browser.get("/admin/peers")
        assert "PACS" in browser.words and "answered" not in browser.words
        browser.post("/admin/peers", {"peer": "pacs"})
        assert "answered" in browser.words and "not reached" not in browser.words
        browser.post("/admin/peers")
        assert "answered" in browser.words and "not reached" in browser.words
    browser.post("/admin/peers", {"peer": "nobody"})
    assert browser.status == 422


def test_preparations_are_cancelled_and_made_again(counter: Counter) -> None:
    site, browser = counter.desk.site, counter.browser("ad")
    site.preparations.plan("1.2.3", "ACC9", 1, [WantedPreparation("head", 5)], 0.0, 0.0)
    browser.get("/admin/preparation?state=waiting")
    assert "head" in browser.words and "ACC9" in browser.words
    claimed = site.preparations.claim(0.0)
    assert claimed is not None and site.preparations.renew(claimed, 1.0, PreparationProgress("pictures", 3, 7))
    browser.get("/admin/preparation")
    assert "pictures 3/7" in browser.words
    browser.post("/admin/preparation/cancel", {"series": "1.2.3", "rule": "head"})
    assert browser.status == 200 and "1 are cancelled" in browser.words
    assert site.preparations.counts()["cancelled"] == 1
    browser.post("/admin/preparation/again", {"series": "1.2.9", "rule": ""})
    assert browser.status == 422 and "not in the archive" in browser.words


def test_quarantine_is_compared_released_and_discarded(audited: Counter, tmp_path: Path) -> None:
    site, folder = audited.desk.site, tmp_path / "slices"
    folder.mkdir()
    shutil.copy(SLICES[0], folder / "a.dcm")
    site.archive.import_files(folder)
    ds = dcmread(SLICES[0])
    ds.ImageComments = "other"
    ds.save_as(folder / "a.dcm")
    site.archive.import_files(folder)
    (waiting,) = (site.archive.root / "quarantine").iterdir()
    browser = audited.browser("ad")
    browser.get("/admin/quarantine")
    name = waiting.name.removesuffix(".dcm")
    assert name in browser.words
    browser.post("/admin/quarantine")
    assert "other content" in browser.words
    browser.post("/admin/quarantine/release", {"name": name, "back": "/admin/quarantine"})
    assert browser.status == 422 and "Say why" in browser.words
    before = len(lines(audited))
    browser.get("/admin/quarantine")
    browser.post("/admin/quarantine/release", {"name": name, "why": "the scanner sent it again"})
    assert browser.status == 200
    (waiting,) = (site.archive.root / "quarantine").iterdir()
    browser.post("/admin/quarantine/discard", {"name": waiting.name.removesuffix(".dcm"), "why": "the older one"})
    assert list((site.archive.root / "quarantine").iterdir()) == []
    said = lines(audited)[before:]
    assert [event for event, _ in checked(said)] == ["110103", "110103"]
    assert all('UserID="ad"' in line and 'type="Reason"' in line for line in said)
    browser.get("/admin/audit")
    assert "the scanner sent it again (ad)" in browser.words
    assert "SAMPLE-CRANIUM" not in browser.page


def test_what_a_check_finds_is_said_in_german(counter: Counter) -> None:
    browser = counter.browser("ad")
    browser.client.headers["accept-language"] = "de"
    browser.get("/admin")
    browser.post("/admin")
    assert "Dieser Rechner hat keine gemacht." in browser.words and "Sicherung" in browser.words
    assert "<code>workstation backup FOLDER</code>, durch einen Zeitgeber." in browser.page
    assert "Die Tabellen haben Version" in browser.words and "This host" not in browser.words


def test_a_command_in_a_sentence_looks_like_one_and_nothing_else_is_html() -> None:
    assert with_commands("<b> `x` & `a <i>`") == "&lt;b&gt; <code>x</code> &amp; <code>a &lt;i&gt;</code>"
    assert with_commands("a ` alone") == "a ` alone"


def test_every_file_is_read_in_the_background(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    from workstation.administration.storage_check import StorageCheck

    check = StorageCheck()
    monkeypatch.setattr(admin_pages, "_CHECK", check)
    browser = counter.browser("ad")
    browser.get("/admin/storage")
    assert "Instances" in browser.words and "This host has made none" in browser.words
    browser.post("/admin/storage")
    assert check.thread is not None
    check.thread.join()
    browser.get("/admin/storage")
    assert "every instance is as it was received" in browser.words


def test_settings_say_where_they_come_from_and_hide_secrets(tmp_path: Path) -> None:
    with a_counter(tmp_path) as counter:
        (tmp_path / "config.toml").write_text('station_name = "OTHER"\n[receiver]\nidle_s = 7.0\n', encoding="utf-8")
        browser = counter.browser("ad")
        browser.get("/admin/settings?only=set")
        assert "hold after a restart" in browser.words
        assert "receiver.idle_s 600.0 file changed 7.0" in browser.words
        (tmp_path / "config.toml").write_text("nonsense = 1\n", encoding="utf-8")
        browser.get("/admin/settings")
        assert "a restart would fail" in browser.words and "nonsense" in browser.words


def test_certificates_have_a_page(counter: Counter) -> None:
    browser = counter.browser("ad")
    browser.get("/admin/certificates")
    assert browser.status == 200 and "name no certificate" in browser.words


def invited(counter: Counter, browser: Browser, **more: str) -> str:
    """The password of somebody who was just added."""
    browser.get("/admin/people")
    browser.post("/admin/people", {"person": "new", "name": "New^Nora", "role": "technologist", **more})
    assert browser.status == 200, browser.words
    found = browser.page.split('<code class="secret">')[1].split("<")[0]
    assert counter.desk.site.people.signed_in("new", found).name == "New^Nora"
    return found


def test_somebody_is_invited_and_has_to_choose_a_password(audited: Counter) -> None:
    browser = audited.browser("ad")
    password = invited(audited, browser)
    assert password not in browser.get("/admin/people")
    theirs = audited.browser()
    theirs.sign_in("new", password)
    assert theirs.url.endswith("/password") and "choose one of your own" in theirs.words
    theirs.get("/")
    assert theirs.url.endswith("/password")
    theirs.post("/password", {"secret": password, "password": PASSWORD, "again": PASSWORD})
    theirs.get("/")
    assert theirs.status == 200 and not theirs.url.endswith("/password")
    browser.get("/admin/audit")
    assert "new; added as technologist" in browser.words
    assert password not in "".join(lines(audited))


def test_people_are_changed_reset_and_removed(counter: Counter) -> None:
    browser, site = counter.browser("ad"), counter.desk.site
    invited(counter, browser)
    theirs = counter.browser("jd")
    browser.get("/admin/people")
    browser.post("/admin/people/change", {"person": "jd", "name": "Doe^Janet", "role": "coder", "npi": "1234567893"})
    assert (site.people.npi("jd"), site.people.signed_in("jd", PASSWORD).name) == ("1234567893", "Doe^Janet")
    assert theirs.get("/cases") and theirs.status == 200
    browser.post("/admin/people/change", {"person": "jd", "name": "Doe^Janet", "role": "compliance", "npi": ""})
    theirs.get("/cases")
    assert theirs.status == 401  # another role is another session
    browser.get("/admin/people")
    browser.post("/admin/people/secret", {"person": "new"})
    assert '<code class="secret">' in browser.page
    browser.post("/admin/people/remove", {"person": "new"})
    assert "new" not in [each.id for each in site.people.all()]


@pytest.mark.parametrize(
    ("act", "data", "why"),
    [
        ("", {"person": "jd", "name": "X^Y", "role": "coder"}, "in the register already"),
        ("", {"person": "two words", "name": "X^Y", "role": "coder"}, "one word"),
        ("", {"person": "x", "name": " ", "role": "coder"}, "needs a name"),
        ("", {"person": "x", "name": "X^Y", "role": "king"}, "is not one of"),
        ("", {"person": "x", "name": "X^Y", "role": "coder", "npi": "123"}, "no NPI"),
        ("/remove", {"person": "ad"}, "another administrator does"),
        ("/remove", {"person": "nobody"}, "Nobody has the ID"),
        ("/secret", {"person": "ad"}, "your own password"),
        ("/change", {"person": "ad", "name": "Roe^Alex", "role": "coder"}, "only administrator"),
    ],
)
def test_what_is_wrong_with_a_person_is_said(counter: Counter, act: str, data: dict[str, str], why: str) -> None:
    browser = counter.browser("ad")
    browser.get("/admin/people")
    before = counter.desk.site.people.accounts()
    browser.post(f"/admin/people{act}", data)
    assert browser.status == 422 and why in browser.words
    assert counter.desk.site.people.accounts() == before


def test_compliance_reads_the_trail_and_nothing_else(audited: Counter) -> None:
    browser = audited.browser("co")
    browser.get("/admin/audit")
    assert browser.status == 200 and "Login" in browser.words
    assert "/admin/people" not in browser.page
    browser.get("/admin/people")
    assert browser.status == 403
