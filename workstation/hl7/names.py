"""Converts person names between DICOM and HL7: PN has prefix before suffix, XPN suffix before prefix.

Sources: PS3.5 6.2.1 (PN); HL7 v2.5.1 2.A.88 (XPN).
"""

from dicom_io.person_names import NameGroup, group_of


def xpn_components(group: NameGroup) -> tuple[str, str, str, str, str]:
    """Returns XPN-1 to XPN-5 of a name, unescaped."""
    return group.family, group.given, group.middle, group.suffix, group.prefix


def pn_of_xpn(text: str) -> str:
    """Converts a name of an HL7 message, unescaped, to a PN. Of the family name (FN) only the first part is used."""
    name = group_of(text)
    return NameGroup(name.family.split("&")[0], name.given, name.middle, name.suffix, name.prefix).pn
