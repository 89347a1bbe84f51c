"""Calls that no page makes: whatever an address or a form says, an answer is an answer, and nothing breaks."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.thorough import THOROUGH
from tests.workstation.orders.ris import Ris, Study
from tests.workstation.web.conftest import Browser, Counter, copied
from workstation.coder.queue_rows import case_key
from workstation.web.app import ROUTES
from workstation.web.call import PageRoute
from workstation.web.limits import Limiter

_WORDS = (
    "", "0", "-1", "999999999999999999999", "1e9", "2026-03", "2026-13", "0000-00", "2026-02-30", "jd", "nobody", "me",
    "x" * 5000, "\u0000", "a\u0000b", "\ud7ff", "日本語", "%00", "%", "../../etc/passwd", "{{7*7}}", "${7*7}", "null",
    "' OR 1=1 --", "[]", "\r\nSet-Cookie: x=1", "true", "diagnoses", "payer.prior_authorization", "²", "١٢", "-patient",
    "report.clinical_utility", "1.2.840.10008", "/", "//", "ACC1", "76377", "\u202e", "🩻",
)  # fmt: skip
# Names of fields that routes read, beside some that none does.
_NAMES = tuple(
    sorted(
        {
            name
            for file in (Path(__file__).parents[3] / "workstation" / "web").glob("*.py")
            for found in re.findall(
                r"""\.(?:query|said|number)\(\s*"([a-z_.]+)"|(?:lists|form|files)\.get\(\s*"([a-z_.]+)\"""",
                file.read_text(encoding="utf-8"),
            )
            for name in found
            if name
        }
        | {"nonsense", "csrf2"}
    )
)


@pytest.fixture
def worked_at(enrolled: Path, tmp_path: Path) -> Iterator[tuple[Counter, str]]:
    with copied(enrolled, tmp_path / "root") as found:
        study = Study("ACC1", technique="mpr")
        found.desk.sr(study)
        ris = Ris(study)
        found.desk.hear(ris.order(), ris.report(), Ris(Study("ACC9")).report())
        found.console.limiter = found.console.secrets_limiter = Limiter(1_000_000)
        yield found, case_key(found.desk.case().session)


def call_of(route: PageRoute, rng: random.Random, key: str) -> tuple[str, dict[str, list[str]]]:
    path = re.sub(r"\{key\}", lambda _: rng.choice((key, key, "0" * 20, "x")), route.path)
    path = re.sub(r"\{[^}]*\}", lambda _: quote(rng.choice(_WORDS)[:300], safe="") or "_", path)
    said = {name: [rng.choice(_WORDS) for _ in range(rng.choice((1, 1, 2)))] for name in rng.sample(_NAMES, k=9)}
    return path, said


def sent(browser: Browser, route: PageRoute, path: str, said: dict[str, list[str]], token: str) -> int:
    if route.method == "GET":
        return browser.client.get(path, params=said, follow_redirects=False).status_code
    return browser.client.post(path, data={**said, "csrf": token}, follow_redirects=False).status_code


@pytest.mark.slow
@pytest.mark.parametrize("identity", ["jd", "co", "DR1", "ad", ""])
def test_whatever_is_said_nothing_breaks(worked_at: tuple[Counter, str], identity: str) -> None:
    counter, key = worked_at
    rng = random.Random(f"odd {identity}")
    browser = counter.browser(identity)
    role = next((each.role for each in counter.desk.site.people.all() if each.id == identity), None)
    broken = set()
    for route in ROUTES:
        if route.path in ("/sign-out", "/password") or not (route.public or role in route.roles):
            continue
        # Verifying draws pictures, phrases start a process: neither reads more of a call than others.
        times = 1 if route.path.endswith(("/record", "/phrases")) else 40 if THOROUGH else 1
        for _ in range(times):
            if identity:
                browser.get("/password")
                if browser.status == 401:  # an odd call has signed us out, or changed who we are
                    browser = counter.browser(identity)
                    browser.get("/password")
            else:
                browser.get("/sign-in")
            path, said = call_of(route, rng, key)
            status = sent(browser, route, path, said, browser.token)
            if status >= 500:
                broken.add((route.method, route.path, status))
    assert broken == set()
