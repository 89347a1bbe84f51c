"""The register of people: who may work here, in which role, and by what they are known.

A person is known by a secret of their own, password or PIN, or by the accounts of this machine that are theirs. The
register is a table of the state folder's database, chained like acts and decisions: an entry that was made or changed
by hand lets nobody act. Secrets are kept as argon2id hashes (RFC 9106).
"""

import getpass
import os
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dicom_io.evidence import Person, checked_role
from workstation.errors import WorkstationError
from workstation.store.register import Register
from workstation.store.schema import database_of, make_ready
from workstation.strict import StrictError, json_in

_HASHER = PasswordHasher()
# Somebody whom nobody knows takes as long as a wrong password: a hash as `_HASHER` makes them, of no password in use.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$IvtKLDOyi1YAZMJscLkV1w$MwWKhTjxdMOoiYl6M4PKXecMtNA0f/2jFirP7WQeT5o"
# Words that stand where an ID could.
_NOBODYS = frozenset({"nobody", "me", "automatic"})
LEAST_LENGTH = 8
LEAST_DIGITS = 6


class PeopleError(WorkstationError):
    """Somebody who is not known, a wrong password, or a file that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person of the register.

    password, pin : their hashes; empty where the person has none. logins : the accounts of this machine that act for
    them. npi : National Provider Identifier, empty where it is not known. given : the password was given by somebody
    else, and has to be changed before anything is done in the console.
    """

    person: Person
    password: str = ""
    pin: str = ""
    logins: tuple[str, ...] = ()
    npi: str = ""
    given: bool = False

    def opens(self, secret: str) -> bool:
        """Whether it is the person's PIN or password."""
        return any(kept and _matches(kept, secret) for kept in (self.pin, self.password))

    @property
    def can_act(self) -> bool:
        """Whether there is anything to know the person by."""
        return bool(self.password or self.pin or self.logins)


@dataclass(frozen=True, slots=True)
class People:
    """The people of a state folder."""

    register: Register

    def all(self) -> tuple[Person, ...]:
        """Everybody, in the order of their IDs."""
        return tuple(account.person for _, account in sorted(self._read().items()))

    def accounts(self) -> tuple[Account, ...]:
        """Everybody with what they are known by, in the order of their IDs."""
        return tuple(account for _, account in sorted(self._read().items()))

    def add(self, person: Person, password: str = "", pin: str = "", logins: Sequence[str] = (), npi: str = "") -> None:
        """Adds somebody, or puts what is given in the place of what was known.

        Raises PeopleError for a secret that is too short, for somebody who would have nothing to be known by, and for a
        new ID that could be taken for another.
        """
        if person.role == "automatic":
            raise PeopleError("Role 'automatic' is for programs; people have another.")
        known = self._read()
        if person.id not in known:
            _check_new_id(person.id, known)
        if password:
            _long_enough(password)
        if pin and not (pin.isascii() and pin.isdigit() and len(pin) >= LEAST_DIGITS):
            raise PeopleError(f"A PIN has {LEAST_DIGITS} digits or more, and nothing else.")
        if npi and not is_npi(npi):
            raise PeopleError(f"{npi!r} is no NPI: ten digits, the last of which checks the others.")
        hashed, hashed_pin = (_HASHER.hash(secret) if secret else "" for secret in (password, pin))
        account = Account(person, hashed, hashed_pin, tuple(dict.fromkeys(filter(None, logins))), npi)
        if not account.can_act:
            raise PeopleError(f"{person.id} needs a password, a PIN or a login; without one they could do nothing.")
        self._put(account)

    def change_password(self, identity: str, password: str) -> None:
        """Gives somebody another password; all else that is known of them stays. Raises PeopleError."""
        account = self._known(identity)
        self._put(replace(account, password=_HASHER.hash(_long_enough(password)), given=False))

    def give_password(self, person: Person, npi: str = "") -> str:
        """Adds somebody, or changes name, role and NPI of somebody known, with a new password that they have to change;
        what they were known by before opens nothing any more. Returns it: it is shown once.

        Raises PeopleError.
        """
        password = secrets.token_urlsafe(12)
        self.add(person, password, npi=npi)
        self._put(replace(self._read()[person.id], given=True))
        return password

    def change(self, person: Person, npi: str = "") -> None:
        """Changes name, role and NPI of somebody who is known; what they are known by stays. Raises PeopleError."""
        if npi and not is_npi(npi):
            raise PeopleError(f"{npi!r} is no NPI: ten digits, the last of which checks the others.")
        if person.role == "automatic":
            raise PeopleError("Role 'automatic' is for programs; people have another.")
        self._put(replace(self._known(person.id), person=person, npi=npi))

    def remove(self, identity: str) -> None:
        """Raises PeopleError when there is nobody of that ID."""
        if identity not in self._read():
            raise PeopleError(f"Nobody has the ID {identity!r}.")
        self.register.put(identity, None, datetime.now(UTC))

    def signed_in(self, identity: str, password: str) -> Person:
        """The person with that ID and password. Raises PeopleError, the same for an unknown ID and a wrong password."""
        account = self._believed(identity)
        # Somebody unknown, or without a password, takes as long as a wrong password.
        kept = account.password if account is not None else ""
        right = _matches(kept or _NOBODY, password)
        if account is None or not kept or not right:
            raise PeopleError("ID or password is wrong. Nobody was signed in.")
        return account.person

    def has_pin(self, identity: str) -> bool:
        """Whether somebody may sign with a PIN."""
        account = self._read().get(identity)
        return account is not None and bool(account.pin)

    def signature(self, identity: str, secret: str) -> Person:
        """The person whose PIN or password it is: somebody who is signed in signs. Raises PeopleError."""
        account = self._believed(identity)
        if account is None or not account.opens(secret):
            raise PeopleError("PIN or password is wrong. Nothing was signed.")
        return account.person

    def npi(self, identity: str) -> str:
        """The National Provider Identifier of somebody; empty where it, or the person, is not known."""
        account = self._read().get(identity)
        return account.npi if account is not None and not self.register.doubt(identity) else ""

    def needs_secret(self, identity: str, login: str) -> bool:
        """Whether somebody has to show PIN or password to act from an account of this machine. Raises PeopleError."""
        return login not in self._known(identity).logins

    def acting(self, identity: str, login: str, secret: str = "") -> Person:
        """The person who acts from an account of this machine: theirs, or with their PIN or password.

        Raises PeopleError when there is nobody of that ID, or nothing says that it is them.
        """
        account = self._known(identity)
        if login in account.logins or (secret and account.opens(secret)):
            return account.person
        if secret:
            raise PeopleError(f"PIN or password of {identity} is wrong. Nothing was done.")
        ways = [f"the account {' or '.join(map(repr, account.logins))}"] if account.logins else []
        ways += ["any with PIN or password"] if account.password or account.pin else []
        raise PeopleError(f"{identity} acts from {', or '.join(ways)}; this is {login!r}. Nothing was done.")

    def _believed(self, identity: str) -> Account | None:
        """What is known of somebody, None for nobody. Raises PeopleError where it was written by hand."""
        account = self._read().get(identity)
        why = self.register.doubt(identity)
        if why:
            raise PeopleError(
                f"{why} Nothing was done; an administrator enters {identity} anew with `workstation people add`."
            )
        return account

    def _known(self, identity: str) -> Account:
        account = self._believed(identity)
        if account is None:
            raise PeopleError(f"Nobody has the ID {identity!r}; `workstation people add` adds them.")
        return account

    def _read(self) -> dict[str, Account]:
        try:
            return {identity: _account(row) for identity, row in self.register.newest().items()}
        except (ValueError, KeyError, TypeError) as error:
            raise PeopleError(
                f"The register of people cannot be read: {error}. Put a copy from before back."
            ) from error

    def _put(self, account: Account) -> None:
        known = {key: value for key, value in asdict(account).items() if key != "person" and value}
        self.register.put(account.person.id, {**asdict(account.person), **known}, datetime.now(UTC))


