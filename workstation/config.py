"""The site's settings: one TOML file in the state folder, `config.toml`. Every key has a default; an unknown one is
an error that names it."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from dicom_io.objects.burn_in import BurnIn
from dicom_io.objects.companions import StoredObject
from dicom_io.uids import derived
from render.engine.choice import EngineName
from workstation.certificates import check_named_together
from workstation.charge.facts import NOT_FOR_SITE, Entity, Modality, SiteKind, Text
from workstation.charge.policy import OrderGround, PolicyName
from workstation.charging import (
    ComplianceSettings,
    DatedSettings,
    DatesError,
    Fees,
    LocationType,
    OwnCode,
    PayerRule,
    ReformatOnly,
    check_dates,
    gather_dated,
    values_on,
)
from workstation.destinations import AeTitle, AnyDestination, FolderDestination
from workstation.errors import WorkstationError
from workstation.listening import ConsoleSettings, Listener
from workstation.models import Model
from workstation.preparing import PreparationSettings, PrepareRule
from workstation.reading import Reading
from workstation.strict import STRICT, StrictError, read_strictly, toml_in

# The fields of a report that is written at the desktop.
# What `serve` may do on a host.
ServeRole = Literal["receive", "decide", "deliver", "prepare", "web"]
ReportField = Literal["indication", "findings", "impression", "necessity", "utility", "workstation"]


class ConfigError(WorkstationError):
    """A setting that cannot be; the message names file and key."""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """How `serve` receives DICOM.

    called : whether a caller has to call our AE title. callers : anybody, or peers alone, from their addresses.
    max_associations : at once. max_associations_per_address : at once from one address; 0 for three quarters of them.
    max_instance_mb : the largest instance. min_free_mb : so much of the disk stays free.
    request_s, idle_s, stall_s : seconds for the association request, between two messages, and within one.
    series_quiet_s : a series is complete when nothing has come for so long, or, where expected_from names a peer, when
    there are as many instances as that peer says.
    query : whether peers may ask what is here and fetch it (C-FIND, C-GET, C-MOVE).
    processes : receiving ones; 0 for one a core, four at most. certificate, key, client_authority : PEM files; with the
    first two it speaks TLS, and with the last a caller needs a certificate signed by it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    called: Literal["any", "ours"] = "any"
    callers: Literal["any", "peers"] = "any"
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 32
    max_associations_per_address: Annotated[int, Field(ge=0, le=1000)] = 0
    max_instance_mb: Annotated[int, Field(ge=1)] = 8192
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    request_s: Annotated[float, Field(gt=0)] = 30.0
    idle_s: Annotated[float, Field(gt=0)] = 600.0
    stall_s: Annotated[float, Field(gt=0)] = 60.0
    series_quiet_s: Annotated[float, Field(gt=0)] = 30.0
    expected_from: str = ""
    query: bool = False
    processes: Annotated[int, Field(ge=0, le=64)] = 0
    certificate: str = ""
    key: str = ""
    client_authority: str = ""

    def __post_init__(self) -> None:
        check_named_together("receiver", self.certificate, self.key, self.client_authority)
        if self.query and self.callers != "peers":
            raise ValueError(
                'receiver: query = true would give the archive to anybody who calls; set callers = "peers"'
            )


@dataclass(frozen=True, slots=True)
class FarmTls:
    """PEM files with which a Dask farm is called. authority : of the farm's own certificates."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    certificate: Text
    key: Text
    authority: Text


@dataclass(frozen=True, slots=True)
class WorklistSettings:
    """A modality worklist that orders are taken from.

    peer : the name of who has it. modality, station_ae_title : only steps of these; any if empty. every_s : how often
    it is asked. ahead : steps of today and later, else of today alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    peer: Text
    modality: str = ""
    station_ae_title: str = ""
    every_s: Annotated[float, Field(ge=1)] = 300.0
    ahead: bool = True


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """The audit trail (PS3.15 A.5).

    file : in the state folder or absolute. max_mb : of one part of it. keep_files : how many older parts stay, 0 for
    all; none goes before the repository has it. host, port : an audit repository that gets it by syslog over TLS; none
    if host is empty. certificate_authority, certificate, key : PEM files for that.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    file: Text = "audit.log"
    max_mb: Annotated[int, Field(ge=1)] = 64
    keep_files: Annotated[int, Field(ge=0)] = 0
    host: str = ""
    port: int = 6514
    certificate_authority: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"audit: port {self.port} is not one of 1 to 65535")
        check_named_together("audit", self.certificate, self.key)


@dataclass(frozen=True, slots=True)
class Signing:
    """With what verified records and reports are signed: PEM files of an RSA key without a password, and of its
    certificate."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    certificate: Text
    key: Text


