"""Signing in and out, and what was sent when a session was over: it is shown again, and sent by hand."""

import secrets
from collections.abc import Callable
from datetime import timedelta

from starlette.responses import RedirectResponse, Response

from dicom_io.evidence import Person
from workstation.audit.trail import late
from workstation.people import PeopleError
from workstation.web.call import STAFF, Call, get, own_path, post
from workstation.web.console import cookie_name
from workstation.web.words import languages

# Fields of a form that are not shown again: what is secret, and what is of the session that is over.
_NOT_AGAIN = frozenset({"csrf", "secret", "password", "again", "pin"})


class WrongSecret(PeopleError):  # noqa: N818 - reads as a sentence where it is raised
    """A secret that is wrong, or is not looked at because too many were wrong."""


def checked(call: Call, identity: str, check: Callable[[], Person]) -> Person:
    """The person whom a secret shows. What is wrong is counted, and in the audit trail; after too many in a row none is
    looked at for a while.

    check : raises PeopleError for a wrong secret.

    Raises WrongSecret, with the same words for an ID that nobody has.
    """
    try:
        return _checked(call, identity, check)
    except WrongSecret:
        with late():
            call.console.trail.authenticated(
                identity[:64] or "nobody", call.site.clock(), outcome="8", address=call.address
            )
        raise


def _checked(call: Call, identity: str, check: Callable[[], Person]) -> Person:
    console, now = call.console, call.site.clock()
    settings, store = console.settings, call.site.console
    if not console.secrets_limiter.allows(call.address):
        raise WrongSecret(call.tr("Too many attempts from this address; wait a minute."))
    since = now - timedelta(minutes=settings.locked_minutes)
    if not store.take_attempt(identity, call.address, now, since, settings.wrong_secrets):
        words = "Too many wrong attempts; this ID is locked for {n} minutes. An administrator can help."
        raise WrongSecret(call.tr(words, n=settings.locked_minutes))
    try:
        with console.checking:
            person = check()
    except PeopleError as error:
        raise WrongSecret(str(error)) from None
    store.attempted_rightly(identity, call.address, now)
    return person


def signed_by(call: Call) -> Person:
    """The person who is signed in, as their secret in the form's field `secret` shows. Raises WrongSecret."""
    identity = call.who.id
    return checked(call, identity, lambda: call.site.people.signature(identity, call.form.get("secret", "")))


def first(call: Call) -> Response:
    """The page that says who is there, before the page that was asked for."""
    wanted = call.request.url.path if call.request.method == "GET" else "/"
    return _page(call, wanted=wanted, status=401)


def again(call: Call) -> Response:
    """A form came when the session was over. It is kept in the page, and shown once the same person is back."""
    kept = {name: values for name, values in call.lists.items() if name not in _NOT_AGAIN}
    return _page(call, wanted=call.request.url.path, kept=kept, status=401)


def _page(
    call: Call, wanted: str = "/", why: str = "", status: int = 200, kept: dict[str, tuple[str, ...]] | None = None
) -> Response:
    new = not call.token
    if new:
        call.token = secrets.token_urlsafe(32)
    response = call.page("sign_in.html", status, wanted=wanted, why=why, kept=kept or {})
    if new:
        keep_token(call, response)
    return response


def _show(call: Call) -> Response:
    return call.go("/") if call.person is not None else _page(call)


def _sign_in(call: Call) -> Response:
    identity, password = call.said("person", 64), call.form.get("password", "")[:1000]
    wanted = own_path(call.said("wanted", 400)) or "/"
    kept = {name.removeprefix("kept."): values for name, values in call.lists.items() if name.startswith("kept.")}
    try:
        person = checked(call, identity, lambda: call.site.people.signed_in(identity, password))
    except WrongSecret as error:
        return _page(call, wanted, call.tr(str(error)), 401, kept)
    begin_session(call, person)
    response = call.page("resume.html", wanted=wanted, kept=kept) if kept else RedirectResponse(wanted, 303)
    keep_token(call, response)
    return response


def begin_session(call: Call, person: Person) -> None:
    """A person has shown who they are: the session of the call is theirs from now on, under a new token. Whoever had
    planted the old one knows nothing of this. `keep_token` gives it to the browser."""
    now, store = call.site.clock(), call.site.console
    with late():
        call.console.trail.authenticated(person.id, now, address=call.address)
    if call.token:
        store.end(call.token)
    call.token, call.person = store.begin(person.id, now), person


def keep_token(call: Call, response: Response) -> None:
    """Has the browser keep the token of the call."""
    secure = call.console.settings.secure
    response.set_cookie(cookie_name(call.console), call.token, path="/", secure=secure, httponly=True, samesite="lax")


def _sign_out(call: Call) -> Response:
    call.site.console.end(call.token)
    with late():
        call.console.trail.authenticated(call.who.id, call.site.clock(), out=True, address=call.address)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(call.console), path="/", secure=call.console.settings.secure, httponly=True)
    return response


def _language(call: Call) -> Response:
    wanted, back = call.said("language", 8), call.said("back", 400)
    response = call.go(back or "/")
    if wanted in languages():
        response.set_cookie(
            "language", wanted, max_age=31_536_000, httponly=True, samesite="lax", secure=call.console.settings.secure
        )
    return response


def _secret_page(call: Call) -> Response:
    return call.page("own_secret.html", why="")


def _change_secret(call: Call) -> Response:
    """A person gives themselves a new password, with the one they have."""
    identity, site = call.who.id, call.site
    wanted, once_more = call.form.get("password", "")[:1000], call.form.get("again", "")[:1000]
    try:
        signed_by(call)
        if wanted != once_more:
            raise WrongSecret(call.tr("The two new passwords are not the same."))
        site.people.change_password(identity, wanted)
    except PeopleError as error:
        return call.page("own_secret.html", 422, why=call.tr(str(error)))
    site.console.end_all(identity)
    with late():
        call.console.trail.changed("people", identity, "password", identity, site.clock(), call.address)
    call.token = site.console.begin(identity, site.clock())
    call.session = site.console.session(call.token)
    response = call.go("/", call.tr("Your password is changed; other sessions of yours are ended."))
    keep_token(call, response)
    return response


ROUTES = (
    get("/sign-in", _show),
    post("/sign-in", _sign_in),
    post("/sign-out", _sign_out, STAFF),
    post("/language", _language),
    get("/password", _secret_page, STAFF),
    post("/password", _change_secret, STAFF),
)
