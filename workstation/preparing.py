"""What of a series is prepared before anybody looks: the rules `[[prepare]]`, and `[preparation]`, how much is done."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from workstation.charge.facts import Modality, Text
from workstation.strict import STRICT, StrictError, read_strictly, toml_in

# Structures that are found without a click and drawn by themselves.
Tool = Literal["bone", "vessels", "lungs"]
Match = Literal["first", "all"]
# What is added to the name of a rule for the prior that it wants besides pictures.
PRIOR_PART = ": prior"


def _checked_expression(text: str) -> str:
    if not text:
        raise ValueError("this is empty; leave the key out where anything fits")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


# A regular expression, searched without regard to case, as `[reading]` has them.
Expression = Annotated[str, AfterValidator(_checked_expression)]
_Millimetres = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class SeriesTraits:
    """What rules can ask of a series.

    descriptions : of series and study. contrast : whether an agent is named. thickness_mm : as stated, None where it is
    not. rows, columns : of one image. images : frames that are images. procedure_codes : ordered under its accession,
    or named in its header. volumes : what tells each of its volumes from the others, with its phase, in words.
    refusal : why it makes no volume, empty where it does.
    """

    modality: str
    body_part: str = ""
    descriptions: tuple[str, ...] = ()
    protocol_name: str = ""
    contrast: bool = False
    thickness_mm: float | None = None
    rows: int = 0
    columns: int = 0
    images: int = 0
    station: str = ""
    procedure_codes: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ("",)
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class PriorWanted:
    """Which prior is registered beforehand: the likest series of the same person, modality and region that is older.

    peer : that is asked for it, besides the archive; empty for the archive alone. max_age_days : older ones are left
    alone. min_images, max_images : of the prior.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    peer: str = ""
    max_age_days: Annotated[int, Field(ge=1, le=36500)] = 1826
    min_images: _Count = 20
    max_images: _Count = 3000

    def __post_init__(self) -> None:
        if self.min_images > self.max_images:
            raise ValueError(f"prior: min_images {self.min_images} is more than max_images {self.max_images}")

    def takes(self, images: int | None) -> bool:
        """Whether a series with so many images can be it; None for unknown."""
        return images is None or self.min_images <= images <= self.max_images


@dataclass(frozen=True, slots=True)
class PrepareRule:
    """A rule: which series it fits, and what is prepared of them. A condition that is left out fits every series.

    body_part, description, protocol_name, station : regular expressions, found anywhere, without regard to case; a
    description is that of the series or of the study. contrast : whether the header names an agent. phase : a regular
    expression that picks the volume, by the words that tell volumes of a series apart, phases in the header and the
    description of the series. min_thickness_mm … max_images : bounds that are still within; those of a matrix are for
    rows and columns. procedure_codes : one of them is ordered.
    protocol : whose pictures are drawn. tools : what is found and drawn by itself. prior : the one that is registered.
    priority : higher ones first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: Text
    protocol: str = ""
    tools: tuple[Tool, ...] = ()
    prior: PriorWanted | None = None
    priority: int = 0
    modality: Modality | None = None
    body_part: Expression = ""
    description: Expression = ""
    protocol_name: Expression = ""
    station: Expression = ""
    phase: Expression = ""
    contrast: bool | None = None
    min_thickness_mm: _Millimetres | None = None
    max_thickness_mm: _Millimetres | None = None
    min_matrix: _Count | None = None
    max_matrix: _Count | None = None
    min_images: _Count | None = None
    max_images: _Count | None = None
    procedure_codes: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if not (self.protocol or self.tools or self.prior):
            raise ValueError(f"prepare {self.name!r}: it says nothing to do; give `protocol`, `tools` or `prior`")
        if self.protocol:
            from render.protocols import protocol_names  # only where a site has rules

            if self.protocol not in protocol_names():
                there = ", ".join(protocol_names())
                raise ValueError(f"prepare {self.name!r}: no protocol {self.protocol!r}; there are {there}")
        for what in ("thickness_mm", "matrix", "images"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"prepare {self.name!r}: min_{what} {low} is more than max_{what} {high}")

    @property
    def parts(self) -> "tuple[PrepareRule, ...]":
        """The rule as what is made by itself: pictures do not wait for a prior, and either may fail alone."""
        if self.prior is None or not (self.protocol or self.tools):
            return (self,)
        return replace(self, prior=None), replace(self, name=f"{self.name}{PRIOR_PART}", protocol="", tools=())

    def misfit(self, traits: SeriesTraits) -> str:
        """Returns why the rule does not fit a series, as a few words; empty where it does."""
        if traits.refusal:
            return traits.refusal
        misfit = next(self._misfits(traits), "")
        if misfit:
            return misfit
        found = self.volumes_of(traits)
        if not found:
            return f"no volume is of phase {self.phase!r}"
        if len(found) > 1:
            labels = "; ".join(traits.volumes[n] or str(n) for n in found)
            return f"{len(found)} volumes fit ({labels}); pick one by `phase`"
        return ""

    def volumes_of(self, traits: SeriesTraits) -> tuple[int, ...]:
        """Returns the numbers of the volumes that the rule picks of a series."""
        if not self.phase:
            return tuple(range(len(traits.volumes)))
        words = " ".join(traits.descriptions[:1])
        return tuple(n for n, label in enumerate(traits.volumes) if _found(self.phase, f"{label} {words}"))

    def _misfits(self, traits: SeriesTraits) -> Iterator[str]:
        if self.modality is not None and self.modality != traits.modality:
            yield f"modality is {traits.modality or 'not stated'}"
        for key, pattern, texts in (
            ("body part", self.body_part, (traits.body_part,)),
            ("description", self.description, traits.descriptions),
            ("protocol name", self.protocol_name, (traits.protocol_name,)),
            ("station", self.station, (traits.station,)),
        ):
            if pattern and not any(_found(pattern, text) for text in texts):
                yield f"{key} is {' / '.join(text for text in texts if text) or 'not stated'}"
        if self.contrast is not None and self.contrast != traits.contrast:
            yield "a contrast agent is named" if traits.contrast else "no contrast agent is named"
        yield from _outside("slice thickness", self.min_thickness_mm, self.max_thickness_mm, traits.thickness_mm, " mm")
        yield from _outside("matrix", self.min_matrix, self.max_matrix, min(traits.rows, traits.columns))
        yield from _outside("matrix", None, self.max_matrix, max(traits.rows, traits.columns))
        yield from _outside("number of images", self.min_images, self.max_images, traits.images)
        if self.procedure_codes and not {*self.procedure_codes} & {*traits.procedure_codes}:
            yield f"ordered is {', '.join(traits.procedure_codes) or 'nothing that is on file'}"


@dataclass(frozen=True, slots=True)
class PreparationSettings:
    """How much is prepared at once, and how long it is kept.

    match : whether the first rule that fits is followed, or all that do. processes : cases at once. memory_mb : so much
    one of them may take, 0 for no limit. disk_mb : for all proposals together; the oldest that nobody has taken go
    first.
    limit_s : one case may take so long. attempts : so often it is tried. retry_s, retry_max_s : pause after a failure,
    doubled with each further one up to the maximum. look_back_h : series that were complete longer ago are left alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    match: Match = "first"
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    memory_mb: Annotated[int, Field(ge=0)] = 16384
    disk_mb: Annotated[int, Field(ge=1)] = 10240
    limit_s: Annotated[float, Field(gt=0)] = 1800.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    retry_s: Annotated[float, Field(gt=0)] = 60.0
    retry_max_s: Annotated[float, Field(gt=0)] = 3600.0
    look_back_h: Annotated[float, Field(gt=0)] = 24.0

    def pause_s(self, attempts: int) -> float:
        """Returns how long to wait after so many failures."""
        doubled: float = self.retry_s * 2.0 ** min(attempts - 1, 60)
        return min(doubled, self.retry_max_s)


