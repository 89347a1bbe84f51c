"""The pages of a link: what they show, to whom they close, and what leaves nothing behind."""

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from PIL import Image
from starlette.testclient import TestClient

from tests.workstation.audit.audit_messages import checked
from tests.workstation.results.signed import EVIL, Signed, signed_session, unsigned_session
from tests.workstation.web.conftest import Browser
from workstation.results import downloads
from workstation.results.contents import SessionResults, key_of, results_of
from workstation.results.links import MadeLink, make_link, revoke_link
from workstation.results.seen import SeenResults
from workstation.results.surfaces import ModelComing
from workstation.site import Site
from workstation.web import results_pages
from workstation.web.app import application
from workstation.web.console import console_of

EXPORT, ACCESSED = "110106", "110103"


@dataclass
class Visitor:
    """A recipient with a link."""

    signed: Signed
    made: MadeLink
    browser: Browser

    @property
    def at(self) -> str:
        return f"/r/{self.made.token}"

    def get(self, rest: str = "", **more: Any) -> Any:
        return self.browser.client.get(self.at + rest, **more)

    def keys(self) -> list[str]:
        return [picture.key for picture in results_of(self.signed.session, self.signed.site).pictures]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    found = signed_session(tmp_path_factory.mktemp("signed") / "root")
    yield found
    found.site.papers.engine.dispose()


def visit(signed: Signed, site: Site | None = None, **more: Any) -> Visitor:
    site = site or signed.site
    made = make_link(signed.session, signed.site, signed.person, f"Dr. Stone {EVIL}", **more)
    client = TestClient(application(console_of(site)), base_url="http://127.0.0.1")
    return Visitor(signed, made, Browser(client))


@pytest.fixture
def visitor(signed: Signed) -> Visitor:
    return visit(signed)


@pytest.fixture(autouse=True)
def _fast_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workstation.results.links._HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_the_page_shows_the_session_and_lets_no_text_be_a_script(visitor: Visitor) -> None:
    page = visitor.browser.get(visitor.at)
    assert visitor.browser.status == 200
    for words in (
        f"Eve{EVIL}, Ada", "ID SAMPLE-CRANIUM", f"CT {EVIL}", f"Stone{EVIL}", f"A fracture. {EVIL}", f"gap {EVIL}",
        "length 50.0 mm", "Key pictures", "Rotations", "3D surface", f"For Dr. Stone {EVIL}.", "telephone 4711",
        "Signed by Radiologist Sample", f"Bone {EVIL}",
    ):  # fmt: skip
        assert words in visitor.browser.words.replace("  ", " "), words
    assert EVIL not in page
    (script,) = re.findall(r"<script[^>]*>", page)
    assert re.fullmatch(r'<script type="module" src="/static/results/results.js[^"]*">', script)
    assert not re.search(r"\son\w+=|style=|javascript:", re.sub(r"&lt;.*?&gt;", "", page))


def test_every_address_of_the_page_opens_and_names_nobody(visitor: Visitor) -> None:
    page = visitor.browser.get(visitor.at)
    found = set(re.findall(r'(?:src|href|data-base|data-model|data-parts)="(/[^"]*)"', page))
    uids = {file.instance.sop_instance_uid for file in results_of(visitor.signed.session, visitor.signed.site).files()}
    for address in found:
        assert not re.search(r"SAMPLE|Eve|DEMO|2\.25\.|1\.2\.8", address)
        assert not any(uid in address for uid in uids)
        answer = visitor.browser.client.get(address + ("frames" if address.endswith("/") else ""))
        assert answer.status_code == 200, address
        assert answer.headers["x-robots-tag"].startswith("noindex")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        if address.startswith("/r/"):
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] in ("no-store", "private, no-cache")


@pytest.fixture
def closed_ways(visitor: Visitor) -> list[str]:
    (key, *_), rest = visitor.keys(), f"/r/{visitor.made.token}"
    return [
        rest, f"{rest}/picture/{key}/1.png", f"{rest}/picture/{key}/frames", f"{rest}/model.glb", f"{rest}/model.json",
        *(f"{rest}/download/{name}" for name in ("report.pdf", "pictures.zip", "dicom.zip", "surface.glb")),
    ]  # fmt: skip


