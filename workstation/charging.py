"""Settings that decide money: what payers demand, whose fees are expected, and from which date of service on a setting
holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from workstation.charge.facts import Entity, Modality, SiteKind, Text
from workstation.charge.policy import OrderGround, PolicyName
from workstation.errors import WorkstationError
from workstation.reading import Reading
from workstation.strict import STRICT, IsoDate

# A charge code or revenue code of the site.
OwnCode = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,20}$")]
LocationType = Annotated[str, StringConstraints(max_length=20)]
ReformatOnly = Literal["hold", "release", "deny"]


class DatesError(WorkstationError):
    """Dated tables of the settings that cannot be; the message names the table."""


@dataclass(frozen=True, slots=True)
class PayerRule:
    """What a payer demands. covered_diagnoses : ICD-10 prefixes; leave it out where the payer does not limit them.

    plan : whose estimate stands in for a fee that no fee file has: medicare or private. modifiers : its own ones, which
    a coder may add at release. timely_filing_days : so many days after the date of service it still takes a charge;
    None where that is not known.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    prior_authorization_required: bool = False
    covered_diagnoses: tuple[Text, ...] | None = None
    plan: Literal["medicare", "private"] = "private"
    modifiers: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")], ...] = ()
    timely_filing_days: Annotated[int, Field(ge=1, le=3660)] | None = None


@dataclass(frozen=True, slots=True)
class Fees:
    """Which rows of the fee file are ours: the Medicare contractor's number and its locality."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    carrier: str = ""
    locality: str = ""


@dataclass(frozen=True, slots=True)
class ComplianceSettings:
    """At which rate of 3D a physician or a modality is flagged.

    rate_limits : by modality, charges of 3D over examinations; `share_limit` for the others. rate_least : a rate of
    fewer examinations says nothing, and is not flagged.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    rate_limits: dict[Modality, Annotated[float, Field(gt=0, le=1)]] = field(default_factory=dict)
    rate_least: Annotated[int, Field(ge=1)] = 20


@dataclass(frozen=True, slots=True)
class DatedSettings:
    """What holds for dates of service from `begins` on, until a later one says something else; None: as before.

    payers : whole rules, by the payer's ID; the others stay. fees, reading : whole.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    begins: Annotated[IsoDate, Field(alias="from")]
    policy: PolicyName | None = None
    reformat_only: ReformatOnly | None = None
    site: SiteKind | None = None
    entity: Entity | None = None
    order_grounds: tuple[OrderGround, ...] | None = None
    modifiers: dict[Entity, tuple[Text, ...]] | None = None
    place_of_service: str | None = None
    department: str | None = None
    location: str | None = None
    location_type: LocationType | None = None
    local_codes: dict[Entity, dict[Text, OwnCode]] | None = None
    revenue_codes: dict[Entity, dict[Text, OwnCode]] | None = None
    payers: dict[str, PayerRule] | None = None
    fees: Fees | None = None
    reading: Reading | None = None

    def said(self) -> Iterator[tuple[str, Any]]:
        """Yield what it says, by the key of the settings."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "begins" and value is not None:
                yield each.name, value


def values_on(day: date, payers: Mapping[str, PayerRule], dated: tuple[DatedSettings, ...]) -> dict[str, Any]:
    """Return what dated settings put in the place of the others on a date of service, by key."""
    found: dict[str, Any] = {}
    for each in sorted((each for each in dated if each.begins <= day), key=lambda each: each.begins):
        for key, value in each.said():
            found[key] = {**found.get(key, payers), **value} if key == "payers" else value
    return found


def check_dates(dated: tuple[DatedSettings, ...]) -> None:
    """Raise ValueError where one key is said twice from the same date."""
    seen: set[tuple[str, date]] = set()
    for each in dated:
        for key, value in each.said():
            for name in [f"payers.{payer}" for payer in value] if key == "payers" else [key]:
                if (name, each.begins) in seen:
                    raise ValueError(f"{name} is said twice from {each.begins}; one day has one value")
                seen.add((name, each.begins))


# How a message is taken apart and whose it is, is no matter of the date of service: a message has one of its own.
_UNDATED_READING = ("accession_fields", "character_set", "assigning_authority", "authority_aliases")
_TABLES = ("fees", "reading", "payers")


def gather_dated(said: dict[str, Any]) -> dict[str, str]:
    """Move tables that stand several times (`[[payers.ID]]`, `[[fees]]`, `[[reading]]`) into `charging`, in place.

    said : the settings as TOML has them. Returns where each stood, by where it stands now, for messages.

    Raises DatesError when two of a table have no date, or one has what cannot be dated.
    """
    own = said.get("charging", [])
    if not isinstance(own, list):
        raise DatesError("charging: write it as [[charging]], each with the date `from` which it holds")
    for number, each in enumerate(own):
        for key in _TABLES:
            if isinstance(each, dict) and key in each:
                name = "[[payers.ID]]" if key == "payers" else f"[[{key}]]"
                raise DatesError(f"charging[{number}].{key}: write a {name} of its own with `from`")
    places: dict[str, str] = {}
    moved: list[dict[str, Any]] = list(own)
    payers = said.get("payers")
    if isinstance(payers, dict):
        payers = dict(payers)
        for identity, tables in list(payers.items()):
            if isinstance(tables, list):
                base, dated = _parted(tables, f"payers.{identity}")
                payers.pop(identity)
                payers |= {identity: base} if base is not None else {}
                for number, begins, table in dated:
                    places[f"charging[{len(moved)}].payers.{identity}"] = f"payers.{identity}[{number}]"
                    moved.append({"from": begins, "payers": {identity: table}})
        said["payers"] = payers
    for key in ("fees", "reading"):
        if isinstance(said.get(key), list):
            base, dated = _parted(said.pop(key), key)
            said |= {key: base} if base is not None else {}
            whole = dict(base or {})
            for number, begins, table in sorted(dated, key=lambda each: str(each[1])):
                if key == "reading":
                    for undated in _UNDATED_READING:
                        if undated in table:
                            raise DatesError(f"reading[{number}].{undated} cannot be dated; set it where no `from` is")
                    # A reading is long: a later one says what it changes.
                    table = whole = {**whole, **table}
                places[f"charging[{len(moved)}].{key}"] = f"{key}[{number}]"
                moved.append({"from": begins, key: table})
    if moved:
        said["charging"] = moved
    return places


def _parted(tables: list[Any], name: str) -> tuple[dict[str, Any] | None, list[tuple[int, Any, dict[str, Any]]]]:
    """The table without a date, and those with one, with their place in the list."""
    base: dict[str, Any] | None = None
    dated: list[tuple[int, Any, dict[str, Any]]] = []
    for number, table in enumerate(tables):
        if not isinstance(table, dict):
            raise DatesError(f"{name}[{number}] is no table")
        if "from" in table:
            dated.append((number, table["from"], {key: value for key, value in table.items() if key != "from"}))
        elif base is not None:
            raise DatesError(f"{name} stands twice without `from`; say from which date of service the later one holds")
        else:
            base = table
    return base, dated
