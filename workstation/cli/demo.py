"""The demonstration: the whole story on the sample CT, with stand-ins for PACS and billing on this machine."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

from dicom_io.archive import Archive
from dicom_io.evidence import Person
from dicom_io.network.receive import Receiver
from render.progress import Progress
from render.protocols import load_protocol
from workstation import DISTRIBUTION, pipeline
from workstation.case import Case, session_of
from workstation.charge import Decision, decision_to_json
from workstation.cli import words
from workstation.config import Config
from workstation.destinations import DicomDestination, MllpDestination
from workstation.errors import WorkstationError
from workstation.export import contact_sheet
from workstation.hl7.acknowledgement import acknowledgement
from workstation.hl7.mllp import MllpReceiver
from workstation.site import Site, local_clock, open_site
from workstation.store.papers import Papers, read_papers
from workstation.transports.deliver import deliver_all

_MARK = ".workstation-demo"
PROTOCOL = "ct_head_trauma"
# (folder name, papers file, what it shows)
_RUNS = (
    ("documented", "documented.json", "everything documented"),
    ("utility_missing", "utility_missing.json", "the report does not state the clinical utility"),
)


class DemoError(WorkstationError):
    """The demonstration cannot start; the message says why."""


def sample_data() -> Path:
    """The folder of sample data: the checkout's, else the one that was installed with the program (`pyproject.toml`,
    shared-data). Raises DemoError."""
    checkout = Path(__file__).parents[2]
    places = [checkout / "sample_data"] if (checkout / "pyproject.toml").is_file() else []
    installed = (file for file in files(DISTRIBUTION) or () if file.match("sample_data/ct_head/SOURCE.md"))
    places += [Path(str(file.locate())).resolve().parents[1] for file in installed]
    for place in places:
        if (place / "ct_head").is_dir():
            return place
    raise DemoError(
        "The sample series is not installed here. It is the folder `sample_data` of a checkout and of the source "
        f"distribution of {DISTRIBUTION}: name it with --data."
    )


def demo(output: Path, data: Path | None, tell: Callable[[str], None]) -> dict[str, Any]:
    """Runs both cases into `output` (made anew) and tells what happens. Returns the same for programs.

    data : the folder of sample data; None for the one that came with the program.
    """
    data = data or sample_data()
    if not (data / "ct_head").is_dir():
        raise DemoError(f"{data / 'ct_head'}: the sample series is not there; name the folder with --data.")
    _fresh(output)
    results: dict[str, Any] = {}
    for name, papers, shows in _RUNS:
        tell(f"\n=== Case '{name}': {shows} ===")
        results[name] = _case(output / name, data, read_papers(data / "papers" / papers), tell)
    tell(f"\nPictures: {output / 'documented' / 'pictures'}")
    tell(f"Contact sheet: {results['documented']['contact_sheet']}")
    for name, result in results.items():
        tell(f"{name}: {result['summary']}")
    return results


def _case(folder: Path, data: Path, papers: Papers, tell: Callable[[str], None]) -> dict[str, Any]:
    pacs = Archive(folder / "stand-in-pacs")
    with (
        Receiver(pacs, ae_title="PACS") as pacs_receiver,
        MllpReceiver(lambda message: acknowledgement(message, "AA", at=local_clock())) as billing,
    ):
        config = Config(
            institution="Sample Hospital",
            institution_code="SAMPLE",
            destinations=(
                DicomDestination(name="pacs", takes=("images",), port=pacs_receiver.port, ae_title="PACS"),
                MllpDestination(name="billing", takes=("charges",), port=billing.port),
            ),
            believe_papers=True,  # what order and report say comes from a file here, and from HL7 elsewhere
        )
        site = open_site(folder / "workstation", config)
        series_uid = _receive(site, data / "ct_head", tell)
        assert papers.session is not None and papers.on_file is not None, "both demo papers have both parts"
        site.papers.put(papers.accession, papers.on_file, site.clock())

        session = session_of(papers, papers.accession, _signed(papers, site))
        case = Case(series_uid, load_protocol(PROTOCOL), session=session)
        made = pipeline.run(case, site, _told(tell))
        pngs = []
        for number, picture in enumerate(made.pictures, start=1):
            pngs += contact_sheet.save_pngs(number, picture, folder / "pictures")
        overview = contact_sheet.contact_sheet(made.pictures, folder / "pictures" / "contact_sheet.png")
        for picture in made.pictures:
            tell(f"drawn     {picture.recipe.name}: {len(picture.pixels)} frames, sha256 {picture.digest[:16]}…")
        tell(f"stored    {len(made.images)} DICOM instances and the SR {made.sr.sop_instance_uid}")
        # A picture counts as archived when the PACS has it, so the decision follows the sending, and billing that.
        delivered = deliver_all(site)
        _, decision = pipeline.explain(made.sr, site)
        acknowledged = sum(d.outcome == "acknowledged" for _, d in delivered)
        kept = sum(len(s.instances) for s in pacs.all_series())
        answers = [f"{m.destination}: {d.detail}" for m, d in delivered if d.outcome != "acknowledged"]
        tell(
            f"sent      {acknowledged} of {len(delivered)} messages acknowledged; "
            f"the stand-in PACS keeps {kept} instances"
        )
        tell("decided   " + words.decision(decision).replace("\n", "\n          "))
        for message, delivery in delivered:
            if message.kind == "hl7":
                tell(f"billing   DFT^P03 {message.identity}: {delivery.detail}")
        if not billing.messages:
            tell("billing   nothing was sent to billing")
        for answer in answers:
            tell(f"problem   {answer}")
        return {
            "received": len(site.archive.series(series_uid).instances),
            "pictures": [str(p) for p in pngs],
            "contact_sheet": str(overview),
            "sr": made.sr.path,
            "objects": [i.path for i in (*made.images, made.sr)],
            "decision": decision_to_json(decision),
            "acknowledged": acknowledged,
            "messages": len(delivered),
            "pacs_instances": kept,
            "billing_messages": [m.decode("utf-8") for m in billing.messages],
            "summary": _summary(decision),
        }


def _signed(papers: Papers, site: Site) -> Person:
    """The supervisor, put into the register with a PIN that nobody else knows, and signing with it."""
    assert papers.session is not None and papers.session.supervisor is not None, "both demo papers name one"
    pin = f"{secrets.randbelow(10**8):08}"
    site.people.add(papers.session.supervisor, pin=pin)
    return site.people.signature(papers.session.supervisor.id, pin)


def _receive(site: Site, folder: Path, tell: Callable[[str], None]) -> str:
    """A second process sends the series to our receiver, as a scanner or a PACS would."""
    with Receiver(site.archive, ae_title=site.config.ae_title) as receiver:
        command = [sys.executable, "-m", "workstation", "send", str(folder), "127.0.0.1", str(receiver.port)]
        done = subprocess.run(
            [*command, "-aec", site.config.ae_title], capture_output=True, text=True, timeout=120, check=False
        )
    if done.returncode != 0:
        raise DemoError(f"The sending process ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    series = site.archive.all_series()[0]
    tell(f"received  {len(series.instances)} instances of {series.modality} {series.description!r} by C-STORE")
    return series.uid


def _told(tell: Callable[[str], None]) -> Progress:
    said: list[str] = []

    def progress(what: str, part: float) -> None:
        # One line a step, not one a percent.
        if what not in said:
            said.append(what)
            tell(f"          {what} …")

    return progress


def _summary(decision: Decision) -> str:
    if decision.disposition == "release":
        return "released, " + "; ".join(words.line(line) for line in decision.lines)
    reasons = "; ".join(f"{r.code} (can be resolved by: {r.resolver})" for r in decision.reasons)
    return f"{'held' if decision.disposition == 'hold' else 'not billable'}, {reasons}"


def _fresh(output: Path) -> None:
    """Empties an earlier demonstration; never touches a folder that is something else."""
    if output.exists() and any(output.iterdir()):
        if not (output / _MARK).exists():
            raise DemoError(f"{output}: this folder is not an earlier demonstration; choose another with -o.")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / _MARK).touch()
