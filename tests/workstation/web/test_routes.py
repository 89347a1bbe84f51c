"""Every route of the console against every role, and nobody."""

import re

import pytest

from tests.workstation.orders.ris import CO, DR1, JD, T1
from tests.workstation.web.conftest import AD, Browser, Counter
from workstation.web.app import ROUTES
from workstation.web.call import PageRoute

WHO = {"coder": JD, "physician": DR1, "technologist": T1, "compliance": CO, "administrator": AD}


@pytest.fixture(scope="module")
def of_routes() -> list[PageRoute]:
    return list(ROUTES)


def address(route: PageRoute) -> str:
    """The route's path with something in each place."""
    return re.sub(r"\{[^}]*\}", "0" * 20, route.path)


def asked(browser: Browser, route: PageRoute, token: str) -> int:
    if route.method == "GET":
        return browser.client.get(address(route), follow_redirects=False).status_code
    return browser.client.post(address(route), data={"csrf": token}, follow_redirects=False).status_code


def test_no_route_stands_twice(of_routes: list[PageRoute]) -> None:
    names = [(route.method, route.path) for route in of_routes]
    assert len(set(names)) == len(names)


def test_nobody_gets_anywhere_without_signing_in(counter: Counter, of_routes: list[PageRoute]) -> None:
    browser = counter.browser()
    browser.get("/sign-in")
    token = browser.token
    for route in of_routes:
        if not route.public:
            assert asked(browser, route, token) == 401, (route.method, route.path)


@pytest.mark.parametrize("role", sorted(WHO))
def test_a_role_gets_where_it_may_and_nowhere_else(counter: Counter, role: str, of_routes: list[PageRoute]) -> None:
    browser = counter.browser()
    browser.sign_in(WHO[role].id)
    counter.console.limiter._rate = 1e9
    browser.get("/password")
    token = browser.token
    for route in of_routes:
        if route.path == "/sign-out" or route.public:
            continue
        status = asked(browser, route, token)
        if role in route.roles:
            assert status not in (401, 403, 500), (route.method, route.path, status)
        else:
            assert status == 403, (route.method, route.path, status)


def test_every_form_needs_its_token(counter: Counter, of_routes: list[PageRoute]) -> None:
    for role in ("coder", "compliance", "administrator", "physician"):
        browser = counter.browser()
        browser.sign_in(WHO[role].id)
        for route in of_routes:
            if route.method == "POST" and (route.public or role in route.roles):
                assert asked(browser, route, "0" * 64) == 403, (role, route.path)


def test_no_route_takes_another_method(counter: Counter, of_routes: list[PageRoute]) -> None:
    browser = counter.browser("jd")
    for route in of_routes:
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert browser.client.request(method, address(route)).status_code in (404, 405), (method, route.path)


def test_no_address_names_a_patient(of_routes: list[PageRoute]) -> None:
    for route in of_routes:
        places = re.findall(r"\{([^}:]*)", route.path)
        assert not {"accession", "patient", "mrn", "name_of_patient", "study"} & set(places), route.path
