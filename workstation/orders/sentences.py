"""Which sentences of a report state a fact, by the site's phrases; and which nearly do, with the reason why not."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from workstation.reading import Reading, ReportFact

# A sentence ends at a full stop, a question or exclamation mark, a semicolon or an empty line; a phrase may run over
# the end of a line.
_END = re.compile(r"[.!?;](?=\s|$)|\n[^\S\n]*\n")
# What a sentence has that may have been meant to state something, for people who write phrases.
_NEAR = re.compile(r"\b3-?\s?D\b|\bthree[- ]dimensional\b|\bworkstation\b|\b(volume|surface) render", re.IGNORECASE)

# A word that looks as another one: Latin letters beside Cyrillic ones or a Greek omicron.
_TWO_SCRIPTS = re.compile(r"\b(?=\w*[A-Za-z])\w*[\u0400-\u052f\u039f\u03bf]\w*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that states a fact, or nearly does. fact : empty where no phrase was found. why_not : empty where it
    counts."""

    text: str
    fact: ReportFact | None
    why_not: str

    @property
    def counts(self) -> bool:
        """Whether it states its fact."""
        return self.fact is not None and not self.why_not


def facts_in(text: str, reading: Reading) -> frozenset[ReportFact]:
    """Return what a text states by the site's phrases."""
    return facts_stated(sentences_in(text, reading))


def facts_stated(sentences: tuple[Sentence, ...]) -> frozenset[ReportFact]:
    """Return the facts of the sentences that count."""
    return frozenset(each.fact for each in sentences if each.fact is not None and each.counts)


@dataclass(frozen=True, slots=True)
class MarkedPart:
    """A part of a text as it is read, with its blanks and ends of lines. sentences : what it states, or nearly does."""

    text: str
    sentences: tuple[Sentence, ...]


def sentences_in(text: str, reading: Reading) -> tuple[Sentence, ...]:
    """Return the sentences of a text that state a fact, or would but for their wording. Each is as `marked_parts` has
    it."""
    return tuple(each for part in marked_parts(text, reading) for each in part.sentences)


def marked_parts(text: str, reading: Reading) -> tuple[MarkedPart, ...]:
    """Return a text in parts, one behind the other, with what each states.

    Letters are read as they look: without what cannot be seen (a soft hyphen, a blank of no width), and wide and narrow
    forms as the plain ones.
    """
    text = "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")
    found: list[MarkedPart] = []
    placeholders = [match.span() for match in re.finditer(reading.placeholders, text, re.IGNORECASE)]
    for (start, end), (behind, _) in pairwise([*_parts(text), (len(text), len(text))]):
        plain = re.sub(r"\s+", " ", text[start:end]).strip()
        template = any(first < end and last > start for first, last in placeholders)
        own = list(_read(plain, template, reading))
        if not own and _NEAR.search(plain):
            own.append(Sentence(plain, None, "none of the phrases is in it"))
        found.append(MarkedPart(text[start:behind], tuple(own)))  # with its full stop
    return tuple(found)


def _parts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end in _END.finditer(text):
        yield start, end.start()
        start = end.end()
    yield start, len(text)


def _read(plain: str, template: bool, reading: Reading) -> Iterator[Sentence]:
    for fact, phrases in reading.phrases.items():
        reasons = [
            _why_not(plain, match, fact, template, reading)
            for phrase in phrases
            for match in re.finditer(phrase, plain, re.IGNORECASE)
        ]
        if reasons:
            yield Sentence(plain, fact, "" if "" in reasons else reasons[0])


def _why_not(plain: str, match: re.Match[str], fact: ReportFact, template: bool, reading: Reading) -> str:
    """Why a phrase that was found states nothing; empty where it does."""
    if template:
        return "a template that was not filled in"
    if found := _TWO_SCRIPTS.search(plain):
        return f"a word has letters of two scripts ({found.group()!r})"
    if found := re.search(reading.elsewhere, plain, re.IGNORECASE):
        return f"it repeats what another report says ({found.group()!r})"
    rest = plain[match.end() :]
    if fact == "three_d_findings":
        # That something is not there is a finding: "3D images show no fracture".
        rest = re.sub(reading.negative_findings, "", rest, flags=re.IGNORECASE)
    for part in (plain[: match.end()], rest):
        if negation := re.search(reading.negations, part, re.IGNORECASE):
            return f"it is negated ({negation.group()!r})"
    if found := re.search(reading.conditions, plain, re.IGNORECASE):
        return f"it is a condition or a wish ({found.group()!r})"
    return ""
