"""The way of a request: limits, sign-in, role, form, answer, headers. Every route of the console takes it."""

import asyncio
import gzip
import hashlib
import logging
import mimetypes
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from dicom_io.errors import DicomIOError
from workstation.errors import WorkstationError
from workstation.store.outbox import DatabaseFailed
from workstation.web import (
    admin_pages,
    case_pages,
    coder_pages,
    compliance_pages,
    home_pages,
    link_pages,
    message_pages,
    money_pages,
    oidc,
    people_pages,
    physician_pages,
    results_pages,
    sign_in_pages,
    what_if_pages,
)
from workstation.web.call import Call, NotThere, PageRoute, Uploaded, own_path
from workstation.web.connections import BODY_S, SLOWEST_BYTES_S
from workstation.web.console import STATIC, Console, cookie_name, csrf_of
from workstation.web.nav import NavEntry
from workstation.web.words import preferred, translator

ROUTES: tuple[PageRoute, ...] = (
    *sign_in_pages.ROUTES,
    *oidc.ROUTES,
    *home_pages.ROUTES,
    *coder_pages.ROUTES,
    *case_pages.ROUTES,
    *what_if_pages.ROUTES,
    *physician_pages.ROUTES,
    *results_pages.ROUTES,
    *message_pages.ROUTES,
    *money_pages.ROUTES,
    *compliance_pages.ROUTES,
    *link_pages.ROUTES,
    *admin_pages.ROUTES,
    *people_pages.ROUTES,
)

# The bar at the top; the first entry of a role is where it begins.
BAR: tuple[NavEntry, ...] = (
    NavEntry("/admin", "Administration", admin_pages.ADMINISTRATOR, admin_pages.waiting),
    NavEntry("/inbox", "Inbox", physician_pages.PHYSICIAN, physician_pages.waiting),
    NavEntry("/compliance", "Compliance", compliance_pages.COMPLIANCE),
    NavEntry("/cases", "Work list", coder_pages.READERS),
    NavEntry("/messages", "Unmatched", coder_pages.CODERS),
    NavEntry("/phrases", "Phrases", message_pages.TRIERS),
    NavEntry("/money", "Money", money_pages.COUNTERS),
    NavEntry("/links", "Links", link_pages.LINKERS),
    NavEntry("/admin/audit", "Audit trail", frozenset({"compliance"})),
)

_LOG = logging.getLogger("workstation.web")
# Nothing but ours, and no script or style inside a page. Source: W3C, Content Security Policy Level 3.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; media-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: a form would say that it comes from nowhere. No other site learns the address.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex, nofollow",
}
_TLS = "max-age=31536000"
_MOST_FIELDS, _MOST_FILES, _FIELD_KB = 400, 4, 64
# Of a form without files, and of any form of somebody who has not even a session that is over.
_PLAIN_BYTES = 1 << 20


def application(console: Console, routes: Sequence[PageRoute] = ROUTES) -> Starlette:
    """The console as an ASGI application."""
    console.bar = BAR
    found = [_route(console, each) for each in routes]
    found.append(Route("/static/{name:path}", _static, methods=["GET"]))
    found.append(Route("/{rest:path}", _not_there(console), methods=["GET", "POST"]))
    # Addresses that are no paths, and methods of no page: answered like all others.
    return Starlette(routes=found, exception_handlers={404: _no_route(console), 405: _no_route(console)})


def _route(console: Console, route: PageRoute) -> Route:
    async def answer(request: Request) -> Response:
        call = _call(console, request)
        try:
            response = await _answered(call, route)
        except ClientDisconnect:
            response = Response("", 400)  # nobody hears it, and nothing was done
        except HTTPException as error:
            response = _refused(call, error.status_code, error.detail)
        except NotThere as error:
            response = _refused(call, 404, call.tr(str(error)))
        except (WorkstationError, DicomIOError) as error:
            response = _refused(call, 422, call.tr(str(error)))
        except DatabaseFailed as error:
            _LOG.error("%s %s: %s", route.method, route.path, type(error).__name__)
            words = call.tr("The database cannot be read or written now.")
            response = _refused(call, 503, f"{words} {_whether_done(call)}".strip())
        except Exception as error:  # noqa: BLE001 - one call that fails ends no other
            # What went wrong may quote what a report says: the log names the route alone.
            _LOG.error("%s %s: %s", route.method, route.path, type(error).__name__, exc_info=error)
            words = call.tr("Something went wrong here.")
            response = _refused(call, 500, f"{words} {_whether_done(call)}".strip())
        return _with_headers(console, response)

    # A starlette route of GET answers HEAD as well; ours are asked for by one method alone.
    found = Route(route.path, answer, methods=[route.method])
    if route.method == "GET":
        found.methods = {"GET", "HEAD"}
    return found


