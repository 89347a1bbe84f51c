"""The two charge policies as data: dated editions, chosen by date of service.

`policies/guide.toml` and `policies/cpt.toml` hold what the policies differ in, `policies/common.toml` the lists they
share. The rules themselves are code (`rules.py`) and read from an `Edition` whatever may change with time.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, TypeVar, get_args

from pydantic import ConfigDict, Field

from workstation.errors import WorkstationError
from workstation.strict import STRICT, IsoDate, StrictError, read_strictly

from .codes import CodeTable, shipped_codes
from .facts import Contract, Entity, Modality, Region, TechniqueName

PolicyName = Literal["guide", "cpt"]
TechniqueKind = Literal["volumetric", "projection", "reformat"]
CodeRule = Literal["plain", "by_requirement"]
StatementRule = Literal["never", "independent", "always"]
ReformatTreatment = Literal["hold", "release", "deny"]
# Rule 12: the order itself, a radiologist's rationale in a hospital, documented urgency.
OrderGround = Literal["ordered", "rationale", "urgent"]

# The pair: 3D rendering that does not, and that does, require processing on an independent workstation.
PLAIN_CODE = "76376"
INDEPENDENT_CODE = "76377"


class PolicyError(WorkstationError):
    """A policy file, or what a site wants of it, is not valid. The message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Technique:
    """How one kind of technique is coded, and when a physician's silence about the requirement holds the charge."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    code: CodeRule
    statement: StatementRule


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition of a policy, in force from `effective_from` to `effective_to` (last day; None: until the next).

    contract : the edition of the contract whose facts it decides. review_modalities : those whose 3D a coder judges, by
    other rules; other_modalities : tomographic ones that the policy does not name.
    """

    name: str
    contract: Contract
    effective_from: date
    effective_to: date | None
    source: str
    tomographic: frozenset[Modality]
    review_modalities: frozenset[Modality]
    other_modalities: frozenset[Modality]
    contiguous: frozenset[frozenset[Region]]
    volumetric: Technique
    projection: Technique
    reformats: ReformatTreatment


@dataclass(frozen=True, slots=True)
class Policy:
    """A named policy: its editions, oldest first under each contract, the kind of every technique, the code table."""

    name: PolicyName
    source: str
    site_may_set_reformats: bool
    technique_kinds: tuple[tuple[TechniqueName, TechniqueKind], ...]
    editions: tuple[Edition, ...]
    codes: CodeTable
    order_grounds: tuple[OrderGround, ...] = get_args(OrderGround)
    modifiers: tuple[tuple[Entity, tuple[str, ...]], ...] = ()

    def edition_on(self, day: date, contract: Contract = 2) -> Edition | None:
        """Return the edition for a date of service: the last one to begin by then, if it has not ended.

        contract : the edition of the contract under which the facts were written down.
        """
        begun = [each for each in self.editions if each.contract == contract and each.effective_from <= day]
        if not begun:
            return None
        last = begun[-1]
        return last if last.effective_to is None or day <= last.effective_to else None

    def kind_of(self, technique: TechniqueName) -> TechniqueKind:
        """Return whether a technique is volumetric, a projection or a reformat."""
        return dict(self.technique_kinds)[technique]

    def with_reformats(self, treatment: ReformatTreatment) -> "Policy":
        """Return a copy in which a site has settled what reformats alone do: `hold`, `release` or `deny`.

        The edition's name carries the setting, so that a recorded decision says under which rule it was made.

        Raises
        ------
        PolicyError
            The treatment is unknown, or this policy leaves the site no choice.
        """
        if treatment not in get_args(ReformatTreatment):
            raise PolicyError(f"reformats: {treatment!r} is not one of {', '.join(get_args(ReformatTreatment))}.")
        if not self.site_may_set_reformats:
            raise PolicyError(
                f"Policy {self.name}: reformats alone cannot be set to {treatment}; under this policy they belong to "
                "the base examination. Choose the policy guide, or remove the setting."
            )
        changed = tuple(
            edition
            if edition.reformats == treatment
            else replace(edition, name=f"{edition.name}+reformats-{treatment}", reformats=treatment)
            for edition in self.editions
        )
        return replace(self, editions=changed)

    def with_order_grounds(self, grounds: Sequence[OrderGround]) -> "Policy":
        """Return a copy in which only these grounds stand for an order; a site may take some away, never add one."""
        if set(grounds) == set(self.order_grounds):
            return self
        kept = tuple(each for each in self.order_grounds if each in grounds)
        return replace(self._named(f"order-{'-'.join(kept)}"), order_grounds=kept)

    def with_modifiers(self, modifiers: Mapping[Entity, tuple[str, ...]]) -> "Policy":
        """Return a copy whose lines carry a site's modifiers for an entity in place of ours.

        Raises
        ------
        PolicyError
            A modifier is not two letters or digits, or there are more than four.
        """
        for entity, listed in modifiers.items():
            if len(listed) > 4 or not all(re.fullmatch(r"[A-Z0-9]{2}", each) for each in listed):
                raise PolicyError(
                    f"modifiers.{entity}: {', '.join(listed)}: a line has at most four modifiers, each of two capital "
                    "letters or digits."
                )
        if not modifiers:
            return self
        words = "-".join(f"{entity}{''.join(listed)}" for entity, listed in sorted(modifiers.items()))
        return replace(self._named(f"modifiers-{words}"), modifiers=tuple(modifiers.items()))

    def _named(self, setting: str) -> "Policy":
        # A recorded decision says under which settings of the site it was made.
        return replace(self, editions=tuple(replace(each, name=f"{each.name}+{setting}") for each in self.editions))

    def with_codes(self, codes: CodeTable) -> "Policy":
        """Return a copy that looks codes up in `codes`: the shipped table with a site's rows."""
        return replace(self, codes=codes)