def test_what_opens_nothing_answers_all_the_same(visitor: Visitor, closed_ways: list[str]) -> None:
    signed, client = visitor.signed, visitor.browser.client
    later = replace(signed.site, clock=lambda: signed.site.clock() + timedelta(days=15))
    expired = TestClient(application(console_of(later)), base_url="http://127.0.0.1")
    revoked = make_link(signed.session, signed.site, signed.person, "x").token
    revoke_link(signed.site.result_links.all()[0].place, signed.site, signed.person)
    mine, answers = visitor.made.token, set()
    for way in closed_ways:
        for asked, token in ((expired, mine), (client, revoked), (client, "A" * 43), (client, "short")):
            answer = asked.get(way.replace(mine, token))
            answers.add((answer.status_code, answer.text.replace(token, ""), answer.headers["cache-control"]))
    assert len(answers) == 1
    ((status, page, _),) = answers
    assert status == 410
    assert "telephone 4711" in page
    posted = client.post(f"/r/{revoked}", data={"csrf": Browser(client).token, "word": "x"})
    assert posted.status_code in (403, 410)


def test_a_revoked_link_shows_nothing_of_what_the_browser_has(visitor: Visitor) -> None:
    address = f"/picture/{visitor.keys()[0]}/1.png"
    first = visitor.get(address)
    assert Image.open(io.BytesIO(first.content)).size == (48, 48)
    again = visitor.get(address, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    revoke_link(visitor.made.link.place, visitor.signed.site, visitor.signed.person)
    assert visitor.get(address, headers={"if-none-match": first.headers["etag"]}).status_code == 410


def test_what_is_not_of_the_session_is_not_there(visitor: Visitor) -> None:
    other = unsigned_session(visitor.signed).evidence.products[0].images[0].sop_instance_uid
    key, source = visitor.keys()[0], visitor.signed.run.evidence.sources[0].sop_instance_uid
    for rest in (
        f"/picture/{key_of(other)}/1.png", f"/picture/{key_of(source)}/1.png", f"/picture/{other}/1.png",
        f"/picture/{key_of(other)}/frames", f"/picture/{key}/2.png", f"/picture/{key}/0.png", f"/picture/{key}/1.dcm",
        f"/picture/{key}/..%2f..%2fconfig.toml", "/picture/..%2f..%2f/1.png", f"/picture/{key}/99999.png",
        "/download/config.toml", "/download/..%2fworkstation.db", "/download/", "/instances",
    ):  # fmt: skip
        assert visitor.get(rest).status_code == 404, rest


def test_search_engines_stay_out(visitor: Visitor) -> None:
    assert "Disallow: /" in visitor.browser.client.get("/robots.txt").text


def test_frames_come_in_one_answer_every_eighth_first(visitor: Visitor) -> None:
    content, order = visitor.get(f"/picture/{visitor.keys()[2]}/frames").content, []
    while content:
        number, length = struct.unpack("<II", content[:8])
        assert Image.open(io.BytesIO(content[8 : 8 + length])).size == (48, 48)
        order.append(number)
        content = content[8 + length :]
    assert order == [0, 4, 2, 1, 3]


def test_a_word_is_asked_for_and_wrong_ones_end_it(signed: Signed) -> None:
    visitor = visit(signed, secret="rotkehlchen")
    browser = visitor.browser
    browser.get(visitor.at)
    assert "Word or PIN" in browser.words and "SAMPLE-CRANIUM" not in browser.page
    assert visitor.get(f"/picture/{visitor.keys()[0]}/1.png").status_code == 410
    browser.post(visitor.at, {"word": "amsel"})
    assert browser.status == 403 and "did not open it" in browser.words
    browser.post(visitor.at, {"word": "rotkehlchen"})
    assert browser.status == 200 and "SAMPLE-CRANIUM" in browser.words
    assert visitor.get(f"/picture/{visitor.keys()[0]}/1.png").status_code == 200
    other = visit(signed, secret="rotkehlchen")
    other.browser.client.cookies.set("results", visitor.browser.client.cookies["results"])
    assert "Word or PIN" in other.browser.get(other.at)
    for _ in range(5):
        other.browser.post(other.at, {"word": "amsel"})
    other.browser.post(other.at, {"word": "rotkehlchen"})
    assert other.browser.status == 403  # a pause: it is not looked at


def test_a_word_from_another_site_is_not_taken(signed: Signed) -> None:
    visitor = visit(signed, secret="rotkehlchen")
    visitor.browser.get(visitor.at)
    visitor.browser.post(visitor.at, {"word": "rotkehlchen"}, headers={"origin": "https://evil.example"})
    assert visitor.browser.status == 403
    assert "results" not in visitor.browser.client.cookies


def test_downloads(visitor: Visitor) -> None:
    pdf = visitor.get("/download/report.pdf")
    assert pdf.content.startswith(b"%PDF") and pdf.headers["content-disposition"] == 'attachment; filename="report.pdf"'
    for name in ("pictures.zip", "dicom.zip"):
        assert zipfile.ZipFile(io.BytesIO(visitor.get(f"/download/{name}").content)).testzip() is None
    assert visitor.get("/download/surface.glb").content[:4] == b"glTF"
    assert len(visitor.get("/download/surface.stl").content) % 50 == 84 % 50
    assert visitor.get("/model.json").json()[0]["name"] == "Mask of Turn, label 1"


def test_opening_and_fetching_are_in_the_audit_trail_and_in_the_list(visitor: Visitor) -> None:
    trail = visitor.signed.site.root / "audit.log"
    before = len(trail.read_text(encoding="utf-8").splitlines())
    visitor.get()
    visitor.get("/download/report.pdf")
    visitor.get(f"/picture/{visitor.keys()[0]}/1.png")
    lines = trail.read_text(encoding="utf-8").splitlines()[before:]
    assert [event for event, _ in checked(lines)] == [ACCESSED, EXPORT]
    for line in lines:
        assert f'UserID="result-link-{visitor.made.link.place}"' in line
        assert 'NetworkAccessPointID="testclient"' in line and "Dr. Stone" in line
    assert visitor.made.token not in "".join(lines)
    found = visitor.signed.site.result_links.at(visitor.made.link.place)
    assert found is not None and found.uses == 1


@pytest.mark.slow
def test_a_report_that_was_amended_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    signed = signed_session(tmp_path_factory.mktemp("amended") / "root")
    visitor = visit(signed)
    assert "amended" not in visitor.browser.get(visitor.at)
    signed.amend(replace(signed.report, impression="No fracture at all."))
    words = (visitor.browser.get(visitor.at), visitor.browser.words)[1]
    for said in ("Amended report", "was amended after you were given this link", "It replaces", "No fracture at all."):
        assert said in words
    newer = visit(signed)
    assert "was amended after" not in newer.browser.get(newer.at)
    # A record whose file is not what was signed is not shown, and the page says whom to call.
    results_pages._SEEN = SeenResults()
    report = next(f for f in results_of(signed.session, signed.site).documents if "88.11" in f.instance.sop_class_uid)
    path = Path(report.instance.path)
    path.write_bytes(path.read_bytes().replace(b"No fracture", b"A  fracture"))
    visitor.browser.get(visitor.at)
    assert visitor.browser.status == 409 and "telephone 4711" in visitor.browser.words
    assert "SAMPLE-CRANIUM" not in visitor.browser.page
    signed.site.papers.engine.dispose()


def test_while_the_surface_is_made_the_page_says_so(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def coming(*_: object) -> None:
        raise ModelComing("The 3D surface is being made. Load this page again in half a minute.")

    monkeypatch.setattr("workstation.web.results_pages.model_soon", coming)
    visitor.browser.get(visitor.at)
    assert visitor.browser.status == 200 and "is being made" in visitor.browser.words
    visitor.browser.get(f"{visitor.at}/model.glb")
    assert visitor.browser.status == 404


def test_a_download_breaks_off_when_its_link_is_revoked(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = visit(signed)
    monkeypatch.setattr(results_pages, "_LOOKED_AT_BYTES", 0)
    real = downloads.dicom_zip

    def revoked_in_between(results: SessionResults) -> Iterator[bytes]:
        for n, chunk in enumerate(real(results)):
            if n == 2:
                revoke_link(visitor.made.link.place, signed.site, signed.person)
            yield chunk

    monkeypatch.setattr(downloads, "dicom_zip", revoked_in_between)
    with pytest.raises(results_pages.LinkClosed):
        visitor.get("/download/dicom.zip")