@dataclass(frozen=True, slots=True)
class Sister:
    """A workstation whose signed records are believed as our own are.

    device_uid : its Device UID. certificate : PEM file of the certificate that it signs with; or authority and subject:
    PEM file of who issued it, and its subject as RFC 4514 writes it. people : IDs of those who may verify records
    there; empty for anybody whom it calls a physician.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: Text
    device_uid: Text
    certificate: str = ""
    authority: str = ""
    subject: str = ""
    people: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.certificate) == bool(self.authority):
            raise ValueError(f"trust {self.name!r} needs either `certificate` or `authority`")
        if bool(self.authority) != bool(self.subject):
            raise ValueError(f"trust {self.name!r}: `authority` and `subject` go together")


# Without any setting nothing leaves the machine: what would be sent is written into the state folder.
_OUTGOING = FolderDestination(name="outgoing", takes=("images", "charges"), folder="outgoing")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a site.

    outbox_late_s : `/health` tells of messages that have waited longer.
    roles : what `serve` does on this host; `web` where there is a [console]. console : the pages for a browser.
    database : URL of a PostgreSQL database that the site's hosts share
    (`postgresql+psycopg://…`); empty for a file in the state folder. store : folder that the hosts share, of received
    files and documents; empty for the state folder. farm : address of the scheduler of a Dask farm that draws what is
    prepared, `tcp://…` or `tls://…`; empty for processes of this host. farm_tls : PEM files to call it with.
    policy : which charge policy decides. entity, site : whose charge it is and where. independent_workstation : that
    this device is independent of the scanner. reformat_only : what `guide` does with reformats alone. order_grounds :
    what stands for an order. modifiers : modifiers of an entity's lines in place of ours. corrections : who takes back
    a charge that its facts no longer bear. believe_papers : whether papers files count. recheck_at : when `serve`
    decides every open case again, HH:MM; empty for never. share_limit : share of CT and MR with 3D above which a
    report flags; compliance : rates of 3D. stored : what is stored beside pictures and SR. multiframe : a stack of
    reformats is one enhanced image instead of many classic ones. send_unverified : whether an SR that no physician has
    verified goes out as well. report_requires : the fields without which the desktop signs no report. signing : with
    what verified ones are signed; None: not at all. trust : sister workstations whose
    signed records are believed. models : what `segment --model` runs. prepare : what is drawn before anybody looks, by
    which rules; preparation : how much of it. charging : what decides money otherwise from a date of service on (`on`).
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    ae_title: AeTitle = "WORKSTATION"
    host: str = "0.0.0.0"  # a PACS on another machine has to reach the receiver
    port: int = 11112
    monitor_port: int = 0
    outbox_late_s: Annotated[float, Field(gt=0)] = 3600.0
    roles: tuple[ServeRole, ...] = ("receive", "decide", "deliver", "prepare", "web")
    database: str = ""
    store: str = ""
    farm: str = ""
    farm_tls: FarmTls | None = None
    station_name: str = "WS3D"
    institution: str = ""
    institution_code: str = ""
    device_uid: str = ""
    independent_workstation: bool = True
    engine: EngineName = "cpu"
    burn_in: BurnIn = "letters"
    font: str = ""
    stored: tuple[StoredObject, ...] = ("segmentation", "key_objects")
    multiframe: bool = False
    send_unverified: bool = False
    report_requires: tuple[ReportField, ...] = ("indication", "impression")
    signing: Signing | None = None
    trust: tuple[Sister, ...] = ()
    policy: PolicyName = "guide"
    reformat_only: ReformatOnly = "hold"
    site: SiteKind = "hospital"
    entity: Entity = "professional"
    order_grounds: tuple[OrderGround, ...] = ("ordered", "rationale", "urgent")
    modifiers: dict[Entity, tuple[Text, ...]] = field(default_factory=dict)
    place_of_service: str = ""
    department: str = ""
    location: str = ""
    location_type: LocationType = ""
    local_codes: dict[Entity, dict[Text, OwnCode]] = field(default_factory=dict)
    revenue_codes: dict[Entity, dict[Text, OwnCode]] = field(default_factory=dict)
    corrections: Literal["coder", "automatic"] = "coder"
    believe_papers: bool = False
    recheck_at: Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = "02:30"
    share_limit: float = 0.2
    counted_modalities: tuple[Modality, ...] = ("CT", "MR")
    destinations: tuple[AnyDestination, ...] = field(default=(_OUTGOING,))
    receiver: ReceiverSettings = field(default=ReceiverSettings())
    listener: Listener | None = None
    console: ConsoleSettings | None = None
    worklist: WorklistSettings | None = None
    audit: AuditSettings | None = None
    reading: Reading = field(default=Reading())
    payers: dict[str, PayerRule] = field(default_factory=dict)
    fees: Fees = field(default=Fees())
    compliance: ComplianceSettings = field(default=ComplianceSettings())
    models: tuple[Model, ...] = ()
    prepare: tuple[PrepareRule, ...] = ()
    preparation: PreparationSettings = field(default=PreparationSettings())
    charging: tuple[DatedSettings, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"port {self.port} is not one of 0 to 65535 (0 lets the system choose)")
        if self.farm and not self.farm.startswith(("tcp://", "tls://")):
            raise ValueError("farm is no address that begins with tcp:// or tls://, as Dask's scheduler prints it")
        if self.farm.startswith("tls://") != (self.farm_tls is not None):
            raise ValueError("a farm at tls:// needs farm_tls with certificate, key and authority, and no other does")
        if not self.roles or len(set(self.roles)) < len(self.roles):
            raise ValueError("roles names one twice, or none; leave it out for all of them")
        if self.database and not self.database.startswith("postgresql+psycopg://"):
            raise ValueError(
                "database is no URL that begins with postgresql+psycopg://; leave it out for a file in the state folder"
            )
        if bool(self.database) != bool(self.store):
            raise ValueError("database and store go together: hosts that share the one need the files of the other")
        if not 0 <= self.monitor_port < 65536:
            raise ValueError(f"monitor_port {self.monitor_port} is not one of 1 to 65535 (0 for none)")
        if self.font_file is not None and not self.font_file.is_file():
            raise ValueError(f"font {self.font!r} is no file")
        names = [d.name for d in self.destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name; a message would not know where it goes")
        if len({model.name for model in self.models}) < len(self.models):
            raise ValueError("two models have the same name; nobody could tell which one made a mask")
        parts = [part.name for rule in self.prepare for part in rule.parts]
        if len(set(parts)) < len(parts):
            raise ValueError("two rules of prepare have the same name; nobody could tell what was prepared by which")
        if not 0 < self.share_limit <= 1:
            raise ValueError(f"share_limit {self.share_limit} is not a share between 0 and 1")
        if self.device in (devices := [each.device_uid for each in self.trust]) or len(set(devices)) < len(devices):
            raise ValueError("trust names this device, or one device twice; nobody could tell whose record it is")
        if self.entity in NOT_FOR_SITE[self.site]:
            raise ValueError(
                f"entity {self.entity!r} is not for site {self.site!r}, whose facility bills its part; set entity to "
                "professional or facility, or site to office"
            )
        if not self.order_grounds:
            raise ValueError("order_grounds is empty; every charge would wait for an order that cannot come")
        check_dates(self.charging)
        for begins in sorted({each.begins for each in self.charging}):
            try:
                self.on(begins)
            except ValueError as error:
                raise ValueError(f"from {begins}: {error}") from None

    def on(self, day: date | None) -> "Config":
        """The settings for a date of service; without one those that have no date."""
        if not self.charging:
            return self
        said = values_on(day, self.payers, self.charging) if day is not None else {}
        return replace(self, charging=(), **said)

    @property
    def device(self) -> str:
        """The workstation's Device UID: as set, else one that follows from the station's name and institution."""
        return self.device_uid or derived("device", self.institution, self.station_name)

    @property
    def font_file(self) -> Path | None:
        return Path(self.font).expanduser() if self.font else None

    def destination(self, name: str) -> AnyDestination | None:
        return next((d for d in self.destinations if d.name == name), None)


def load_config(root: Path, environment: Mapping[str, str] | None = None) -> Config:
    """`root/config.toml`, or the defaults when there is none, with what the environment says instead.

    environment : WORKSTATION_SET_KEY is the value of `key`, WORKSTATION_SET_RECEIVER__IDLE_S of `idle_s` in
    `[receiver]`, as TOML has it, or plain text. Of this process by default.

    Raises ConfigError.
    """
    path = root / "config.toml"
    try:
        said = toml_in(path) if path.exists() else {}
    except StrictError as error:
        raise ConfigError(f"{path}: {error}") from error
    if "people" in said:
        raise ConfigError(f"{path}: {_people_moved(said['people'])}")
    names = []
    for name, text in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(_PREFIX):
            names.append(name)
            _set(said, name.removeprefix(_PREFIX).lower().split("__"), text, name)
    where = ", ".join([str(path), *names]) if names else str(path)
    places: dict[str, str] = {}
    try:
        places = gather_dated(said)
        return read_strictly(Config, said, "the settings") if said else Config()
    except (StrictError, DatesError) as error:
        words = str(error)
        for now, written in places.items():
            words = words.replace(now, written)
        raise ConfigError(f"{where}: {words}") from error


def _people_moved(people: Any) -> str:
    """What to do with the people that settings of before 0.2 hold."""
    known = [each for each in people if isinstance(each, dict)] if isinstance(people, list) else []
    commands = [
        f"workstation people add {each.get('id', 'ID')} --name 'Family^Given' --role {each.get('role', 'ROLE')}"
        + (f" --login {each['login']}" if each.get("login") else "")
        for each in known
    ]
    return "\n  ".join(
        (
            "people: they are in a register now, beside the settings. Take [[people]] out of the file and run",
            *commands,
        )
    )


_PREFIX = "WORKSTATION_SET_"


def _set(said: dict[str, Any], keys: list[str], text: str, name: str) -> None:
    *tables, key = keys
    for table in tables:
        inner = said.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{name}: {table} is no table of settings.")
        said = inner
    try:
        said[key] = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        said[key] = text  # plain text needs no quotes here
