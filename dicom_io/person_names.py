"""Person names as DICOM writes them (PN), taken apart and written for people. Source: PS3.5 6.2.1."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NameGroup:
    """A name in one script: its five components, unchanged."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""

    def __bool__(self) -> bool:
        return any(part.strip() for part in (self.family, self.given, self.middle, self.prefix, self.suffix))

    @property
    def listed(self) -> str:
        """The name for lists: `Meier, Anna`."""
        rest = _joined(self.given, self.middle, self.prefix, self.suffix)
        return ", ".join(part for part in (_joined(self.family), rest) if part)

    @property
    def spoken(self) -> str:
        """The name for sentences: `Dr. Anna Meier`."""
        return _joined(self.prefix, self.given, self.middle, self.family, self.suffix)

    @property
    def pn(self) -> str:
        """The name as DICOM writes it, without empty `^` at the end."""
        return "^".join((self.family, self.given, self.middle, self.prefix, self.suffix)).rstrip("^")


def group_of(text: str) -> NameGroup:
    """Reads a component group, `family^given^middle^prefix^suffix`."""
    return NameGroup(*(*text.split("^"), "", "", "", "", "")[:5])


def _joined(*parts: str) -> str:
    """Joins parts with single blanks; other blanks in them go."""
    return " ".join(" ".join(parts).split())


def groups_of(pn: str) -> tuple[NameGroup, NameGroup, NameGroup]:
    """Returns the alphabetic, ideographic and phonetic group of a PN. Source: PS3.5 6.2.1.1."""
    alphabetic, ideographic, phonetic = (*pn.split("="), "", "", "")[:3]
    return group_of(alphabetic), group_of(ideographic), group_of(phonetic)


def first_group(pn: str) -> NameGroup:
    """Returns the group to show where there is room for one: the alphabetic one, else the first that there is."""
    return next(filter(None, groups_of(pn)), NameGroup())


def listed(pn: str) -> str:
    """Returns a name for lists: `Meier, Anna`."""
    return first_group(pn).listed


def spoken(pn: str) -> str:
    """Returns a name for sentences: `Dr. Anna Meier`."""
    return first_group(pn).spoken
