"""Converts person names between DICOM and HL7: PN has prefix before suffix, XPN suffix before prefix; and physicians.

Sources: PS3.5 6.2.1 (PN); HL7 v2.5.1 2.A.88 (XPN), 2.A.86 (XCN), 2.A.33 (HD).
"""

from dataclasses import dataclass

from dicom_io.person_names import NameGroup, first_group, group_of
from workstation.hl7.syntax import escape, join_components

# Who assigns NPIs, as HD: the name that receivers know, and the registered object identifier.
NPI_AUTHORITY = ("NPI", "2.16.840.1.113883.4.6", "ISO")
_LONGEST_AUTHORITY = 20


@dataclass(frozen=True, slots=True)
class Physician:
    """A physician as messages name one. id : the local identifier, or the NPI where that is all that is known.

    name : a DICOM PN. authority : who assigned the identifier, HD as `namespace&universal id&type`, with no other `&`.
    """

    id: str = ""
    name: str = ""
    authority: str = ""
    npi: str = ""


def xpn_components(group: NameGroup) -> tuple[str, str, str, str, str]:
    """Returns XPN-1 to XPN-5 of a name, unescaped."""
    return group.family, group.given, group.middle, group.suffix, group.prefix


def pn_of_xpn(text: str) -> str:
    """Converts a name of an HL7 message, unescaped, to a PN. Of the family name (FN) only the first part is used."""
    name = group_of(text)
    return NameGroup(name.family.split("&")[0], name.given, name.middle, name.suffix, name.prefix).pn


def xcn_of(physician: Physician, issuer: str = "") -> str:
    """Writes a physician with the local identifier; empty where there is none. issuer : where no authority is stated.

    The identifier alone where nothing else is known.
    """
    if not physician.id:
        return ""
    if physician.id == physician.npi:
        return _xcn(physician, physician.npi, "&".join(NPI_AUTHORITY), "NPI")
    authority = physician.authority or issuer
    if len(escape(authority.split("&")[0])) > _LONGEST_AUTHORITY:
        authority = ""  # HD.1 holds no more (HL7 v2.5.1 2.A.33), and half of a name is another one
    return _xcn(physician, physician.id, authority, "")


def npi_xcn_of(physician: Physician) -> str:
    """Writes a physician with the NPI; empty where it is not known."""
    return _xcn(physician, physician.npi, "&".join(NPI_AUTHORITY), "NPI") if physician.npi else ""


def _xcn(physician: Physician, identifier: str, authority: str, kind: str) -> str:
    name = join_components(*xpn_components(first_group(physician.name)))
    family_to_prefix = [*name.split("^"), *[""] * 5][:5]
    by = "&".join(map(escape, authority.split("&"))).rstrip("&")
    parts = [escape(identifier), *family_to_prefix, "", "", by, "L" if name else "", "", "", kind]
    return "^".join(parts).rstrip("^")