def _account(row: dict[str, Any]) -> Account:
    return Account(
        Person(row["id"], row["name"], checked_role(row["role"])),
        row.get("password", ""),
        row.get("pin", ""),
        tuple(row.get("logins", ())),
        row.get("npi", ""),
        bool(row.get("given")),
    )


def _check_new_id(identity: str, known: Iterable[str]) -> None:
    """Raises PeopleError for an ID that looks like another one, or means something else where IDs stand: what people
    did is told apart by it alone. Source: Unicode Technical Report 36, 2 (visual security)."""
    if not identity.isprintable() or unicodedata.normalize("NFKC", identity) != identity:
        raise PeopleError(f"{identity!r}: an ID has no invisible signs, and no others that look like plain ones.")
    if identity.casefold() in _NOBODYS or identity.casefold().startswith("result-link-"):
        raise PeopleError(f"{identity!r} is nobody's ID: it means something else in lists and in the audit trail.")
    near = next((each for each in known if each.casefold() == identity.casefold()), "")
    if near:
        raise PeopleError(f"{identity!r} looks like {near!r}, who is in the register already.")


def _long_enough(password: str) -> str:
    if len(password) < LEAST_LENGTH:
        raise PeopleError(f"The password has {len(password)} characters; {LEAST_LENGTH} are needed at least.")
    return password


def _matches(kept: str, secret: str) -> bool:
    try:
        return _HASHER.verify(kept, secret)
    except (VerificationError, InvalidHashError):
        return False


def is_npi(text: str) -> bool:
    """Whether it can be a National Provider Identifier: ten digits, by Luhn's formula behind the prefix 80840.

    Source: CMS, Requirements for National Provider Identifier (NPI) and NPI Check Digit.
    """
    if not (len(text) == 10 and text.isascii() and text.isdigit()):
        return False
    doubled = [2 * int(d) if n % 2 else int(d) for n, d in enumerate(reversed("80840" + text))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def account() -> str:
    """The account of this machine that runs the program, as the system knows it.

    Not as the environment says: LOGNAME and its like are whatever the caller sets them to.
    """
    try:
        import pwd
    except ImportError:  # Windows
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may give its only account no name
        return f"uid {os.getuid()}"


def people_in(register: Register, root: Path) -> People:
    """The people of a state folder. Where nobody is in the register yet, those of a `people.json`, as it was kept
    before, are entered first. Raises PeopleError when that file cannot be read."""
    people, file = People(register), root / "people.json"
    if file.is_file() and people.register.untouched:
        try:
            for row in json_in(file):
                people._put(_account(row))
        except (StrictError, ValueError, KeyError, TypeError) as error:
            raise PeopleError(f"{file} cannot be read: {error}. Put a copy from before back.") from error
        file.replace(file.with_name("people.json.entered"))
    return people


def people_of(root: Path) -> People:
    """The people of a state folder, without the rest of its site."""
    from workstation.config import load_config

    database = database_of(root, load_config(root).database)
    make_ready(database)
    return people_in(Register(database), root)
