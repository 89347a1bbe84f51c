"""How the messages of a site are read: the settings under `[reading]`, and the words by which a sentence counts."""

import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict

from workstation.charge.facts import Text
from workstation.hl7.character_sets import CHARACTER_SETS
from workstation.strict import STRICT

# What a report can state, and no other paper can.
ReportFact = Literal[
    "three_d_findings",
    "workstation_statement",
    "medical_necessity",
    "clinical_utility",
    "radiologist_rationale",
    "urgent_documented",
]


def _checked_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if re.search(text, "", re.IGNORECASE):
        raise ValueError("this regular expression is found in an empty report")
    return text


Pattern = Annotated[str, AfterValidator(_checked_pattern)]


# Words by which a sentence of a report states nothing, although a phrase is in it. Each is a setting of `[reading]`.
_NEGATIONS = (
    r"\b(no|not|nothing|nor|without|never|neither|none|cannot|\w+n['’]t|un(necessary|available|interpretable|helpful)"
    r"|non-?diagnostic|fail(ed|s)?|declined|refused|omitted|deferred|cancel+ed)\b"
)
_CONDITIONS = (
    r"\b(if|unless|whether|recommend\w*|advis(e|ed|able)|request(ed)?|suggested|consider)\b"
    r"|\b(should|would|could|may|might|can|will)\b( \w+){0,3} 3-?D\b"
    r"|\b3-?D( \w+){0,2} (should|would|could|may|might|can|will)\b"
)
_ELSEWHERE = (
    r"\b(per|according to|as (reported|stated|described|noted) (in|by|on)|in|on) (the |an? )?"
    r"(outside|outlying|external|prior|previous|earlier|referring)\b"
    r"|\b(outside|external|prior|previous|earlier) (\w+ ){0,2}(report|interpretation|reading)\b"
)
# Brackets that were not filled in, but for ticked boxes and references to images; blanks, and marks of editors.
_PLACEHOLDERS = r"\[(?!x\]|(series|image|se|im)\b)[^\]]*(\]|$)|\{[^}]*(\}|$)|<[A-Za-z][^<>]*>|_{2,}|\*{3,}|\?{3,}"
_NEGATIVE_FINDINGS = (
    r"\b(no|without)\s+((evidence|signs?|indication) of\s+|(acute|new|other|displaced|definite|significant)\s+)*+"
    r"(?!(3-?D|use|useful|usable|benefit|value|diagnostic|additional|added|images?|data|renderings?|information"
    r"|contribution|help)\b)\w+"
)
# How a result that is an addendum alone begins, and what only a whole report has.
_ADDENDUM = r"\W*addend(um|a)\b"
_WHOLE_REPORT = (
    r"^\W*(findings?|impressions?|technique|comparison|indications?|history|examination|exam|procedure|conclusion)\W*(:|$)"
    r"|\b(original|initial|previous|prior|corrected|final) report\b|\bend of addendum\b"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the messages of this site's RIS are read.

    accession_fields : where an accession stands, the first one that is filled counts. performed : values of ORC-5
    (table 0038) that say that an examination has been performed. urgent : priorities (OBR-27.6, TQ1-9, OBR-5; table
    0027) that are urgent. procedure_codes : local codes (OBR-4.1) to procedure codes. three_d_codes : what orders 3D.
    phrases : regular expressions, without regard to case, that state a fact in a report's text. It states nothing in a
    sentence with a word of `negations` (`negative_findings` behind a phrase of three_d_findings are none), `conditions`
    or `elsewhere` (what another report says), or where a match of `placeholders` is in it.
    observations : OBX-3.1 to the fact that its value Y, YES, TRUE or 1 states.
    addendum : how a result (ORU) begins that is an addendum alone; whole_report : what makes it a corrected report all
    the same. assigning_authority : whose a patient's number is that names no authority (CX.4, Issuer of Patient ID);
    authority_aliases : other names of authorities, to the one that counts. character_set : how text is read where
    MSH-18 is empty, unknown or wrong; a name of table 0211, SHIFT JIS or WINDOWS-1252.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    accession_fields: tuple[Literal["IPC-1", "OBR-18", "OBR-19", "OBR-3", "OBR-2", "ORC-3", "ORC-2"], ...] = (
        "IPC-1",
        "OBR-18",
        "OBR-3",
        "ORC-3",
    )
    performed: tuple[Text, ...] = ("CM",)
    urgent: tuple[Text, ...] = ("S", "STAT", "A", "ASAP")
    procedure_codes: dict[str, Text] = field(default_factory=dict)
    three_d_codes: tuple[Text, ...] = ("76376", "76377")
    phrases: dict[ReportFact, tuple[Pattern, ...]] = field(default_factory=dict)
    negations: Pattern = _NEGATIONS
    conditions: Pattern = _CONDITIONS
    elsewhere: Pattern = _ELSEWHERE
    placeholders: Pattern = _PLACEHOLDERS
    negative_findings: Pattern = _NEGATIVE_FINDINGS
    addendum: Pattern = _ADDENDUM
    whole_report: Pattern = _WHOLE_REPORT
    observations: dict[str, ReportFact] = field(default_factory=dict)
    character_set: str = ""
    assigning_authority: str = ""
    authority_aliases: dict[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.character_set not in ("", *CHARACTER_SETS):
            raise ValueError(f"character_set {self.character_set!r} is not one of {', '.join(CHARACTER_SETS)}")
