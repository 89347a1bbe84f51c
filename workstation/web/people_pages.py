"""People, settings and the audit trail, for administrators; the trail for compliance officers too."""

from dataclasses import dataclass
from itertools import islice
from typing import get_args

from starlette.responses import Response

from dicom_io.evidence import Person, Role, checked_role
from workstation.administration.settings_shown import settings_of
from workstation.audit.reading import entries
from workstation.audit.trail import late
from workstation.people import Account, PeopleError
from workstation.web.admin_pages import ADMINISTRATOR, page
from workstation.web.call import Call, Roles, get, post

_READERS: Roles = frozenset({"administrator", "compliance"})
_NEWEST = 200
ROLES: tuple[Role, ...] = tuple(role for role in get_args(Role) if role != "automatic")


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A password that was just made. It is shown once, on the page that answers."""

    person_id: str
    password: str


def _people(call: Call) -> Response:
    return _list(call)


def _list(call: Call, why: str = "", given: GivenSecret | None = None, status: int = 200) -> Response:
    return page(
        call,
        "people",
        status,
        accounts=call.site.people.accounts(),
        roles=ROLES,
        why=why,
        given=given,
        form=call.form if why else {},
    )


def _account(call: Call) -> Account:
    """Whom the form names. Raises PeopleError."""
    identity = call.said("person", 64)
    found = next((each for each in call.site.people.accounts() if each.person.id == identity), None)
    if found is None:
        raise PeopleError(call.tr("Nobody has the ID {id}.", id=identity))
    return found


def _wanted(call: Call, identity: str) -> Person:
    """The person as the form describes them. Raises PeopleError."""
    name = call.said("name", 200)
    if not name.strip("^ "):
        raise PeopleError(call.tr("A person needs a name: Family^Given."))
    try:
        return Person(identity, name, checked_role(call.said("role", 40)))
    except ValueError as error:
        raise PeopleError(str(error)) from error


def _invite(call: Call) -> Response:
    """Adds somebody with a password that they have to change. It is shown once."""
    identity = call.said("person", 64)
    try:
        if any(each.id == identity for each in call.site.people.all()):
            raise PeopleError(call.tr("{id} is in the register already.", id=identity))
        person = _wanted(call, identity)
        password = call.site.people.give_password(person, call.said("npi", 10))
    except PeopleError as error:
        return _list(call, call.tr(str(error)), status=422)
    _note(call, identity, f"added as {person.role}")
    return _list(call, given=GivenSecret(identity, password))


def _change(call: Call) -> Response:
    """Changes name, role and NPI; secrets stay. Sessions end where the role changes."""
    try:
        account = _account(call)
        person = _wanted(call, account.person.id)
        if person.role != account.person.role:
            _keep_an_administrator(call, account)
        call.site.people.change(person, call.said("npi", 10))
    except PeopleError as error:
        return _list(call, call.tr(str(error)), status=422)
    if person.role != account.person.role:
        call.site.console.end_all(person.id)
    _note(call, person.id, f"changed: {person.role}")
    return call.go("/admin/people", call.tr("{id} is changed.", id=person.id))


def _new_secret(call: Call) -> Response:
    """Gives a new password in place of all that somebody was known by, and ends their sessions."""
    try:
        account = _account(call)
        if account.person.id == call.who.id:
            raise PeopleError(call.tr("Change your own password on its own page."))
        password = call.site.people.give_password(account.person, account.npi)
    except PeopleError as error:
        return _list(call, call.tr(str(error)), status=422)
    call.site.console.end_all(account.person.id)
    _note(call, account.person.id, "secret reset")
    return _list(call, given=GivenSecret(account.person.id, password))


def _remove(call: Call) -> Response:
    try:
        account = _account(call)
        if account.person.id == call.who.id:
            raise PeopleError(call.tr("Nobody removes themselves; another administrator does."))
        _keep_an_administrator(call, account)
        call.site.people.remove(account.person.id)
    except PeopleError as error:
        return _list(call, call.tr(str(error)), status=422)
    call.site.console.end_all(account.person.id)
    _note(call, account.person.id, "removed")
    return call.go("/admin/people", call.tr("{id} is removed; what they did stays theirs.", id=account.person.id))


def _keep_an_administrator(call: Call, account: Account) -> None:
    """Raises PeopleError where nobody would be left to look after people."""
    others = [each for each in call.site.people.all() if each.role == "administrator" and each.id != account.person.id]
    if account.person.role == "administrator" and not others:
        raise PeopleError(call.tr("{id} is the only administrator; make another one first.", id=account.person.id))


def _note(call: Call, identity: str, words: str) -> None:
    with late():
        call.console.trail.changed("people", identity, words, call.who.id, call.site.clock(), call.address)


def _settings(call: Call) -> Response:
    rows, why = settings_of(call.site.root, call.site.config)
    wanted = call.query("only")
    shown = [row for row in rows if wanted != "set" or row.source != "default" or row.changed is not None]
    changed = [row for row in rows if row.changed is not None]
    file = call.site.root / "config.toml"
    return page(call, "settings", rows=shown, changed=changed, why=why, only=wanted, file=file)


def _audit(call: Call) -> Response:
    trail = call.console.trail
    return page(call, "audit", entries=tuple(islice(entries(trail), _NEWEST)), kept=trail.file is not None)


ROUTES = (
    get("/admin/people", _people, ADMINISTRATOR),
    post("/admin/people", _invite, ADMINISTRATOR),
    post("/admin/people/change", _change, ADMINISTRATOR),
    post("/admin/people/secret", _new_secret, ADMINISTRATOR),
    post("/admin/people/remove", _remove, ADMINISTRATOR),
    get("/admin/settings", _settings, ADMINISTRATOR),
    get("/admin/audit", _audit, _READERS),
)