async def _answered(call: Call, route: PageRoute) -> Response:
    console = call.console
    if not console.limiter.allows(call.address):
        raise HTTPException(429, call.tr("Too many requests from this address; wait a minute."))
    named = console.settings.address.partition("://")[2].rstrip("/")
    if named and call.request.headers.get("host", "") != named:
        # A name that an attacker lets point here, so that a browser takes their page for ours.
        raise HTTPException(421, call.tr("The console is at {address}.", address=console.settings.address))
    await run_in_threadpool(_know, call)
    if route.method == "POST":
        _from_here(call)
        await _read_form(call, route)
        ours = call.form.get("csrf") == csrf_of(call.token)
        if call.person is None and not route.public:
            # What came from a page of ours is kept; what did not is not even shown.
            return sign_in_pages.again(call) if ours else sign_in_pages.first(call)
        if not ours:
            raise HTTPException(403, call.tr("The form is of another session. Open the page again, then send it."))
    if not route.open_to(call.person):
        if call.person is None:
            return sign_in_pages.first(call)
        raise HTTPException(403, call.tr("Your role may not do that."))
    if call.given_secret and not route.public and route.path not in ("/password", "/sign-out"):
        # Somebody else knows it: it signs nothing and shows nothing.
        return call.go("/password", call.tr("Your password was given to you: choose one of your own first."))
    return await run_in_threadpool(route.answer, call)


def _call(console: Console, request: Request) -> Call:
    language = preferred(request.cookies.get("language", ""), request.headers.get("accept-language", ""))
    return Call(console, request, _address(console, request), language, translator(language))


def _address(console: Console, request: Request) -> str:
    """Who asks: the last address that a proxy which the settings name has seen."""
    peer = request.client.host if request.client is not None else ""
    if peer in console.settings.behind_proxy:
        # Some proxies add to the header that the caller sent, others write one more behind it.
        seen = request.headers.getlist("x-forwarded-for") or [peer]
        return seen[-1].rpartition(",")[2].strip()[:64] or peer
    return peer


def _know(call: Call) -> None:
    """Who is signed in, if anybody. A person who was removed is nobody, whatever their cookie says."""
    console = call.console
    call.token = call.request.cookies.get(cookie_name(console), "")[:200]
    session = console.site.console.session(call.token) if call.token else None
    if session is None:
        return
    now, settings = console.site.clock(), console.settings
    over = now - session.seen_at > timedelta(minutes=settings.idle_minutes)
    over = over or now - session.started_at > timedelta(hours=settings.longest_hours)
    account = next((each for each in console.site.people.accounts() if each.person.id == session.person), None)
    if over or account is None:
        console.site.console.end(call.token)
        return
    # What asks by itself does not keep a session alive.
    if "x-polled" not in call.request.headers and now - session.seen_at >= timedelta(seconds=30):
        session = replace(session, seen_at=now)
        console.site.console.seen(call.token, session)
    call.person, call.session, call.given_secret = account.person, session, account.given


def _from_here(call: Call) -> None:
    """A form comes from a page of ours. Browsers say where from; what says nothing is stopped by the form's token."""
    where = call.request.headers.get("sec-fetch-site", "same-origin")
    origin = call.request.headers.get("origin", "")
    host = call.request.headers.get("host", "")
    if where not in ("same-origin", "none") or (origin and origin.partition("://")[2] != host):
        raise HTTPException(403, call.tr("The form came from another site. Nothing was done."))


