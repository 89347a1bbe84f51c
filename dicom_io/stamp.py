"""Time, station and software version of a record: the only way that these enter the records."""

from dataclasses import dataclass
from datetime import datetime

from dicom_io.dates import da, dt, tm
from dicom_io.uids import derived

MODEL_NAME = "Independent 3D Workstation"  # Manufacturer's Model Name in all that we make


@dataclass(frozen=True, slots=True)
class Stamp:
    """Time, session and station, given to every function that writes a record: none reads the clock or invents a UID.

    at : with time zone. session : identity of the case; the same session gives the same UIDs again.
    device_uid : this workstation's UID (Device UID, DCM 121012). performed_step : the UID of the performed procedure
    step that is reported to a RIS; empty where none is.
    """

    at: datetime
    session: str
    station_name: str
    device_uid: str
    software_versions: tuple[str, ...]
    institution: str = ""
    performed_step: str = ""
    manufacturer: str = "Independent 3D Workstation project"
    model_name: str = MODEL_NAME

    def uid(self, *parts: str) -> str:
        """Returns the UID of an object of this session; the same `parts` give the same UID."""
        return derived(self.session, *parts)

    @property
    def date(self) -> str:
        return da(self.at)

    @property
    def time(self) -> str:
        return tm(self.at)

    @property
    def date_time(self) -> str:
        """DT with offset. Source: PS3.5 6.2 (VR DT)."""
        return dt(self.at)
