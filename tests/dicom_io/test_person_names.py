"""Names as DICOM writes them, for lists and for sentences, and into HL7 and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import PersonName

from dicom_io.person_names import NameGroup, groups_of, listed, spoken
from workstation.hl7.names import pn_of_xpn, xpn_components

NAMES = (
    # A name, for lists, for sentences. The last three: PS3.5 H.3 and I.2, and what scanners write.
    ("Meier^Anna^Maria^Dr.^MD", "Meier, Anna Maria Dr. MD", "Dr. Anna Maria Meier MD"),
    ("Meier^Anna", "Meier, Anna", "Anna Meier"),
    ("Meier", "Meier", "Meier"),
    ("", "", ""),
    ("^^^^", "", ""),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou", "Tarou Yamada"),
    ("=山田^太郎", "山田, 太郎", "太郎 山田"),
    ("  Meier ^  Anna   Maria", "Meier, Anna Maria", "Anna Maria Meier"),
)
_part = st.text(st.characters(whitelist_categories=("L", "N"), whitelist_characters="-.'"), max_size=8)


@pytest.mark.parametrize(("pn", "in_a_list", "in_a_sentence"), NAMES)
def test_names_for_people(pn: str, in_a_list: str, in_a_sentence: str) -> None:
    assert (listed(pn), spoken(pn)) == (in_a_list, in_a_sentence)


@given(st.lists(_part, min_size=5, max_size=5), st.lists(_part, min_size=5, max_size=5))
def test_components_are_those_that_pydicom_finds(one: list[str], other: list[str]) -> None:
    pn = f"{'^'.join(one)}={'^'.join(other)}"
    theirs = PersonName(pn)
    group = groups_of(pn)[0]
    assert group == NameGroup(*one)
    assert (group.family, group.given, group.middle, group.prefix, group.suffix) == (
        theirs.family_name, theirs.given_name, theirs.middle_name, theirs.name_prefix, theirs.name_suffix,
    )  # fmt: skip
    assert groups_of(pn)[1] == NameGroup(*other)


@given(st.lists(_part, min_size=5, max_size=5))
def test_into_hl7_and_back_is_the_same_name(parts: list[str]) -> None:
    group = NameGroup(*parts)
    assert pn_of_xpn("^".join(xpn_components(group))) == group.pn


def test_prefix_and_suffix_change_places_in_hl7() -> None:
    """PN is family, given, middle, prefix, suffix; XPN has the suffix before the prefix."""
    assert xpn_components(NameGroup("Meier", "Anna", "", "Dr.", "MD")) == ("Meier", "Anna", "", "MD", "Dr.")
    assert pn_of_xpn("Meier&von^Anna^^MD^Dr.") == "Meier^Anna^^Dr.^MD"
