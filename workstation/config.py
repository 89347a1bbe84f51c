"""The site's settings: one TOML file in the state folder, `config.toml`. Every key has a default; an unknown one is
an error that names it."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter

from dicom_io.banner import BurnIn
from dicom_io.uids import derived
from render.engine.choice import EngineName
from workstation.charge.facts import Entity, Site
from workstation.charge.policy import PolicyName
from workstation.charge.strict import STRICT, StrictError, read_strictly


class ConfigError(ValueError):
    """A setting that cannot be; the message names file and key."""


def checked_ae_title(text: str) -> str:
    """`text` if it can be an AE title. Raises ValueError. Source: PS3.5 6.2 (VR AE)."""
    if not (text.strip(" ") and len(text) <= 16 and all(" " <= c <= "~" and c != "\\" for c in text)):
        raise ValueError("an AE title has 1 to 16 ASCII characters, not all blank and without backslash")
    return text


AeTitle = Annotated[str, AfterValidator(checked_ae_title)]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where messages go. `takes` says which: images (with their SR), charges, or both.

    kind dicom needs host, port and ae_title; mllp needs host and port; folder needs folder, relative to the state
    folder or absolute.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: str
    kind: Literal["dicom", "mllp", "folder"]
    takes: tuple[Literal["images", "charges"], ...]
    host: str = "127.0.0.1"
    port: int = 0
    ae_title: AeTitle = "ANY-SCP"
    folder: str = ""
    application: str = "BILLING"
    facility: str = ""
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.kind == "folder" and not self.folder:
            raise ValueError(f"destination {self.name!r} of kind folder needs `folder`")
        if self.kind != "folder" and not 0 < self.port < 65536:
            raise ValueError(f"destination {self.name!r} of kind {self.kind} needs `port`")
        if "images" in self.takes and self.kind == "mllp":
            raise ValueError(f"destination {self.name!r}: images do not travel over MLLP")
        if "charges" in self.takes and self.kind == "dicom":
            raise ValueError(f"destination {self.name!r}: charges do not travel over DICOM")


# Without any setting nothing leaves the machine: what would be sent is written into the state folder.
_OUTGOING = Destination(name="outgoing", kind="folder", takes=("images", "charges"), folder="outgoing")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a site.

    policy : which charge policy decides. entity, site : whose charge it is and where. independent_workstation : that
    this device is independent of the scanner. reformat_only : what `guide` does with reformats alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    ae_title: AeTitle = "WORKSTATION"
    host: str = "0.0.0.0"  # a PACS on another machine has to reach the receiver
    port: int = 11112
    station_name: str = "WS3D"
    institution: str = ""
    institution_code: str = ""
    device_uid: str = ""
    independent_workstation: bool = True
    engine: EngineName = "cpu"
    burn_in: BurnIn = "none"
    font: str = ""
    policy: PolicyName = "guide"
    reformat_only: Literal["hold", "release", "deny"] = "hold"
    site: Site = "hospital"
    entity: Entity = "professional"
    destinations: tuple[Destination, ...] = field(default=(_OUTGOING,))

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"port {self.port} is not one of 0 to 65535 (0 lets the system choose)")
        if self.font_file is not None and not self.font_file.is_file():
            raise ValueError(f"font {self.font!r} is no file")
        names = [d.name for d in self.destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name; a message would not know where it goes")

    @property
    def device(self) -> str:
        """The workstation's Device UID: as set, else one that follows from the station's name and institution."""
        return self.device_uid or derived("device", self.institution, self.station_name)

    @property
    def font_file(self) -> Path | None:
        return Path(self.font).expanduser() if self.font else None

    def destination(self, name: str) -> Destination | None:
        return next((d for d in self.destinations if d.name == name), None)


_ADAPTER = TypeAdapter(Config)


def load_config(root: Path) -> Config:
    """`root/config.toml`, or the defaults when there is none. Raises ConfigError."""
    path = root / "config.toml"
    if not path.exists():
        return Config()
    try:
        return read_strictly(_ADAPTER, tomllib.loads(path.read_text(encoding="utf-8")), "the settings")
    except (StrictError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
