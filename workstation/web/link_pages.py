"""Links for referring physicians, made and revoked by people of the work: of one case, and all of them."""

from starlette.responses import Response

from workstation.errors import WorkstationError
from workstation.results.links import MAY_LINK, MadeLink, address_of, make_link, revoke_link, session_named
from workstation.web.call import Call, Roles, get, post
from workstation.web.case_pages import case_of
from workstation.web.sign_in_pages import WrongSecret, signed_by

LINKERS: Roles = MAY_LINK


def _of_case(call: Call) -> Response:
    return _case_page(call)


def _case_page(call: Call, why: str = "", made: MadeLink | None = None, status: int = 200) -> Response:
    case = case_of(call)
    session = session_named(case.row.session, call.site)
    return call.page(
        "results/links_of_case.html",
        status,
        row=case.row,
        links=call.site.result_links.all(session),
        now_s=call.site.clock().timestamp(),
        days=call.console.settings.link_days,
        made=made,
        address=address_of(made.token, call.site) if made is not None else "",
        why=why,
        form=call.form if why else {},
    )


def _make(call: Call) -> Response:
    """Takes the secret again: what leaves is signed for."""
    case, days = case_of(call), call.said("days", 8)
    try:
        who = signed_by(call)
        session = session_named(case.row.session, call.site)
        if days and not (days.isdecimal() and len(days) < 5):
            raise WorkstationError(call.tr("{days!r} is no number of days.", days=days))
        made = make_link(
            session,
            call.site,
            who,
            call.said("recipient", 400),
            float(days) if days else None,
            call.said("pin", 200),
            wait=False,
        )
    except (WorkstationError, WrongSecret) as error:
        return _case_page(call, call.tr(str(error)), None, 422)
    return _case_page(call, made=made)


def _all(call: Call) -> Response:
    site, size, number = call.site, 50, call.number("page", 1)
    links = site.result_links.all()
    shown = links[(number - 1) * size : number * size]
    call.console.note_list(call, "result links", len(shown))
    return call.page(
        "results/links.html",
        links=shown,
        total=len(links),
        number=number,
        size=size,
        now_s=site.clock().timestamp(),
    )


def _revoke(call: Call) -> Response:
    number = call.said("link", 12)
    if not number.isdecimal():
        raise WorkstationError(call.tr("The form names no link."))
    link = revoke_link(int(number), call.site, call.who)
    return call.go(call.said("back", 200) or "/links", call.tr("Link {n} opens nothing any more.", n=link.place))


ROUTES = (
    get("/links", _all, LINKERS),
    post("/links/revoke", _revoke, LINKERS),
    get("/cases/{key}/links", _of_case, LINKERS & {"physician", "compliance"}),
    post("/cases/{key}/links", _make, LINKERS & {"physician", "compliance"}),
)
