"""Where somebody begins: the first page of their role."""

from starlette.responses import Response

from workstation.web.call import STAFF, Call, get
from workstation.web.nav import home_of


def _home(call: Call) -> Response:
    path = home_of(call.console.bar, call.who.role)
    return call.go(path) if path else call.page("home.html")


ROUTES = (get("/", _home, STAFF),)
