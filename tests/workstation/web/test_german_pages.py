"""Pages in German say nothing in English: reasons and errors, which other rooms make, are translated too."""

import re
from collections import Counter
from html import unescape
from pathlib import Path

import pytest

from tests.workstation.web.conftest import Browser, copied
from tests.workstation.web.test_days import live_through, stories

pytestmark = pytest.mark.slow

# Words of nearly every English sentence, and of no German one.
_ENGLISH = re.compile(r"\b(the|is|of|not|and|has|to|by|are|be|this|that|with|on|no|it)\b")
# Reports, and what programs read.
_DATA = re.compile(r"<(script|style|pre|textarea|code|mark)\b.*?</\1>", re.DOTALL)
_SAID_BESIDE = re.compile(r'\b(?:title|aria-label|placeholder|data-confirm)="([^"]*)"')
# A name for programs, such as the code of a reason.
_CODE = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")
_OF_A_KIND = 4


def english(page: str) -> set[str]:
    """The texts of a page that read as English, or as a code. A reason's code is what the mouse finds."""
    body = _SAID_BESIDE.sub(
        r">\1<", re.sub('(<span class="tag [a-z]*") title="[A-Z0-9_]*"', r"\1", _DATA.sub(" ", page))
    )
    texts = {" ".join(unescape(text).split()) for text in re.split(r"<[^>]*>|>", body)}
    return {text for text in texts if len(set(_ENGLISH.findall(text))) >= 2 or _CODE.fullmatch(text)}


def read_all(browser: Browser) -> dict[str, str]:
    """The pages that links lead to from the first, in German; a few of each kind."""
    found: dict[str, str] = {}
    waiting, kinds = ["/"], Counter[str]()
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"[0-9a-f]{12,}|\d+|\?.*", "", path)
        if path in found or kinds[kind] == _OF_A_KIND:
            continue
        kinds[kind] += 1
        answer = browser.client.get(path, headers={"accept-language": "de"})
        if "text/html" in answer.headers.get("content-type", ""):
            found[path] = answer.text
            links = re.findall(r'href="(/[^"#]*)', answer.text)
            waiting += [unescape(link) for link in links if not link.startswith(("/static/", "/sign-out"))]
    return found


@pytest.fixture(scope="module")
def lived(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with cases of every kind that stories make."""
    root = tmp_path_factory.mktemp("lived") / "root"
    with copied(enrolled, root) as made:
        live_through(made.desk, stories(10, 11))
    return root


def test_no_page_speaks_english(lived: Path, tmp_path: Path) -> None:
    with copied(lived, tmp_path / "root") as counter:
        counter.console.limiter._rate = 1e9
        said: dict[str, str] = {}
        for who in ("jd", "DR1", "co", "ad"):
            pages = read_all(counter.browser(who))
            assert len(pages) > 3
            for path, page in pages.items():
                if not path.startswith("/admin/settings"):  # patterns for English reports
                    said |= dict.fromkeys(english(page), f"{who} {path}")
        assert said == {}


def test_what_is_refused_is_said_in_german(lived: Path, tmp_path: Path) -> None:
    with copied(lived, tmp_path / "root") as counter:
        browser = counter.browser("jd")
        browser.client.headers["accept-language"] = "de"
        browser.get("/cases")
        found = re.search(r'href="(/cases/[0-9a-f]{20})', browser.page)
        assert found is not None
        browser.get(found[1])
        browser.post(f"{found[1]}/deny", {"why": "", "version": version(browser)})
        assert browser.status == 422 and "Bitte einen Grund nennen" in browser.words


def version(browser: Browser) -> str:
    found = re.search(r'name="version" value="([^"]*)"', browser.page)
    assert found is not None
    return found[1]
