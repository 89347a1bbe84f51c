"""Sentences that are made in English are recognised and said in another language: none of a kind is left out."""

import re
import time
from pathlib import Path

import pytest

from dicom_io.volumes import stacks
from render.engine.choice import choose
from render.presets import named_preset, preset_names, windows
from render.protocols import load_protocol, protocol_names
from render.trajectory import Clearance, TrajectoryMeasures
from tests.workstation.charge.strategies import CASES, FIRST_CASES
from tests.workstation.shown import answers_of_destinations, returned, shown_errors, shown_findings, shown_reasons
from workstation import translation
from workstation.charge import decide, load_policy, read_facts
from workstation.charge.facts import Contract
from workstation.hosts import HostNote
from workstation.records.measurements import clearances_in_words
from workstation.translation import recognised, translated

LANGUAGES = sorted(file.stem for file in (Path(translation.__file__).parent / "languages").glob("*.toml"))
PLACE = re.compile("‹[0-9]+›")


def unsaid(text: str, language: str) -> bool:
    """Whether a sentence is not known, or loses something that is filled in."""
    said = recognised(text, language)
    return said is None or said == text or set(PLACE.findall(said)) != set(PLACE.findall(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_that_a_screen_shows_is_said(language: str) -> None:
    found = dict(shown_errors())
    assert len(found) > 400
    assert {text: where for text, where in found.items() if unsaid(text, language)} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_found_about_a_site_is_said(language: str) -> None:
    found = dict(shown_findings())
    assert len(found) > 50
    assert {text: where for text, where in found.items() if unsaid(text, language)} == {}
    reached = answers_of_destinations()
    assert len(reached) >= 5
    others = [HostNote("ws1", "/state", at).words for at in ("", "2026-03-02")]
    engines = [choose().why, *(choose("vtk", lambda name=name: name).why for name in ("", "llvmpipe", "Quadro"))]  # type: ignore[misc]
    assert [text for text in [*(f"{words}." for words in others), *engines, *reached] if unsaid(text, language)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_why_a_series_makes_no_volume_is_said(language: str) -> None:
    found = returned(stacks._why_no_source)
    assert len(found) >= 10
    assert [text for text in found if unsaid(text, language)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_preset_window_and_protocol_is_called_something(language: str) -> None:
    titles = [load_protocol(name).title for name in protocol_names()] + [named.title for named in windows()]
    titles += [named_preset(name).title for name in preset_names()]
    assert len(titles) > 40 and [title for title in titles if recognised(title, language) is None] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_a_charge_is_said(language: str) -> None:
    found = dict(shown_reasons())
    assert len(found) > 40
    given: list[tuple[Contract, dict[str, object]]] = [(2, each["facts"]) for each in CASES]
    given += [(1, each["facts"]) for each in FIRST_CASES]
    for name in ("guide", "cpt"):
        policy = load_policy(name)
        for contract, facts in given:
            found |= {each.sentence: each.code for each in decide(read_facts(facts, contract), policy).reasons}
    assert {text: where for text, where in found.items() if unsaid(text, language)} == {}


def test_what_was_filled_in_stays_and_words_among_it_are_said() -> None:
    said = translated("The person named as supervisor is a qualified professional; it takes a physician.", "de")
    assert said == "Wer als Aufsicht genannt ist, ist Fachkraft; dazu braucht es einen Arzt."
    said = translated("CHEST and EXTREMITY L was rendered, which is neither in the base examination nor next to it; "
                      "correct the order or the link.", "de")  # fmt: skip
    assert said.startswith("Gerendert wurde Thorax und Extremität links, was weder")
    reasons = (
        "gap of 5 mm between instances 3 and 4, expected 2.5 ± 0.03 mm (2 such places). Ask the modality to send the "
        "series again, or have the gap bridged (--bridge-gaps).; a single image is no volume (a localizer, scout or "
        "reformat)."
    )
    said = translated(f"Series 1.2.3: no volume was built: {reasons}", "de")
    assert said == (
        "Serie 1.2.3: Kein Volumen wurde gebaut: Lücke von 5 mm zwischen Instanz 3 und 4, erwartet 2.5 ± 0.03 mm "
        "(2 solche Stellen). Die Modalität die Serie neu senden lassen oder die Lücke überbrücken.; ein einzelnes Bild "
        "ist kein Volumen (Localizer, Scout oder Reformation)."
    )
    # Braces of what is filled in are no places, and what is too long is left alone.
    assert translated("Nobody has the ID {0.__class__}.", "de") == "Niemand hat die Kennung {0.__class__}."
    assert translated("Nobody has the ID " + "x" * 5000 + ".", "de").startswith("Nobody")


@pytest.mark.parametrize(
    "text",
    ["a. " * 1300, "No sac: " * 490, "Nothing was rendered. " * 180, ", " * 1900 + " mm between instances",
     "The record is incomplete: " + ", ".join(["a: b"] * 39) + ".", "‹" * 4000],
)  # fmt: skip
def test_no_text_is_too_much(text: str) -> None:
    began = time.thread_time()
    translated(text, "de")
    assert time.thread_time() - began < 5.0


def test_what_is_not_known_stays_as_it_is() -> None:
    for text in ("", "JD: the payer wants it so", "No such sentence."):
        assert translated(text, "de") == text
    assert translated("Nothing was rendered. JD: wait. No closed edge.", "de") == (
        "Nichts wurde gerendert. JD: wait. No closed edge."
    )
    assert translated("Nothing was rendered.", "en") == "Nothing was rendered."
    assert recognised("No such sentence.", "de") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_trajectory_says_is_said(language: str) -> None:
    near, through = Clearance(3.25, 41.0, (0.0, 0.0, 0.0), 0.0), Clearance(0.0, 12.0, (0.0, 0.0, 0.0), 4.5)
    found = TrajectoryMeasures(60.0, (0.0, 0.0, 0.0), -10.0, 20.0, {"Basilar": near, "Vein": through})
    lines = [*clearances_in_words(found), "81.7 mm deep"]
    lines += [f"62° to the {aside}, 45° to the {along}" for aside in ("left", "right") for along in ("front", "back")]
    for line in lines:
        assert recognised(line, language) is not None, line
    assert recognised(lines[-1], "de") == "62° nach rechts, 45° nach hinten"