@cache
def load_policy(name: PolicyName) -> Policy:
    """Return a shipped policy: `guide` (the default of the product) or `cpt`.

    Raises
    ------
    PolicyError
        There is no such policy, or its file is not valid.
    """
    if name not in get_args(PolicyName):
        raise PolicyError(f"Policy {name!r} is not one of {', '.join(get_args(PolicyName))}.")
    folder = resources.files(__package__) / "policies"
    common = (folder / "common.toml").read_text(encoding="utf-8")
    return read_policy((folder / f"{name}.toml").read_text(encoding="utf-8"), common, f"{name}.toml")


def read_policy(text: str, common_text: str, name: str) -> Policy:
    """Read a policy from TOML: its own text and the shared lists; `name` is the file's name for messages.

    Raises
    ------
    PolicyError
        A key is missing or unknown, a value is not allowed, an edition names a list that is not there, a technique
        has no kind or two, or editions overlap.
    """
    file = _read(_PolicyFile, text, name)
    common = _read(_CommonFile, common_text, "common.toml")
    kinds: tuple[tuple[TechniqueName, TechniqueKind], ...] = (
        *((technique, "volumetric") for technique in common.techniques.volumetric),
        *((technique, "projection") for technique in common.techniques.projection),
        *((technique, "reformat") for technique in common.techniques.reformat),
    )
    if sorted(technique for technique, _ in kinds) != sorted(get_args(TechniqueName)):
        raise PolicyError("common.toml: techniques: every technique must be listed once, under one kind.")
    editions = tuple(_edition(each, common, name) for each in file.edition)
    for older, newer in pairwise(sorted(editions, key=lambda each: each.contract)):
        if newer.contract != older.contract:
            continue
        if newer.effective_from <= older.effective_from:
            raise PolicyError(f"{name}: edition {newer.name} does not begin after {older.name}; list the oldest first.")
        if older.effective_to is not None and older.effective_to >= newer.effective_from:
            raise PolicyError(f"{name}: edition {older.name} ends after {newer.name} begins; one day has one edition.")
    return Policy(file.policy, file.source, file.site_may_set_reformats, kinds, editions, shipped_codes())


# The files as they are written. Text that may not be empty is a name or a source.
_Words = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Techniques:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    volumetric: list[TechniqueName]
    projection: list[TechniqueName]
    reformat: list[TechniqueName]


@dataclass(frozen=True, slots=True)
class _Modalities:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    tomographic: list[Modality]
    review: list[Modality]
    other: list[Modality]


@dataclass(frozen=True, slots=True)
class _Contiguity:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    pairs: list[Annotated[list[Region], Field(min_length=2, max_length=2)]]


@dataclass(frozen=True, slots=True)
class _CommonFile:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    source: _Words
    techniques: _Techniques
    modalities: dict[str, _Modalities]
    contiguity: dict[str, _Contiguity]


@dataclass(frozen=True, slots=True)
class _Reformat:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    treatment: ReformatTreatment


@dataclass(frozen=True, slots=True)
class _EditionFile:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: _Words
    contract: Contract
    effective_from: IsoDate
    source: _Words
    modalities: str
    contiguity: str
    volumetric: Technique
    projection: Technique
    reformat: _Reformat
    effective_to: IsoDate | None = None


@dataclass(frozen=True, slots=True)
class _PolicyFile:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    policy: PolicyName
    source: _Words
    site_may_set_reformats: bool
    edition: Annotated[list[_EditionFile], Field(min_length=1)]


_File = TypeVar("_File")


def _read(kind: type[_File], text: str, name: str) -> _File:
    try:
        return read_strictly(kind, tomllib.loads(text), "the file")
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: this is not TOML: {error}.") from None
    except StrictError as error:
        raise PolicyError("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from None


def _edition(file: _EditionFile, common: _CommonFile, name: str) -> Edition:
    if file.modalities not in common.modalities or file.contiguity not in common.contiguity:
        raise PolicyError(
            f"{name}: edition {file.name} wants modalities {file.modalities!r} and contiguity {file.contiguity!r}; "
            f"common.toml has {', '.join(common.modalities)} and {', '.join(common.contiguity)}."
        )
    modalities = common.modalities[file.modalities]
    return Edition(
        name=file.name,
        contract=file.contract,
        effective_from=file.effective_from,
        effective_to=file.effective_to,
        source=file.source,
        tomographic=frozenset(modalities.tomographic),
        review_modalities=frozenset(modalities.review),
        other_modalities=frozenset(modalities.other),
        contiguous=frozenset(frozenset(pair) for pair in common.contiguity[file.contiguity].pairs),
        volumetric=file.volumetric,
        projection=file.projection,
        reformats=file.reformat.treatment,
    )
