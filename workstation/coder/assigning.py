"""Whose work a case is; and one act on several cases, each by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicom_io.evidence import Person
from workstation.coder.acts import may
from workstation.coder.queue_rows import NOBODY, owner_of
from workstation.coder.work_list import WorkError, find
from workstation.errors import WorkstationError
from workstation.site import Site

_MAY_OWN = ("coder", "compliance")


@dataclass(frozen=True, slots=True)
class ActOnOne:
    """What became of one of several cases. refused : why nothing was done with it; empty where it was done."""

    case: str
    refused: str


def one_by_one(cases: Sequence[str], act: Callable[[str], object]) -> tuple[ActOnOne, ...]:
    """Do an act on each of several cases, named once each. One that is refused keeps none of the others back."""
    done = []
    for case in dict.fromkeys(cases):
        try:
            act(case)
        except WorkstationError as error:
            done.append(ActOnOne(case, str(error)))
        else:
            done.append(ActOnOne(case, ""))
    return tuple(done)


def assign(site: Site, word: str, by: Person, to: str, why: str = "") -> None:
    """Say whose work a case is: somebody's of the register, or nobody's (empty, or `nobody`). Nothing else follows.

    Raises WorkError when this person may not, or nobody of that ID works on charges.
    """
    why = why or ("assigned" if to not in ("", NOBODY) else "assigned to nobody")
    who, to = may(by, "assign", why), "" if to == NOBODY else to
    roles = {person.id: person.role for person in site.people.all()}
    if to and roles.get(to) not in _MAY_OWN:
        found = f"is a {roles[to]}" if to in roles else "is not in the register of people"
        raise WorkError(f"{to} {found}; a case is assigned to a {' or '.join(_MAY_OWN)}. Nothing was done.")
    ruling = find(site, word)
    if owner_of(site.casebook.acts(ruling.session, {"assign"})) != to:
        at = site.clock()
        site.casebook.act(ruling.session, ruling.accession, at, who.id, who.role, "assign", why, {"to": to}, due=False)
