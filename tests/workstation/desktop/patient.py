"""A patient with several series and studies, small ones, and somebody else."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_io.uids import derived
from tests.dicom_io.synthetic import grid, ramp, write_series
from workstation.desktop.model.studies import OUR_NAME
from workstation.site import Site, open_site

NOW, SECOND, PRIOR, OURS, STRANGER, RENAMED, FLAT = "now", "second", "prior", "ours", "stranger", "renamed", "flat"


def uid_of(name: str) -> str:
    """The series UID of one of the names above."""
    return derived(name)


def _changed(day: str, number: int, patient: str = "P-1", **values: str | int) -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, _: int) -> None:
        ds.StudyDate, ds.SeriesNumber, ds.PatientID = day, number, patient
        for name, value in values.items():
            setattr(ds, name, value)
        if values.get("SeriesDescription") == FLAT:
            del ds.ImagePositionPatient

    return change


def patient_site(folder: Path) -> Site:
    """A state folder with them, below a folder."""
    site, study = open_site(folder / "root"), "1.2.3.4"
    of_series = {
        NOW: _changed("20260302", 2, StudyInstanceUID=study, SeriesDescription="Thin", SliceThickness="1.25"),
        SECOND: _changed("20260302", 1, StudyInstanceUID=study, SeriesDescription="Thick"),
        FLAT: _changed("20260302", 9, StudyInstanceUID=study, SeriesDescription=FLAT, WindowCenter=36, WindowWidth=24),
        OURS: _changed("20260302", 901, StudyInstanceUID=study, Manufacturer=str(OUR_NAME)),
        PRIOR: _changed("20251202", 1, BodyPartExamined="CHEST"),
        STRANGER: _changed("20260101", 1, "P-2"),
        RENAMED: _changed("20240101", 1, PatientName="Other^Name"),
    }
    for name, change in of_series.items():
        write_series(folder / name, ramp((3, 4, 6)), grid(), series=name, change=change)
        site.archive.import_files(folder / name)
        shutil.rmtree(folder / name)
    return site