async def _read_form(call: Call, route: PageRoute) -> None:
    """The fields of a form, and its files where somebody is signed in who may send them."""
    kind = call.request.headers.get("content-type", "").partition(";")[0]
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise HTTPException(415, call.tr("This is no form."))
    most = call.console.settings.upload_mb << 20
    taken = call.person is not None and route.open_to(call.person) and not route.public
    # Who was signed in until a moment ago loses nothing that they typed beside a file.
    large = kind == "multipart/form-data" and (taken or (bool(call.token) and not route.public))
    _bound(call.request, (most if large else 0) + _PLAIN_BYTES)
    try:
        found = await call.request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_FIELD_KB << 10)
    except MultiPartException as error:
        raise HTTPException(400, call.tr("The form cannot be read.")) from error
    fields: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    files: dict[str, Uploaded] = {}
    for name, value in found.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read(most + 1) if taken else b""
            if len(content) > most:
                raise HTTPException(413, call.tr("The file is larger than {n} MB.", n=most >> 20))
            if taken and (value.filename or content):
                files[name] = Uploaded((value.filename or "")[:200], content)
            await value.close()
        else:
            fields[name] = value
            lists.setdefault(name, []).append(value)
    call.form, call.files = fields, files
    call.lists = {name: tuple(values) for name, values in lists.items()}


def _bound(request: Request, most: int) -> None:
    """Ends the reading of a body that is too large, whatever its length was said to be, or too slow: one that comes by
    single bytes holds a connection no longer than one that does not come at all."""
    receive, so_far, begun = request.receive, 0, monotonic()

    async def counted() -> Any:
        nonlocal so_far
        left = begun + BODY_S + so_far / SLOWEST_BYTES_S - monotonic()
        try:
            message = await asyncio.wait_for(receive(), max(left, 0.0))
        except TimeoutError:
            raise HTTPException(408, "too slow") from None
        so_far += len(message.get("body", b""))
        if so_far > most:
            raise HTTPException(413, "too large")
        return message

    request._receive = counted


def _whether_done(call: Call) -> str:
    """What somebody does whose form was not answered: an act that is written stays, whatever fails behind it."""
    sent = call.request.method == "POST"
    return call.tr("Look whether it was done, before you send it again.") if sent else ""


def _refused(call: Call, status: int, words: str) -> Response:
    return call.page("refused.html", status, words=words, back=_back(call))


def _back(call: Call) -> str:
    """The page that a form was on, where it says so."""
    return own_path(call.form.get("back", ""))


def _with_headers(console: Console, response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # Pages show patients: no browser and no proxy keeps them.
    response.headers.setdefault("Cache-Control", "no-store")
    if console.settings.secure:
        response.headers.setdefault("Strict-Transport-Security", _TLS)
    return response


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    content = _files().get(name)
    if content is None:
        return Response("", 404, headers=_HEADERS)
    # A module asks for others by their plain names: they are asked for again each time, so that none is of another
    # version than the rest.
    kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "public, no-cache"
    headers = {**_HEADERS, "Cache-Control": kept, "ETag": f'"{_digest(name)}"', "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", "") and (packed := await run_in_threadpool(_packed, name)):
        content, headers["Content-Encoding"] = packed, "gzip"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_files()[name]).hexdigest()[:16]


@cache
def _packed(name: str) -> bytes:
    """A large text packed once: nothing secret is in it that its length could tell. Empty where that does not pay."""
    content = _files()[name]
    packed = gzip.compress(content, 6, mtime=0) if len(content) > 10_000 else content
    return packed if len(packed) < 0.8 * len(content) else b""


_CONTENT: dict[str, bytes] = {}


def _files() -> Mapping[str, bytes]:
    """What is served as it lies here, read once: a name that is none of these is not looked for on the disk."""
    if not _CONTENT:
        for file in sorted(STATIC.rglob("*")):
            if file.is_file():
                _CONTENT[file.relative_to(STATIC).as_posix()] = file.read_bytes()
    return _CONTENT


def _no_route(console: Console) -> Callable[[Request, Exception], Awaitable[Response]]:
    answer = _not_there(console)

    async def handled(request: Request, error: Exception) -> Response:
        return await answer(request)

    return handled


def _not_there(console: Console) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        call = _call(console, request)
        if not console.limiter.allows(call.address):
            return _with_headers(console, _refused(call, 429, call.tr("Too many requests from this address.")))
        await run_in_threadpool(_know, call)
        return _with_headers(console, _refused(call, 404, call.tr("There is no such page.")))

    return answer
