"""The pages that the bar at the top offers, by role."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicom_io.evidence import Role
from workstation.web.call import Call, Roles


@dataclass(frozen=True, slots=True)
class NavEntry:
    """A page of the bar. roles : who is offered it; the first entry of a role is where they begin. waiting : how many
    things wait there for the person, shown beside the title."""

    path: str
    title: str
    roles: Roles
    waiting: Callable[[Call], int] = lambda call: 0


@dataclass(frozen=True, slots=True)
class NavLink:
    """An entry as a page shows it."""

    path: str
    title: str
    here: bool
    count: int


def links(bar: Sequence[NavEntry], call: Call) -> tuple[NavLink, ...]:
    """Returns the links of the bar for who is signed in."""
    if call.person is None:
        return ()
    role, at = call.person.role, call.request.url.path
    return tuple(
        NavLink(each.path, each.title, at == each.path or at.startswith(f"{each.path}/"), each.waiting(call))
        for each in bar
        if role in each.roles
    )


def home_of(bar: Sequence[NavEntry], role: Role) -> str:
    """Returns the page where a role begins; empty where there is none."""
    return next((each.path for each in bar if role in each.roles), "")
