"""A signed session with a picture of each kind, whose texts all try to be a script."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import dcmread

from dicom_io.evidence import Person
from dicom_io.objects.presentation_state import PictureNote
from dicom_io.sr.report_sr import WrittenReport
from dicom_io.volumes import build_volume
from render.protocols import Protocol
from tests.workstation.samples import AT, DOCUMENTED, SLICES, ticking, tiny_protocol
from workstation import pipeline
from workstation.case import Case, MeasureRequest, session_of
from workstation.config import AuditSettings, Config
from workstation.listening import ConsoleSettings
from workstation.pipeline import CaseRun
from workstation.signed_report import file_report
from workstation.site import Clock, Site, open_site
from workstation.store.papers import UNATTENDED, read_papers

EVIL = "<script>alert(1)</script>"
CONFIG = Config(
    institution="Sample Hospital",
    believe_papers=True,
    stored=("surface", "segmentation", "key_objects"),
    audit=AuditSettings(),
    console=ConsoleSettings(link_contact="the 3D laboratory, telephone 4711", per_minute=100_000),
)


def protocol() -> Protocol:
    small = {"rows": 48, "columns": 48}
    bone = {"kind": "volume_rendering", "preset": "ct_bone", "view": "anterior", **small}
    masked = {
        "segments": [{"kind": "values", "low": 900.0, "high": 1500.0, "label": 1}],
        "masking": [{"label": 1, "action": "tint", "colour": [0.9, 0.8, 0.7]}],
    }
    return tiny_protocol(
        recipes=[
            {"name": f"Bone {EVIL}", **bone},
            {"name": "Turn", "rotation": {"frames": 5}, **masked, **bone},
            {"kind": "projection", "name": "MIP", "mode": "mip", "window": "bone_projection", **small},
            {
                "kind": "reformat", "name": "Axial", "window": "bone", "view": "foot", "count": 3, "spacing_mm": 4.0,
                "pixel_mm": 4.0, **small,
            },
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class Signed:
    """A site with one signed session. report : as it was filed, to be amended."""

    site: Site
    run: CaseRun
    report: WrittenReport
    person: Person

    @property
    def session(self) -> str:
        return self.run.evidence.session_uid

    def amend(self, report: WrittenReport) -> None:
        file_report(report, self.site.archive.all_series()[0], self.session, self.site)


def signed_session(root: Path, clock: Clock | None = None) -> Signed:
    """Runs and signs the session in a new state folder."""
    slices = root.with_name(f"{root.name}-slices")
    slices.mkdir(parents=True)
    for file in SLICES:
        ds = dcmread(file)
        ds.PatientName, ds.StudyDescription, ds.SeriesDescription = f"Eve{EVIL}^Ada", f"CT {EVIL}", f"Head {EVIL}"
        ds.ReferringPhysicianName = f"Stone{EVIL}"
        ds.save_as(slices / file.name)
    site = open_site(root, CONFIG, clock or ticking())
    site.archive.import_files(slices)
    shutil.rmtree(slices)
    papers = read_papers(DOCUMENTED)
    assert papers.on_file is not None and papers.session is not None and papers.session.supervisor is not None
    site.papers.put(papers.accession, papers.on_file, site.clock())
    person = papers.session.supervisor
    (series,) = site.archive.all_series()
    session = session_of(papers, papers.accession, person)
    x, y, z = build_volume(series).centre_mm
    notes = (PictureNote(((x - 20.0, y, z), (x - 50.0, y - 20.0, z)), f"here {EVIL}"),)
    measures = (MeasureRequest("distance", ((-20.0, -10.0, 30.0), (10.0, 30.0, 30.0)), finding=f"gap {EVIL}"),)
    run = pipeline.run(Case(series.uid, protocol(), session=session, measure=measures, notes=notes), site)
    keys = (run.evidence.products[0].images[0], run.evidence.products[3].images[1])
    report = WrittenReport(
        person, AT, f"Fall. {EVIL}", f"A gap. {EVIL}", f"A fracture. {EVIL}", (("clinical_utility", "Planning."),), keys
    )
    file_report(report, series, run.evidence.session_uid, site)
    return Signed(site, run, report, person)


def unsigned_session(signed: Signed) -> CaseRun:
    """A second session of the same series in the same site, which nobody has signed."""
    uid = signed.run.evidence.sources[0].series_uid
    return pipeline.run(Case(uid, replace(tiny_protocol(), name="unsigned"), session=UNATTENDED), signed.site)
