"""What observations, notes and the words of a report state by the site's own codes and phrases."""

import base64
import re

from workstation.config import Reading, ReportFact
from workstation.hl7.reader import Incoming, Segment

# HL7 table 0085 and 0136: what says yes in an observation.
_YES = ("Y", "YES", "TRUE", "1")


def coded_facts(message: Incoming, reading: Reading) -> frozenset[ReportFact]:
    """The facts that coded observations state."""
    return frozenset(
        reading.observations[obx.text(3)]
        for obx in message.all("OBX")
        if _stands(obx) and obx.text(3) in reading.observations and obx.text(5).upper() in _YES
    )


def _value(obx: Segment) -> str:
    """The free text of an observation. Of encapsulated data (ED) it is the text that is in it, plain or in Base64; a
    document that is no text (PDF) says nothing here. Source: HL7 v2.5.1 2.A.24."""
    if obx.text(2) != "ED":
        return obx.whole(5)
    if obx.text(5, 2).upper() != "TEXT":
        return ""
    if obx.text(5, 4).upper() != "BASE64":
        return obx.text(5, 5)
    try:
        return base64.b64decode(obx.text(5, 5), validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def _stands(segment: Segment) -> bool:
    """Whether an observation says anything: not one that is deleted, wrong, not asked for, pending, or cannot be had.

    Source: HL7 v2.5.1 table 0085 (OBX-11).
    """
    return segment.name != "OBX" or segment.text(11) not in ("D", "W", "X", "N", "I")


def spoken_facts(message: Incoming, reading: Reading, names: tuple[str, ...]) -> frozenset[ReportFact]:
    """The facts that phrases in free text state."""
    standing = [segment for segment in message.all(*names) if _stands(segment)]
    text = "\n".join(segment.whole(3) if segment.name == "NTE" else _value(segment) for segment in standing)
    return facts_in(text, reading)


def facts_in(text: str, reading: Reading) -> frozenset[ReportFact]:
    """Return what a text states by the site's phrases. A sentence that negates states nothing.

    A sentence ends at a full stop, a question or exclamation mark, a semicolon or an empty line; a phrase may run over
    the end of a line.
    """
    found: set[ReportFact] = set()
    for sentence in re.split(r"[.!?;](?:\s|$)|\n\s*\n", text):
        plain = re.sub(r"\s+", " ", sentence).strip()
        if not plain or re.search(reading.negations, plain, re.IGNORECASE):
            continue
        for fact, phrases in reading.phrases.items():
            if any(re.search(phrase, plain, re.IGNORECASE) for phrase in phrases):
                found.add(fact)
    return frozenset(found)
