"""Which sentences state a fact and which only sound like it, with the reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from tests.workstation.conftest import Command
from workstation.orders.sentences import facts_in, marked_parts, sentences_in
from workstation.reading import Reading

FAILING = Path(__file__).with_name("failing")
READING = Reading(
    phrases={
        "three_d_findings": (r"3D (images|renderings?) (show|demonstrate)",),
        "workstation_statement": (r"on an independent workstation",),
        "medical_necessity": (r"3D .{0,40}(was|were) (medically )?necessary",),
        "clinical_utility": (r"3D .{0,60}(clarif|chang|help)",),
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "3D images show a fracture.",
        "3D images show no fracture.",
        "3D images show no evidence of fracture and no new displacement.",
        "3D renderings demonstrate healing without displacement.",
        "Impression: 3D images\nshow a fracture",
        "[x] 3D images show a fracture",
        "3D images show a fracture [series 5, image 12].",
        "3D images show a lesion < 5 mm or > 3 mm, which may be benign.",
        "Compared with the prior CT, 3D images show healing.",
        "No bleeding. 3D images show a fracture; no other injury",
    ],
)
def test_what_states(text: str) -> None:
    assert facts_in(text, READING) == {"three_d_findings"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[3D images show ____]", "template"),
        ("3D images show ____.", "template"),
        ("3D images show ***.", "template"),
        ("3D images show [ ].", "template"),
        ("3D images show {finding}.", "template"),
        ("3D images show <finding>.", "template"),
        ("[Pick one. 3D images show a fracture. 3D images show none]", "template"),
        ("[ ] 3D images show a fracture", "template"),
        ("[3D images show a fracture", "template"),
        ("Per outside report 3D images show a fracture.", "another report"),
        ("According to the prior reading, 3D images show a fracture.", "another report"),
        ("The outside radiology report says that 3D images show a fracture.", "another report"),
        ("3D images show nothing.", "negated"),
        ("3D images show no additional information.", "negated"),
        ("No 3D images show the fracture.", "negated"),
        ("3D images show no fracture and were not needed.", "negated"),
        ("3D images show little as they weren't complete.", "negated"),
        ("If 3D images show a fracture, operate.", "condition"),
        ("3D images show a fracture if windowed.", "condition"),
        ("It is recommended that 3D images show the course.", "condition"),
        ("It would be good if 3D images show it.", "condition"),
    ],
)
def test_what_only_sounds_like_it(text: str, why: str) -> None:
    assert facts_in(text, READING) == frozenset()
    assert any(why in each.why_not for each in sentences_in(text, READING)), sentences_in(text, READING)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3D rendering was not performed.", "none of the phrases"),
        ("3D recommended.", "none of the phrases"),
        ("3D would help to plan.", "condition"),
        ("3D could have clarified it.", "condition"),
        ("3D was not necessary.", "none of the phrases"),
        ("3D rendering never was necessary.", "negated"),
    ],
)
def test_near_sentences_of_other_facts(text: str, why: str) -> None:
    (sentence,) = sentences_in(text, READING)
    assert not sentence.counts and why in sentence.why_not


def test_one_way_of_saying_it_is_enough() -> None:
    reading = Reading(phrases={"three_d_findings": ("renderings show", "3D images show")})
    (sentence,) = sentences_in("3D images show x, no fracture, renderings show y", reading)
    assert sentence.counts
    (sentence,) = sentences_in("It is not that renderings show it, if 3D images show it", reading)
    assert sentence.why_not == "it is negated ('not')"


def test_a_blank_spoils_its_own_sentence_alone() -> None:
    assert facts_in("[ ]. 3D images show a fracture. [ ]", READING) == {"three_d_findings"}


def test_the_reason_quotes_the_word() -> None:
    for text, why in (
        ("Per outside report 3D images show it", "it repeats what another report says ('Per outside')"),
        ("3D images show it if wanted", "it is a condition or a wish ('if')"),
        ("3D images show nothing", "it is negated ('nothing')"),
    ):
        assert [each.why_not for each in sentences_in(text, READING)] == [why]


def test_a_negative_finding_is_a_finding_and_no_necessity() -> None:
    text = "3D imaging was necessary with no fracture."
    assert facts_in(text, READING) == frozenset()


@steady
@given(st.text(st.sampled_from("3D images show no fracture.;[]{}<>_*\n if"), max_size=80))
def test_a_negated_whole_states_nothing(text: str) -> None:
    sentences_in(text, READING)
    plain = " ".join(text.replace(".", " ").replace(";", " ").split())
    assert facts_in(f"Not so: {plain}", READING) == frozenset()


def test_the_command_shows_which_sentences_count_and_which_nearly_do(tmp_path: Path, command: Command) -> None:
    (tmp_path / "root").mkdir(exist_ok=True)
    (tmp_path / "root" / "config.toml").write_bytes((FAILING / "config.toml").read_bytes())
    file = tmp_path / "report.hl7"
    body = (FAILING / "report_ok.hl7").read_bytes().replace(b"3D was necessary", b"3D was not necessary")
    file.write_bytes(body.replace(b"3D helped", b"3D would have helped"))
    found = command("charge", "read", str(file))
    assert "counts as three_d_findings: 3D images show a fracture." not in found.err
    for line in (
        "  counts as three_d_findings: 3D images show a fracture",
        "  does not count, none of the phrases is in it: 3D was not necessary to plan",
        "  does not count as clinical_utility, it is a condition or a wish",
    ):
        assert line in found.out, found.out


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("3D clarified the course.", True),
        ("3D\u00a0clarified the course of 3 \u00b5m.", True),
        ("3D clari\ufb01ed the course.", True),
        ("3D clarified noth\u00ading.", False),
        ("3D clarified no\u200bthing.", False),
        ("3D clarified \uff4eothing.", False),
        ("3D clarified n\u043ething.", False),
    ],
)
def test_letters_are_read_as_they_look(text: str, counts: bool) -> None:
    reading = Reading(phrases={"clinical_utility": (r"3D clarified",)})
    assert facts_in(text, reading) == ({"clinical_utility"} if counts else set())


@given(st.text(st.sampled_from("3D images show it.;?!\n \u00adＡ"), max_size=60))
def test_the_parts_of_a_text_are_the_text(text: str) -> None:
    """As it is read: wide letters as plain ones, and nothing that cannot be seen."""
    assert "".join(part.text for part in marked_parts(text, READING)) == text.replace("\u00ad", "").replace("Ａ", "A")


def test_each_part_has_its_own_sentences() -> None:
    text = "  Technique: 3D.\n\n3D images show the fracture. No bleeding.  "
    parts = marked_parts(text, READING)
    assert [part.text for part in parts] == [
        "  Technique: 3D.",
        "\n\n",
        "3D images show the fracture.",
        " No bleeding.",
        "  ",
    ]
    assert [[(each.text, each.counts) for each in part.sentences] for part in parts] == [
        [("Technique: 3D", False)],
        [],
        [("3D images show the fracture", True)],
        [],
        [],
    ]
