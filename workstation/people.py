"""Who may work here: people with a role and a password, and their signatures.

One JSON file in the state folder, readable by its owner alone; passwords are kept as argon2id hashes (RFC 9106).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock

from dicom_io.evidence import Person, checked_role
from workstation.errors import WorkstationError

_HASHER = PasswordHasher()
LEAST_LENGTH = 8
LEAST_DIGITS = 6


class PeopleError(WorkstationError):
    """Somebody who is not known, a wrong password, or a file that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person and the hashes of the password and, where there is one, of the PIN to sign with."""

    person: Person
    password: str
    pin: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """The people of a state folder."""

    file: Path

    def all(self) -> tuple[Person, ...]:
        """Everybody, in the order of their IDs."""
        return tuple(account.person for _, account in sorted(self._read().items()))

    def add(self, person: Person, password: str, pin: str = "") -> None:
        """Adds somebody, or gives a new role, password or PIN. Raises PeopleError for one too short."""
        if len(password) < LEAST_LENGTH:
            raise PeopleError(f"The password has {len(password)} characters; {LEAST_LENGTH} are needed at least.")
        if person.role == "automatic":
            raise PeopleError("Role 'automatic' is for programs; people have another.")
        if pin and not (pin.isascii() and pin.isdigit() and len(pin) >= LEAST_DIGITS):
            raise PeopleError(f"A PIN has {LEAST_DIGITS} digits or more, and nothing else.")
        with self._locked():
            account = Account(person, _HASHER.hash(password), _HASHER.hash(pin) if pin else "")
            self._write({**self._read(), person.id: account})

    def remove(self, identity: str) -> None:
        """Raises PeopleError when there is nobody of that ID."""
        with self._locked():
            accounts = self._read()
            if accounts.pop(identity, None) is None:
                raise PeopleError(f"Nobody has the ID {identity!r}.")
            self._write(accounts)

    def signed_in(self, identity: str, password: str) -> Person:
        """The person with that ID and password. Raises PeopleError, the same for an unknown ID and a wrong password."""
        account = self._read().get(identity)
        # Somebody unknown takes as long as a wrong password.
        right = _matches(account.password if account else _NOBODY, password)
        if account is None or not right:
            raise PeopleError("ID or password is wrong. Nobody was signed in.")
        return account.person

    def has_pin(self, identity: str) -> bool:
        """Whether somebody may sign with a PIN."""
        account = self._read().get(identity)
        return account is not None and bool(account.pin)

    def signature(self, identity: str, secret: str) -> Person:
        """The person whose PIN or password it is: somebody who is signed in signs. Raises PeopleError."""
        account = self._read().get(identity)
        if account is None or not (
            (account.pin and _matches(account.pin, secret)) or _matches(account.password, secret)
        ):
            raise PeopleError("PIN or password is wrong. Nothing was signed.")
        return account.person

    def _locked(self) -> FileLock:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.file}.lock")

    def _read(self) -> dict[str, Account]:
        try:
            rows = json.loads(self.file.read_text(encoding="utf-8"))
            return {
                row["id"]: Account(
                    Person(row["id"], row["name"], checked_role(row["role"])), row["password"], row.get("pin", "")
                )
                for row in rows
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise PeopleError(f"{self.file} cannot be read: {error}. Put a copy from before back.") from error

    def _write(self, accounts: dict[str, Account]) -> None:
        rows = [
            {**asdict(a.person), "password": a.password, **({"pin": a.pin} if a.pin else {})} for a in accounts.values()
        ]
        part = self.file.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=2, ensure_ascii=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self.file)


def _matches(kept: str, secret: str) -> bool:
    try:
        return _HASHER.verify(kept, secret)
    except (VerificationError, InvalidHashError):
        return False


_NOBODY = _HASHER.hash("nobody has this password")


def people_of(root: Path) -> People:
    """The people of a state folder."""
    return People(root / "people.json")