@dataclass(frozen=True, slots=True)
class RulesFile:
    """Rules in a file of their own, to be tried before they are put into the settings."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    prepare: tuple[PrepareRule, ...] = ()
    preparation: PreparationSettings = field(default=PreparationSettings())


def rules_in(file: Path) -> RulesFile:
    """Reads a file of rules. Raises StrictError that names file and key, and OSError."""
    try:
        return read_strictly(RulesFile, toml_in(file), "the rules")
    except StrictError as error:
        raise StrictError(f"{file}: {error}") from error


@dataclass(frozen=True, slots=True)
class Matched:
    """The rules that a series is prepared by, in their parts; of those before or beside them, why they do not fit."""

    rules: tuple[PrepareRule, ...]
    misfits: tuple[tuple[str, str], ...]


def rule_named(rules: tuple[PrepareRule, ...], name: str) -> PrepareRule | None:
    """Returns the rule, or the part of one, that has a name."""
    return next((part for rule in rules for part in rule.parts if part.name == name), None)


def match_rules(rules: tuple[PrepareRule, ...], traits: SeriesTraits, match: Match) -> Matched:
    """Returns the first rule that fits a series, or all that do, in the order of the settings."""
    fitting: list[PrepareRule] = []
    misfits: list[tuple[str, str]] = []
    for rule in rules:
        if misfit := rule.misfit(traits) or _of_another_modality(rule, traits):
            misfits.append((rule.name, misfit))
            continue
        fitting += rule.parts
        if match == "first":
            break
    return Matched(tuple(fitting), tuple(misfits))


def _of_another_modality(rule: PrepareRule, traits: SeriesTraits) -> str:
    if rule.protocol:
        from render.protocols import load_protocol

        wanted = load_protocol(rule.protocol).modality
        return "" if wanted == traits.modality else f"protocol {rule.protocol} is for {wanted}"
    return "" if traits.modality == "CT" or not rule.tools else "its tools are for CT"


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _outside(what: str, low: float | None, high: float | None, value: float | None, unit: str = "") -> Iterator[str]:
    if low is None and high is None:
        return
    if value is None:
        yield f"{what} is not stated"
    elif (low is not None and value < low) or (high is not None and value > high):
        yield f"{what} is {value:g}{unit}"
