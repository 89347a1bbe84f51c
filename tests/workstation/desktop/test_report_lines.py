"""What a tool writes into the findings stands there once, however often it is asked to."""

from hypothesis import given
from hypothesis import strategies as st

from workstation.desktop.model.report_lines import with_lines

WORDS = st.text("ab ä.", min_size=1, max_size=5).map(str.strip).filter(bool)
LINES = st.lists(WORDS, min_size=1, max_size=4)


@given(LINES, LINES, LINES)
def test_lines_take_the_place_of_those_before_and_the_rest_stays(
    own: list[str], old: list[str], new: list[str]
) -> None:
    first = with_lines("\n".join(own), old)
    assert with_lines(first, old) == first
    if set(own) & {*old, *new}:
        return  # a line of a person's own that reads like the tool's cannot be told from it
    again = with_lines(first, new, (old,))
    assert with_lines(again, new, (old,)) == again
    assert again.split("\n") == [*own, *new]


def test_what_a_person_changed_is_theirs() -> None:
    before = with_lines("Indicated.", ["Sum 40 mm.", "Partial response."])
    changed = before.replace("Partial response.", "Partial response, in my view stable.") + "\nNothing else."
    after = with_lines(changed, ["Sum 38 mm."], [["Sum 40 mm.", "Partial response."]])
    assert after.split("\n") == [*changed.split("\n"), "Sum 38 mm."]


def test_it_keeps_its_place_between_what_was_written_around_it() -> None:
    text = "Above.\nSum 40 mm.\n\nBelow."
    assert with_lines(text, ["Sum 38 mm.", "Stable."], ((), ["Sum 40 mm."])) == "Above.\nSum 38 mm.\nStable.\n\nBelow."
    assert with_lines("", ["One\nTwo"]) == "One\nTwo"
    assert with_lines("  \n", ["One"]) == "One"
    assert with_lines("Above.", []) == "Above."
