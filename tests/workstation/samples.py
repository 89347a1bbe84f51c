"""What the tests of the workstation share: where the sample data are, a small protocol, papers, a clock."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from dicom_io.evidence import Person
from render.protocols import Protocol, protocol_from
from workstation.people import people_of
from workstation.store.papers import Papers, PapersError, read_papers

ROOT = Path(__file__).parents[2]
DATA = ROOT / "sample_data"
CT_HEAD = DATA / "ct_head"
DOCUMENTED = DATA / "papers" / "documented.json"
UTILITY_MISSING = DATA / "papers" / "utility_missing.json"
SLICES = sorted(CT_HEAD.glob("*.dcm"))[40:56]

SERIES_UID = "1.2.826.0.1.3680043.8.498.11214937509580179639533336045092247868"
ACCESSION = "DEMO-0001"
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def ticking(start: datetime = AT) -> Callable[[], datetime]:
    """A clock that goes on by a second whenever it is read."""
    seconds = count()
    return lambda: start + timedelta(seconds=next(seconds))


def tiny_protocol(**changes: Any) -> Protocol:
    """Three small pictures, one of each kind."""
    small = {"rows": 48, "columns": 48}
    data = {
        "title": "Tiny",
        "clinical_use": "Tests",
        "region": "head",
        "modality": "CT",
        "unit": "HU",
        "source": "Made for tests",
        "recipes": [
            {"kind": "volume_rendering", "name": "Bone", "preset": "ct_bone", "view": "anterior", **small},
            {"kind": "projection", "name": "MIP", "mode": "mip", "window": "bone_projection", **small},
            {
                "kind": "reformat",
                "name": "Axial",
                "window": "bone",
                "view": "foot",
                "count": 2,
                "spacing_mm": 6.0,
                "pixel_mm": 4.0,
                **small,
            },
        ],
    }
    return protocol_from("tiny", {**data, **changes})


def papers_with(folder: Path, source: Path = DOCUMENTED, **changes: object) -> Path:
    """A papers file like `source`, with values changed by path: `session__supervisor__role="resident"`."""
    papers = json.loads(source.read_text(encoding="utf-8"))
    for path, value in changes.items():
        *way, last = path.split("__")
        place = papers
        for step in way:
            place = place[step]
        place[last] = value
    file = folder / f"papers-{len(list(folder.glob('papers-*')))}.json"
    file.write_text(json.dumps(papers), encoding="utf-8")
    return file


def signer_in(papers: Papers | None) -> Person | None:
    """The supervisor of papers, who shows their secret."""
    return papers.session.supervisor if papers is not None and papers.session is not None else None


def pin_of_the_supervisor(papers: Path, root: Path) -> int | None:
    """A file descriptor with the PIN of the papers' supervisor, who is in the register of `root` then; None for papers
    without one."""
    try:
        supervisor = signer_in(read_papers(papers))
    except PapersError:
        return None
    if supervisor is None or supervisor.role == "automatic":
        return None
    people_of(root).add(supervisor, pin="246810")
    reading, writing = os.pipe()
    os.write(writing, b"246810\n")
    os.close(writing)
    return reading
