"""Models that a site runs for masks: a command takes a volume as NIfTI and gives labels (TotalSegmentator, a MONAI
bundle, nnU-Net). The settings name it; nobody else can have a command run.
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from workstation.charge.facts import Modality, Text
from workstation.strict import STRICT


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the site.

    command : program and arguments; `{volume}` stands for the NIfTI file it reads and `{labels}` for the one it
    writes. version : what the record calls it by, besides its name. labels : names of the labels. modalities : of the
    series that it is for; all, where empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: Text
    version: Text
    command: tuple[Text, ...]
    labels: dict[int, Text]
    modalities: tuple[Modality, ...] = ()
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        said = " ".join(self.command)
        if "{volume}" not in said or "{labels}" not in said:
            raise ValueError(f"models {self.name!r}: command needs {{volume}} and {{labels}}")
        if not self.labels or not all(0 < label <= 255 for label in self.labels):
            raise ValueError(f"models {self.name!r}: labels names the labels that it gives, of 1 to 255")
        if len(self.made_by) > 64:
            raise ValueError(f"models {self.name!r}: name and version are longer than 64 characters")

    @property
    def made_by(self) -> str:
        """As the record calls it."""
        return f"{self.name} {self.version}"
